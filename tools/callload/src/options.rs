//! What is asked for.

use std::path::PathBuf;

use baton_load::words::Words;
use baton_parties::codec::Codec;

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
    /// Callers on hold, with as many humans being briefed, in place of all else.
    pub(crate) hold: u32,
    /// Of the caller, the AI and the human.
    pub(crate) codecs: [Codec; 3],
    pub(crate) seconds: u32,
    /// How long the calls that live the whole time are measured by themselves, before.
    pub(crate) alone: u32,
    /// Before everything is measured, seconds.
    pub(crate) warm_up: u32,
    pub(crate) store: Option<String>,
    /// `None`: nobody is pinned.
    pub(crate) server_core: Option<u32>,
    /// Only the media worker is pinned to that core; the rest of the server may run on all.
    pub(crate) apart: bool,
    /// What new calls may use of a core, percent. Below 100, calls that are refused for it are no fault.
    pub(crate) core_share: u32,
    /// As `media.io`.
    pub(crate) io: String,
    /// How long each end of the lab's link gathers packets.
    pub(crate) moderation_us: u32,
    /// `None`: as this process can.
    pub(crate) way: Option<Way>,
    pub(crate) json: bool,
}

/// How the parties reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By sockets of this host.
    Loopback,
    /// By a link of its own, with their packets beside the kernel's stack.
    Lab,
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
        hold: 0,
        codecs: [Codec::Pcmu; 3],
        seconds: 20,
        alone: 5,
        warm_up: 5,
        store: None,
        server_core: Some(0),
        apart: false,
        core_share: 100,
        io: "auto".to_owned(),
        moderation_us: 200,
        way: None,
        json: false,
    };
    while let Some(name) = words.option() {
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--apart" => options.apart = words.flag()?,
            "--json" => options.json = words.flag()?,
            "--lab" => options.way = Some(words.flag().map(|_| Way::Lab)?),
            "--loopback" => options.way = Some(words.flag().map(|_| Way::Loopback)?),
            "--server" => server = Some(words.value()?),
            "--calls" => options.calls = words.number(0, 5000)?,
            "--turns" => options.turns = words.number(0, 20_000)?,
            "--handoffs" => options.handoffs = words.number(0, 500)?,
            "--hold" => options.hold = words.number(1, 3000)?,
            "--seconds" => options.seconds = words.number(1, 3600)?,
            "--alone" => options.alone = words.number(0, 3600)?,
            "--warm-up" => options.warm_up = words.number(0, 600)?,
            "--moderation-us" => options.moderation_us = words.number(0, 10_000)?,
            "--core-share" => options.core_share = words.number(1, 100)?,
            "--io" => {
                options.io = words.value()?;
                if !["auto", "io_uring", "epoll"].contains(&options.io.as_str()) {
                    return Err(format!("--io {}: auto, io_uring or epoll", options.io));
                }
            }
            "--store" => options.store = Some(words.value()?),
            "--codecs" => options.codecs = codecs(&words.value()?)?,
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
    if options.calls == 0 && options.handoffs == 0 && options.hold == 0 {
        return Err("without --calls, --handoffs and --hold there is no call".to_owned());
    }
    let [caller, ai, human] = options.codecs;
    if caller == Codec::Opus || ai == Codec::Opus || human == Codec::Opus && options.hold == 0 {
        return Err(
            "--codecs: opus only of the human, with --hold: elsewhere each packet is to say who speaks".to_owned(),
        );
    }
    if options.way == Some(Way::Lab) && options.server_core.is_none() {
        return Err("--lab wants a core for the server: --server-core N".to_owned());
    }
    Ok(Some(options))
}

fn codecs(text: &str) -> Result<[Codec; 3], String> {
    let named = text.split(',').map(|name| match name {
        "pcmu" => Some(Codec::Pcmu),
        "pcma" => Some(Codec::Pcma),
        "opus" => Some(Codec::Opus),
        _ => None,
    });
    let named: Option<Vec<Codec>> = named.collect();
    let named = named.and_then(|named| named.try_into().ok());
    named.ok_or_else(|| {
        format!(
            "--codecs {text}: three of pcmu and pcma, of the caller, the AI and the human, as pcmu,pcmu,pcma; with --hold the human's \
             may be opus"
        )
    })
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
            "{SERVER} --calls 7 --turns=8 --handoffs 9 --mode warm --seconds 3 --alone 2 --warm-up 1 --hold 4 --core-share 70 \
             --codecs pcmu,pcma,pcmu --store x --server-core any --apart --json --loopback --moderation-us 100 --io epoll"
        );
        let options = read(&line).expect("options").expect("no help");
        let figures = [
            options.calls,
            options.turns,
            options.handoffs,
            options.seconds,
            options.alone,
            options.hold,
            options.core_share,
            options.warm_up,
        ];
        assert_eq!(figures, [7, 8, 9, 3, 2, 4, 70, 1]);
        assert!(options.warm && options.json && options.apart);
        assert_eq!(options.codecs, [Codec::Pcmu, Codec::Pcma, Codec::Pcmu]);
        assert_eq!((options.store.as_deref(), options.server_core), (Some("x"), None));
        assert_eq!(
            (options.way, options.moderation_us, options.io.as_str()),
            (Some(Way::Loopback), 100, "epoll")
        );
        let options = read(&format!("{SERVER} --lab")).expect("options").expect("no help");
        assert_eq!(options.way, Some(Way::Lab));
        assert_eq!(read("--help"), Ok(None));
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, part) in [
            ("", "--server PROGRAM is missing"),
            ("--turns fast", "--turns fast: not a number from 0 to 20000"),
            ("--io aio", "--io aio: auto, io_uring or epoll"),
            ("--mode tepid", "--mode tepid: warm or cold"),
            ("--server-core x", "--server-core x: not a number"),
            ("--codecs pcmu,pcma", "three of pcmu and pcma"),
            ("--codecs pcmu,pcma,g722", "three of pcmu and pcma"),
            (
                "--server /proc/self/exe --codecs pcmu,pcma,opus",
                "opus only of the human",
            ),
            (
                "--server /proc/self/exe --codecs opus,pcma,pcmu --hold 3",
                "opus only of the human",
            ),
            ("--call 5", "--call: no such option"),
            ("--server /proc/self/exe --calls 0 --handoffs 0", "there is no call"),
            ("--server /proc/self/exe --lab --server-core any", "--lab wants a core"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
