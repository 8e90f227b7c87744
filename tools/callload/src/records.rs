//! What the server's own records and metrics say of the run.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::http;

/// Steps of a handoff's timeline, in their order.
pub(crate) const STEPS: [&str; 6] = [
    "announced",
    "ringing",
    "answered",
    "accepted",
    "joined",
    "first_human_word",
];

/// From the trigger to each step, by its place in [`STEPS`]; and the server's share of the way to the join.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timelines {
    pub(crate) steps: [Vec<Duration>; STEPS.len()],
    pub(crate) server: Vec<Duration>,
}

/// Reads the records of these handoffs.
///
/// # Errors
/// Where the server does not answer as it should.
pub(crate) fn timelines(server: SocketAddr, ids: &HashSet<String>) -> Result<Timelines, String> {
    let mut timelines = Timelines::default();
    let mut path = "/v1/handoffs?limit=500".to_owned();
    loop {
        let body = http::get(server, &path).map_err(|error| format!("GET {path}: {error}"))?;
        let page: Value = serde_json::from_str(&body).map_err(|error| format!("GET {path}: {error}"))?;
        let records = page["handoffs"]
            .as_array()
            .ok_or_else(|| format!("GET {path}: no handoffs"))?;
        for record in records {
            if record["id"].as_str().is_some_and(|id| ids.contains(id)) {
                timelines.take(&record["timeline"]);
            }
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/handoffs?limit=500&after={next}"),
            None => return Ok(timelines),
        }
    }
}

impl Timelines {
    fn take(&mut self, timeline: &Value) {
        let at = |step: &str| timeline[step].as_f64().map(|ms| Duration::from_secs_f64(ms / 1000.0));
        for (times, step) in self.steps.iter_mut().zip(STEPS) {
            times.extend(at(step));
        }
        if let (Some(answered), Some(joined)) = (at("answered"), at("joined")) {
            // The phone rings as long as its human likes, and the briefing lasts as long as it is: neither is the server's time.
            let ringing = at("ringing").unwrap_or(answered);
            let accepted = at("accepted").unwrap_or(answered);
            self.server.push(ringing + joined.saturating_sub(accepted));
        }
    }
}

/// Packets that the server says to have lost in itself, and those of them that the kernel dropped at its sockets.
pub(crate) fn lost(server: SocketAddr) -> Option<[u64; 2]> {
    let text = http::get(server, "/metrics").ok()?;
    let sum = |name: &str| {
        let samples = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let values = samples.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum::<f64>() as u64
    };
    Some([
        sum("baton_worker_lost_packets_total"),
        sum("baton_worker_kernel_dropped_packets_total"),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_servers_share_is_without_the_ringing_and_the_briefing() {
        let mut timelines = Timelines::default();
        timelines.take(&json!({
            "triggered": 0, "announced": 2400, "ringing": 5, "answered": 305, "accepted": 2305, "joined": 2320, "first_human_word": null,
        }));
        // A cold one that never rang, and one that did not join.
        timelines.take(&json!({ "triggered": 0, "ringing": null, "answered": 8, "accepted": null, "joined": 20 }));
        timelines.take(&json!({ "triggered": 0, "ringing": 7 }));
        let ms = Duration::from_millis;
        assert_eq!(timelines.server, [ms(20), ms(20)]);
        let counts: Vec<_> = timelines.steps.iter().map(Vec::len).collect();
        assert_eq!(counts, [1, 2, 2, 1, 2, 0]);
        assert_eq!(timelines.steps[4], [ms(2320), ms(20)]);
    }
}
