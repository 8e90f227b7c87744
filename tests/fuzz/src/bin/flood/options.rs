//! What is asked for.

use std::path::PathBuf;

use baton_load::words::Words;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The program `baton`.
    pub(crate) server: PathBuf,
    /// Hostile datagrams a second.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    /// From a trunk's address.
    pub(crate) trunk: bool,
    pub(crate) json: bool,
}

/// What the words mean; `None`: help is wanted. `--server` comes from `cargo xtask flood`.
pub(crate) fn read(mut words: Words) -> Result<Option<Options>, String> {
    let (mut server, mut rate, mut seconds) = (None, 10_000, 10);
    let (mut trunk, mut json) = (false, false);
    while let Some(name) = words.option() {
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--trunk" => trunk = words.flag()?,
            "--json" => json = words.flag()?,
            "--server" => server = Some(words.value()?),
            "--rate" => rate = words.number(1, 1_000_000)?,
            "--seconds" => seconds = words.number(1, 3_600)?,
            _ => return Err(words.unknown()),
        }
    }
    let server = words.program(server)?;
    Ok(Some(Options {
        server,
        rate,
        seconds,
        trunk,
        json,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        super::read(Words::new("flood", words))
    }

    /// A program that is there.
    const SERVER: &str = "--server /proc/self/exe";

    #[test]
    fn options_are_read_in_any_order_and_spelling() {
        let plain = Options {
            server: "/proc/self/exe".into(),
            rate: 10_000,
            seconds: 10,
            trunk: false,
            json: false,
        };
        assert_eq!(read(SERVER), Ok(Some(plain.clone())));
        let all = Options {
            rate: 500,
            seconds: 3,
            trunk: true,
            json: true,
            ..plain
        };
        let line = format!("--json --rate=500 {SERVER} --trunk --seconds 3");
        assert_eq!(read(&line), Ok(Some(all)));
        assert_eq!(read("--help"), Ok(None));
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, part) in [
            ("", "--server PROGRAM is missing: `cargo xtask flood` builds one"),
            (
                "--server /no/such/baton",
                "/no/such/baton: there is no such program: `cargo xtask flood` builds it",
            ),
            ("--rate", "--rate wants a value"),
            ("--rate fast", "--rate fast: not a number from 1 to 1000000"),
            ("--rate 0", "--rate 0: not a number"),
            ("--seconds -1", "--seconds -1: not a number from 1 to 3600"),
            ("--json=yes", "--json: no such option"),
            ("--rates 5", "--rates: no such option"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
