//! Whether callers can be called back to whom that would be promised.

use calls::config::Machine;

use super::{Finding, Level};
use crate::config::Config;

const REMEDY: &str =
    "add [trunks.outbound] to it, or callers that it brings are promised nothing: the next target is tried";

/// Nothing where nobody promises it.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let what = "callbacks";
    if !config
        .targets
        .iter()
        .any(|target| target.machine == Some(Machine::Callback))
    {
        return Vec::new();
    }
    if config.targets.iter().all(|target| target.is_machine()) {
        let found = "a target promises them, and there is nobody who could have the caller";
        return vec![Finding::new(
            Level::Error,
            what,
            found,
            "add a target that is a human, or a queue",
        )];
    }
    let (with, without): (Vec<_>, Vec<_>) = config.trunks.iter().partition(|trunk| trunk.outbound.is_some());
    if with.is_empty() {
        let found = "a target promises them, and no trunk can call out";
        return vec![Finding::new(Level::Error, what, found, REMEDY)];
    }
    let mut findings: Vec<_> = without
        .iter()
        .map(|trunk| {
            Finding::new(
                Level::Warning,
                what,
                format!("trunk {:?} cannot call out", trunk.name),
                REMEDY,
            )
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(what, "each trunk can call out"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_promise_that_no_trunk_can_keep_is_an_error_and_one_that_some_cannot_a_warning() {
        let of = |text: &str| {
            let base = "[[ai_agents]]\nname = \"ai\"\nuri = \"sip:ai@127.0.0.1\"\n";
            let config = Config::from_toml(&format!("{base}{text}"), Path::new("")).expect("right");
            let findings = findings(&config);
            findings.iter().map(|finding| finding.level).collect::<Vec<_>>()
        };
        let trunk = |name: &str| {
            format!(
                "[[trunks]]\nname = \"{name}\"\naddresses = [\"192.0.2.{}\"]\n",
                name.len()
            )
        };
        let out = "[trunks.outbound]\nuri = \"sip:{number}@carrier.example\"\nfrom = \"sip:+4930111@baton.example\"\n\
                   next_hop = \"127.0.0.1:5061\"\n";
        let human = "[[targets]]\nname = \"human\"\nuri = \"sip:human@127.0.0.1\"\n";
        let machine = "[[targets]]\nname = \"later\"\ncallback = true\n";
        let (a, bb) = (trunk("a"), trunk("bb"));
        assert_eq!(of(&format!("{a}{human}")), []);
        assert_eq!(of(&format!("{a}{human}{machine}")), [Level::Error]);
        assert_eq!(of(&format!("{a}{out}{machine}")), [Level::Error]);
        assert_eq!(of(&format!("{a}{out}{bb}{human}{machine}")), [Level::Warning]);
        assert_eq!(of(&format!("{a}{out}{human}{machine}")), [Level::Ok]);
    }

    #[test]
    fn the_worked_example_can_keep_what_it_promises() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbook/examples/after-hours.toml");
        let config = Config::from_file(&example).expect("right");
        let levels: Vec<_> = findings(&config).iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Ok]);
    }
}
