//! Real speech through the real engine: every codec into every other, both ways at once, and a judge who compares what was heard with
//! what was said. The peers' codecs are none of ours.

#[expect(dead_code, reason = "this test needs one family only")]
mod common;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use baton_engine::{Backend, Engine, EngineConfig, WorkerConfig};
use common::{HEADER, LOCALHOST, PATIENCE, Peer, free_ports, hears, leg, payload_type, set};
use judge::{Sound, Verdict, judge};
use media::codec::opus::Settings;
use media::coders::{Coders, Sizes};
use media::command::{Codec, Event};
use parties::codec::{self, Decoder, Encoder};

/// Ours and the party's name for it.
const CODECS: [(Codec, codec::Codec); 6] = [
    (Codec::Pcmu, codec::Codec::Pcmu),
    (Codec::Pcma, codec::Codec::Pcma),
    (Codec::G722, codec::Codec::G722),
    (Codec::L16, codec::Codec::L16),
    (Codec::L16Wide, codec::Codec::L16Wide),
    (Codec::Opus, codec::Codec::Opus),
];

/// Speech of 8 kHz.
fn prompt(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tools/parties/prompts/{name}.wav"));
    let mut reader = hound::WavReader::open(path).expect("a prompt");
    reader.samples().map(|sample| sample.expect("a sample")).collect()
}

/// Who says something in one codec, and hears something in the same.
struct Talker {
    peer: Peer,
    codec: (Codec, codec::Codec),
    ptime: u32,
    packets: Vec<Vec<u8>>,
    /// By number on the line, from the first on.
    heard: BTreeMap<u16, Vec<u8>>,
}

impl Talker {
    fn new(codec: (Codec, codec::Codec), ptime: u32, said: &[i16]) -> Talker {
        // Twice as many samples for what has 16 kHz, each second one between its neighbours.
        let mut samples = match codec.1.rate() {
            8_000 => said.to_vec(),
            _ => {
                let mut doubled = vec![0; 2 * said.len()];
                media::resample::Upsampler::new().process(said, &mut doubled);
                doubled
            }
        };
        samples.resize(samples.len().next_multiple_of(codec.1.samples(ptime)), 0);
        let mut encoder = Encoder::new(codec.1);
        let packets = samples.chunks_exact(codec.1.samples(ptime));
        Talker {
            peer: Peer::new(0, codec.0),
            codec,
            ptime,
            packets: packets.map(|samples| encoder.encode(samples)).collect(),
            heard: BTreeMap::new(),
        }
    }

    /// Sends its `at`th packet, if it has as many.
    fn say(&self, at: usize, port: u16) {
        let Some(payload) = self.packets.get(at) else {
            return;
        };
        let mut packet = vec![0x80, payload_type(self.codec.0)];
        packet.extend_from_slice(&(at as u16).to_be_bytes());
        packet.extend_from_slice(&(at as u32 * self.codec.1.ticks(self.ptime)).to_be_bytes());
        packet.extend_from_slice(&u32::from(port).to_be_bytes());
        packet.extend_from_slice(payload);
        self.peer.socket.send_to(&packet, (LOCALHOST, port)).expect("sent");
    }

