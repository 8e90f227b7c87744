use super::*;
use crate::seed::Seed;

const MS: u64 = 1_000_000;
const SSRC: u32 = 7;
/// What a wish changes.
const PERIOD: u64 = 8 * MS;

/// A listener who takes 20 ms every 20 ms, and does what is wished.
struct Listener {
    jitter: Jitter,
    now: u64,
    ahead: u64,
    /// The first two bytes of what was played.
    played: Vec<u16>,
    lost: u64,
    missing: u64,
    paused: u64,
    quiet: u64,
    changes: usize,
    deepest: u64,
}

impl Listener {
    fn new(limit_ms: u64) -> Listener {
        let mut jitter = Jitter::new();
        jitter.begin(limit_ms * MS);
        Listener {
            jitter,
            now: 1_000 * MS,
            ahead: 0,
            played: Vec::new(),
            lost: 0,
            missing: 0,
            paused: 0,
            quiet: 0,
            changes: 0,
            deepest: 0,
        }
    }

    /// Packets as they arrive, at ns from the start, with their numbers; each sounds 20 ms.
    fn hears(&mut self, arrivals: impl IntoIterator<Item = (u64, u16)>) {
        for (at, number) in arrivals {
            self.until(at);
            self.put_at(
                1_000 * MS + at,
                SSRC,
                number,
                u32::from(number) * 160,
                &number.to_be_bytes(),
            );
        }
    }

    fn until(&mut self, at: u64) {
        while self.now + 20 * MS <= 1_000 * MS + at {
            self.now += 20 * MS;
            self.tick();
        }
    }

    fn put(&mut self, number: u16, timestamp: u32) -> Put {
        self.put_of(SSRC, number, timestamp)
    }

    fn put_of(&mut self, ssrc: u32, number: u16, timestamp: u32) -> Put {
        self.put_at(self.now, ssrc, number, timestamp, &number.to_be_bytes())
    }

    fn put_at(&mut self, now: u64, ssrc: u32, number: u16, timestamp: u32, payload: &[u8]) -> Put {
        let incoming = Incoming {
            ssrc,
            codec: Codec::Pcmu,
            sequence: Seq(number),
            timestamp,
            duration: 160,
            payload,
        };
        self.jitter.put(now, &incoming, false)
    }

    fn tick(&mut self) {
        self.ahead = self.ahead.saturating_sub(20 * MS);
        while self.ahead < 20 * MS {
            match self.jitter.next(self.now, self.ahead, 20 * MS) {
                Next::Packet { payload, wish, .. } => {
                    self.played.push(u16::from_be_bytes([payload[0], payload[1]]));
                    self.ahead += match wish {
                        Wish::Nothing => 20 * MS,
                        Wish::Longer => 20 * MS + PERIOD,
                        Wish::Shorter | Wish::MuchShorter => 20 * MS - PERIOD,
                    };
                    self.changes += usize::from(wish != Wish::Nothing);
                }
                Next::Lost { ns, .. } => {
                    self.lost += ns;
                    self.ahead += ns;
                }
                Next::Missing => {
                    self.missing += STEP;
                    self.ahead += STEP;
                }
                Next::Pause => {
                    self.paused += STEP;
                    self.ahead += STEP;
                }
                Next::Quiet => {
                    self.quiet += 20 * MS - self.ahead;
                    self.ahead = 20 * MS;
                }
            }
        }
        self.deepest = self.deepest.max(self.jitter.depth().unwrap_or(0));
    }
}

/// A packet every 20 ms, each so much later than its time.
fn on_their_way(count: u16, mut late: impl FnMut(u16) -> u64) -> Vec<(u64, u16)> {
    let mut arrivals: Vec<_> = (0..count).map(|n| (u64::from(n) * 20 * MS + late(n), n)).collect();
    arrivals.sort();
    arrivals
}

#[test]
fn a_steady_source_is_played_whole_and_hardly_waits() {
    let mut listener = Listener::new(80);
    // The listener's ticks lie 7 ms after the packets.
    listener.hears(on_their_way(1_500, |_| 13 * MS));
    assert_eq!(listener.played, (0..listener.played.len() as u16).collect::<Vec<_>>());
    assert!(listener.played.len() >= 1_497, "{}", listener.played.len());
    assert_eq!((listener.lost, listener.missing), (0, 0));
    let depth = listener.jitter.depth().unwrap();
    assert!(depth < 36 * MS, "{depth}");
}

