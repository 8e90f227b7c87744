//! What the three roles share: a user agent on its socket, the sound, the ear, and the end.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::Args;
use crate::codec::{self, Codec};
use crate::events;
use crate::media::{Media, Way};
use crate::prompts;
use crate::rng::Rng;
use crate::sdp::{Description, Local, Numbers};
use crate::sip::{Event, Ua};

/// Options of every role.
pub(crate) const COMMON: [&str; 7] = ["codec", "ptime", "say", "wav", "packets", "epoch-ms", "limit-s"];

/// A run ends by itself after this, unless `--limit-s` says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the end waits for messages that are still repeated.
const FAREWELL: Duration = Duration::from_secs(2);

/// Longer than the pauses within a prompt (140 ms), shorter than dead air (300 ms).
const QUIET: Duration = Duration::from_millis(240);

/// Less sound than this is no sentence.
const SENTENCE: Duration = Duration::from_millis(400);

/// A party in its call.
pub(crate) struct Party {
    pub(crate) ua: Ua,
    pub(crate) media: Media,
    socket: UdpSocket,
    say: std::vec::IntoIter<(String, Vec<i16>)>,
    /// What of the sound an earlier cue has used up.
    used: Duration,
    wav: Option<PathBuf>,
    packets: Option<PathBuf>,
    limit: Instant,
    told_to_end: Arc<AtomicBool>,
    over: bool,
}

