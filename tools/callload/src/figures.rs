//! What came of a run.

use std::collections::HashSet;
use std::time::Duration;

use baton_parties::codec::Codec;
use serde_json::{Value, json};

use crate::heard::{Break, Heard};
use crate::options::Options;
use crate::records::{STEPS, Timelines};
use crate::spread::{Spread, head, ms, round};

/// What the lines of some callers were like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) gaps: Spread,
    pub(crate) packets: u64,
    pub(crate) breaks: u64,
    pub(crate) timestamp_breaks: u64,
    pub(crate) timestamp_shifts: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    /// Of each caller that had any.
    pub(crate) dead_air: Spread,
    /// The first ones, of as many callers.
    pub(crate) first_breaks: Vec<Break>,
}

impl Lines {
    pub(crate) fn add(&mut self, heard: &Heard) {
        self.gaps.add(heard.longest_gap);
        self.packets += heard.packets;
        self.breaks += heard.breaks;
        self.timestamp_breaks += heard.timestamp_breaks;
        self.timestamp_shifts += heard.timestamp_shifts;
        self.lost += heard.lost;
        self.duplicated += heard.duplicated;
        if heard.dead_air > Duration::ZERO {
            self.dead_air.add(heard.dead_air);
        }
        if self.first_breaks.len() < KEPT {
            self.first_breaks.extend(heard.first);
        }
    }

    fn good(&self) -> bool {
        self.breaks + self.timestamp_breaks + self.lost + self.duplicated == 0
    }

    fn json(&self) -> Value {
        json!({
            "lines": self.gaps.count(), "packets": self.packets, "longest_gap_ms": self.gaps.json(),
            "lost": self.lost, "duplicated": self.duplicated, "sequence_breaks": self.breaks,
            "timestamp_breaks": self.timestamp_breaks, "timestamp_shifts": self.timestamp_shifts, "dead_air_ms": self.dead_air.json(),
            "first_breaks": self.first_breaks.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>(),
        })
    }

    fn text(&self, name: &str) -> String {
        let dead = self.dead_air.share(1.0).map_or("none".to_owned(), |longest| {
            format!("{} callers, {:.0} ms at the most", self.dead_air.count(), ms(longest))
        });
        format!(
            "{name}: {} packets, lost {}, duplicated {}, breaks of sequence {}, of timestamp {} (shifts {}), dead air: {dead}",
            self.packets, self.lost, self.duplicated, self.breaks, self.timestamp_breaks, self.timestamp_shifts
        )
    }
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// From when it was due to its answer.
    pub(crate) turns: Vec<Duration>,
    /// The same, to the 202.
    pub(crate) handoffs: Vec<Duration>,
    /// From when the handoff was due to the human's first packet at the caller; to the human's INVITE.
    pub(crate) joins: Vec<Duration>,
    pub(crate) invites: Vec<Duration>,
    /// Of those that were handed off, from their AI's first packet on.
    pub(crate) handed: Lines,
    /// Of those that live the whole time: by themselves, and while others are handed off.
    pub(crate) alone: Lines,
    pub(crate) beside: Lines,
    /// From party to party, both ways, of the same.
    pub(crate) latency_alone: Spread,
    pub(crate) latency_beside: Spread,
    /// Of callers on hold, and of humans being briefed.
    pub(crate) held: Lines,
    pub(crate) briefed: Lines,
    /// Of their packets: how far from 20 ms after the one before, and how late by the earliest.
    pub(crate) tick_off: Spread,
    pub(crate) tick_late: Spread,
    /// Of the handoffs that were measured.
    pub(crate) ids: HashSet<String>,
    pub(crate) timelines: Timelines,
    /// What did not go as it should, the first of each kind with its words.
    pub(crate) faults: Vec<String>,
    pub(crate) faults_in_all: u64,
    /// Calls that the server refused for its budget.
    pub(crate) refused: u64,
    pub(crate) asked: u64,
    pub(crate) joined: u64,
    pub(crate) seconds: f64,
    pub(crate) processor_ms: u64,
    pub(crate) started: Duration,
    pub(crate) idle_kib: u64,
    pub(crate) loaded_kib: u64,
    pub(crate) loaded_calls: u32,
    /// By the server itself: lost in it, and of these dropped at its sockets.
    pub(crate) server_lost: Option<[u64; 2]>,
    /// The longest time for which this tool itself did not turn.
    pub(crate) own_stall: Duration,
    /// How late its packets were sent.
    pub(crate) own_late: Spread,
    /// Dropped at its own sockets.
    pub(crate) own_dropped: u64,
    /// Dropped at the server's end of the lab's link: its core had no time to receive them.
    pub(crate) server_overruns: u64,
    /// Of the thread that receives for the server in the lab.
    pub(crate) receive_path: Option<Duration>,
}

/// Faults, and breaks of lines, of which the words are kept.
const KEPT: usize = 10;

/// Where this tool's own packets are later than this, one of a hundred, it says more of itself than of the server.
const LATE: Duration = Duration::from_millis(2);