    /// Takes what has come. Whether there was anything.
    fn listen(&mut self) -> bool {
        self.peer.socket.set_nonblocking(true).expect("a mode");
        let mut packet = [0; 2048];
        let mut came = false;
        loop {
            match self.peer.socket.recv(&mut packet) {
                Ok(len) if len > HEADER && packet[1] & 0x7f == payload_type(self.codec.0) => {
                    let number = u16::from_be_bytes([packet[2], packet[3]]);
                    self.heard.insert(number, packet[HEADER..len].to_vec());
                    came = true;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return came,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What it heard of what the other one said.
    fn verdict(&self, said: &[i16]) -> Verdict {
        let mut decoder = Decoder::new(self.codec.1);
        let mut heard = Vec::new();
        // The line may have begun near the end of its numbers.
        let first = self
            .heard
            .keys()
            .find(|number| !self.heard.contains_key(&number.wrapping_sub(1)));
        let mut number = *first.expect("something was heard");
        while let Some(payload) = self.heard.get(&number) {
            heard.extend(decoder.decode(payload).expect("a payload of the codec"));
            number = number.wrapping_add(1);
        }
        judge(Sound::new(said, 8_000), Sound::new(&heard, self.codec.1.rate()))
    }
}

/// Packet times of the two sides of each pair: 20 ms first, then others.
fn ptimes(round: usize, codec: Codec) -> u32 {
    match (round, codec) {
        (0, _) => 20,
        (1, Codec::Opus) => 40,
        (1, _) => 30,
        // 60 ms of L16 at 16 kHz would be no packet.
        (_, Codec::L16Wide) => 10,
        (_, Codec::Opus) => 60,
        (_, _) => 10,
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are in dataplane/README.md")]
fn speech_is_heard_in_every_codec_from_every_other() {
    let (caller, human) = (prompt("caller-1"), prompt("human-hello"));
    for round in 0..3 {
        let mut talkers = Vec::new();
        for (n, one) in CODECS.into_iter().enumerate() {
            for other in CODECS.into_iter().skip(n + 1) {
                let of = |codec: (Codec, codec::Codec), said| Talker::new(codec, ptimes(round, codec.0), said);
                talkers.push([of(one, &caller), of(other, &human)]);
            }
        }
        let pairs = 2 * talkers.len() as u16;
        let first = free_ports(2 * pairs);
        let sizes = Sizes {
            wide: 30,
            opus_narrow: 10,
            opus_wide: 10,
            mixers: 10,
            ..Sizes::default()
        };
        let engine = Engine::start(EngineConfig {
            workers: vec![WorkerConfig {
                core: None,
                address: LOCALHOST,
                first_port: first,
                pairs,
            }],
            sessions_per_worker: talkers.len(),
            backend: Backend::Auto,
            coders: Arc::new(Coders::new(sizes, &Settings::default()).expect("coders")),
            ..EngineConfig::default()
        })
        .expect("it starts");
        let port = |n: usize, side: usize| first + 4 * n as u16 + 2 * side as u16;
        for (n, [one, other]) in talkers.iter().enumerate() {
            let legs = [
                leg(0, port(n, 0), &one.peer, hears(&[1])),
                leg(1, port(n, 1), &other.peer, hears(&[0])),
            ];
            engine.send(0, set(n as u64, 1, legs)).expect("room");
            let start = Instant::now();
            while !matches!(engine.events().try_recv(), Some((_, Event::Applied { .. }))) {
                assert!(start.elapsed() < PATIENCE, "a state comes into force");
                thread::yield_now();
            }
        }
        // Everybody speaks four times as fast as the clock.
        let longest = talkers
            .iter()
            .flatten()
            .map(|talker| talker.packets.len() as u32 * talker.ptime);
        for ms in (0..longest.max().unwrap_or(0)).step_by(10) {
            for (n, pair) in talkers.iter_mut().enumerate() {
                for (side, talker) in pair.iter_mut().enumerate() {
                    if ms % talker.ptime == 0 {
                        talker.say((ms / talker.ptime) as usize, port(n, side));
                    }
                    talker.listen();
                }
            }
            thread::sleep(Duration::from_micros(2_500));
        }
        // What is still under way; after that noise comes for ever. What the kernel has taken lies in the listeners' sockets.
        let said: usize = talkers.iter().flatten().map(|talker| talker.packets.len()).sum();
        let (start, mut taken) = (Instant::now(), None);
        while taken.is_none_or(|taken| engine.stats(0).sent < taken) {
            assert!(start.elapsed() < PATIENCE, "all is put into the other codec in time");
            let now = engine.stats(0);
            if now.forwarded >= said as u64 {
                taken.get_or_insert(now.forwarded + now.played + now.comfort + now.rtcp);
            }
            talkers.iter_mut().flatten().for_each(|talker| _ = talker.listen());
            thread::yield_now();
        }
        talkers.iter_mut().flatten().for_each(|talker| _ = talker.listen());
        engine.stop();
        for [one, other] in &talkers {
            for (listener, said, by) in [(other, &caller, one), (one, &human, other)] {
                let verdict = listener.verdict(said);
                let name = format!("{:?}, {} ms, to {:?}", by.codec.0, by.ptime, listener.codec.0);
                eprintln!("{name}: {verdict}");
                assert!(verdict.passes(), "{name}: {verdict}");
            }
        }
    }
}
