//! What is asked for.

use std::time::Duration;

use baton_load::words::Words;
use engine::{Backend, EngineConfig, Rtcp, TaskRun};
use media::codec::opus::Effort;
use media::command::Codec;

use crate::calls::{CODECS, Calls};
use crate::subject::Subject;

/// One command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Options {
    Run(Place, Run),
    Limit(Place, [Codec; 2]),
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
    pub(crate) calls: Calls,
    pub(crate) seconds: u32,
    pub(crate) flood: u32,
    /// Packets a second of all streams together; `None`: 50 for each stream.
    pub(crate) rate: Option<u32>,
    /// For Baton's process, as they were read.
    pub(crate) relay: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compare {
    /// Calls that are transcoded, not relayed.
    pub(crate) transcode: bool,
    /// … and how Opus is encoded in them.
    pub(crate) opus: Option<Effort>,
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Relay {
    pub(crate) core: usize,
    pub(crate) calls: Calls,
    /// All on that core.
    pub(crate) workers: usize,
    /// Calls a second that go from one worker to another.
    pub(crate) moves: u32,
    pub(crate) backend: Backend,
    pub(crate) mode: TaskRun,
    /// `None`: as the data plane wishes.
    pub(crate) buffers: Option<u16>,
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
        calls: Calls::plain(100),
        seconds: 5,
        flood: 0,
        rate: None,
        relay: Vec::new(),
    };
    let mut compare = Compare {
        transcode: false,
        opus: None,
        quick: false,
        rounds: 5,
        seconds: 3,
    };
    let mut relay = Relay {
        core: 0,
        calls: run.calls,
        workers: 1,
        moves: 0,
        backend: Backend::Uring,
        mode: TaskRun::Auto,
        buffers: None,
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
            ("run" | "relay", "--calls") => relay.calls.count = words.number(1, CALLS_MAX)? as usize,
            ("run" | "relay", "--relayed") => relay.calls.relayed = words.number(1, CALLS_MAX)? as usize,
            ("run" | "relay" | "limit", "--codecs") => relay.calls.codecs = codecs(&words.value()?)?,
            ("run" | "relay" | "compare", "--opus") => relay.calls.opus = Some(effort(&words.value()?)?),
            ("run", "--seconds") => run.seconds = words.number(1, 3600)?,
            ("run", "--rate") => {
                run.rate = Some(words.number(100, 1_000_000)?);
                run.relay.push("--sparse".to_owned());
            }
            ("relay", "--sparse") => relay.sparse = words.flag()?,
            ("run", "--flood") => run.flood = words.number(0, 1000)?,
            ("compare", "--transcode") => compare.transcode = words.flag()?,
            ("compare", "--quick") => compare.quick = words.flag()?,
            ("compare", "--rounds") => compare.rounds = words.number(1, 99)?,
            ("compare", "--seconds") => compare.seconds = words.number(1, 60)?,
            ("run", "--mode" | "--buffers" | "--rtcp" | "--moves") => {
                let value = words.value()?;
                relay.set(&name, &value)?;
                run.relay.extend([name, value]);
            }
            ("relay", "--mode" | "--buffers" | "--rtcp" | "--moves" | "--io") => relay.set(&name, &words.value()?)?,
            ("relay", "--core") => relay.core = words.number(0, 1023)? as usize,
            _ => return Err(words.unknown()),
        }
    }
    if place.subject_core == place.load_core {
        return Err("--subject-core and --load-core are the same: the load would be measured, too".to_owned());
    }
    (run.calls, compare.opus) = (relay.calls, relay.calls.opus);
    if relay.calls.all() > CALLS_MAX as usize {
        return Err(format!("--relayed: up to {CALLS_MAX} calls, with the others"));
    }
    if run.subject == Subject::Rtpengine && !run.calls.is_recoded(0) && run.calls.codecs[0] != run.calls.codecs[1] {
        return Err(
            "--codecs: rtpengine does not keep what the packets say of themselves between pcmu and pcma".to_owned(),
        );
    }
    if run.flood > 0 && run.calls.is_recoded(0) {
        return Err("--flood: with calls of pcmu and pcma only".to_owned());
    }
    Ok(match command.as_str() {
        "run" => Some(Options::Run(place, run)),
        "limit" => Some(Options::Limit(place, relay.calls.codecs)),
        "compare" => Some(Options::Compare(place, compare)),
        "relay" => Some(Options::Relay(relay)),
        "--help" | "-h" | "help" => None,
        other => return Err(format!("{other}: run, limit or compare")),
    })
}

