//! What is asked for.

use std::path::PathBuf;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The program `baton`.
    pub(crate) server: PathBuf,
    pub(crate) calls: u32,
    /// A second.
    pub(crate) turns: u32,
    /// A second.
    pub(crate) handoffs: u32,
    pub(crate) warm: bool,
    pub(crate) seconds: u32,
    pub(crate) store: Option<String>,
    /// `None`: nobody is pinned.
    pub(crate) server_core: Option<u32>,
    pub(crate) json: bool,
}

/// What the words mean; `None`: help is wanted. `--server` comes from `cargo xtask callload`.
pub(crate) fn read(words: impl IntoIterator<Item = String>) -> Result<Option<Options>, String> {
    let mut server = None;
    let mut options = Options {
        server: PathBuf::new(),
        calls: 100,
        turns: 1000,
        handoffs: 50,
        warm: false,
        seconds: 20,
        store: None,
        server_core: Some(0),
        json: false,
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        let mut wanted = || {
            value
                .clone()
                .or_else(|| words.next())
                .ok_or(format!("{name} wants a value"))
        };
        match (name.as_str(), &value) {
            ("--help" | "-h", None) => return Ok(None),
            ("--json", None) => options.json = true,
            ("--server", _) => server = Some(PathBuf::from(wanted()?)),
            ("--calls", _) => options.calls = number(&name, &wanted()?, 0, 5000)?,
            ("--turns", _) => options.turns = number(&name, &wanted()?, 0, 20_000)?,
            ("--handoffs", _) => options.handoffs = number(&name, &wanted()?, 0, 500)?,
            ("--seconds", _) => options.seconds = number(&name, &wanted()?, 1, 3600)?,
            ("--store", _) => options.store = Some(wanted()?),
            ("--mode", _) => {
                options.warm = match wanted()?.as_str() {
                    "warm" => true,
                    "cold" => false,
                    other => return Err(format!("--mode {other}: warm or cold")),
                }
            }
            ("--server-core", _) => {
                options.server_core = match wanted()?.as_str() {
                    "any" => None,
                    core => Some(number(&name, core, 0, 1023)?),
                }
            }
            _ => return Err(format!("{name}: no such option")),
        }
    }
    options.server = server.ok_or("--server PROGRAM is missing: `cargo xtask callload` builds one and names it")?;
    if !options.server.is_file() {
        return Err(format!(
            "{}: there is no such program: `cargo xtask callload` builds it",
            options.server.display()
        ));
    }
    if options.calls == 0 && options.handoffs == 0 {
        return Err("without --calls and --handoffs there is no call".to_owned());
    }
    Ok(Some(options))
}

fn number(name: &str, text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or(format!("{name} {text}: not a number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, String> {
        super::read(line.split_whitespace().map(str::to_owned))
    }

    /// A program that is there.
    const SERVER: &str = "--server /proc/self/exe";

    #[test]
    fn options_are_read() {
        let line = format!(
            "{SERVER} --calls 7 --turns=8 --handoffs 9 --mode warm --seconds 3 --store x --server-core any --json"
        );
        let options = read(&line).expect("options").expect("no help");
        let figures = (options.calls, options.turns, options.handoffs, options.seconds);
        assert_eq!(figures, (7, 8, 9, 3));
        assert!(options.warm && options.json);
        assert_eq!((options.store.as_deref(), options.server_core), (Some("x"), None));
        assert_eq!(read("--help"), Ok(None));
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, part) in [
            ("", "--server PROGRAM is missing"),
            ("--server /no/such/baton", "there is no such program"),
            ("--calls", "--calls wants a value"),
            ("--turns fast", "--turns fast: not a number from 0 to 20000"),
            ("--mode tepid", "--mode tepid: warm or cold"),
            ("--server-core x", "--server-core x: not a number"),
            ("--call 5", "--call: no such option"),
            ("--server /proc/self/exe --calls 0 --handoffs 0", "there is no call"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
