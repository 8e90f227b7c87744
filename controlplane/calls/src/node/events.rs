//! What the SIP endpoint has to say: from its events to inputs of the call.

use std::time::Instant;

use media::command::LegId;
use sip::endpoint::{ByeCause, DialogId, Event, ReferId};

use crate::action::cause;
use crate::call::Input;
use crate::leg::LegState;
use crate::node::{Live, Node};
use crate::notice::Supervised;
use crate::spec::Role;

/// RFC 3261 §21.6.2: a human has said no.
const DECLINED: u16 = 603;

impl Node {
    /// What the endpoint has to say.
    pub(super) fn handle_sip(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            self.handle_event(now, event);
        }
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        let dialog = dialog(&event);
        if let Event::Invite { dialog, from, request } = event {
            return self.handle_invite(now, dialog, from, &request);
        }
        if let Event::ReferAnswered { refer, .. } | Event::ReferProgress { refer, .. } = event {
            return self.referral_went_on(now, refer, &event);
        }
        let Some((id, leg)) = self.registry.dialog(dialog) else {
            // A leg that the call has let go of.
            if let Event::Refer { refer, .. } = event {
                let _ = self.endpoint.reject_refer(now, refer, 481);
            }
            return;
        };
        let Some(mut live) = self.registry.take(id) else { return };
        let Some(role) = live.legs.role(leg) else {
            return self.put_back(now, live);
        };
        live.legs.bring_to_front(leg);
        let input = match event {
            Event::Invite { .. } | Event::Ended { .. } => None,
            // An AI that hangs up has ended the call; one that is lost has not.
            Event::Bye { cause, .. } if cause != ByeCause::Peer && role == Role::Peer => {
                let order = self.without_ai(now, &mut live, "the AI agent does not answer any more");
                let gone = self.gone(now, &mut live, role);
                order.map(|order| Input::AiLost(Box::new(order))).or(gone)
            }
            Event::Cancelled { .. } | Event::Bye { .. } => self.gone(now, &mut live, role),
            Event::Progress { .. } => live.rings(leg, role),
            Event::Answered { body, .. } => self.answered(now, &mut live, leg, role, body.as_deref()),
            Event::Refused { status, .. } => self.refused(now, &mut live, role, status),
            Event::Acked { body, .. } => self.acked(now, &mut live, leg, role, body.as_deref()),
            Event::Reinvite { body, .. } => {
                self.reinvited(now, &mut live, leg, body.as_deref());
                None
            }
            Event::Key { key, .. } => return self.key(now, live, leg, key, true),
            Event::Refer { refer, request, .. } => return self.refer_came(now, live, role, refer, &request),
            Event::ReinviteAnswered { body, .. } => {
                self.reoffered(now, &mut live, leg, Some(body.as_deref().unwrap_or_default()));
                None
            }
            Event::ReinviteRefused { .. } => {
                self.reoffered(now, &mut live, leg, None);
                None
            }
            // What comes of a REFER was looked at before.
            Event::ReferAnswered { .. } | Event::ReferProgress { .. } => None,
        };
        match input {
            Some(input) => self.drive(now, now, live, input),
            None => self.put_back(now, live),
        }
    }

    /// Something came of a REFER of ours: its dialog may be gone.
    fn referral_went_on(&mut self, now: Instant, refer: ReferId, event: &Event) {
        let Some(mut live) = self.registry.refer(refer).and_then(|id| self.registry.take(id)) else {
            return;
        };
        let (input, over) = match *event {
            Event::ReferAnswered { status: 200..=299, .. } => (Input::ReferAccepted, false),
            Event::ReferAnswered { status, .. } => (Input::ReferFailed(status), true),
            Event::ReferProgress { status, .. } if status >= 200 => (Input::ReferOutcome(status), true),
            // A subscription that ends without an outcome: nobody knows it.
            Event::ReferProgress { last: true, .. } => (Input::ReferOutcome(408), true),
            Event::ReferProgress { status, .. } => (Input::ReferProgress(status), false),
            _ => return self.put_back(now, live),
        };
        if over {
            self.registry.refers_no_more(refer);
            live.referral = None;
        }
        self.drive(now, now, live, input);
    }

    /// A dialog ended without us.
    pub(crate) fn gone(&mut self, now: Instant, live: &mut Live, role: Role) -> Option<Input> {
        match role {
            Role::Caller => {
                self.registry.unbind(live.legs.caller.dialog);
                Some(Input::CallerGone)
            }
            Role::Peer => self.drop_peer(now, live).map(|_| Input::PeerGone),
            Role::Target => self.drop_target(now, live, false).map(|_| Input::TargetGone),
            Role::Supervisor => {
                self.supervisor_gone(now, live, Supervised::HungUp);
                None
            }
        }
    }

    /// An INVITE of ours failed.
    fn refused(&mut self, now: Instant, live: &mut Live, role: Role, status: u16) -> Option<Input> {
        match role {
            Role::Caller => {
                self.registry.unbind(live.legs.caller.dialog);
                Some(Input::CallerFailed(status))
            }
            Role::Peer => {
                let order = self.without_ai(now, live, "no AI agent answered");
                let failed = self.drop_peer(now, live).map(|_| Input::PeerFailed(status));
                order.map(|order| Input::AiLost(Box::new(order))).or(failed)
            }
            Role::Target => {
                let failed = self.drop_target(now, live, status != DECLINED);
                // Others' phones may ring on.
                live.legs.target = live.legs.forks.pop();
                let is_last = live.legs.target.is_none();
                failed.filter(|_| is_last).map(|_| Input::TargetFailed(status))
            }
            Role::Supervisor => {
                self.supervisor_gone(now, live, Supervised::Unreached(status));
                None
            }
        }
    }

    /// An INVITE of ours was answered; an answer that cannot be used is a failure (488).
    fn answered(
        &mut self,
        now: Instant,
        live: &mut Live,
        leg: LegId,
        role: Role,
        body: Option<&[u8]>,
    ) -> Option<Input> {
        let found = live.legs.find(leg)?;
        let dialog = found.dialog;
        let Ok(agreed) = found.local.accept(body.unwrap_or_default()) else {
            // RFC 3261 §13.2.2.4: a 2xx whose answer is of no use is acknowledged and ended with BYE.
            let _ = self
                .endpoint
                .end(now, dialog, Some("SIP;cause=488;text=\"Not Acceptable Here\""));
            return self.refused(now, live, role, 488);
        };
        found.agree(agreed);
        found.state = LegState::Up;
        if let Some(seat) = found.seat {
            self.pool.answered(now, seat);
        }
        self.keep_promise(live, leg);
        match role {
            Role::Caller => self.called_back(now, live),
            Role::Peer => Some(Input::PeerAnswered),
            Role::Target => {
                self.end_forks(now, live, cause::ELSEWHERE);
                self.spare_by_human(now, live);
                Some(Input::TargetAnswered)
            }
            Role::Supervisor => {
                self.supervisor_is_up(now, live);
                None
            }
        }
    }
}

fn dialog(event: &Event) -> DialogId {
    match event {
        Event::Invite { dialog, .. }
        | Event::Cancelled { dialog }
        | Event::Progress { dialog, .. }
        | Event::Answered { dialog, .. }
        | Event::Refused { dialog, .. }
        | Event::Acked { dialog, .. }
        | Event::Bye { dialog, .. }
        | Event::Key { dialog, .. }
        | Event::Reinvite { dialog, .. }
        | Event::ReinviteAnswered { dialog, .. }
        | Event::ReinviteRefused { dialog, .. }
        | Event::Refer { dialog, .. }
        | Event::ReferAnswered { dialog, .. }
        | Event::ReferProgress { dialog, .. }
        | Event::Ended { dialog } => *dialog,
    }
}
