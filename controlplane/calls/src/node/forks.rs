//! Agents of a queue who are called at a time: who answers first has the caller.
//!
//! To the call they are one target. One of them stands for all until another one answers, or it fails.

use std::time::Instant;

use sip::endpoint::Invite;

use crate::action::cause;
use crate::config::Target;
use crate::leg::Leg;
use crate::node::act::is_absent;
use crate::node::{Live, Node};

impl Node {
    /// As many more as the queue says, are free, and have a port and coder states: as `first`, each at its own URI.
    pub(super) fn fork(&mut self, now: Instant, live: &mut Live, target: &Target, first: &Invite) {
        let more = target.queue.as_ref().map_or(0, |queue| queue.at_once.saturating_sub(1));
        let Some((_, ticket)) = live.lined else { return };
        for _ in 0..more {
            let Some(seat) = self.pool.another(ticket) else { return };
            let to = self.pool.who(seat).map(|agent| agent.uri.clone());
            let port = live.way.is_none().then(|| self.ports.take(live.worker)).flatten();
            let leg = to.zip(port).and_then(|(to, taken)| {
                let invite = Invite { to, ..first.clone() };
                self.invite_human(now, live, target, taken, invite).ok()
            });
            match leg {
                Some(leg) => live.legs.forks.push(Leg {
                    seat: Some(seat),
                    ..leg
                }),
                None => return self.pool.over(now, seat),
            }
        }
    }

    /// None of them is called any more but the one that is the target. Who was slower than another is not to blame.
    pub(super) fn end_forks(&mut self, now: Instant, live: &mut Live, reason: &'static str) {
        for leg in std::mem::take(&mut live.legs.forks) {
            self.dropped(now, live, &leg);
            match leg.seat {
                Some(seat) if reason == cause::ELSEWHERE => self.pool.over(now, seat),
                Some(seat) => self.pool.missed(now, seat, is_absent(reason)),
                None => {}
            }
            let _ = self.endpoint.end(now, leg.dialog, Some(reason));
        }
    }
}
