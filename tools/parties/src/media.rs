//! The sound of a party: one thread sends a packet every packet time by an absolute clock, one receives.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::codec::{Codec, Encoder};
use crate::events;
use crate::heard::Heard;
use crate::rng::Rng;
use crate::rtp::{Packet, TelephoneEvent};
use crate::sdp::{EVENT_TYPE, Numbers};

/// How long a key is pressed at least, ms: as long as it takes whole packets.
const KEY_MS: u32 = 80;

/// Who must stop the other threads asks here this often.
const ATTENTION: Duration = Duration::from_millis(50);

/// The sockets and threads of one party.
pub(crate) struct Media {
    port: u16,
    codec: Codec,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    speech: Mutex<Speech>,
    heard: Mutex<Heard>,
}

/// Where a line leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Nobody where the peer does not receive.
    pub(crate) to: Option<SocketAddr>,
    /// Payload types as the peer numbers what it receives.
    pub(crate) theirs: Numbers,
    /// As we number what we receive.
    pub(crate) ours: Numbers,
}

/// What is to be sent, and where.
struct Speech {
    encoder: Encoder,
    ptime_ms: u32,
    /// Of a packet: samples of sound, and what the timestamp advances by.
    samples: usize,
    ticks: u32,
    way: Way,
    said: VecDeque<(String, VecDeque<i16>)>,
    /// Whether a packet of the first prompt is sent.
    begun: bool,
    keys: VecDeque<char>,
    /// Something was to be said or pressed since `idle_since`.
    busy: bool,
    idle_since: Option<Instant>,
    sent: u64,
    longest_oversleep: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Media {
    /// Binds an even port and the odd one above it (RFC 3550 §11) on loopback, and starts to receive.
    pub(crate) fn start(codec: Codec, ptime_ms: u32) -> std::io::Result<Media> {
        let (rtp, rtcp) = bind_pair()?;
        let port = rtp.local_addr()?.port();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            speech: Mutex::new(Speech::new(codec, ptime_ms)),
            heard: Mutex::new(Heard::new(codec)),
        });
        rtp.set_read_timeout(Some(ATTENTION))?;
        rtcp.set_nonblocking(true)?;
        let sender = rtp.try_clone()?;
        let threads = vec![
            std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || receive(&rtp, &rtcp, &shared)
            }),
            std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || send(&sender, &shared)
            }),
        ];
        Ok(Media {
            port,
            codec,
            shared,
            threads,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Sends and receives this way from now on.
    pub(crate) fn go(&self, way: Way) {
        lock(&self.shared.speech).way = way;
    }

    /// Sends nothing any more.
    pub(crate) fn hush(&self) {
        lock(&self.shared.speech).way.to = None;
    }

    /// Says a prompt after what is still to be said.
    pub(crate) fn say(&self, name: &str, samples: Vec<i16>) {
        let mut speech = lock(&self.shared.speech);
        speech.said.push_back((name.to_owned(), samples.into()));
        (speech.busy, speech.idle_since) = (true, None);
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: char) {
        let mut speech = lock(&self.shared.speech);
        speech.keys.push_back(key);
        (speech.busy, speech.idle_since) = (true, None);
    }

    /// Since when everything is said and pressed; `None` while it is not, or nothing ever was.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        lock(&self.shared.speech).idle_since
    }

    /// Looks at what was heard.
    pub(crate) fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&lock(&self.shared.heard))
    }

    /// Packets sent, and by how much the sender woke too late at worst.
    pub(crate) fn sent(&self) -> (u64, Duration) {
        let speech = lock(&self.shared.speech);
        (speech.sent, speech.longest_oversleep)
    }

    /// Ends the threads.
    pub(crate) fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind_pair() -> std::io::Result<(UdpSocket, UdpSocket)> {
    let mut refused = Vec::new();
    loop {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        if port % 2 == 0 && port < u16::MAX {
            match UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1)) {
                Ok(second) => return Ok((first, second)),
                Err(error) if refused.len() > 200 => return Err(error),
                Err(_) => {}
            }
        }
        // Kept bound, so that the kernel names another port next time.
        refused.push(first);
    }
}

