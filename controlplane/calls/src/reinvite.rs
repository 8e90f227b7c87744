//! Later exchanges: a peer holds, resumes, moves or changes its codec. Each is answered from our description of that
//! leg alone; no other leg hears of it, for what the legs send each other is the data plane's affair.

use std::sync::Arc;
use std::time::Instant;

use media::command::LegId;
use sip::sdp::Agreed;

use crate::call::Input;
use crate::codecs;
use crate::leg::{Leg, LegState};
use crate::node::{Live, Node};
use crate::notice::{CallId, Party};
use crate::spare::Spare;
use crate::spec::Role;

impl Node {
    /// Offers every party that has answered our last description of its leg again, as it was, by a re-INVITE; to how many. What they
    /// answer holds from then on, also where it is new. One that crosses with theirs is repeated as RFC 3261 §14.1 says; one that is
    /// refused changes nothing.
    pub fn offer_again(&mut self, now: Instant, call: CallId) -> usize {
        let Some(mut live) = self.registry.take(call) else {
            return 0;
        };
        let legs = live.legs.iter_mut();
        let count = legs.map(|leg| usize::from(self.reoffer(now, leg))).sum();
        self.put_back(now, live);
        count
    }

    /// The same text with the same version: another order of codecs would have the peer change its own for nothing, and fewer streams
    /// than before are none (RFC 3264 §8). An offer that waits gives way to what was answered since it was made.
    fn reoffer(&mut self, now: Instant, leg: &mut Leg) -> bool {
        if leg.state != LegState::Up || leg.agreed.is_none() || leg.offered || matches!(leg.spare, Spare::Asked { .. })
        {
            return false;
        }
        let Some(offer) = leg.local.last.clone() else {
            return false;
        };
        let sent = self.endpoint.reinvite(now, leg.dialog, offer.into()).is_ok();
        leg.reoffers |= sent;
        sent
    }

    /// Our re-INVITE on a leg was answered, or refused (`None`), which leaves the session as it was (RFC 3261 §14.1).
    pub(crate) fn reoffered(&mut self, now: Instant, live: &mut Live, leg: LegId, answer: Option<&[u8]>) {
        let id = leg;
        let Some(leg) = live.legs.find(id) else { return };
        leg.reoffers = false;
        let asked = match std::mem::replace(&mut leg.spare, Spare::Over) {
            Spare::Asked {
                proposed,
                before,
                common,
            } => Some((proposed.encoding, before, common)),
            other => {
                leg.spare = other;
                None
            }
        };
        match (answer.map(|answer| leg.local.accept(answer)), asked) {
            (Some(Ok(agreed)), None) => leg.agree(agreed),
            (Some(Ok(agreed)), Some((encoding, _, common))) => {
                if agreed.encoding == encoding {
                    leg.spare = Spare::Changed(encoding);
                }
                // It was offered one alone: its answer says nothing of the others.
                leg.agree(Agreed { common, ..agreed });
                self.keep_promise(live, id);
                self.tell_spoken(now, live);
            }
            (Some(Err(_)) | None, Some((_, before, _))) => leg.local.withdraw(&before),
            (Some(Err(_)) | None, None) => return,
        }
        self.arm_probe(live);
        self.refresh(now, live);
    }

    /// What is kept for a target that has answered: the coder states that its join will need, by what both speak now.
    pub(crate) fn keep_promise(&self, live: &mut Live, leg: LegId) {
        let caller = live.legs.caller.encoding();
        let is_target = live.legs.role(leg) == Some(Role::Target);
        let Some(leg) = live.legs.find(leg) else { return };
        let speaks = leg.encoding().filter(|_| is_target);
        leg.promise = speaks.map(|encoding| Arc::new(self.coders.keep(caller, &[encoding])));
    }

    /// A re-INVITE came on a leg.
    pub(crate) fn reinvited(&mut self, now: Instant, live: &mut Live, leg: LegId, body: Option<&[u8]>) {
        let caller = live.legs.caller.encoding();
        let prefer = live.config.prefer;
        let id = leg;
        let Some(leg) = live.legs.find(id) else { return };
        if leg.party != Party::Caller {
            // The caller may speak something else by now.
            let plan = codecs::plan(prefer, &leg.local.encodings, caller);
            leg.local.wanted = plan.wanted;
            leg.local.heard_hz = plan.heard_hz;
            leg.local.encodings = plan.encodings;
        }
        let dialog = leg.dialog;
        match body {
            Some(offer) => match leg.local.answer(offer) {
                Ok((answer, agreed)) => {
                    if self.endpoint.answer_reinvite(now, dialog, answer.into()).is_ok() {
                        leg.agree(agreed);
                        if let Spare::Changed(_) = leg.spare {
                            leg.spare = Spare::Untried;
                        }
                        self.offer_waiting(now, leg);
                        self.keep_promise(live, id);
                        self.arm_probe(live);
                        self.refresh(now, live);
                    }
                }
                // RFC 3261 §14.2: the session stays as it was.
                Err(_) => {
                    let _ = self.endpoint.reject_reinvite(now, dialog, 488);
                }
            },
            // A late offer (RFC 3261 §14.2): ours goes with the 200, the answer comes with the ACK.
            None => {
                let offer = leg.local.offer();
                if self.endpoint.answer_reinvite(now, dialog, offer.into()).is_ok() {
                    leg.offered = true;
                    self.offer_waiting(now, leg);
                }
            }
        }
    }

    /// An offer of ours that waits follows what was said since it was made.
    fn offer_waiting(&mut self, now: Instant, leg: &mut Leg) {
        match leg.spare {
            _ if !leg.reoffers => {}
            Spare::Asked { .. } => self.ask_anew(now, leg),
            _ => _ = self.reoffer(now, leg),
        }
    }

    /// The ACK for our 2xx came; where the 2xx had our offer, with the answer.
    pub(crate) fn acked(
        &mut self,
        now: Instant,
        live: &mut Live,
        leg: LegId,
        role: Role,
        body: Option<&[u8]>,
    ) -> Option<Input> {
        let id = leg;
        let leg = live.legs.find(id)?;
        if !std::mem::take(&mut leg.offered) {
            return None;
        }
        if let Ok(agreed) = leg.local.accept(body.unwrap_or_default()) {
            leg.agree(agreed);
            self.keep_promise(live, id);
            self.arm_probe(live);
            self.refresh(now, live);
            return None;
        }
        if leg.agreed.is_some() {
            // The re-INVITE led to nothing: the session stays as it was.
            return None;
        }
        let _ = self
            .endpoint
            .end(now, leg.dialog, Some("SIP;cause=488;text=\"Not Acceptable Here\""));
        self.gone(now, live, role)
    }
}