impl Party {
    /// Binds the sockets, says `ready`, and watches standard input where it is told to.
    pub(crate) fn start(role: &str, say: &str, args: &Args) -> Result<Party, String> {
        events::start(args.parsed("epoch-ms")?);
        let codec = args.text("codec").unwrap_or("pcmu");
        let codec = Codec::from_name(codec).ok_or_else(|| {
            let names = codec::ALL.map(Codec::name).join(", ");
            format!("--codec {codec}: {names}")
        })?;
        let ptime_ms = args.parsed("ptime")?.unwrap_or(20);
        codec
            .check_ptime(ptime_ms)
            .map_err(|error| format!("--ptime: {error}"))?;
        let say = args.text("say").unwrap_or(say);
        let say = say
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|name| prompts::load(name, codec.rate()).map(|samples| (name.to_owned(), samples)))
            .collect::<Result<Vec<_>, _>>()?;
        let media = Media::start(codec, ptime_ms).map_err(|error| format!("RTP: {error}"))?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("SIP: {error}"))?;
        let address = socket.local_addr().map_err(|error| format!("SIP: {error}"))?;
        let local = Local {
            address: Ipv4Addr::LOCALHOST,
            port: media.port(),
            codec,
            ptime_ms,
            session: Rng::new().bits() as u32,
            version: 1,
        };
        let told_to_end = Arc::new(AtomicBool::new(false));
        if args.has("watch-stdin") {
            let told_to_end = Arc::clone(&told_to_end);
            std::thread::spawn(move || {
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
                told_to_end.store(true, Ordering::Relaxed);
            });
        }
        let now = Instant::now();
        let limit = args.parsed("limit-s")?.map_or(LIMIT, Duration::from_secs);
        events::emit(
            now,
            "ready",
            json!({ "role": role, "sip": address.port(), "rtp": media.port() }),
        );
        Ok(Party {
            ua: Ua::new(address, role, local),
            media,
            socket,
            say: say.into_iter(),
            used: Duration::ZERO,
            wav: args.text("wav").map(PathBuf::from),
            packets: args.text("packets").map(PathBuf::from),
            limit: now + limit,
            told_to_end,
            over: false,
        })
    }

    /// Waits for at most 5 ms, and says what happened.
    pub(crate) fn step(&mut self) -> Vec<Event> {
        self.flush();
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(5)));
        let mut buffer = [0u8; 65_535];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            self.ua.handle(Instant::now(), from, &buffer[..length]);
        }
        self.ua.handle_timeout(Instant::now());
        self.flush();
        let mut happened = Vec::new();
        while let Some(event) = self.ua.poll_event() {
            match &event {
                Event::Answered(sdp) | Event::Changed(sdp) | Event::Up(Some(sdp)) => self.stream(sdp),
                Event::Ended | Event::Over | Event::Refused(_) | Event::TimedOut => {
                    self.media.hush();
                    self.over = true;
                }
                Event::Invited { .. } | Event::Up(None) => {}
            }
            happened.push(event);
        }
        happened
    }

    fn flush(&mut self) {
        while let Some((to, bytes)) = self.ua.poll_transmit() {
            // A peer that is gone shows in what is not answered.
            let _ = self.socket.send_to(&bytes, to);
        }
    }

    /// Sends its sound to where the description says, if that receives.
    pub(crate) fn stream(&self, sdp: &Description) {
        let codec = self.media.codec();
        let Some(audio) = sdp.number(codec) else {
            // It has taken our codec away: there is nothing that it would understand.
            return self.media.hush();
        };
        self.media.go(Way {
            to: sdp.direction.receives().then_some(sdp.audio),
            theirs: Numbers {
                audio,
                event: sdp.event_number(codec),
            },
            ours: self.ua.numbers(),
        });
    }

    /// The call is over, or the run was told to end, or has lasted too long.
    pub(crate) fn is_over(&self) -> bool {
        self.over || self.told_to_end.load(Ordering::Relaxed) || Instant::now() >= self.limit
    }

    /// Says the next prompt of the script. `false` where there is none left.
    pub(crate) fn say_next(&mut self) -> bool {
        let Some((name, samples)) = self.say.next() else {
            return false;
        };
        self.media.say(&name, samples);
        true
    }

    /// Whether prompts of the script are left.
    pub(crate) fn has_more(&self) -> bool {
        self.say.len() > 0
    }

    /// Whether, since it was last `true`, something was said to us and is over.
    pub(crate) fn heard_a_sentence(&mut self) -> bool {
        let (voiced, last) = self.media.heard(|heard| (heard.voiced(), heard.last_voice()));
        let heard = voiced - self.used >= SENTENCE && last.is_some_and(|last| last.elapsed() >= QUIET);
        if heard {
            self.used = voiced;
        }
        heard
    }

    /// What was heard so far is no part of the next sentence.
    pub(crate) fn listen_anew(&mut self) {
        self.used = self.media.heard(|heard| heard.voiced());
    }

    /// How much was heard since the last sentence.
    pub(crate) fn heard_since(&self) -> Duration {
        self.media.heard(|heard| heard.voiced()) - self.used
    }

    /// Whether everything is said since at least `time`.
    pub(crate) fn is_idle_for(&self, time: Duration) -> bool {
        self.media.idle_since().is_some_and(|since| since.elapsed() >= time)
    }

    /// Hangs up if need be, writes what was heard, and says the counts.
    pub(crate) fn finish(mut self, role: &str) -> Result<(), String> {
        let end = Instant::now() + FAREWELL;
        if !self.over {
            self.ua.hang_up(Instant::now());
        }
        while Instant::now() < end && !(self.over && self.ua.is_quiet()) {
            self.step();
        }
        // Repeated requests are answered a little longer, and packets after the BYE are heard.
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            self.step();
        }
        self.media.stop();
        let (sent, oversleep) = self.media.sent();
        let (mut summary, recording, log) = self
            .media
            .heard(|heard| (heard.summary(), heard.recording().to_vec(), heard.log()));
        if let Some(path) = &self.wav {
            write_wav(path, self.media.codec().rate(), &recording)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some(path) = &self.packets {
            std::fs::write(path, log).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Value::Object(summary) = &mut summary {
            summary.insert("role".to_owned(), json!(role));
            summary.insert("codec".to_owned(), json!(self.media.codec().name()));
            summary.insert("sent".to_owned(), json!(sent));
            summary.insert("longest_oversleep_ms".to_owned(), json!(events::millis(oversleep)));
        }
        events::emit(Instant::now(), "summary", summary);
        Ok(())
    }

    /// Where the call's sound goes, and comes from, once `offer` was accepted.
    pub(crate) fn accept(&mut self, offer: Option<&Description>) -> bool {
        let accepted = self.ua.accept(Instant::now());
        if accepted && let Some(offer) = offer {
            self.stream(offer);
        }
        accepted
    }

    /// Calls a URI by way of `peer`.
    pub(crate) fn call(&mut self, uri: &str, peer: SocketAddr) {
        self.ua.invite(Instant::now(), uri, peer);
    }
}

fn write_wav(path: &PathBuf, rate: u32, samples: &[i16]) -> hound::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    writer.finalize()
}
