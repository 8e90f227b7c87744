//! The audio of a party: a tone that it says, and everything that it hears.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sim::Sound;
use sim::rtp::{Packet, g711};

use crate::PATIENCE;

/// So many packets of one sound after each other are that sound, and no seam of two others.
const SURE: usize = 5;

/// A line may be silent for so long, besides the stalls of the host. Other tests and other programs run beside us, so
/// this is no figure of Baton's (the simulator and the demo have those), but the hole that a fault of a handoff leaves.
const GAP_MAX: Duration = Duration::from_millis(250);

/// G.711, by its static payload type (RFC 3551 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    Mu = 0,
    A = 8,
}

/// One packet that was heard.
#[derive(Debug)]
struct Heard {
    at: Instant,
    packet: Packet,
    /// What it sounds like; nothing where it is no audio.
    sound: Option<Sound>,
    samples: Vec<i16>,
}

/// A party of a call.
pub(crate) struct Party {
    /// Where it receives.
    pub(crate) at: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    socket: UdpSocket,
    voice: Sound,
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When nothing may have been sent to us.
    excused: Vec<(Instant, Instant)>,
    speaks_to: Option<(SocketAddr, Law)>,
    heard: Vec<Heard>,
    longest_stall: Duration,
}

impl Party {
    /// A party that hears from now on, and speaks once it knows to whom.
    pub(crate) fn new(voice: Sound, at: SocketAddr) -> Party {
        let socket = UdpSocket::bind(at).expect("a port of our own");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a time-out");
        let shared = Arc::new(Shared {
            socket,
            voice,
            stop: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (mouth, ear) = (Arc::clone(&shared), Arc::clone(&shared));
        Party {
            at,
            shared,
            threads: vec![
                thread::spawn(move || mouth.speak()),
                thread::spawn(move || ear.listen()),
            ],
        }
    }

    /// Speaks to this address from now on.
    pub(crate) fn speak_to(&self, to: SocketAddr, law: Law) {
        self.shared.lock().speaks_to = Some((to, law));
    }

    /// Says nothing from now on: no packet at all.
    pub(crate) fn fall_silent(&self) {
        self.shared.lock().speaks_to = None;
    }

    /// A gap in the line from that time until now is none of its faults: we had said that we want nothing.
    pub(crate) fn excuse_since(&self, since: Instant) {
        self.shared.lock().excused.push((since, Instant::now()));
    }

    /// The SSRC of the newest packet.
    pub(crate) fn ssrc(&self) -> u32 {
        let state = self.shared.lock();
        state.heard.last().expect("something was heard").packet.ssrc
    }

    /// The payload type of the newest packet.
    pub(crate) fn payload_type(&self) -> u8 {
        let state = self.shared.lock();
        state.heard.last().expect("something was heard").packet.payload_type
    }

    /// Waits for a sound that is heard from now on.
    pub(crate) fn hears(&self, sound: Sound) {
        let since = self.shared.lock().heard.len();
        self.hears_since(since, sound);
    }

    /// Waits for a sound that is heard from this packet on.
    pub(crate) fn hears_since(&self, since: usize, sound: Sound) {
        let end = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !state.heard[since..]
            .windows(SURE)
            .any(|some| some.iter().all(|one| one.sound == Some(sound)))
        {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{:?} does not hear {sound:?}, but {:?}",
                self.shared.voice,
                story(state.heard[since..].iter().filter_map(|heard| heard.sound))
            );
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// How many packets came so far: a place in what was heard.
    pub(crate) fn now(&self) -> usize {
        self.shared.lock().heard.len()
    }

    /// Waits for so many samples of whatever sound.
    pub(crate) fn hears_audio(&self, samples: usize) {
        let since = self.recording().len();
        let end = Instant::now() + PATIENCE;
        while self.recording().len() < since + samples {
            assert!(Instant::now() < end, "{:?} hears nothing", self.shared.voice);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// All samples in the order of their arrival.
    pub(crate) fn recording(&self) -> Vec<i16> {
        let state = self.shared.lock();
        state
            .heard
            .iter()
            .flat_map(|heard| heard.samples.iter().copied())
            .collect()
    }

    /// The tones heard so far, in order, each once while it lasts; silence is none.
    pub(crate) fn story(&self) -> Vec<Sound> {
        story(self.shared.lock().heard.iter().filter_map(|heard| heard.sound))
    }

    /// The longest time by which the host kept one of us from its work.
    pub(crate) fn longest_stall(&self) -> Duration {
        self.shared.lock().longest_stall
    }

    /// The line to this party was one line: one SSRC, no number missing or twice, timestamps that go with the numbers or
    /// with the time, and no hole.
    pub(crate) fn assert_one_line(&self, stall: Duration) {
        let voice = self.shared.voice;
        let state = self.shared.lock();
        let ssrcs: BTreeSet<u32> = state.heard.iter().map(|heard| heard.packet.ssrc).collect();
        assert_eq!(ssrcs.len(), 1, "SSRCs of the line to {voice:?}");
        for two in state.heard.windows(2) {
            let (old, new) = (&two[0], &two[1]);
            let what = || format!("the line to {voice:?}:\n{}\n{}", print(old), print(new));
            assert_eq!(new.packet.sequence, old.packet.sequence.wrapping_add(1), "{}", what());
            let gap = new.at - old.at;
            let excused = state.excused.iter().any(|(from, to)| old.at <= *to && new.at >= *from);
            assert!(
                excused || gap <= GAP_MAX + 2 * stall,
                "{gap:?}, with stalls of {stall:?}: {}",
                what()
            );
            if old.sound.is_some() && new.sound.is_some() {
                let advance = i64::from(new.packet.timestamp.wrapping_sub(old.packet.timestamp) as i32);
                let passed = gap.as_micros() as i64 / 125;
                let by_time = (advance - passed).abs() <= 480 + (2 * stall).as_micros() as i64 / 125;
                assert!(advance == old.packet.payload.len() as i64 || by_time, "{}", what());
            }
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn speak(&self) {
        const TICK: Duration = Duration::from_millis(20);
        let (mut due, mut count) = (Instant::now(), 0_u64);
        while !self.stop.load(Ordering::Relaxed) {
            let to = {
                let mut state = self.lock();
                state.longest_stall = state.longest_stall.max(due.elapsed());
                state.speaks_to
            };
            if let Some((to, law)) = to {
                let packet = Packet {
                    marker: count == 0,
                    payload_type: law as u8,
                    sequence: count as u16,
                    timestamp: count as u32 * 160,
                    ssrc: u32::from(self.socket.local_addr().map_or(0, |at| at.port())),
                    payload: g711::encode(&self.voice.samples(count * 160, 160), law == Law::A),
                };
                // A port that is closed already says so here.
                let _ = self.socket.send_to(&packet.to_bytes(), to);
                count += 1;
            }
            due += TICK;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn listen(&self) {
        let mut buffer = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(len) = self.socket.recv(&mut buffer) else {
                continue;
            };
            let at = Instant::now();
            let Some(packet) = Packet::parse(&buffer[..len]) else {
                continue;
            };
            let (sound, samples) = match packet.payload_type {
                law @ (0 | 8) => {
                    let samples = g711::decode(&packet.payload, law == 8);
                    (Some(Sound::of(&samples)), samples)
                }
                // Comfort noise as RFC 3389 has it.
                13 => (Some(Sound::Comfort), Vec::new()),
                _ => (None, Vec::new()),
            };
            self.lock().heard.push(Heard {
                at,
                packet,
                sound,
                samples,
            });
            self.changed.notify_all();
        }
    }
}

/// The tones of a recording in order, each once while it lasts.
pub(crate) fn sounds(recording: &[i16]) -> Vec<Sound> {
    story(recording.chunks_exact(160).map(Sound::of))
}

/// Each tone once while it lasts. What lasts for less than three packets is the seam of two others.
fn story(sounds: impl Iterator<Item = Sound>) -> Vec<Sound> {
    let mut story: Vec<Sound> = Vec::new();
    let mut run = (Sound::Comfort, 0);
    for sound in sounds {
        run = if run.0 == sound { (sound, run.1 + 1) } else { (sound, 1) };
        if run.1 == 3 && ![Sound::Comfort, Sound::Other].contains(&sound) && story.last() != Some(&sound) {
            story.push(sound);
        }
    }
    story
}

fn print(heard: &Heard) -> String {
    let Packet {
        marker,
        payload_type,
        sequence,
        timestamp,
        ssrc,
        ..
    } = &heard.packet;
    let sound = heard.sound;
    format!("{sound:?}, {ssrc:x}, number {sequence}, time {timestamp}, type {payload_type}, marker {marker}")
}