fn receive(rtp: &UdpSocket, rtcp: &UdpSocket, shared: &Shared) {
    let mut buffer = [0u8; 2048];
    while !shared.stop.load(Ordering::Relaxed) {
        if let Ok((length, _)) = rtp.recv_from(&mut buffer) {
            let at = Instant::now();
            let numbers = lock(&shared.speech).way.ours;
            lock(&shared.heard).handle(at, &buffer[..length], numbers);
        }
        while let Ok((length, _)) = rtcp.recv_from(&mut buffer) {
            let mut heard = lock(&shared.heard);
            // RFC 3550 §6.1: a compound packet begins with a report; a BYE comes last.
            let mut rest = &buffer[..length];
            while let Some(head) = rest.first_chunk::<4>() {
                match head[1] {
                    200 => heard.sender_reports += 1,
                    203 => heard.rtcp_byes += 1,
                    _ => {}
                }
                rest = rest
                    .get(4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]))..)
                    .unwrap_or_default();
            }
        }
    }
}

/// The outgoing line.
struct Line {
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    marker: bool,
    /// The key that is down, and for how many packets already.
    key: Option<(char, u32)>,
}

fn send(socket: &UdpSocket, shared: &Shared) {
    let mut rng = Rng::new();
    let mut line = Line {
        sequence: rng.bits() as u16,
        timestamp: rng.bits() as u32,
        ssrc: rng.bits() as u32,
        marker: true,
        key: None,
    };
    let packet_time = lock(&shared.speech).packet_time();
    let mut due = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        due += packet_time;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut speech = lock(&shared.speech);
        let Some(to) = speech.way.to else {
            line.marker = true;
            line.timestamp = line.timestamp.wrapping_add(speech.ticks);
            continue;
        };
        speech.longest_oversleep = speech.longest_oversleep.max(due.elapsed());
        let packets = speech.next(&mut line, &mut rng);
        speech.sent += packets.len() as u64;
        drop(speech);
        for packet in packets {
            // A peer that is gone shows in what it heard, not here.
            let _ = socket.send_to(&packet.print(), to);
        }
    }
}

impl Speech {
    fn new(codec: Codec, ptime_ms: u32) -> Speech {
        // A call whose answer is on its way may be heard already.
        let offered = Numbers::offered(codec);
        Speech {
            encoder: Encoder::new(codec),
            ptime_ms,
            samples: codec.samples(ptime_ms),
            ticks: codec.ticks(ptime_ms),
            way: Way {
                to: None,
                theirs: offered,
                ours: offered,
            },
            said: VecDeque::new(),
            begun: false,
            keys: VecDeque::new(),
            busy: false,
            idle_since: None,
            sent: 0,
            longest_oversleep: Duration::ZERO,
        }
    }

    fn packet_time(&self) -> Duration {
        Duration::from_millis(u64::from(self.ptime_ms))
    }

    /// What is sent at one packet time: a packet of sound, or those of a key.
    fn next(&mut self, line: &mut Line, rng: &mut Rng) -> Vec<Packet> {
        let now = Instant::now();
        if line.key.is_none()
            && let Some(key) = self.keys.pop_front()
        {
            events::emit(now, "pressing", json!({ "digit": key.to_string() }));
            line.key = Some((key, 0));
        }
        let packets = match line.key {
            Some((digit, pressed)) => {
                let event = TelephoneEvent {
                    digit,
                    end: (pressed + 1) * self.ptime_ms >= KEY_MS,
                    duration: ((pressed + 1) * self.ticks) as u16,
                };
                line.key = (!event.end).then_some((digit, pressed + 1));
                // All packets of an event have the timestamp of its start, and its end is sent three times
                // (RFC 4733 §2.5.1.1, §2.5.1.4).
                let timestamp = line.timestamp.wrapping_sub(pressed * self.ticks);
                let payload = event.print().unwrap_or_default();
                let payload_type = self.way.theirs.event.unwrap_or(EVENT_TYPE);
                (0..if event.end { 3 } else { 1 })
                    .map(|_| line.packet(payload_type, pressed == 0, timestamp, payload.clone()))
                    .collect()
            }
            None => {
                let frame = self.frame(now, rng);
                let payload = self.encoder.encode(&frame);
                let marker = std::mem::take(&mut line.marker);
                vec![line.packet(self.way.theirs.audio, marker, line.timestamp, payload)]
            }
        };
        line.timestamp = line.timestamp.wrapping_add(self.ticks);
        if self.busy && self.said.is_empty() && self.keys.is_empty() && line.key.is_none() {
            (self.busy, self.idle_since) = (false, Some(now));
        }
        packets
    }

