//! How many calls ports and descriptors are.

use super::{Finding, Level};
use crate::config::Config;

/// Legs of a call: the caller and the AI, or the human after a join; while a handoff is under way, both.
const CALL: u64 = 2;
const HANDOFF: u64 = 3;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let media = &config.media;
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let (pairs, sessions) = (u64::from(media.ports_per_worker), media.sessions_per_worker as u64);
    let sockets = media.rtcp.sockets() as u64;
    vec![calls(u64::from(media.workers), pairs, sockets, sessions, hard)]
}

/// A leg stays with its call's worker: what is left at one worker is of no use to a call of another.
fn calls(workers: u64, pairs: u64, each: u64, sessions: u64, hard: Option<u64>) -> Finding {
    let what = "calls at one time";
    let of = |legs: u64| workers * (pairs / legs).min(sessions);
    let (talking, handed) = (of(CALL), of(HANDOFF));
    let (legs, sockets) = (workers * pairs, workers * pairs * each);
    let bound = match pairs / CALL > sessions {
        true => format!("media.sessions_per_worker = {sessions} allows no more"),
        false => "a leg that ends keeps its ports for 2 s more".to_owned(),
    };
    let limit = hard.map_or("any number of descriptors".to_owned(), |hard| {
        format!("{hard} descriptors")
    });
    let found = format!(
        "{talking} of {CALL} legs, or {handed} with a handoff under way in each ({HANDOFF} legs): {workers} workers x {pairs} pairs of ports = \
         {legs} legs x {each} sockets = {sockets} of {limit}; {bound}"
    );
    if handed == 0 {
        let remedy =
            format!("set media.ports_per_worker to {HANDOFF} for each call, at the least: now none can be handed off");
        return Finding::new(Level::Warning, what, found, remedy);
    }
    Finding::ok(what, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_worker_with_two_and_with_three_legs() {
        let found = calls(1, 500, 2, 1024, Some(20_000)).found;
        assert_eq!(
            found,
            "250 of 2 legs, or 166 with a handoff under way in each (3 legs): 1 workers x 500 pairs of ports = 500 legs x 2 sockets = 1000 \
             of 20000 descriptors; a leg that ends keeps its ports for 2 s more"
        );
        // With RTCP on the port of RTP: media.rtcp = "mux".
        let found = calls(1, 500, 1, 1024, Some(20_000)).found;
        assert!(found.contains("500 legs x 1 sockets = 500 of 20000"), "{found}");
        // 5 legs at each of three workers are two calls there, and not seven in all.
        let found = calls(3, 5, 2, 1024, Some(1024)).found;
        assert!(found.starts_with("6 of 2 legs, or 3 with a handoff"), "{found}");
        let found = calls(2, 500, 2, 100, None).found;
        assert!(found.starts_with("200 of 2 legs, or 200 with a handoff"), "{found}");
        assert!(
            found.ends_with("of any number of descriptors; media.sessions_per_worker = 100 allows no more"),
            "{found}"
        );
    }

    #[test]
    fn where_no_call_can_be_handed_off_it_says_so() {
        assert_eq!(calls(4, 2, 2, 1024, None).level, Level::Warning);
        assert_eq!(calls(4, 3, 2, 1024, None).level, Level::Ok);
    }
}
