//! When an event is told again.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::sender::Means;
use crate::config;
use crate::ids::ms;
use crate::store::{DeliveryStatus, Due};

/// What an attempt that has just ended makes of its delivery, and when the next one is due (milliseconds since 1970).
pub(super) fn next(config: &config::Webhook, event: &Due, means: Means, now_ms: i64) -> (DeliveryStatus, i64) {
    let pause = pause(config.retry, config.retry_max, event.attempts);
    let pause = jittered(pause, &event.event, event.attempts);
    let asked = match means {
        Means::Taken => return (DeliveryStatus::Delivered, now_ms),
        Means::Gone => return (DeliveryStatus::Failed, now_ms),
        Means::Later(asked) => asked,
    };
    let due_ms = now_ms.saturating_add_unsigned(ms(wait(pause, asked, config.retry_max)));
    let last_ms = event.queued_ms.saturating_add_unsigned(ms(config.give_up));
    match due_ms > last_ms {
        true => (DeliveryStatus::Failed, due_ms),
        false => (DeliveryStatus::Pending, due_ms),
    }
}

/// Before the attempt after this many: doubled each time, up to the longest.
fn pause(first: Duration, most: Duration, attempts: u32) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX))
        .min(most)
}

/// How long until the next attempt. The endpoint knows best when it can take more (RFC 9110 §10.2.3); but it cannot hold
/// events for ever.
fn wait(pause: Duration, retry_after: Option<Duration>, most: Duration) -> Duration {
    pause.max(retry_after.unwrap_or_default().min(most))
}

/// Half to the whole of the pause, so that endpoints that were down are not hit by all at once.
fn jittered(pause: Duration, id: &str, attempt: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (id, attempt).hash(&mut hasher);
    let share = (hasher.finish() % 1000) as u32;
    pause / 2 + pause / 2 * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn config() -> config::Webhook {
        // As an entry of the configuration that names no times.
        let text = "[[webhooks]]\nname = \"crm\"\nurl = \"https://crm.example.org\"\n\
                    secrets = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
        let read = config::Config::from_toml(text, std::path::Path::new(""));
        let webhook = read.expect("a configuration").webhooks.remove(0);
        assert_eq!(
            webhook.to.secrets,
            [Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
        );
        webhook
    }

    fn event(attempts: u32) -> Due {
        Due {
            event: "evt_a_1".to_owned(),
            subject: "a".to_owned(),
            attempts,
            queued_ms: 1_000_000,
            body: "{}".to_owned(),
        }
    }

    /// The whole life of an event at an endpoint that always fails, by the schedule's own clock.
    fn life(config: &config::Webhook, means: Means, takes_ms: i64) -> Vec<i64> {
        let mut event = event(0);
        let (mut now, mut attempts) = (event.queued_ms, Vec::new());
        loop {
            attempts.push(now - event.queued_ms);
            assert!(attempts.len() < 1000, "it never ends");
            let (status, due) = next(config, &event, means, now + takes_ms);
            match status {
                DeliveryStatus::Pending => (event.attempts, now) = (event.attempts + 1, due),
                DeliveryStatus::Failed => return attempts,
                DeliveryStatus::Delivered => panic!("nobody took it"),
            }
        }
    }

    const HOUR: i64 = 3_600_000;

    #[test]
    fn an_event_is_tried_for_24_hours_with_pauses_that_double_up_to_an_hour() {
        let config = config();
        // An endpoint that takes its whole time to fail.
        for takes_ms in [0, ms(config.timeout).cast_signed()] {
            let attempts = life(&config, Means::Later(None), takes_ms);
            let last = attempts.last().copied().expect("some");
            assert!((23 * HOUR..=24 * HOUR).contains(&last), "the last one after {last} ms");
            let mut pauses = attempts.windows(2).map(|two| two[1] - two[0] - takes_ms);
            for doubled in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048] {
                let pause = pauses.next().expect("a pause");
                assert!(
                    (doubled * 500..=doubled * 1000).contains(&pause),
                    "{doubled} s: {pause} ms"
                );
            }
            let rest: Vec<_> = pauses.collect();
            assert!(rest.iter().all(|pause| (HOUR / 2..=HOUR).contains(pause)), "{rest:?}");
            // Thirteen within 69 minutes, then one an hour and often sooner.
            assert!((36..=58).contains(&attempts.len()), "{}", attempts.len());
        }
    }

    #[test]
    fn two_events_are_not_tried_at_the_same_times() {
        let config = config();
        let due = |id: &str| {
            let event = Due {
                event: id.to_owned(),
                ..event(10)
            };
            next(&config, &event, Means::Later(None), 0).1
        };
        let times: std::collections::BTreeSet<_> = (0..20).map(|number| due(&format!("evt_{number}"))).collect();
        assert!(times.len() > 10, "{times:?}");
    }

    #[test]
    fn what_an_endpoint_asks_for_is_kept_within_bounds() {
        let config = config();
        let after = |attempts: u32, seconds: u64| {
            let means = Means::Later(Some(Duration::from_secs(seconds)));
            next(&config, &event(attempts), means, 2_000_000).1 - 2_000_000
        };
        assert_eq!(after(0, 7), 7_000);
        assert_eq!(after(0, 86_400), HOUR, "nobody holds events for ever");
        assert!(after(12, 7) >= HOUR / 2, "sooner than we would is no reason to hurry");
        // Once an hour until the day is over, and not for ever.
        let attempts = life(&config, Means::Later(Some(Duration::MAX)), 0);
        assert_eq!(attempts.len(), 25);
    }

    #[test]
    fn who_is_gone_is_not_asked_again() {
        assert_eq!(life(&config(), Means::Gone, 0), [0]);
        assert_eq!(
            next(&config(), &event(3), Means::Taken, 5),
            (DeliveryStatus::Delivered, 5)
        );
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let [first, most] = [1, 3600].map(Duration::from_secs);
        let pauses = [0, 1, 2, 11, 12, 31, 32, u32::MAX].map(|attempts| pause(first, most, attempts).as_secs());
        assert_eq!(pauses, [1, 2, 4, 2048, 3600, 3600, 3600, 3600]);
    }
}
