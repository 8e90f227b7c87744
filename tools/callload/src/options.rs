//! What is asked for.

use std::path::PathBuf;

use baton_load::words::Words;

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
pub(crate) fn read(mut words: Words) -> Result<Option<Options>, String> {
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
    while let Some(name) = words.option() {
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--json" => options.json = words.flag()?,
            "--server" => server = Some(words.value()?),
            "--calls" => options.calls = words.number(0, 5000)?,
            "--turns" => options.turns = words.number(0, 20_000)?,
            "--handoffs" => options.handoffs = words.number(0, 500)?,
            "--seconds" => options.seconds = words.number(1, 3600)?,
            "--store" => options.store = Some(words.value()?),
            "--mode" => {
                options.warm = match words.value()?.as_str() {
                    "warm" => true,
                    "cold" => false,
                    other => return Err(format!("--mode {other}: warm or cold")),
                }
            }
            "--server-core" => {
                options.server_core = match words.value()?.as_str() {
                    "any" => None,
                    core => Some(
                        core.parse()
                            .map_err(|_| format!("--server-core {core}: not a number, nor any"))?,
                    ),
                }
            }
            _ => return Err(words.unknown()),
        }
    }
    options.server = words.program(server)?;
    if options.calls == 0 && options.handoffs == 0 {
        return Err("without --calls and --handoffs there is no call".to_owned());
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        super::read(Words::new("callload", words))
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
