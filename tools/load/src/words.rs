//! The words of a command line: `--name value`, `--name=value` and `--flag`.

use std::path::PathBuf;

/// They are read one after the other.
pub struct Words {
    tool: &'static str,
    rest: Box<dyn Iterator<Item = String>>,
    name: String,
    value: Option<String>,
}

impl Words {
    /// Of this tool.
    pub fn new(tool: &'static str, words: impl IntoIterator<Item = String> + 'static) -> Words {
        Words {
            tool,
            rest: Box::new(words.into_iter()),
            name: String::new(),
            value: None,
        }
    }

    /// The next option's name; `None` at the end.
    pub fn option(&mut self) -> Option<String> {
        let word = self.rest.next()?;
        (self.name, self.value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        Some(self.name.clone())
    }

    /// The option's value.
    ///
    /// # Errors
    /// Where it has none.
    pub fn value(&mut self) -> Result<String, String> {
        let value = self.value.take().or_else(|| self.rest.next());
        value.ok_or_else(|| format!("{} wants a value", self.name))
    }

    /// The option's value as a number.
    ///
    /// # Errors
    /// Where it is none, or beyond the bounds.
    pub fn number(&mut self, least: u32, most: u32) -> Result<u32, String> {
        let text = self.value()?;
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("{} {text}: not a number from {least} to {most}", self.name))
    }

    /// The option is a flag, and there.
    ///
    /// # Errors
    /// Where it has a value.
    pub fn flag(&self) -> Result<bool, String> {
        match self.value {
            None => Ok(true),
            Some(_) => Err(self.unknown()),
        }
    }

    /// That there is no such option.
    pub fn unknown(&self) -> String {
        format!("{}: no such option", self.name)
    }

    /// The program under test, once all words are read.
    ///
    /// # Errors
    /// Where none is named, or there is none of that name.
    pub fn program(&self, named: Option<String>) -> Result<PathBuf, String> {
        let tool = self.tool;
        let program = named.map(PathBuf::from);
        let program = program
            .ok_or_else(|| format!("--server PROGRAM is missing: `cargo xtask {tool}` builds one and names it"))?;
        match program.is_file() {
            true => Ok(program),
            false => Err(format!(
                "{}: there is no such program: `cargo xtask {tool}` builds it",
                program.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &'static str) -> Words {
        Words::new("try", line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_come_after_a_blank_or_an_equals_sign() {
        let mut words = words("--a 7 --b=8 --c --d=9");
        assert_eq!((words.option().as_deref(), words.number(1, 9)), (Some("--a"), Ok(7)));
        assert_eq!(
            (words.option().as_deref(), words.value()),
            (Some("--b"), Ok("8".to_owned()))
        );
        assert_eq!((words.option().as_deref(), words.flag()), (Some("--c"), Ok(true)));
        assert_eq!(words.option().as_deref(), Some("--d"));
        assert_eq!(words.flag(), Err("--d: no such option".to_owned()));
        assert_eq!(words.option(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, wrong) in [
            ("--a", "--a wants a value"),
            ("--a fast", "--a fast: not a number from 1 to 9"),
            ("--a -1", "--a -1: not a number from 1 to 9"),
            ("--a 10", "--a 10: not a number from 1 to 9"),
        ] {
            let mut words = words(line);
            words.option();
            assert_eq!(words.number(1, 9), Err(wrong.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_built_by_the_command() {
        let missing = words("").program(None).expect_err("none");
        assert!(
            missing.contains("--server PROGRAM is missing: `cargo xtask try` builds one"),
            "{missing}"
        );
        let gone = words("").program(Some("/no/such/baton".to_owned())).expect_err("none");
        assert!(
            gone.contains("/no/such/baton: there is no such program: `cargo xtask try` builds it"),
            "{gone}"
        );
        let found = words("").program(Some("/proc/self/exe".to_owned()));
        assert_eq!(found, Ok("/proc/self/exe".into()));
    }
}
