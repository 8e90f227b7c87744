//! The time of a run, and how well the host keeps it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the demo's start. The parties count from the same epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    /// Unix time of the start, ms.
    pub(super) epoch_ms: f64,
}

impl Clock {
    pub(super) fn start() -> Clock {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            start: Instant::now(),
            epoch_ms: unix.as_secs_f64() * 1000.0,
        }
    }

    pub(super) fn now_ms(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1000.0
    }

    /// An RFC 3339 time on this clock.
    pub(super) fn of_rfc3339(&self, text: &str) -> Option<f64> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(time.as_nanosecond() as f64 / 1e6 - self.epoch_ms)
    }
}

/// A thread that sleeps 1 ms at a time and sees how much longer the host lets it sleep.
pub(super) struct StallWatch {
    stop: Arc<AtomicBool>,
    /// When it woke, and how late, ms.
    stalls: Arc<Mutex<Vec<(f64, f64)>>>,
}

/// Less than this is no stall, ms.
const STALL_MS: f64 = 2.0;

impl StallWatch {
    pub(super) fn start(clock: Clock) -> StallWatch {
        let watch = StallWatch {
            stop: Arc::default(),
            stalls: Arc::default(),
        };
        let (stop, stalls) = (Arc::clone(&watch.stop), Arc::clone(&watch.stalls));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let before = Instant::now();
                std::thread::sleep(Duration::from_millis(1));
                let late = before.elapsed().as_secs_f64() * 1000.0 - 1.0;
                if late >= STALL_MS {
                    stalls
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((clock.now_ms(), late));
                }
            }
        });
        watch
    }

    /// The longest stall that ended in a span of time, ms.
    pub(super) fn longest_ms(&self, from_ms: f64, to_ms: f64) -> f64 {
        let stalls = self.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        stalls
            .iter()
            .filter(|(at, late)| *at >= from_ms && at - late <= to_ms)
            .map(|(_, late)| *late)
            .fold(0.0, f64::max)
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_server_on_our_clock() {
        let clock = Clock {
            start: Instant::now(),
            epoch_ms: 1_000_000.0,
        };
        assert_eq!(clock.of_rfc3339("1970-01-01T00:16:40.250Z"), Some(250.0));
        assert_eq!(clock.of_rfc3339("1970-01-01T01:16:39.500+01:00"), Some(-500.0));
        assert_eq!(clock.of_rfc3339("yesterday"), None);
    }

    #[test]
    fn only_stalls_of_the_span_count() {
        let watch = StallWatch {
            stop: Arc::default(),
            stalls: Arc::new(Mutex::new(vec![(100.0, 30.0), (200.0, 10.0), (300.0, 50.0)])),
        };
        assert_eq!(watch.longest_ms(110.0, 240.0), 10.0);
        assert_eq!(watch.longest_ms(110.0, 260.0), 50.0);
        assert_eq!(watch.longest_ms(400.0, 500.0), 0.0);
    }
}
