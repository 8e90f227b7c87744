//! `[targets.queue]`: a target that is many human agents.

use calls::config::{Queue, Strategy};

use super::reader::Table;
use super::values::seconds;

/// Skills that one queue may ask for.
const SKILLS: usize = 64;

/// The longest name of a skill, in bytes.
const LONGEST: usize = 256;

/// Agents that may be called at a time: each takes a port for as long as it rings.
const AT_ONCE: u64 = 16;

const STRATEGIES: [(&str, Strategy); 5] = [
    ("longest-idle", Strategy::LongestIdle),
    ("in-order", Strategy::InOrder),
    ("lowest-handle-time", Strategy::LowestHandleTime),
    ("highest-csat", Strategy::HighestCsat),
    ("best-skill", Strategy::BestSkill),
];

/// What makes this target a queue, where something does.
pub(super) fn read(entry: &Table<'_, '_>) -> Option<Queue> {
    let table = entry.table("queue");
    // Known keys all the same.
    let queue = Queue {
        skills: skills(&table),
        strategy: table.choice("strategy", &STRATEGIES).unwrap_or(Strategy::LongestIdle),
        at_once: table
            .integer("at_once", 1..=AT_ONCE)
            .map_or(1, |found| found.value as usize),
        max_wait: seconds(&table, "max_wait_s", 1..=3600, 120),
        wrap_up: seconds(&table, "wrap_up_s", 0..=600, 0),
        set_aside: seconds(&table, "set_aside_s", 0..=3600, 60),
    };
    let line = table.line;
    table.finish();
    if !entry.has("queue") {
        return None;
    }
    if !entry.has("patterns") || entry.is_empty_list("patterns") {
        let message = "is missing: whose URIs the agents of the queue may have, as [\"sip:agent-*@pbx.example.com\"]";
        entry.problem(line, "patterns", message);
    }
    Some(queue)
}

fn skills(table: &Table<'_, '_>) -> Vec<(String, u8)> {
    let found = table.levels("skills", 1..=10);
    for (name, _) in found
        .iter()
        .filter(|(name, _)| !(1..=LONGEST).contains(&name.value.len()))
    {
        table.problem(name.line, "skills", format!("a name must have 1 to {LONGEST} bytes"));
    }
    if let Some((name, _)) = found.get(SKILLS) {
        table.problem(name.line, "skills", format!("can be {SKILLS} at the most"));
    }
    found.into_iter().map(|(name, level)| (name.value, level)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{good, problems};
    use super::*;

    const PEER: &str = "[[targets]]\nname = \"billing\"\nnext_hop = \"127.0.0.1:5090\"\n";
    const ALLOWS: &str = "patterns = [\"sip:agent-*@pbx.example.com\"]\n";

    #[test]
    fn a_queue_needs_no_uri_and_has_defaults_for_all_that_it_says() {
        let target = good(&format!("{PEER}{ALLOWS}[targets.queue]\n")).targets.remove(0);
        assert_eq!(
            (target.name.as_str(), target.uri.as_str()),
            ("billing", "sip:127.0.0.1:5090")
        );
        let queue = target.queue.expect("a queue");
        let usual = Queue {
            skills: Vec::new(),
            strategy: Strategy::LongestIdle,
            at_once: 1,
            max_wait: Duration::from_secs(120),
            wrap_up: Duration::ZERO,
            set_aside: Duration::from_secs(60),
        };
        assert_eq!(queue, usual);
        let uri = good(&format!(
            "[[targets]]\nname = \"a\"\nuri = \"sip:line@127.0.0.1:5090\"\n{ALLOWS}[targets.queue]\n"
        ));
        let target = &uri.targets[0];
        assert_eq!(target.uri, "sip:line@127.0.0.1:5090", "by which a REFER may name it");
        assert_eq!(target.next_hop, "127.0.0.1:5090".parse().expect("an address"));
        let human = good("[[targets]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n")
            .targets
            .remove(0);
        assert_eq!(human.queue, None);
    }

    #[test]
    fn a_queue_says_what_its_agents_must_be_able_to_do_and_who_of_them_it_is() {
        let names = [
            "in-order",
            "longest-idle",
            "lowest-handle-time",
            "highest-csat",
            "best-skill",
        ];
        let strategies = names.map(|name| {
            let text = format!(
                "{PEER}{ALLOWS}[targets.queue]\nstrategy = \"{name}\"\nskills = {{ billing = 5, de = 1 }}\nmax_wait_s = 60\n\
                 wrap_up_s = 15\nset_aside_s = 0\n"
            );
            let queue = good(&text).targets.remove(0).queue.expect("a queue");
            assert_eq!(queue.skills, [("billing".to_owned(), 5), ("de".to_owned(), 1)]);
            let times = [queue.max_wait, queue.wrap_up, queue.set_aside].map(|time| time.as_secs());
            assert_eq!(times, [60, 15, 0]);
            queue.strategy
        });
        let wanted = [
            Strategy::InOrder,
            Strategy::LongestIdle,
            Strategy::LowestHandleTime,
            Strategy::HighestCsat,
            Strategy::BestSkill,
        ];
        assert_eq!(strategies, wanted);
    }

    #[test]
    fn what_is_wrong_with_a_queue_is_said_where_it_is() {
        for (text, problem) in [
            (
                format!("{PEER}[targets.queue]\n"),
                "line 4: targets[0].patterns: is missing: whose URIs",
            ),
            (
                format!("{PEER}patterns = []\n[targets.queue]\n"),
                "line 5: targets[0].patterns: is missing: whose URIs",
            ),
            (
                format!("[[targets]]\nname = \"a\"\n{ALLOWS}[targets.queue]\n"),
                "line 1: targets[0].next_hop: is missing: where the agents of the queue are called",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nskill = {{}}\n"),
                "line 6: targets[0].queue.skill: there is no such key; did you mean \"skills\"?",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nskills = [\"billing\"]\n"),
                "line 6: targets[0].queue.skills: must be a table of integers",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nskills = {{ billing = 11 }}\n"),
                "line 6: targets[0].queue.skills.billing: must be from 1 to 10",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nskills = {{ billing = \"5\" }}\n"),
                "line 6: targets[0].queue.skills.billing: must be an integer",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nskills = {{ \"\" = 1 }}\n"),
                "line 6: targets[0].queue.skills: a name must have 1 to 256 bytes",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nstrategy = \"longest_idle\"\n"),
                "line 6: targets[0].queue.strategy: must be \"longest-idle\" or",
            ),
            (
                format!("{PEER}{ALLOWS}[targets.queue]\nmax_wait_s = 0\n"),
                "line 6: targets[0].queue.max_wait_s: must be from 1 to 3600",
            ),
            (
                "[[targets]]\nname = \"a\"\nnext_hop = \"127.0.0.1:5090\"\n".to_owned(),
                "line 1: targets[0].uri: is missing: it has no default",
            ),
        ] {
            let found = problems(&text);
            assert!(
                matches!(&found[..], [one] if one.starts_with(problem)),
                "{problem}: {found:?}"
            );
        }
    }
}
