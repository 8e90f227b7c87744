//! Which legs are up, as plain data: told as it changes, so that whoever comes after us can end them; and what we end for one that
//! was before us. No machine knows of it.

use std::time::Instant;

use sip::digest::Credentials;

use crate::leg::LegState;
use crate::node::{Live, Node, Output};
use crate::notice::{Notice, Party, StandingLeg, What};

/// RFC 3326: the peer may show why.
const REASON: &str = "SIP;cause=503;text=\"Restarted\"";

impl Node {
    /// Says which legs are up, where that has changed since it was last said.
    pub(super) fn tell_legs(&mut self, now: Instant, live: &mut Live) {
        if !live.call.started() {
            return;
        }
        let endpoint = &self.endpoint;
        let up = live
            .legs
            .iter()
            .filter(|leg| leg.state == LegState::Up && endpoint.is_confirmed(leg.dialog));
        let mut told = live.told.iter();
        let known = up.clone().all(|leg| {
            told.next()
                .is_some_and(|told| told.party == leg.party && endpoint.stands(leg.dialog, &told.dialog))
        });
        if known && told.next().is_none() {
            return;
        }
        live.told = up
            .filter_map(|leg| {
                Some(StandingLeg {
                    party: leg.party,
                    name: leg.name.clone(),
                    dialog: endpoint.standing(leg.dialog)?,
                })
            })
            .collect();
        self.outputs.push_back(Output::Notice(Notice {
            call: live.id,
            at: now,
            what: What::Legs(live.told.clone()),
        }));
    }

    /// Sends BYE to a leg of a call that another node had, which is gone. `false`: it is a leg of ours, or none at all.
    pub fn end_foreign(&mut self, now: Instant, leg: StandingLeg) -> bool {
        let credentials = self.credentials(&leg).into_iter().collect();
        let sent = self.endpoint.end_foreign(now, leg.dialog, credentials, Some(REASON));
        self.handle_sip(now);
        sent.is_ok()
    }

    /// What is shown where the BYE is challenged: what the configuration has for that peer now.
    fn credentials(&self, leg: &StandingLeg) -> Option<Credentials> {
        let name = &leg.name;
        match leg.party {
            Party::Caller => {
                let trunk = self.config.trunks.iter().find(|trunk| trunk.name == *name);
                trunk.and_then(|trunk| trunk.auth.clone())
            }
            Party::Ai => {
                let agent = self.config.ai_agents.iter().find(|agent| agent.name == *name);
                agent.and_then(|agent| agent.auth.clone())
            }
            Party::Human | Party::Supervisor => {
                let target = self.config.targets.iter().find(|target| target.name == *name);
                target.and_then(|target| target.auth.clone())
            }
        }
    }
}
