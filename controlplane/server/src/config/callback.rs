//! `[callback]`: callers who are called back where nobody is there.

use std::collections::BTreeMap;
use std::time::Duration;

use playbook::slots::{Effort, Grid};

use super::peers::Target;
use super::reader::Table;
use super::values::{count, reference, seconds};
use super::words;
use crate::prompts::Prompt;
use crate::prompts::words::Word;

/// `[callback]`
#[derive(Clone, Debug)]
pub struct Callback {
    /// Who is to have the caller; `None`: the targets in order that are no machines.
    pub target: Option<String>,
    /// How slots lie.
    pub grid: Grid,
    /// How many callers a slot takes.
    pub effort: Effort,
    /// How often a caller is called.
    pub attempts: usize,
    /// The pause between two attempts.
    pub retry: Duration,
    /// A number may be that of several callers.
    pub shared_numbers: bool,
    /// What callers hear who are promised one.
    pub voice: BTreeMap<Word, Prompt>,
}

/// Minutes of a slot: each divides an hour.
const SLOTS: [u64; 8] = [1, 5, 6, 10, 15, 20, 30, 60];

pub(super) fn read(table: Table<'_, '_>, targets: &[Target]) -> Callback {
    let target = table.string("target");
    if let Some(target) = &target {
        let humans = targets.iter().filter(|target| !target.is_machine());
        reference(&table, "target", target, "targets", humans.map(|target| &*target.name));
    }
    let slot = table.integer("slot_min", 1..=60);
    if let Some(slot) = slot.as_ref().filter(|slot| !SLOTS.contains(&slot.value)) {
        let message = "must divide an hour: 1, 5, 6, 10, 15, 20, 30 or 60 minutes";
        table.problem(slot.line, "slot_min", message);
    }
    let share = table.number("share", 0.01..=1.0);
    let callback = Callback {
        target: target.map(|target| target.value),
        grid: Grid {
            minutes: slot.map_or(15, |slot| slot.value as u8),
            lead: minutes(&table, "lead_min", 0, 10),
            days: count(&table, "days_ahead", 1..=30, 7) as u16,
        },
        effort: Effort {
            handle: seconds(&table, "handle_s", 10..=7_200, 300),
            share: share.map_or(0.5, |share| share.value),
        },
        attempts: count(&table, "attempts", 1..=10, 3),
        retry: minutes(&table, "retry_min", 1, 10),
        shared_numbers: table.boolean("shared_numbers").unwrap_or(false),
        voice: words::read(table.table("prompts")),
    };
    table.finish();
    callback
}

/// Up to a day of them.
fn minutes(table: &Table<'_, '_>, key: &'static str, least: u64, default: u64) -> Duration {
    60 * seconds(table, key, least..=1_440, default)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{good, problems};
    use super::*;

    #[test]
    fn a_callback_has_defaults_and_each_key_its_range() {
        let usual = good("").callback;
        assert_eq!(usual.target, None);
        let grid = Grid {
            minutes: 15,
            lead: Duration::from_secs(600),
            days: 7,
        };
        assert_eq!(usual.grid, grid);
        let effort = Effort {
            handle: Duration::from_secs(300),
            share: 0.5,
        };
        assert_eq!(usual.effort, effort);
        assert_eq!((usual.attempts, usual.retry), (3, Duration::from_secs(600)));
        assert!(!usual.shared_numbers);
        let found = problems(
            "[callback]\nslot_min = 7\nlead_min = 1441\ndays_ahead = 0\nhandle_s = 9\nshare = 1.1\nattempts = 11\n\
             retry_min = 0\n",
        );
        assert_eq!(found.len(), 7, "{found:#?}");
        assert!(found[0].starts_with("line 2: callback.slot_min: must divide an hour"));
    }

    #[test]
    fn a_callback_is_handed_to_a_human() {
        let targets = "[[targets]]\nname = \"billing\"\nuri = \"sip:b@127.0.0.1\"\n\
                       [[targets]]\nname = \"box\"\nvoicemail = true\n";
        let with = |name: &str| format!("[callback]\ntarget = \"{name}\"\n{targets}");
        let config = good(&with("billing"));
        assert_eq!(config.callback.target.as_deref(), Some("billing"));
        for name in ["box", "bill"] {
            let found = problems(&with(name));
            let wanted = format!("line 2: callback.target: no entry of [[targets]] has the name \"{name}\"");
            assert!(matches!(&found[..], [one] if one.starts_with(&wanted)), "{found:?}");
        }
    }
}
