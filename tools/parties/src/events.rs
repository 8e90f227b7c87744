//! What a party says on standard output: one JSON object a line.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// Milliseconds since an epoch that all processes of a run share; it advances by the monotonic clock.
struct Clock {
    start: Instant,
    start_ms: f64,
}

/// Starts the clock. `epoch_ms` is Unix time in ms; without it, time counts from now.
pub fn start(epoch_ms: Option<f64>) {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = unix.as_secs_f64() * 1000.0;
    let _ = CLOCK.set(Clock {
        start: Instant::now(),
        start_ms: epoch_ms.map_or(0.0, |epoch| unix_ms - epoch),
    });
}

/// An instant on the shared clock, ms with a resolution of 1 µs.
pub fn ms(at: Instant) -> f64 {
    let Some(clock) = CLOCK.get() else { return 0.0 };
    let since = at.saturating_duration_since(clock.start);
    let before = clock.start.saturating_duration_since(at);
    round(clock.start_ms + millis(since) - millis(before))
}

/// A duration in ms with a resolution of 1 µs.
pub fn millis(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0)
}

fn round(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// Says that something happened at `at`; nothing before [`start`]. Nobody listening any more is no error: the run ends by its own limits.
pub fn emit(at: Instant, event: &str, details: Value) {
    if CLOCK.get().is_none() {
        return;
    }
    let mut line = json!({ "t_ms": ms(at), "event": event });
    if let (Value::Object(line), Value::Object(details)) = (&mut line, details) {
        line.extend(details);
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
