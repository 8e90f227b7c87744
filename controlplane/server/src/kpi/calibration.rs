//! How right each rule of the playbook was: what it handed off, and what the humans who took the calls said of it.

use std::collections::BTreeMap;

use playbook::rules::EXPLICIT_REQUEST;
use serde_json::{Value, json};

use super::{Feedback, GROUPS, rate};

/// By rule; the empty name: somebody asked by API or REFER.
#[derive(Clone, Debug, Default)]
pub(super) struct Calibration(BTreeMap<String, Tally>);

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    fired: u64,
    joined: u64,
    right: u64,
    wrong: u64,
    resolved: u64,
}

impl Tally {
    fn rated(&self) -> u64 {
        self.right + self.wrong
    }

    fn merge(&mut self, other: &Tally) {
        self.fired += other.fired;
        self.joined += other.joined;
        self.right += other.right;
        self.wrong += other.wrong;
        self.resolved += other.resolved;
    }

    fn figures(&self, rule: Value, asked_for: bool, others: bool) -> Value {
        json!({
            "rule": rule,
            "asked_for": asked_for,
            "others": others,
            "fired": self.fired,
            "joined": self.joined,
            "right": self.right,
            "wrong": self.wrong,
            "unrated": self.fired - self.rated(),
            "resolved": self.resolved,
            "right_rate": rate(self.right, self.rated()),
        })
    }
}

/// Of so many rated handoffs more than half were wrong: fewer are an opinion.
const ENOUGH: u64 = 5;

impl Calibration {
    pub(super) fn add(&mut self, rule: Option<&str>, joined: bool, feedback: Option<&Feedback>) {
        let tally = self.0.entry(rule.unwrap_or_default().to_owned()).or_default();
        tally.fired += 1;
        tally.joined += u64::from(joined);
        if let Some(feedback) = feedback {
            tally.right += u64::from(feedback.right_call);
            tally.wrong += u64::from(!feedback.right_call);
            tally.resolved += u64::from(feedback.resolved);
        }
    }

    /// Those that fired most, and the rest as one.
    pub(super) fn document(&self) -> Vec<Value> {
        let mut rules: Vec<(&String, &Tally)> = self.0.iter().collect();
        rules.sort_by_key(|(name, tally)| (std::cmp::Reverse(tally.fired), *name));
        let mut rest = Tally::default();
        for (_, tally) in rules.iter().skip(GROUPS) {
            rest.merge(tally);
        }
        rules.truncate(GROUPS);
        let shown = rules.into_iter().map(|(name, tally)| match name.as_str() {
            "" => tally.figures(Value::Null, true, false),
            name => tally.figures(name.into(), false, false),
        });
        let mut shown: Vec<Value> = shown.collect();
        if rest.fired > 0 {
            shown.push(rest.figures(Value::Null, false, true));
        }
        shown
    }

    /// Rules that hand off what humans say need not have been.
    pub(super) fn diagnosis(&self) -> Vec<String> {
        let wrong = |tally: &Tally| tally.rated() >= ENOUGH && 2 * tally.wrong > tally.rated();
        let found = self.0.iter().filter(|(_, tally)| wrong(tally));
        let said = found.map(|(name, tally)| {
            let of = format!("{} of {} rated handoffs", tally.wrong, tally.rated());
            match name.as_str() {
                "" => format!("{of} that were asked for by API or REFER were not right calls: look at what tells the AI to ask"),
                // Who asks for a human gets one, whatever humans say of it.
                EXPLICIT_REQUEST => format!(
                    "{of} of `{EXPLICIT_REQUEST}` were not right calls: callers did ask, so look at why the AI loses them, and whether one of \
                     request_phrases is said otherwise, too"
                ),
                name => format!(
                    "{of} of `{name}` were not right calls: narrow it by `if`, or by a second trigger; baton replay shows what would differ"
                ),
            }
        });
        said.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kpi, Span};
    use super::*;

    fn add(kpi: &mut Kpi, rule: Option<&str>, result: &str, right: Option<bool>) {
        let trigger = rule.map(|rule| json!({ "rule": rule, "because": "topic x, turn 2" }));
        let body =
            json!({ "target": "support", "result": result, "trigger": trigger, "requested_reason": "rule old: words" });
        let said =
            right.map(|right| json!({ "context": "complete", "right_call": right, "resolved": right }).to_string());
        kpi.add(0, &body.to_string(), said.as_deref());
    }

    #[test]
    fn each_rule_has_what_it_handed_off_and_what_humans_said_of_it() {
        let mut kpi = Kpi::new(Span::Day);
        for right in [Some(true), Some(false), None] {
            add(&mut kpi, Some("billing"), "joined", right);
        }
        add(&mut kpi, Some("billing"), "abandoned", None);
        add(&mut kpi, None, "returned_to_ai", Some(true));
        // An older record says it in words alone.
        let old = json!({ "requested_reason": "rule mood: sentiment angry, turn 1", "result": "joined" });
        kpi.add(0, &old.to_string(), None);
        let document = kpi.document(jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::UNIX_EPOCH, 0);
        let figures = |rule: Value, asked_for: bool, counts: [u64; 6], right_rate: Value| {
            let [fired, joined, right, wrong, unrated, resolved] = counts;
            json!({
                "rule": rule, "asked_for": asked_for, "others": false, "fired": fired, "joined": joined, "right": right,
                "wrong": wrong, "unrated": unrated, "resolved": resolved, "right_rate": right_rate,
            })
        };
        assert_eq!(
            document["by_rule"],
            json!([
                figures("billing".into(), false, [4, 3, 1, 1, 2, 1], 0.5.into()),
                figures(Value::Null, true, [1, 0, 1, 0, 0, 1], 1.0.into()),
                figures("mood".into(), false, [1, 1, 0, 0, 1, 0], Value::Null),
            ])
        );
    }

    #[test]
    fn a_rule_that_is_mostly_wrong_is_named_and_who_asked_is_not_to_be_refused() {
        let mut kpi = Kpi::new(Span::Day);
        for wrong in 0..15 {
            add(&mut kpi, Some("loud"), "joined", Some(wrong >= 12));
            add(&mut kpi, Some(EXPLICIT_REQUEST), "joined", Some(wrong >= 12));
            add(&mut kpi, Some("even"), "joined", Some(wrong % 2 == 0));
        }
        for _ in 0..4 {
            add(&mut kpi, Some("seldom"), "joined", Some(false));
            add(&mut kpi, None, "joined", None);
        }
        let found = kpi.diagnosis(0).join("\n");
        assert!(
            found.contains("12 of 15 rated handoffs of `loud` were not right calls: narrow it"),
            "{found}"
        );
        assert!(
            found.contains("12 of 15 rated handoffs of `explicit-request`"),
            "{found}"
        );
        assert!(
            !found.contains("explicit-request` were not right calls: narrow"),
            "{found}"
        );
        assert!(
            !found.contains("`even`") && !found.contains("`seldom`") && !found.contains("by API"),
            "{found}"
        );
    }

    #[test]
    fn many_rules_are_shown_as_the_largest_and_the_rest() {
        let mut kpi = Kpi::new(Span::Day);
        for n in 0..GROUPS + 20 {
            add(&mut kpi, Some(&format!("rule {n}")), "joined", Some(true));
        }
        let document = kpi.document(jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::UNIX_EPOCH, 0);
        let shown = document["by_rule"].as_array().expect("a list");
        assert_eq!(shown.len(), GROUPS + 1);
        assert_eq!(
            (&shown[GROUPS]["others"], &shown[GROUPS]["fired"]),
            (&json!(true), &json!(20))
        );
    }
}
