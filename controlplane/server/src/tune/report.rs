//! What was measured, and what follows from it.

use serde_json::{Value, json};

use super::paths::Cost;
use super::wire::{End, P99_US, Rate};

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
    pub(super) backend: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) host: Host,
    pub(super) paths: Vec<Cost>,
    pub(super) frames: Vec<Cost>,
    /// µs for each packet time of a caller on hold.
    pub(super) hold: f64,
    pub(super) rates: Vec<Rate>,
    pub(super) end: End,
    pub(super) core_share: f64,
}

/// What a core can carry of one kind.
struct Capacity {
    what: &'static str,
    us_per_packet: f64,
    calls: u64,
}

impl Report {
    /// The highest rate that kept its bounds.
    fn kept(&self) -> Option<&Rate> {
        let kept = match self.end {
            End::Top => self.rates.len(),
            End::Loss | End::Late | End::Own => self.rates.len().saturating_sub(1),
        };
        self.rates[..kept].last()
    }

    /// µs of the worker for a packet that is relayed: at the highest rate at which none was lost, for the fuller a worker is the less one costs,
    /// since it is woken for more of them at once.
    fn relayed(&self) -> f64 {
        let whole = self.rates.iter().rev().find(|rate| rate.lost + rate.missed == 0);
        let rate = whole.or(self.rates.first());
        rate.map_or(0.0, |rate| rate.us_per_packet)
    }

    fn path(&self, name: &str) -> f64 {
        let cost = self.paths.iter().find(|cost| cost.name == name);
        cost.map_or(0.0, |cost| cost.ns / 1000.0)
    }

    fn capacity(&self) -> [Capacity; 3] {
        let relayed = self.relayed();
        let transcoded = relayed + (self.path("transcode") - self.path("relay")).max(0.0);
        let row = |what, us_per_packet: f64, packets: f64| Capacity {
            what,
            us_per_packet,
            calls: (self.core_share * 1e6 / (packets * us_per_packet.max(0.001))) as u64,
        };
        [
            row("relayed", relayed, CALL),
            row("transcoded PCMU to PCMA", transcoded, CALL),
            row("on hold", self.hold, HOLD),
        ]
    }

    /// The section of the configuration.
    fn budget(&self) -> String {
        let us_per_packet = (self.relayed() * 10.0).ceil().max(1.0) / 10.0;
        // A fraction in any case: who reads the file should see that it may have one.
        format!(
            "[budget]\ncore_share = {}\nus_per_packet = {us_per_packet:.1}\n",
            self.core_share
        )
    }