impl Figures {
    pub(crate) fn fault(&mut self, what: impl Into<String>) {
        self.faults_in_all += 1;
        if self.faults.len() < KEPT {
            self.faults.push(what.into());
        }
    }

    pub(crate) fn good(&self) -> bool {
        let lines = [&self.handed, &self.alone, &self.beside, &self.held, &self.briefed];
        self.faults_in_all == 0 && self.joined == self.asked && lines.iter().all(|lines| lines.good())
    }

    /// Why the figures may be this tool's own.
    fn own_limit(&self) -> Option<String> {
        if self.own_dropped > 0 {
            return Some(format!("{} packets were dropped at its own sockets", self.own_dropped));
        }
        let late = self.own_late.share(0.99).filter(|late| *late > LATE)?;
        Some(format!(
            "one of a hundred of its own packets was sent {:.1} ms late or more",
            ms(late)
        ))
    }

    fn kib_per_call(&self) -> Option<f64> {
        let more = self.loaded_kib.saturating_sub(self.idle_kib);
        (self.loaded_calls > 0).then(|| more as f64 / f64::from(self.loaded_calls))
    }

    fn share(&self) -> f64 {
        self.processor_ms as f64 / 10.0 / self.seconds
    }

    fn receive_share(&self) -> Option<f64> {
        self.receive_path.map(|time| time.as_secs_f64() * 100.0 / self.seconds)
    }

    /// The background calls' p99 latency while others are handed off, by the one without.
    fn latency_ratio(&self) -> Option<f64> {
        let of = |spread: &Spread| spread.share(0.99).map(|time| time.as_secs_f64()).filter(|s| *s > 0.0);
        Some(of(&self.latency_beside)? / of(&self.latency_alone)?)
    }

    pub(crate) fn json(&self, options: &Options, lab: bool) -> Value {
        let steps: serde_json::Map<String, Value> = STEPS
            .iter()
            .zip(&self.timelines.steps)
            .map(|(step, times)| ((*step).to_owned(), Spread::of(times).json()))
            .collect();
        json!({
            "schema": "baton.callload/2",
            "ok": self.good(),
            "way": if lab { "lab" } else { "loopback" },
            "asked_for": {
                "calls": options.calls, "turns_per_s": options.turns, "handoffs_per_s": options.handoffs,
                "mode": if options.warm { "warm" } else { "cold" }, "seconds": options.seconds, "hold": options.hold,
                "codecs": options.codecs.map(Codec::sdp_name),
                "server_core": options.server_core, "apart": options.apart, "core_share": f64::from(options.core_share) / 100.0,
            },
            "turns_ms": Spread::of(&self.turns).json(),
            "handoffs_accepted_ms": Spread::of(&self.handoffs).json(),
            "invited_ms": Spread::of(&self.invites).json(),
            "joined_ms": Spread::of(&self.joins).json(),
            "timeline_ms": steps,
            "server_share_ms": Spread::of(&self.timelines.server).json(),
            "handoffs": { "asked": self.asked, "joined": self.joined },
            "calls_refused": self.refused,
            "handed_off": self.handed.json(),
            "background": self.beside.json(),
            "background_alone": self.alone.json(),
            "background_latency_ms": {
                "alone": self.latency_alone.json(), "with_handoffs": self.latency_beside.json(),
                "p99_ratio": self.latency_ratio().map(round),
            },
            "hold": {
                "callers": self.held.json(), "humans": self.briefed.json(),
                "tick_off_ms": self.tick_off.json(), "tick_late_ms": self.tick_late.json(),
            },
            "faults": self.faults_in_all,
            "first_faults": self.faults,
            "server": {
                "start_to_ready_ms": ms(self.started),
                "processor_percent_of_a_core": round(self.share()),
                "receive_path_percent_of_a_core": self.receive_share().map(round),
                "memory_idle_kib": self.idle_kib,
                "memory_per_call_kib": self.kib_per_call().map(round),
                "lost_packets": self.server_lost.map(|[lost, _]| lost),
                "kernel_dropped_packets": self.server_lost.map(|[_, dropped]| dropped),
                "link_dropped_packets": self.server_overruns,
            },
            "host": {
                "own_longest_stall_ms": ms(self.own_stall), "own_lateness_ms": self.own_late.json(),
                "own_dropped": self.own_dropped, "own_limit": self.own_limit(),
            },
        })
    }