/// Of packets that take up to 40 ms longer, and so overtake each other, nearly all are in time; and the buffer is no deeper than that takes.
#[test]
fn what_comes_late_and_out_of_order_is_played_in_order() {
    let mut seed = Seed::new(3);
    let mut listener = Listener::new(80);
    listener.hears(on_their_way(3_000, |_| seed.next() % (40 * MS)));
    assert!(listener.played.is_sorted_by(|one, other| one < other));
    assert!(listener.played.len() > 2_940, "{}", listener.played.len());
    assert!(listener.deepest < 76 * MS, "{}", listener.deepest);
    assert!(listener.jitter.depth().unwrap() > 30 * MS);
    assert!(
        listener.missing + listener.lost < 1_200 * MS,
        "{} {}",
        listener.missing,
        listener.lost
    );
}

#[test]
fn it_is_never_deeper_than_its_limit_for_long() {
    let mut seed = Seed::new(4);
    let mut listener = Listener::new(30);
    // A burst of bad weather, then none.
    let weather = |n: u16, seed: &mut Seed| if n < 500 { seed.next() % (150 * MS) } else { 0 };
    listener.hears(on_their_way(700, |n| weather(n, &mut seed)));
    assert!(listener.jitter.depth().unwrap() < 30 * MS + 36 * MS);
    listener.hears(on_their_way(2_500, |_| 0).split_off(700));
    assert!(
        listener.jitter.depth().unwrap() < 36 * MS,
        "{:?}",
        listener.jitter.depth()
    );
}

#[test]
fn what_is_lost_is_told_once_with_what_came_after_it() {
    let mut listener = Listener::new(80);
    let lost = |n: u16| n % 20 == 10 || n % 100 == 51 || n % 100 == 52;
    listener.hears(on_their_way(1_000, |_| 10 * MS).into_iter().filter(|&(_, n)| !lost(n)));
    let expected: Vec<u16> = (0..listener.played.last().unwrap() + 1).filter(|&n| !lost(n)).collect();
    assert_eq!(listener.played, expected);
    // All that is missing was made up for, whether it was taken for late or for lost.
    let gone = (0..1_000).filter(|&n| lost(n)).count() as u64 * 20 * MS;
    let made_up = listener.lost + listener.missing;
    assert!(
        made_up >= gone - 40 * MS && made_up <= gone + 60 * MS,
        "{made_up} of {gone}"
    );
    assert_eq!(listener.quiet, 20 * MS * (listener.quiet / (20 * MS)));
}

