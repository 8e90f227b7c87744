//! What is asked for.

use std::time::Duration;

use baton_load::words::Words;
use engine::{Backend, EngineConfig, Rtcp, TaskRun};
use media::command::Codec;

use crate::subject::Subject;

/// One command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Options {
    Run(Place, Run),
    Limit(Place),
    Compare(Place, Compare),
    /// This program asks itself for it.
    Relay(Relay),
}

/// Where, and how it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) subject_core: usize,
    pub(crate) load_core: usize,
    pub(crate) moderation_us: u32,
    pub(crate) json: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) subject: Subject,
    pub(crate) calls: usize,
    pub(crate) seconds: u32,
    pub(crate) flood: u32,
    /// Packets a second of all streams together; `None`: 50 for each stream.
    pub(crate) rate: Option<u32>,
    pub(crate) codecs: [Codec; 2],
    /// For Baton's process, as they were read.
    pub(crate) relay: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Relay {
    pub(crate) core: usize,
    pub(crate) calls: usize,
    /// All on that core.
    pub(crate) workers: usize,
    /// Calls a second that go from one worker to another.
    pub(crate) moves: u32,
    pub(crate) backend: Backend,
    pub(crate) mode: TaskRun,
    /// `None`: as the data plane wishes.
    pub(crate) buffers: Option<u16>,
    pub(crate) codecs: [Codec; 2],
    pub(crate) rtcp: Rtcp,
    /// Packets may come at other distances than speech.
    pub(crate) sparse: bool,
}

/// Longer than anybody measures.
const NEVER: Duration = Duration::from_secs(86_400);

/// Streams need a port each, from 12,000 up.
const CALLS_MAX: u32 = 13_000;

/// What the words mean; `None`: help is wanted.
pub(crate) fn read(mut words: Words) -> Result<Option<Options>, String> {
    let command = words.option().unwrap_or_else(|| "--help".to_owned());
    let mut place = Place {
        subject_core: 0,
        load_core: 1,
        moderation_us: 200,
        json: false,
    };
    let mut run = Run {
        subject: Subject::BatonUring,
        calls: 100,
        seconds: 5,
        flood: 0,
        rate: None,
        codecs: [Codec::Pcmu; 2],
        relay: Vec::new(),
    };
    let mut compare = Compare {
        quick: false,
        rounds: 5,
        seconds: 3,
    };
    let mut relay = Relay {
        core: 0,
        calls: 100,
        workers: 1,
        moves: 0,
        backend: Backend::Uring,
        mode: TaskRun::Auto,
        buffers: None,
        codecs: [Codec::Pcmu; 2],
        rtcp: Rtcp::Pair,
        sparse: false,
    };
    if command == "compare"
        && let Some(peer) = words.option()
        && peer != "rtpengine"
    {
        return Err(format!("compare {peer}: compare rtpengine"));
    }
    while let Some(name) = words.option() {
        match (command.as_str(), name.as_str()) {
            (_, "--help" | "-h") => return Ok(None),
            (_, "--json") => place.json = words.flag()?,
            (_, "--subject-core") => place.subject_core = words.number(0, 1023)? as usize,
            (_, "--load-core") => place.load_core = words.number(0, 1023)? as usize,
            (_, "--moderation-us") => place.moderation_us = words.number(0, 10_000)?,
            ("run", "--subject") => run.subject = Subject::read(&words.value()?)?,
            ("run" | "relay", "--calls") => {
                run.calls = words.number(1, CALLS_MAX)? as usize;
                relay.calls = run.calls;
            }
            ("run", "--seconds") => run.seconds = words.number(1, 3600)?,
            ("run", "--rate") => {
                run.rate = Some(words.number(100, 1_000_000)?);
                run.relay.push("--sparse".to_owned());
            }
            ("relay", "--sparse") => relay.sparse = words.flag()?,
            ("run", "--flood") => run.flood = words.number(0, 1000)?,
            ("compare", "--quick") => compare.quick = words.flag()?,
            ("compare", "--rounds") => compare.rounds = words.number(1, 99)?,
            ("compare", "--seconds") => compare.seconds = words.number(1, 60)?,
            ("run", "--mode" | "--buffers" | "--codecs" | "--rtcp" | "--moves") => {
                let value = words.value()?;
                relay.set(&name, &value)?;
                run.codecs = relay.codecs;
                run.relay.extend([name, value]);
            }
            ("relay", "--mode" | "--buffers" | "--codecs" | "--rtcp" | "--moves" | "--io") => {
                relay.set(&name, &words.value()?)?
            }
            ("relay", "--core") => relay.core = words.number(0, 1023)? as usize,
            _ => return Err(words.unknown()),
        }
    }
    if place.subject_core == place.load_core {
        return Err("--subject-core and --load-core are the same: the load would be measured, too".to_owned());
    }
    if run.subject == Subject::Rtpengine && run.codecs[0] != run.codecs[1] {
        return Err("--codecs: rtpengine is asked to relay only".to_owned());
    }
    Ok(match command.as_str() {
        "run" => Some(Options::Run(place, run)),
        "limit" => Some(Options::Limit(place)),
        "compare" => Some(Options::Compare(place, compare)),
        "relay" => Some(Options::Relay(relay)),
        "--help" | "-h" | "help" => None,
        other => return Err(format!("{other}: run, limit or compare")),
    })
}