    pub(crate) fn text(&self, options: &Options, lab: bool) -> String {
        let codecs = options.codecs.map(Codec::sdp_name).join(", ");
        let mut lines = vec![match options.hold {
            0 => format!(
                "{} calls, {} turns/s, {} {} handoffs/s for {:.0} s; caller, AI, human: {codecs}",
                options.calls,
                options.turns,
                options.handoffs,
                if options.warm { "warm" } else { "cold" },
                self.seconds
            ),
            hold => format!(
                "{hold} callers on hold and {hold} humans being briefed, for {:.0} s; caller, AI, human: {codecs}",
                self.seconds
            ),
        }];
        lines.push(head());
        let listed = [
            ("POST turns", Spread::of(&self.turns)),
            ("POST handoffs, to the 202", Spread::of(&self.handoffs)),
            ("trigger to the human's INVITE", Spread::of(&self.invites)),
            ("trigger to the human's voice at the caller", Spread::of(&self.joins)),
        ];
        let steps = STEPS.iter().zip(&self.timelines.steps);
        let steps = steps.map(|(step, times)| (format!("  trigger to {step}, by the record"), Spread::of(times)));
        let rest = [
            (
                "  the server's share of it to joined",
                Spread::of(&self.timelines.server),
            ),
            ("longest gap, handed off", self.handed.gaps.clone()),
            ("longest gap, background", self.beside.gaps.clone()),
            ("longest gap, background alone", self.alone.gaps.clone()),
            ("latency, background", self.latency_beside.clone()),
            ("latency, background alone", self.latency_alone.clone()),
            ("longest gap, on hold", self.held.gaps.clone()),
            ("longest gap, being briefed", self.briefed.gaps.clone()),
            ("ticks: off by, from 20 ms after the last", self.tick_off.clone()),
            ("ticks: late, by the earliest", self.tick_late.clone()),
            ("this tool's own packets, late", self.own_late.clone()),
        ];
        let named = |(name, spread): (&str, Spread)| (name.to_owned(), spread);
        let rows = listed
            .into_iter()
            .map(named)
            .chain(steps)
            .chain(rest.into_iter().map(named));
        lines.extend(
            rows.filter(|(_, spread)| spread.count() > 0)
                .map(|(name, spread)| spread.line(&name)),
        );
        for (name, of) in [
            ("handed off", &self.handed),
            ("background", &self.beside),
            ("background alone", &self.alone),
            ("on hold", &self.held),
            ("being briefed", &self.briefed),
        ] {
            if of.packets > 0 {
                lines.push(of.text(name));
                lines.extend(of.first_breaks.iter().map(|one| format!("  {one:?}")));
            }
        }
        if let Some(ratio) = self.latency_ratio() {
            lines.push(format!(
                "p99 latency of the background, with handoffs by without: {ratio:.2}"
            ));
        }
        lines.push(format!(
            "handoffs joined {} of {}; faults {}; calls refused for the budget {}",
            self.joined, self.asked, self.faults_in_all, self.refused
        ));
        lines.extend(self.faults.iter().map(|fault| format!("  fault: {fault}")));
        let lost = self.server_lost.map_or("-".to_owned(), |[lost, dropped]| {
            format!("{lost} packets lost in it ({dropped} of them dropped at its sockets)")
        });
        let receive = self.receive_share().map_or(String::new(), |share| {
            format!(
                " and {share:.0} % for its receive path ({} packets dropped there)",
                self.server_overruns
            )
        });
        lines.push(format!(
            "server, {}: ready after {:.0} ms, {:.0} % of a core{receive}, {:.1} MiB idle, {} KiB for each live call, {lost}",
            if lab { "through the lab" } else { "over loopback" },
            ms(self.started),
            self.share(),
            self.idle_kib as f64 / 1024.0,
            self.kib_per_call().map_or("-".to_owned(), |kib| format!("{kib:.1}"))
        ));
        lines.push(format!("this tool's own longest stall: {:.1} ms", ms(self.own_stall)));
        if let Some(why) = self.own_limit() {
            lines.push(format!(
                "THIS TOOL was the limit: {why}. The figures above are no worse in truth, and may be better."
            ));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_good_only_where_all_joined_and_no_line_broke() {
        let good = Figures {
            asked: 3,
            joined: 3,
            ..Figures::default()
        };
        assert!(good.good());
        let not = |change: fn(&mut Figures)| {
            let mut figures = good.clone();
            change(&mut figures);
            assert!(!figures.good(), "{figures:?}");
        };
        not(|figures| figures.joined = 2);
        not(|figures| figures.handed.breaks = 1);
        not(|figures| figures.alone.timestamp_breaks = 1);
        not(|figures| figures.beside.lost = 1);
        not(|figures| figures.held.duplicated = 1);
        not(|figures| figures.briefed.lost = 1);
        not(|figures| figures.fault("x"));
    }

    #[test]
    fn it_says_when_it_was_the_limit_itself() {
        let mut figures = Figures::default();
        (0..99).for_each(|_| figures.own_late.add(Duration::from_micros(50)));
        figures.own_late.add(Duration::from_millis(30));
        assert_eq!(figures.own_limit(), None);
        figures.own_late.add(Duration::from_millis(30));
        assert!(figures.own_limit().is_some_and(|why| why.contains("30.0 ms late")));
        figures.own_dropped = 4;
        assert!(
            figures
                .own_limit()
                .is_some_and(|why| why.contains("4 packets were dropped"))
        );
    }

    #[test]
    fn the_ratio_is_of_the_two_p99() {
        let mut figures = Figures::default();
        assert_eq!(figures.latency_ratio(), None);
        figures.latency_alone.add(Duration::from_micros(400));
        figures.latency_beside.add(Duration::from_micros(500));
        assert_eq!(figures.latency_ratio(), Some(1.25));
    }
}