/// What came after a loss may say what was in it (FEC), where it followed directly.
#[test]
fn a_loss_brings_the_packet_after_it() {
    let mut listener = Listener::new(80);
    for n in [0, 1, 4, 5] {
        listener.put(n, u32::from(n) * 160);
    }
    listener.now += 100 * MS;
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(match listener.jitter.next(listener.now, 0, 20 * MS) {
            Next::Packet { payload, .. } => format!("{}", payload[1]),
            Next::Lost { ns, after } => format!("lost {} {:?}", ns / MS, after.map(|(_, payload)| payload[1])),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(told, ["0", "1", "lost 20 None", "lost 20 Some(4)", "4", "5"]);
}

/// An hour of a source whose crystal is 300 ppm off: 1.08 s are left out or said twice, one period at a time, and nobody misses a
/// packet.
#[test]
fn a_clock_that_drifts_is_followed_for_an_hour() {
    for ppm in [-300i64, 300] {
        let mut listener = Listener::new(80);
        let mut seed = Seed::new(9);
        let mut number = 0u32;
        while u64::from(number) * 20 < 3_600_000 {
            let made = (i64::from(number) * 20 * MS as i64) * (1_000_000 + ppm) / 1_000_000;
            let at = made as u64 + seed.next() % (5 * MS);
            listener.until(at);
            // Wraps twice.
            let payload = (number as u16).to_be_bytes();
            listener.put_at(1_000 * MS + at, SSRC, number as u16, number.wrapping_mul(160), &payload);
            number += 1;
        }
        assert_eq!((listener.lost, listener.quiet < 60 * MS), (0, true), "{ppm}");
        assert!(listener.missing <= 200 * MS, "{ppm}: {}", listener.missing);
        assert!(listener.deepest < 50 * MS, "{ppm}: {}", listener.deepest);
        let drift = listener.jitter.drift_ppm(listener.now).unwrap();
        assert!((i64::from(drift) - ppm).abs() < 20, "{ppm}: {drift}");
        let expected = 1_080 * MS / PERIOD;
        assert!(
            (expected * 8 / 10..expected * 13 / 10 + 10).contains(&(listener.changes as u64)),
            "{}",
            listener.changes
        );
    }
}

/// A source that leaves out its pauses goes on with the next number and a later timestamp.
#[test]
fn a_pause_is_no_loss() {
    let mut listener = Listener::new(80);
    for n in 0..300u16 {
        // Every second, half a second of nothing.
        let at = u64::from(n) * 20 + u64::from(n / 25) * 500;
        listener.until(at * MS);
        listener.put(n, (at * 8) as u32);
    }
    assert_eq!(listener.played, (0..listener.played.len() as u16).collect::<Vec<_>>());
    assert!(listener.played.len() >= 296);
    assert_eq!(listener.lost, 0);
    // Until it is known that nothing comes.
    assert!(listener.missing <= 12 * (SILENT + 2 * STEP), "{}", listener.missing);
}

#[test]
fn another_source_is_heard_at_once_and_what_was_held_is_told() {
    let mut listener = Listener::new(80);
    listener.hears(on_their_way(50, |_| 0));
    listener.put(50, 50 * 160);
    let put = listener.put_of(8, 9_000, 77);
    assert!(matches!(put, Put::Instead(held) if held >= 20 * MS), "{put:?}");
    for n in 1..20u16 {
        listener.until(u64::from(50 + n) * 20 * MS);
        assert_eq!(listener.put_of(8, 9_000 + n, 77 + 160 * u32::from(n)), Put::Kept);
    }
    let later = listener.played.iter().position(|&n| n == 9_000).unwrap();
    assert!(listener.played[later..].is_sorted_by(|one, other| one + 1 == *other));
}

#[test]
fn of_a_flood_the_newest_is_played() {
    let mut listener = Listener::new(80);
    let mut skipped = 0;
    for n in 0..40 {
        if let Put::Instead(ns) = listener.put(n, u32::from(n) * 160) {
            skipped += ns;
        }
    }
    assert_eq!(skipped, 24 * 20 * MS);
    listener.now += 400 * MS;
    listener.until(400 * MS);
    listener.tick();
    assert_eq!(listener.played[0], 24);
}

#[test]
fn what_comes_after_its_time_or_twice_is_late() {
    let mut listener = Listener::new(80);
    listener.hears(on_their_way(20, |_| 0).into_iter().filter(|&(_, n)| n != 10));
    assert_eq!(listener.put(19, 19 * 160), Put::Late);
    listener.until(450 * MS);
    assert_eq!(listener.put(10, 1_600), Put::Late);
}

/// A key takes numbers of the line, and no time of it.
#[test]
fn numbers_without_a_sound_are_no_loss() {
    let mut listener = Listener::new(80);
    for n in 0..100u16 {
        listener.until(u64::from(n) * 20 * MS);
        let key = (40..50).contains(&n);
        let timestamp = if key { 40 * 160 } else { u32::from(n) * 160 };
        let payload = n.to_be_bytes();
        listener.put_at(listener.now, SSRC, n, timestamp, if key { &[] } else { &payload });
    }
    let heard: Vec<u16> = (0..100).filter(|n| !(40..50).contains(n)).collect();
    assert_eq!(listener.played, heard[..listener.played.len()]);
    assert_eq!(listener.lost, 0);
    assert!(listener.missing <= 2 * STEP, "{}", listener.missing);
}

/// Whatever comes, each call ends, and every packet is played once at the most.
#[test]
fn no_sequence_of_packets_confuses_it() {
    for of in 0..200 {
        let mut seed = Seed::new(of);
        let mut listener = Listener::new(seed.next() % 100);
        let (mut number, mut timestamp) = (seed.next() as u16, seed.next() as u32);
        for _ in 0..500 {
            match seed.next() % 16 {
                0 => number = seed.next() as u16,
                1 => timestamp = seed.next() as u32,
                2 => number = number.wrapping_sub(seed.next() as u16 % 20),
                3 => timestamp = timestamp.wrapping_add(seed.next() as u32 % 20_000),
                4..8 => {
                    listener.now += seed.next() % (90 * MS);
                    listener.tick();
                }
                _ => {
                    number = number.wrapping_add(1);
                    timestamp = timestamp.wrapping_add(160);
                }
            }
            listener.put_of(seed.next() as u32 % 8 / 7, number, timestamp);
            assert!(listener.jitter.held() <= PLACES as u64 * 20 * MS);
        }
    }
}
