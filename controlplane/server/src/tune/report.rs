//! What was measured, and what follows from it.

use serde_json::{Value, json};

use super::choice::Choice;
use super::paths::Cost;
use super::rates::{Rate, Way, common};

/// Packets a second of a call of two legs; of a caller on hold, each way.
const CALL: f64 = 100.0;
const HOLD: f64 = 50.0;

/// What the figures of the wire are worth.
const LOOPBACK: &str = "Over loopback there is no network card: the kernel's work on a packet that comes is done inside its \
                        sender's send, so not by the worker, whose own sends pay for our receiving instead. A card's driver \
                        and interrupts are not in it: take it for a first figure. `rtpload` measures that over a link, with \
                        the receive path.";

/// On what it was measured.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// Of the worker, where that is known.
    pub(super) core: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) host: Host,
    pub(super) paths: Vec<Cost>,
    pub(super) frames: Vec<Cost>,
    /// One or two, the one that `auto` takes first.
    pub(super) ways: Vec<Way>,
    /// Which way was left out though it might be taken, and why: a sentence.
    pub(super) unmeasured: Option<String>,
    pub(super) choice: Choice,
    pub(super) core_share: f64,
}

/// What a core can carry of one kind.
struct Capacity {
    what: &'static str,
    us_per_packet: f64,
    calls: u64,
}

impl Report {
    /// The way whose figures count.
    fn way(&self) -> &Way {
        &self.ways[self.choice.way]
    }