    /// A packet time of speech, or of noise at about −62 dBm0.
    fn frame(&mut self, now: Instant, rng: &mut Rng) -> Vec<i16> {
        let mut frame: Vec<i16> = (0..self.samples).map(|_| (rng.bits() % 41) as i16 - 20).collect();
        let Some((name, samples)) = self.said.front_mut() else {
            return frame;
        };
        if !std::mem::replace(&mut self.begun, true) {
            events::emit(now, "speaking", json!({ "prompt": name }));
        }
        for place in &mut frame {
            if let Some(sample) = samples.pop_front() {
                *place = sample;
            }
        }
        if samples.is_empty() {
            events::emit(now, "spoken", json!({ "prompt": name }));
            self.said.pop_front();
            self.begun = false;
        }
        frame
    }
}

impl Line {
    fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: Vec<u8>) -> Packet {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Packet {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
            payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            sequence: 0,
            timestamp: 0,
            ssrc: 1,
            marker: true,
            key: None,
        }
    }

    #[test]
    fn a_key_has_the_clock_of_the_codec_and_lasts_for_80_ms_at_least() {
        for (codec, ptime_ms, packets, duration) in [
            (Codec::Pcmu, 20, 4, 640),
            (Codec::Opus, 20, 4, 3840),
            (Codec::G722, 30, 3, 720),
            (Codec::L16Wide, 10, 8, 1280),
            (Codec::Opus, 60, 2, 5760),
        ] {
            let (mut speech, mut line, mut rng) = (Speech::new(codec, ptime_ms), line(), Rng::new());
            speech.way.theirs.event = Some(99);
            speech.keys.push_back('5');
            let mut sent = Vec::new();
            while sent.is_empty() || line.key.is_some() {
                sent.extend(speech.next(&mut line, &mut rng));
            }
            assert_eq!(sent.len(), packets + 2, "{codec:?}");
            assert!(
                sent.iter()
                    .all(|packet| packet.payload_type == 99 && packet.timestamp == 0)
            );
            let last = TelephoneEvent::parse(&sent.last().unwrap().payload).unwrap();
            assert_eq!(
                (last.digit, last.end, last.duration),
                ('5', true, duration),
                "{codec:?}"
            );
            assert_eq!(line.timestamp, packets as u32 * codec.ticks(ptime_ms));
        }
    }

    #[test]
    fn what_is_said_goes_out_in_packets_of_the_codec() {
        for codec in crate::codec::ALL {
            for ptime_ms in crate::codec::PTIMES
                .into_iter()
                .filter(|ptime| codec.check_ptime(*ptime).is_ok())
            {
                let (mut speech, mut line, mut rng) = (Speech::new(codec, ptime_ms), line(), Rng::new());
                speech.way.theirs.audio = 77;
                speech
                    .said
                    .push_back(("x".to_owned(), vec![3000; codec.samples(ptime_ms) + 1].into()));
                speech.busy = true;
                let packets: Vec<Packet> = (0..3).flat_map(|_| speech.next(&mut line, &mut rng)).collect();
                let ticks = codec.ticks(ptime_ms);
                let heads = packets
                    .iter()
                    .map(|one| (one.payload_type, one.sequence, one.timestamp, one.marker));
                let wanted = [(77, 0, 0, true), (77, 1, ticks, false), (77, 2, 2 * ticks, false)];
                assert_eq!(heads.collect::<Vec<_>>(), wanted, "{codec:?}");
                // The second packet has the last sample.
                assert!(speech.idle_since.is_some());
            }
        }
    }
}
