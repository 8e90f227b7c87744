//! Two endpoints on one address: while a new version of a program takes the calls that come, the old one goes on with its own. Both
//! receive by the same sockets, so each gets messages of the other's.
//!
//! What an endpoint knows (a transaction, a dialog) it deals with; whoever else may know a message is asked before anybody
//! answers it: [`Endpoint::poll_stray`].

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::hop::Source;
use super::received::Request;
use super::registry::merge_key;
use super::transactions::server_key;
use super::{Endpoint, FlowId, print};
use crate::guard::{Guarded, guard};
use crate::message::{Limits, Message};
use crate::method::Method;
use crate::transaction::Key;

/// What becomes of messages that an endpoint does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// New calls are ours. What belongs to a dialog or a transaction that we do not know may be the other's, and so may a request
    /// outside of dialogs whose Call-ID is one of these: [`Endpoint::invitations`] of the other at the moment when we began.
    Takes(BTreeSet<String>),
    /// New calls are the other's, as is all else that we do not know.
    Leaves,
}

/// A message that may be the other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Who sent it.
    pub from: SocketAddr,
    /// The connection on which it came; `None`: it was a datagram.
    pub flow: Option<FlowId>,
    /// The message.
    pub bytes: Bytes,
}

impl Endpoint {
    /// From now on there is another endpoint on our address; `None`: no more.
    pub fn share(&mut self, share: Option<Share>) {
        self.share = share;
    }

    /// The next message that is to be shown to the other. Where that does not know it either, it comes back by
    /// [`Endpoint::handle_own`].
    pub fn poll_stray(&mut self) -> Option<Stray> {
        self.strays.pop_front()
    }

    /// A message for us, whether we know of it or not.
    pub fn handle_own(&mut self, now: Instant, stray: Stray) {
        let Stray { from, flow, bytes } = stray;
        self.strangers.refill(now);
        let flow = flow.filter(|flow| self.prove(now, *flow));
        let source = Source { address: from, flow };
        let share = self.share.take();
        self.message(now, source, bytes);
        self.share = share;
        self.settle_unborn(now);
    }

    /// A message that the other does not know. Where we do not know it either it is not touched, and the answer is `false`.
    pub fn handle_known(&mut self, now: Instant, stray: Stray) -> bool {
        let source = Source {
            address: stray.from,
            flow: stray.flow,
        };
        // The other has passed it through its guard already.
        let known = match guard(stray.bytes.clone(), source.address, &Limits::default(), &print::ALLOWED) {
            Guarded::Message(message) => self.knows(&message, source),
            Guarded::Answer(_) | Guarded::Drop(_) => false,
        };
        if known {
            self.handle_own(now, stray);
        }
        known
    }

    /// Call-IDs of the INVITEs that came and whose transactions are alive: what may still come of them has no tag of ours.
    pub fn invitations(&self) -> BTreeSet<String> {
        self.transactions.invitations().map(str::to_owned).collect()
    }

    /// Whether a message may be the other's.
    pub(super) fn is_stray(&self, message: &Message, source: Source) -> bool {
        let Some(share) = &self.share else { return false };
        if self.knows(message, source) {
            return false;
        }
        let outside = message.method().is_some() && message.to().is_none_or(|to| to.tag().is_none());
        match share {
            Share::Leaves => true,
            Share::Takes(calls) => !outside || message.call_id().is_some_and(|id| calls.contains(&*id)),
        }
    }

    /// Whether a message belongs to a dialog or a transaction of ours.
    fn knows(&self, message: &Message, source: Source) -> bool {
        if message.status().is_some() {
            let (Some(via), Some(cseq)) = (message.via(), message.cseq()) else {
                return false;
            };
            let key = Key::Client {
                branch: via.branch().unwrap_or_default(),
                method: cseq.method.to_string(),
            };
            return self.transactions.find(&key).is_some();
        }
        let Some(request) = Request::new(message.clone(), source) else {
            return false;
        };
        // §9.2 and §17.2.3: CANCEL and ACK go by the INVITE's.
        let method = match &request.method {
            Method::Ack | Method::Cancel => &Method::Invite,
            method => method,
        };
        let dialog = request.to_tag.clone().map(|tag| (request.call_id.clone(), tag));
        self.transactions.find(&server_key(&request, method.as_str())).is_some()
            || dialog.is_some_and(|key| self.dialogs.contains_key(&key))
            || request.method == Method::Invite && self.transactions.has_merged(&merge_key(&request))
    }
}