    fn judged<'a>(&self, way: &'a Way) -> Option<&'a Rate> {
        way.judged(common(&self.ways))
    }

    /// µs of the worker for a packet that is relayed.
    fn relayed(&self, way: &Way) -> f64 {
        self.judged(way).map_or(0.0, |rate| rate.us_per_packet)
    }

    fn path(&self, name: &str) -> f64 {
        let cost = self.paths.iter().find(|cost| cost.name == name);
        cost.map_or(0.0, |cost| cost.ns / 1000.0)
    }

    fn capacity(&self, way: &Way) -> [Capacity; 3] {
        let relayed = self.relayed(way);
        let transcoded = relayed + (self.path("transcode") - self.path("relay")).max(0.0);
        let row = |what, us_per_packet: f64, packets: f64| Capacity {
            what,
            us_per_packet,
            calls: (self.core_share * 1e6 / (packets * us_per_packet.max(0.001))) as u64,
        };
        [
            row("relayed", relayed, CALL),
            row("transcoded PCMU to PCMA", transcoded, CALL),
            row("on hold", way.hold, HOLD),
        ]
    }

    /// The section of the configuration.
    fn budget(&self) -> String {
        let us_per_packet = (self.relayed(self.way()) * 10.0).ceil().max(1.0) / 10.0;
        // A fraction in any case: who reads the file should see that it may have one.
        format!(
            "[budget]\ncore_share = {}\nus_per_packet = {us_per_packet:.1}\n",
            self.core_share
        )
    }

    pub(super) fn json(&self) -> Value {
        let costs = |costs: &[Cost], key: &str| -> Vec<Value> {
            let cost = |cost: &Cost| json!({ key: cost.name, "ns": round(cost.ns) });
            costs.iter().map(cost).collect()
        };
        let way = self.way();
        json!({
            "schema": "baton.tune/1",
            "host": {
                "cpu": self.host.cpu, "cores": self.host.cores, "kernel": self.host.kernel, "worker_core": self.host.core,
                "backend": way.io,
            },
            "paths": costs(&self.paths, "path"),
            "frames": costs(&self.frames, "frame"),
            "loopback": {
                "hold_us": round(way.hold),
                "rates": rates_json(way),
                "ended_by": way.end.name(),
                "note": LOOPBACK,
            },
            "core_share": self.core_share,
            "capacity": self.capacity_json(way),
            "ways": self.ways.iter().map(|way| self.way_json(way)).collect::<Vec<_>>(),
            "unmeasured": self.unmeasured,
            "recommendation": self.recommendation(),
            "budget": self.budget(),
        })
    }

    fn way_json(&self, way: &Way) -> Value {
        json!({
            "backend": way.io, "hold_us": round(way.hold), "rates": rates_json(way), "ended_by": way.end.name(),
            "capacity": self.capacity_json(way),
        })
    }

    fn capacity_json(&self, way: &Way) -> Vec<Value> {
        let capacity = |row: Capacity| json!({ "what": row.what, "us_per_packet": round(row.us_per_packet), "calls_per_core": row.calls });
        self.capacity(way).into_iter().map(capacity).collect()
    }

    /// `null`, where nothing was compared.
    fn recommendation(&self) -> Option<Value> {
        let io = self.choice.io(&self.ways)?;
        let difference = self.choice.difference.as_ref().map(|found| {
            json!({
                "cheaper": self.ways[found.cheaper].io, "saving": found.saving, "noise": found.noise, "calls": found.calls,
            })
        });
        Some(json!({
            "io": io,
            "difference": difference,
            "why": self.choice.why(&self.ways),
            "media": self.choice.section(&self.ways),
        }))
    }

    /// What to paste.
    fn block(&self) -> String {
        let media = self.choice.section(&self.ways);
        media.map_or(String::new(), |media| media + "\n") + &self.budget()
    }

    pub(super) fn text(&self) -> String {
        let mut lines = self.beginning();
        lines.push(String::new());
        lines.extend(costs("in the core, without the kernel", "ns a packet", &self.paths));
        lines.extend(costs("G.711, a frame of 20 ms", "ns", &self.frames));
        for way in &self.ways {
            lines.push(String::new());
            lines.push(format!(
                "Relayed by {} through a worker's sockets over loopback:",
                way.io
            ));
            lines.extend(way.rates.iter().map(|rate| format!("  {}", line(rate))));
            lines.push(format!("  {}", way.end.sentence()));
        }
        lines.push(String::new());
        lines.extend(wrapped(LOOPBACK));
        lines.push(String::new());
        lines.extend(self.table());
        if let Some(why) = self.choice.why(&self.ways) {
            lines.push(String::new());
            lines.extend(wrapped(&why));
        }
        lines.push(String::new());
        lines.push("For the configuration, into its sections of these names:".to_owned());
        lines.push(String::new());
        lines.push(self.block().trim_end().to_owned());
        lines.join("\n")
    }

    /// On what it was measured, and what makes the figures doubtful.
    fn beginning(&self) -> Vec<String> {
        let Host {
            cpu,
            cores,
            kernel,
            core,
        } = &self.host;
        let core = core.map_or("its core".to_owned(), |core| format!("core {core}"));
        let ways: Vec<&str> = self.ways.iter().map(|way| way.io).collect();
        let mut lines = vec![format!(
            "Measured on {cpu}, {cores} cores, Linux {kernel}, a worker on {core}, by {}.",
            ways.join(" and by ")
        )];
        lines.extend(self.unmeasured.iter().flat_map(|why| wrapped(why)));
        if *cores < 2 {
            let say =
                "There is no other core: this program took the worker's time as well, and the figures say little.";
            lines.push(say.to_owned());
        }
        for way in self.ways.iter().filter(|way| way.kept().is_none()) {
            lines.push(format!(
                "By {} no rate kept its bounds: the host has other things to do, and the figures say little.",
                way.io
            ));
        }
        lines
    }

    /// What a core can carry, a row for each kind and way.
    fn table(&self) -> Vec<String> {
        let title = format!("calls on {} of a core", self.core_share);
        let mut lines = vec![format!(
            "{title:32}{:>10}{:>12}{:>8}   relayed with",
            "by", "µs a packet", "calls"
        )];
        let capacities: Vec<_> = self.ways.iter().map(|way| (way, self.capacity(way))).collect();
        for kind in 0..3 {
            for (way, rows) in &capacities {
                let row = &rows[kind];
                // Of relayed packets alone it is known how long they took.
                let rate = self.judged(way).filter(|_| kind == 0).map_or(String::new(), |rate| {
                    format!(
                        "   p50 {} µs, p99 {} µs at {} calls",
                        rate.p50_us, rate.p99_us, rate.calls
                    )
                });
                lines.push(format!(
                    "  {:30}{:>10}{:>12.2}{:>8}{rate}",
                    row.what, way.io, row.us_per_packet, row.calls
                ));
            }
        }
        lines
    }
}