    fn ended(&self) -> String {
        match self.end {
            End::Loss => "the last one lost packets".to_owned(),
            End::Late => format!(
                "of the last one, one packet of a hundred took longer than {} ms",
                P99_US / 1000
            ),
            End::Own => "this program itself could not keep up with the last one: the worker can do more".to_owned(),
            End::Top => "all of them were good".to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let costs = |costs: &[Cost], key: &str| -> Vec<Value> {
            let cost = |cost: &Cost| json!({ key: cost.name, "ns": round(cost.ns) });
            costs.iter().map(cost).collect()
        };
        let rate = |rate: &Rate| {
            json!({
                "calls": rate.calls, "packets_per_s": rate.packets.round(), "us_per_packet": round(rate.us_per_packet),
                "p50_us": rate.p50_us, "p99_us": rate.p99_us, "max_us": rate.max_us, "lost": rate.lost,
                "missed_by_us": rate.missed, "own_p99_us": rate.own_p99_us,
            })
        };
        let capacity = |row: Capacity| json!({ "what": row.what, "us_per_packet": round(row.us_per_packet), "calls_per_core": row.calls });
        json!({
            "schema": "baton.tune/1",
            "host": {
                "cpu": self.host.cpu, "cores": self.host.cores, "kernel": self.host.kernel, "worker_core": self.host.core,
                "backend": self.host.backend,
            },
            "paths": costs(&self.paths, "path"),
            "frames": costs(&self.frames, "frame"),
            "loopback": {
                "hold_us": round(self.hold),
                "rates": self.rates.iter().map(rate).collect::<Vec<_>>(),
                "ended_by": self.end.name(),
                "note": LOOPBACK,
            },
            "core_share": self.core_share,
            "capacity": self.capacity().map(capacity),
            "budget": self.budget(),
        })
    }

    pub(super) fn text(&self) -> String {
        let Host {
            cpu,
            cores,
            kernel,
            core,
            backend,
        } = &self.host;
        let core = core.map_or("its core".to_owned(), |core| format!("core {core}"));
        let mut lines = vec![format!(
            "Measured on {cpu}, {cores} cores, Linux {kernel}, a worker on {core}, by {backend}."
        )];
        if *cores < 2 {
            let say =
                "There is no other core: this program took the worker's time as well, and the figures say little.";
            lines.push(say.to_owned());
        }
        if self.kept().is_none() {
            let say = "No rate kept its bounds: the host has other things to do, and the figures say little.";
            lines.push(say.to_owned());
        }
        lines.push(String::new());
        lines.push(format!("{:32}{:>12}", "in the core, without the kernel", "ns a packet"));
        lines.extend(
            self.paths
                .iter()
                .map(|cost| format!("  {:30}{:>12.0}", cost.name, cost.ns)),
        );
        lines.push(format!("{:32}{:>12}", "G.711, a frame of 20 ms", "ns"));
        lines.extend(
            self.frames
                .iter()
                .map(|cost| format!("  {:30}{:>12.0}", cost.name, cost.ns)),
        );
        lines.push(String::new());
        lines.push("Relayed through a worker's sockets over loopback:".to_owned());
        lines.extend(self.rates.iter().map(|rate| format!("  {}", line(rate))));
        lines.push(format!("  {}.", self.ended()));
        lines.extend(wrapped(LOOPBACK));
        lines.push(String::new());
        lines.push(format!(
            "{:32}{:>12}{:>12}",
            format!("calls on {} of a core", self.core_share),
            "µs a packet",
            "calls"
        ));
        for row in self.capacity() {
            lines.push(format!("  {:30}{:>12.2}{:>12}", row.what, row.us_per_packet, row.calls));
        }
        lines.push(String::new());
        lines.push("For the configuration:".to_owned());
        lines.push(String::new());
        lines.push(self.budget().trim_end().to_owned());
        lines.join("\n")
    }
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

    fn report(end: End) -> Report {
        let rate = |calls, us_per_packet| Rate {
            calls,
            packets: f64::from(calls) * CALL,
            us_per_packet,
            ..Rate::default()
        };
        let cost = |name, ns| Cost { name, ns };
        Report {
            host: Host {
                cpu: "a processor".to_owned(),
                cores: 2,
                kernel: "6.1".to_owned(),
                core: Some(1),
                backend: "io_uring",
            },
            paths: vec![cost("relay", 30.0), cost("transcode", 1030.0)],
            frames: vec![cost("PCMU encode", 70.0)],
            hold: 4.0,
            rates: vec![
                rate(100, 7.0),
                rate(1000, 3.42),
                Rate {
                    lost: u64::from(end == End::Loss),
                    ..rate(2000, 3.0)
                },
            ],
            end,
            core_share: 0.7,
        }
    }

    #[test]
    fn capacity_follows_from_the_highest_rate_that_lost_nothing() {
        for (end, relayed) in [(End::Late, 2333), (End::Own, 2333), (End::Loss, 2046), (End::Top, 2333)] {
            let [calls, _, hold] = report(end).capacity();
            assert_eq!((calls.calls, hold.calls), (relayed, 3500), "{end:?}");
        }
        // 3 µs and the one by which the core's transcode is dearer than its relay.
        assert_eq!(report(End::Late).capacity()[1].calls, 1750);
        let mut none = report(End::Loss);
        none.rates.drain(..2);
        assert_eq!(none.capacity()[0].calls, 2333);
        assert!(none.text().contains("No rate kept its bounds"));
    }

    #[test]
    fn the_budget_is_what_the_configuration_takes() {
        let budget = report(End::Loss).budget();
        assert_eq!(budget, "[budget]\ncore_share = 0.7\nus_per_packet = 3.5\n");
        let config = Config::from_toml(&budget, Path::new("")).expect("a configuration");
        assert_eq!(config.budget.packet.as_nanos(), 3500);
        assert_eq!(
            report(End::Top).json()["budget"],
            "[budget]\ncore_share = 0.7\nus_per_packet = 3.0\n"
        );
    }

    #[test]
    fn the_text_says_on_what_and_what_it_is_worth() {
        let text = report(End::Own).text();
        for part in [
            "a processor, 2 cores, Linux 6.1, a worker on core 1, by io_uring",
            "this program itself could not keep up",
            "`rtpload` measures that",
            "[budget]",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}
