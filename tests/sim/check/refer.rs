//! What Baton tells whoever asked it by REFER to hand the call on, and whom it calls for that.

use std::collections::BTreeSet;
use std::time::Duration;

use calls::notice::{Outcome, Step, What};

use crate::scenario::Trust;
use crate::tone::Sound;
use crate::world::{Who, Wire, World};

/// Timer F: a request that nobody answers is given up (RFC 3261 §17.1.2.2), 64·T1.
const GIVEN_UP: Duration = Duration::from_secs(32);

/// Longest way of an answer over a bad network: two repetitions.
const ANSWERED: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn refer(&self, faults: &mut Vec<String>) {
        self.nobody_else_is_called(faults);
        self.transferred_is_what_the_carrier_said(faults);
        self.the_carrier_knows_us(faults);
        for who in self.everyone().into_iter().filter(|who| *who != Who::Caller) {
            let of = |wire: &&Wire| wire.party == who;
            let accepted = |wire: &&Wire| wire.ours && wire.answers("REFER") && wire.status == Some(202);
            let accepted: BTreeSet<(&str, u32)> = (self.wire.iter().filter(of).filter(accepted))
                .map(|wire| (wire.call_id.as_str(), wire.number))
                .collect();
            let notifies: Vec<&Wire> = self
                .wire
                .iter()
                .filter(of)
                .filter(|wire| wire.ours && wire.is("NOTIFY"))
                .collect();
            for notify in notifies.iter().filter(|notify| notify.reported == Some(200)) {
                self.joined_before(notify, faults);
            }
            for call_id in accepted.iter().map(|(call_id, _)| *call_id).collect::<BTreeSet<_>>() {
                let count = accepted.iter().filter(|(other, _)| *other == call_id).count();
                let last: BTreeSet<u32> = (notifies
                    .iter()
                    .filter(|wire| wire.call_id == call_id && wire.terminated))
                .map(|wire| wire.number)
                .collect();
                let gone = self.ua(who).is_deaf();
                if last.len() > count || last.len() < count && !gone {
                    faults.push(format!(
                        "{who:?} was told the end of {} of its {count} REFERs",
                        last.len()
                    ));
                }
                self.bye_after_notify(who, call_id, &notifies, faults);
            }
        }
    }

    /// The 200 comes after the target's first packet went to the caller.
    fn joined_before(&self, notify: &Wire, faults: &mut Vec<String>) {
        let asked = |notice: &&calls::notice::Notice| {
            notice.at <= notify.at && matches!(notice.what, What::Handoff(_, Step::Accepted))
        };
        let accepted = self.notices.iter().rev().find(asked).map(|notice| notice.at);
        let human = |sound: Option<Sound>| matches!(sound, Some(Sound::Human(_) | Sound::Comfort));
        let heard = accepted.is_some_and(|accepted| {
            let mut heard = self.sent.iter().filter(|s| s.to == Who::Caller && human(s.sound));
            heard.any(|s| (accepted..=notify.at).contains(&s.at))
        });
        // A caller who holds us hears nobody.
        let holds = self.media_spans(Who::Caller, |media| !media.listens || media.unsettled);
        let holds = holds
            .iter()
            .any(|(since, until)| *since <= notify.at && accepted.is_some_and(|at| at <= *until));
        if !heard && !holds {
            let at = notify.at - self.start;
            faults.push(format!(
                "{:?} was told 200 at {at:?}, before the caller heard the human",
                notify.party
            ));
        }
    }

    /// RFC 5589 and the field: a BYE that overtakes the last NOTIFY makes a transfer look failed.
    fn bye_after_notify(&self, who: Who, call_id: &str, notifies: &[&Wire], faults: &mut Vec<String>) {
        let here = |wire: &&Wire| wire.party == who && wire.call_id == call_id;
        let mut all = self.wire.iter().filter(here);
        let Some(bye) = all.find(|wire| wire.is("BYE")) else {
            return;
        };
        if !bye.ours {
            return;
        }
        // Every one that was sent before, not the last alone.
        for notify in notifies
            .iter()
            .filter(|notify| notify.call_id == call_id && notify.at <= bye.at)
        {
            let mut answers = self
                .wire
                .iter()
                .filter(here)
                .filter(|wire| !wire.ours && wire.answers("NOTIFY"));
            let answered = answers.any(|wire| wire.number == notify.number && wire.at <= bye.at);
            let first = notifies
                .iter()
                .find(|other| other.number == notify.number && other.call_id == call_id);
            let given_up = first.is_some_and(|first| first.at + GIVEN_UP <= bye.at);
            if notify.terminated && !answered && !given_up {
                let at = bye.at - self.start;
                faults.push(format!("BYE to {who:?} at {at:?}, before its last NOTIFY was answered"));
                return;
            }
        }
    }

    /// A carrier that asks who we are is told, where the configuration has it.
    fn the_carrier_knows_us(&self, faults: &mut Vec<String>) {
        let challenge = |wire: &&Wire| {
            wire.party == Who::Caller && wire.answers("REFER") && !wire.ours && matches!(wire.status, Some(401 | 407))
        };
        let Some(asked) = self.wire.iter().find(challenge).map(|wire| wire.at) else {
            return;
        };
        let gone = self.caller.is_deaf() || self.caller.ended.is_some_and(|ended| ended < asked + ANSWERED);
        if self.scenario.trust == Trust::Right && !gone && !self.caller.credentials.contains(&true) {
            let at = asked - self.start;
            faults.push(format!("the carrier asked at {at:?} who we are, and was not told"));
        }
    }

    /// The outcome of a REFER of ours is that of the sipfrag, never that of the 202.
    fn transferred_is_what_the_carrier_said(&self, faults: &mut Vec<String>) {
        let done =
            |wire: &&Wire| wire.party == Who::Caller && !wire.ours && wire.is("NOTIFY") && wire.reported == Some(200);
        for notice in &self.notices {
            let What::Handoff(_, Step::Closed { result, .. }) = &notice.what else {
                continue;
            };
            let said = self.wire.iter().filter(done).any(|wire| wire.at <= notice.at);
            if *result == Outcome::Transferred && !said {
                let at = notice.at - self.start;
                faults.push(format!("transferred at {at:?}, but the carrier never said so"));
            }
        }
    }

    /// Toll fraud: only targets are called, by their own URIs.
    fn nobody_else_is_called(&self, faults: &mut Vec<String>) {
        for wire in self.wire.iter().filter(|wire| wire.ours && wire.is("INVITE")) {
            // What follows in a dialog goes to its Contact.
            if let Who::Human(n) = wire.party
                && self.is_first(wire)
                && !wire.uri.starts_with(&format!("sip:human-{n}@"))
                && self.agent_of(wire).is_none()
            {
                faults.push(format!("{} was called", wire.uri));
            }
        }
    }
}