impl Relay {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = |wanted: &str| format!("{name} {value}: {wanted}");
        match name {
            "--mode" => {
                self.mode = match value {
                    "auto" => TaskRun::Auto,
                    "defer" => TaskRun::Defer,
                    "coop" => TaskRun::Coop,
                    _ => return Err(wrong("auto, defer or coop")),
                }
            }
            "--io" => {
                self.backend = match value {
                    "io_uring" => Backend::Uring,
                    "epoll" => Backend::Epoll,
                    _ => return Err(wrong("io_uring or epoll")),
                }
            }
            "--rtcp" => {
                self.rtcp = match value {
                    "pair" => Rtcp::Pair,
                    "mux" => Rtcp::Mux,
                    _ => return Err(wrong("pair or mux")),
                }
            }
            "--moves" => {
                let moves = value.parse().ok().filter(|moves| (1..=1000).contains(moves));
                self.moves = moves.ok_or_else(|| wrong("a number from 1 to 1000"))?;
                self.workers = 2;
            }
            "--codecs" => {
                let codec = |name: &str| match name {
                    "pcmu" => Some(Codec::Pcmu),
                    "pcma" => Some(Codec::Pcma),
                    _ => None,
                };
                let both = value
                    .split_once(',')
                    .and_then(|(one, other)| Some([codec(one)?, codec(other)?]));
                self.codecs = both.ok_or_else(|| wrong("two of pcmu and pcma, with a comma between"))?;
            }
            _ => {
                let buffers = value.parse().ok().filter(|buffers: &u16| buffers.is_power_of_two());
                self.buffers = Some(buffers.ok_or_else(|| wrong("a power of two up to 32768"))?);
            }
        }
        Ok(())
    }

    /// What was asked for, of what can be set.
    pub(crate) fn tune(&self, config: &mut EngineConfig) {
        config.backend = self.backend;
        config.mode = self.mode;
        config.buffers = self.buffers.unwrap_or(config.buffers);
        config.rtcp = self.rtcp;
        if self.sparse {
            config.comfort_after = NEVER;
            config.silence = NEVER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        super::read(Words::new("rtpload", words))
    }

    #[test]
    fn options_are_read() {
        let line = "run --subject baton-epoll --calls 7 --seconds=3 --flood 100 --buffers 512 --codecs pcmu,pcma --rate 20000 --rtcp mux --json";
        let Ok(Some(Options::Run(place, run))) = read(line) else {
            panic!("{:?}", read(line));
        };
        assert!(place.json && place.subject_core != place.load_core);
        assert_eq!(
            (run.subject, run.calls, run.seconds, run.flood),
            (Subject::BatonEpoll, 7, 3, 100)
        );
        let line = format!("relay --io epoll --calls 7 --core 3 {}", run.relay.join(" "));
        let Ok(Some(Options::Relay(relay))) = read(&line) else {
            panic!("{:?}", read(&line));
        };
        assert_eq!(
            (relay.backend, relay.calls, relay.core, relay.buffers),
            (Backend::Epoll, 7, 3, Some(512))
        );
        assert_eq!(relay.codecs, [Codec::Pcmu, Codec::Pcma]);
        assert_eq!((run.rate, relay.rtcp, relay.sparse), (Some(20_000), Rtcp::Mux, true));
        let Ok(Some(Options::Compare(_, compare))) = read("compare rtpengine --quick") else {
            panic!("compare");
        };
        assert!(compare.quick);
        assert!(matches!(read("limit"), Ok(Some(Options::Limit(_)))));
        assert_eq!((read("run --help"), read("")), (Ok(None), Ok(None)));
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, part) in [
            ("jump", "jump: run, limit or compare"),
            ("compare kamailio", "compare kamailio: compare rtpengine"),
            ("run --subject x", "x: rtpengine, baton-uring, baton-epoll, reflector"),
            ("run --calls 0", "--calls 0: not a number from 1 to 13000"),
            ("run --quick", "--quick: no such option"),
            ("run --mode fast", "--mode fast: auto, defer or coop"),
            ("run --buffers 100", "--buffers 100: a power of two"),
            ("run --rtcp no", "--rtcp no: pair or mux"),
            ("run --rate 7", "--rate 7: not a number from 100"),
            (
                "run --subject rtpengine --codecs pcmu,pcma",
                "--codecs: rtpengine is asked to relay only",
            ),
            ("run --moves 0", "--moves 0: a number from 1 to 1000"),
            ("run --codecs pcmu", "--codecs pcmu: two of pcmu and pcma"),
            ("limit --load-core 0", "--subject-core and --load-core are the same"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
