//! The command line: `--name value` and `--name`, every one known.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Options of one role.
#[derive(Debug, Default)]
pub(crate) struct Args(BTreeMap<String, String>);

impl Args {
    /// `valued` take a value, `flags` do not. Anything else is an error.
    pub(crate) fn parse(
        words: impl IntoIterator<Item = String>,
        valued: &[&str],
        flags: &[&str],
    ) -> Result<Args, String> {
        let mut args = BTreeMap::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").unwrap_or("");
            let value = if flags.contains(&name) {
                String::new()
            } else if valued.contains(&name) {
                words.next().ok_or_else(|| format!("{word} needs a value"))?
            } else {
                return Err(format!("{word} is not known"));
            };
            if args.insert(name.to_owned(), value).is_some() {
                return Err(format!("{word} is there twice"));
            }
        }
        Ok(Args(args))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value as a type, if it is there.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name)
            .map(|text| text.parse().map_err(|_| format!("--{name}: {text} does not fit")))
            .transpose()
    }

    pub(crate) fn required<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.parsed(name)?.ok_or_else(|| format!("--{name} is needed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(
            line.split_whitespace().map(str::to_owned),
            &["codec", "limit-s"],
            &["busy"],
        )
    }

    #[test]
    fn values_and_flags() {
        let args = parse("--codec pcma --busy").unwrap();
        assert_eq!(args.text("codec"), Some("pcma"));
        assert!(args.has("busy"));
        assert_eq!(args.parsed::<u64>("limit-s"), Ok(None));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse("--bussy").unwrap_err().contains("--bussy"));
        assert!(parse("--codec").unwrap_err().contains("needs a value"));
        assert!(parse("--busy --busy").unwrap_err().contains("twice"));
        assert!(parse("--limit-s many").unwrap().required::<u64>("limit-s").is_err());
        assert!(parse("").unwrap().required::<u64>("limit-s").is_err());
    }
}