/// Of both legs.
fn codecs(value: &str) -> Result<[Codec; 2], String> {
    let codec = |name: &str| CODECS.into_iter().find(|(known, _)| *known == name);
    let both = value
        .split_once(',')
        .and_then(|(one, other)| Some([codec(one)?.1, codec(other)?.1]));
    both.ok_or_else(|| {
        let names = CODECS.map(|(name, _)| name).join(", ");
        format!("--codecs {value}: two of {names}, with a comma between")
    })
}

fn effort(value: &str) -> Result<Effort, String> {
    let both = value.split_once(',').and_then(|(bitrate, complexity)| {
        Some(Effort {
            bitrate: bitrate
                .parse()
                .ok()
                .filter(|bitrate| (6_000..=510_000).contains(bitrate))?,
            complexity: complexity.parse().ok().filter(|complexity| *complexity <= 10)?,
        })
    });
    both.ok_or_else(|| format!("--opus {value}: bit/s from 6000 to 510000, a comma, and complexity from 0 to 10"))
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
            (run.subject, run.calls.count, run.seconds, run.flood),
            (Subject::BatonEpoll, 7, 3, 100)
        );
        let (calls, more) = (run.calls.words().join(" "), run.relay.join(" "));
        let line = format!("relay --io epoll {calls} --core 3 {more}");
        let Ok(Some(Options::Relay(relay))) = read(&line) else {
            panic!("{:?}", read(&line));
        };
        assert_eq!(
            (relay.backend, relay.calls, relay.core, relay.buffers),
            (Backend::Epoll, run.calls, 3, Some(512))
        );
        assert_eq!(relay.calls.codecs, [Codec::Pcmu, Codec::Pcma]);
        assert_eq!((run.rate, relay.rtcp, relay.sparse), (Some(20_000), Rtcp::Mux, true));
        let Ok(Some(Options::Compare(_, compare))) = read("compare rtpengine --quick") else {
            panic!("compare");
        };
        assert!(compare.quick && !compare.transcode);
        let limit = |codecs| Ok(Some(Options::Limit(place_of("limit"), codecs)));
        assert_eq!(read("limit"), limit([Codec::Pcmu; 2]));
        assert_eq!(read("limit --codecs opus,g722"), limit([Codec::Opus, Codec::G722]));
        assert_eq!((read("run --help"), read("")), (Ok(None), Ok(None)));
    }

    fn place_of(line: &str) -> Place {
        match read(line) {
            Ok(Some(Options::Run(place, _) | Options::Limit(place, _) | Options::Compare(place, _))) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn calls_in_other_codecs_and_beside_them_are_told_to_the_data_plane() {
        let line = "run --codecs g722,opus --calls 3 --relayed 4 --opus 32000,10";
        let Ok(Some(Options::Run(_, run))) = read(line) else {
            panic!("{:?}", read(line));
        };
        let effort = Effort {
            bitrate: 32_000,
            complexity: 10,
        };
        assert_eq!(
            (run.calls.count, run.calls.relayed, run.calls.opus),
            (3, 4, Some(effort))
        );
        assert_eq!(run.calls.codecs, [Codec::G722, Codec::Opus]);
        let line = format!("relay {}", run.calls.words().join(" "));
        assert!(
            matches!(read(&line), Ok(Some(Options::Relay(relay))) if relay.calls == run.calls),
            "{line}"
        );
        let Ok(Some(Options::Compare(_, compare))) = read("compare rtpengine --transcode --opus 32000,10") else {
            panic!("compare");
        };
        assert_eq!((compare.transcode, compare.opus), (true, Some(effort)));
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
                "run --flood 2 --codecs pcmu,opus",
                "--flood: with calls of pcmu and pcma",
            ),
            (
                "run --subject rtpengine --codecs pcmu,pcma",
                "--codecs: rtpengine does not keep",
            ),
            ("run --calls 13000 --relayed 1", "--relayed: up to 13000 calls"),
            ("run --opus 24000", "--opus 24000: bit/s from 6000"),
            ("run --opus 24000,11", "--opus 24000,11: bit/s from 6000"),
            ("limit --opus 24000,1", "--opus: no such option"),
            ("run --moves 0", "--moves 0: a number from 1 to 1000"),
            ("run --codecs pcmu", "--codecs pcmu: two of pcmu, pcma, g722, opus"),
            ("limit --load-core 0", "--subject-core and --load-core are the same"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