fn rates_json(way: &Way) -> Vec<Value> {
    let rate = |rate: &Rate| {
        json!({
            "calls": rate.calls, "packets_per_s": rate.packets.round(), "us_per_packet": round(rate.us_per_packet),
            "p50_us": rate.p50_us, "p99_us": rate.p99_us, "max_us": rate.max_us, "lost": rate.lost,
            "missed_by_us": rate.missed, "own_p99_us": rate.own_p99_us,
        })
    };
    way.rates.iter().map(rate).collect()
}

fn costs(title: &str, unit: &str, costs: &[Cost]) -> Vec<String> {
    let head = format!("{title:32}{unit:>12}");
    let cost = |cost: &Cost| format!("  {:30}{:>12.0}", cost.name, cost.ns);
    std::iter::once(head).chain(costs.iter().map(cost)).collect()
}

/// A rate on a line.
pub(super) fn line(rate: &Rate) -> String {
    format!(
        "{:>5} calls, {:>7.0} packets/s: {:>5.2} µs a packet, p50 {} µs, p99 {} µs, max {} µs, lost {}",
        rate.calls, rate.packets, rate.us_per_packet, rate.p50_us, rate.p99_us, rate.max_us, rate.lost
    )
}

/// In lines of a terminal.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= 100 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::tune::choice::choose;
    use crate::tune::rates::End;

    /// A way that ended so, with these costs at 100, 1,000 and 2,000 calls.
    fn way(io: &'static str, costs: [f64; 3], end: End) -> Way {
        let rate = |calls, us_per_packet, lost| Rate {
            calls,
            packets: f64::from(calls) * CALL,
            us_per_packet,
            p50_us: calls,
            p99_us: 2 * calls,
            lost,
            ..Rate::default()
        };
        Way {
            io,
            hold: 4.0,
            rates: vec![
                rate(100, costs[0], 0),
                rate(1000, costs[1], 0),
                rate(2000, costs[2], u64::from(end == End::Loss)),
            ],
            end,
        }
    }

    fn report_of(ways: Vec<Way>) -> Report {
        let cost = |name, ns| Cost { name, ns };
        Report {
            host: Host {
                cpu: "a processor".to_owned(),
                cores: 2,
                kernel: "6.1".to_owned(),
                core: Some(1),
            },
            paths: vec![cost("relay", 30.0), cost("transcode", 1030.0)],
            frames: vec![cost("PCMU encode", 70.0)],
            choice: choose(&ways, 2),
            ways,
            unmeasured: None,
            core_share: 0.7,
        }
    }

    fn report(end: End) -> Report {
        report_of(vec![way("io_uring", [7.0, 3.42, 3.0], end)])
    }

    /// Of both ways, epoll at these costs.
    fn both(epoll: [f64; 3]) -> Report {
        let costs = [7.0, 3.42, 3.0];
        report_of(vec![way("io_uring", costs, End::Own), way("epoll", epoll, End::Own)])
    }

    #[test]
    fn capacity_follows_from_the_highest_rate_that_lost_nothing() {
        let capacity = |report: &Report| report.capacity(report.way());
        for (end, relayed) in [(End::Late, 2333), (End::Own, 2333), (End::Loss, 2046), (End::Top, 2333)] {
            let [calls, _, hold] = capacity(&report(end));
            assert_eq!((calls.calls, hold.calls), (relayed, 3500), "{end:?}");
        }
        // 3 µs and the one by which the core's transcode is dearer than its relay.
        assert_eq!(capacity(&report(End::Late))[1].calls, 1750);
        let mut none = report(End::Loss);
        none.ways[0].rates.drain(..2);
        assert_eq!(capacity(&none)[0].calls, 2333);
        assert!(none.text().contains("By io_uring no rate kept its bounds"));
    }

    #[test]
    fn the_budget_is_what_the_configuration_takes() {
        let budget = report(End::Loss).block();
        assert_eq!(budget, "[budget]\ncore_share = 0.7\nus_per_packet = 3.5\n");
        let config = Config::from_toml(&budget, Path::new("")).expect("a configuration");
        assert_eq!(config.budget.packet.as_nanos(), 3500);
        assert_eq!(
            report(End::Top).json()["budget"],
            "[budget]\ncore_share = 0.7\nus_per_packet = 3.0\n"
        );
    }

    #[test]
    fn the_better_way_is_in_the_block_with_its_own_budget() {
        let better = both([6.0, 3.0, 2.6]);
        let block = better.block();
        assert_eq!(
            block,
            "[media]\nio = \"epoll\"\n\n[budget]\ncore_share = 0.7\nus_per_packet = 2.6\n"
        );
        let config = Config::from_toml(&block, Path::new("")).expect("a configuration");
        assert_eq!(config.media.io, engine::Backend::Epoll);
        assert!(better.text().ends_with(block.trim_end()), "{}", better.text());
        let json = better.json();
        assert_eq!(json["recommendation"]["io"], "epoll");
        assert_eq!(json["recommendation"]["media"], "[media]\nio = \"epoll\"\n");
        assert_eq!(json["recommendation"]["difference"]["cheaper"], "epoll");
        // What was there before there were two is of the way that counts.
        assert_eq!(json["host"]["backend"], "epoll");
        assert_eq!(json["loopback"]["rates"][2]["us_per_packet"], 2.6);
        assert_eq!(json["capacity"], json["ways"][1]["capacity"]);
        assert_eq!(json["ways"][0]["rates"][2]["us_per_packet"], 3.0);
        assert_eq!(json["unmeasured"], Value::Null);
    }

    #[test]
    fn within_the_noise_auto_stays_with_the_budget_of_what_it_takes() {
        let same = both([7.0, 3.4, 2.9]);
        assert_eq!(same.block(), "[budget]\ncore_share = 0.7\nus_per_packet = 3.0\n");
        assert!(same.text().contains("`io` stays \"auto\""), "{}", same.text());
        let json = same.json();
        assert_eq!(json["recommendation"]["io"], "auto");
        assert_eq!(json["recommendation"]["media"], Value::Null);
        assert_eq!(json["host"]["backend"], "io_uring");
    }

    #[test]
    fn the_table_has_a_row_for_each_way() {
        let table = both([6.0, 3.0, 2.5]).table();
        assert_eq!(table.len(), 7, "{table:#?}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(
            words(&table[1]),
            "relayed io_uring 3.00 2333 p50 2000 µs, p99 4000 µs at 2000 calls"
        );
        assert_eq!(
            words(&table[2]),
            "relayed epoll 2.50 2800 p50 2000 µs, p99 4000 µs at 2000 calls"
        );
        assert_eq!(words(&table[6]), "on hold epoll 4.00 3500");
    }

    #[test]
    fn a_way_that_the_kernel_forbids_is_named() {
        let mut alone = report_of(vec![way("epoll", [7.0, 3.42, 3.0], End::Own)]);
        alone.unmeasured = Some("io_uring was not measured: it is forbidden.".to_owned());
        let text = alone.text();
        for part in [
            "a worker on core 1, by epoll.",
            "io_uring was not measured: it is forbidden.",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let json = alone.json();
        assert_eq!(json["recommendation"], Value::Null);
        assert_eq!(json["unmeasured"], "io_uring was not measured: it is forbidden.");
        assert!(!alone.block().contains("[media]"));
    }

    #[test]
    fn the_text_says_on_what_and_what_it_is_worth() {
        for (report, ways) in [
            (report(End::Own), "by io_uring."),
            (both([6.0, 3.0, 2.5]), "by io_uring and by epoll."),
        ] {
            let text = report.text();
            for part in [
                &format!("a processor, 2 cores, Linux 6.1, a worker on core 1, {ways}"),
                "This program itself could not keep up",
                "`rtpload` measures that",
                "[budget]",
            ] {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        }
    }
}
