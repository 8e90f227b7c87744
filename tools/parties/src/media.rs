//! The sound of a party: one thread sends a packet every 20 ms by an absolute clock, one receives.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::events;
use crate::g711::Codec;
use crate::heard::Heard;
use crate::rng::Rng;
use crate::rtp::{Packet, TelephoneEvent};

/// Time of one packet.
const PACKET: Duration = Duration::from_millis(20);

/// Samples of one packet.
const SAMPLES: usize = 160;

/// Packets of a key press: 80 ms.
const KEY_PACKETS: u16 = 4;

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

/// What is to be sent, and where.
#[derive(Default)]
struct Speech {
    to: Option<SocketAddr>,
    /// Payload type of telephone-event as the peer numbered it.
    event_type: u8,
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
    pub(crate) fn start(codec: Codec) -> std::io::Result<Media> {
        let (rtp, rtcp) = bind_pair()?;
        let port = rtp.local_addr()?.port();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            speech: Mutex::default(),
            heard: Mutex::default(),
        });
        rtp.set_read_timeout(Some(ATTENTION))?;
        rtcp.set_nonblocking(true)?;
        let sender = rtp.try_clone()?;
        let threads = vec![
            std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || receive(&rtp, &rtcp, codec, &shared)
            }),
            std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || send(&sender, codec, &shared)
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

    /// Sends to this address from now on, or to nobody.
    pub(crate) fn send_to(&self, to: Option<SocketAddr>, event_type: u8) {
        let mut speech = lock(&self.shared.speech);
        speech.to = to;
        speech.event_type = event_type;
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

fn receive(rtp: &UdpSocket, rtcp: &UdpSocket, codec: Codec, shared: &Shared) {
    let mut buffer = [0u8; 2048];
    while !shared.stop.load(Ordering::Relaxed) {
        if let Ok((length, _)) = rtp.recv_from(&mut buffer) {
            let at = Instant::now();
            // Both directions use our number, because each answer takes over the number of its offer and we offer 101.
            let event_type = lock(&shared.speech).event_type;
            lock(&shared.heard).handle(at, &buffer[..length], codec, event_type);
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
    key: Option<(char, u16)>,
}

fn send(socket: &UdpSocket, codec: Codec, shared: &Shared) {
    let mut rng = Rng::new();
    let mut line = Line {
        sequence: rng.bits() as u16,
        timestamp: rng.bits() as u32,
        ssrc: rng.bits() as u32,
        marker: true,
        key: None,
    };
    let mut due = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        due += PACKET;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut speech = lock(&shared.speech);
        let Some(to) = speech.to else {
            line.marker = true;
            line.timestamp = line.timestamp.wrapping_add(SAMPLES as u32);
            continue;
        };
        speech.longest_oversleep = speech.longest_oversleep.max(due.elapsed());
        let packets = speech.next(&mut line, codec, &mut rng);
        speech.sent += packets.len() as u64;
        drop(speech);
        for packet in packets {
            // A peer that is gone shows in what it heard, not here.
            let _ = socket.send_to(&packet.print(), to);
        }
    }
}

impl Speech {
    /// What is sent at one packet time: a packet of sound, or those of a key.
    fn next(&mut self, line: &mut Line, codec: Codec, rng: &mut Rng) -> Vec<Packet> {
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
                    end: pressed + 1 == KEY_PACKETS,
                    duration: (pressed + 1) * SAMPLES as u16,
                };
                line.key = (!event.end).then_some((digit, pressed + 1));
                // All packets of an event have the timestamp of its start, and its end is sent three times
                // (RFC 4733 §2.5.1.1, §2.5.1.4).
                let timestamp = line.timestamp.wrapping_sub(u32::from(pressed) * SAMPLES as u32);
                let payload = event.print().unwrap_or_default();
                (0..if event.end { 3 } else { 1 })
                    .map(|_| line.packet(self.event_type, pressed == 0, timestamp, payload.clone()))
                    .collect()
            }
            None => {
                let payload = self
                    .samples(now, rng)
                    .iter()
                    .map(|sample| codec.encode(*sample))
                    .collect();
                let marker = std::mem::take(&mut line.marker);
                vec![line.packet(codec.payload_type(), marker, line.timestamp, payload)]
            }
        };
        line.timestamp = line.timestamp.wrapping_add(SAMPLES as u32);
        if self.busy && self.said.is_empty() && self.keys.is_empty() && line.key.is_none() {
            (self.busy, self.idle_since) = (false, Some(now));
        }
        packets
    }

    /// 20 ms of speech, or of noise at about −62 dBm0.
    fn samples(&mut self, now: Instant, rng: &mut Rng) -> [i16; SAMPLES] {
        let mut frame = [0i16; SAMPLES];
        for sample in &mut frame {
            *sample = (rng.bits() % 41) as i16 - 20;
        }
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
