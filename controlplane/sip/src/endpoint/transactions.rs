//! Transactions and timers of the endpoint: how they are kept, found, driven and dropped.

use std::time::Instant;

use bytes::Bytes;

use super::auth::Attempt;
use super::hop::{Hop, Transport};
use super::received::Request;
use super::registry::Transaction;
use super::session::{Invitation, Owner, Role, TransactionId};
use super::{DialogId, Endpoint};
use crate::transaction::{Act, ClientInput, Key, MAGIC_COOKIE, Machine, ServerInput};

impl Endpoint {
    /// A new branch (RFC 3261 §8.1.1.7).
    pub(super) fn branch(&mut self) -> String {
        format!("{MAGIC_COOKIE}{}", self.random.token())
    }

    /// Keeps a transaction, and sends its message where it is a client: over TCP where the hop says so, or its length does.
    #[expect(clippy::too_many_arguments, reason = "one place starts every transaction")]
    pub(super) fn start(
        &mut self,
        now: Instant,
        machine: Machine,
        key: Key,
        to: Hop,
        message: Bytes,
        session: Option<DialogId>,
        role: Role,
    ) -> TransactionId {
        let id = TransactionId(self.next_id());
        let client = matches!(machine, Machine::ClientInvite(_) | Machine::ClientOther(_));
        let (message, attempt) = if client {
            self.authorized(session, &role, message)
        } else {
            (message, Attempt::default())
        };
        let mut transaction = Transaction::new(machine, key, to, message, role);
        transaction.session = session;
        transaction.attempt = attempt;
        self.transactions.insert(id, transaction);
        if client {
            self.send_request(now, id, to);
        }
        self.settle(id);
        id
    }

    /// Sends the request of a client transaction on its first way, or on another one. §18.1.1: what is too long for a datagram goes
    /// over TCP, unless that was refused, now or lately.
    pub(super) fn send_request(&mut self, now: Instant, id: TransactionId, to: Hop) {
        let Some(message) = self.transactions.get(id).map(|transaction| transaction.message.clone()) else {
            return;
        };
        let to = if self.flows.bounds.is_some() && !to.or_udp && !self.flows.refuses(to.address) {
            to.with_length(message.len())
        } else {
            to
        };
        let to = self.send(now, to, message);
        self.transactions.set_hop(id, to);
        if let Some(transaction) = self.transactions.get_mut(id).filter(|_| to.transport == Transport::Tcp) {
            transaction.machine.stop_repeating();
        }
    }

    /// After every step: drops what has terminated, and puts the next timer into the queue.
    pub(super) fn settle(&mut self, id: TransactionId) {
        self.transactions.refile(id);
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        let owner = Owner::Transaction(id);
        if transaction.machine.is_terminated() {
            if let Some(at) = transaction.scheduled {
                self.queue.remove(&(at, owner));
            }
            self.transactions.remove(id);
            return;
        }
        let next = transaction.machine.timers().next_timeout();
        if next != transaction.scheduled {
            if let Some(at) = transaction.scheduled {
                self.queue.remove(&(at, owner));
            }
            if let Some(at) = next {
                self.queue.insert((at, owner));
            }
            transaction.scheduled = next;
        }
    }

    /// The same for a session's timers.
    pub(super) fn settle_session(&mut self, id: DialogId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let next = session.timers.next_timeout();
        if next != session.scheduled {
            if let Some(at) = session.scheduled {
                self.queue.remove(&(at, Owner::Session(id)));
            }
            if let Some(at) = next {
                self.queue.insert((at, Owner::Session(id)));
            }
            session.scheduled = next;
        }
    }

    /// A timer of a transaction fired.
    pub(super) fn transaction_timeout(&mut self, now: Instant, id: TransactionId) {
        let times = self.times;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        let act = match transaction.machine.timers().expired(now) {
            Some(timer) => transaction.machine.timer(now, &transaction.times(&times), timer),
            None => Act::Nothing,
        };
        self.act(now, id, act);
    }

    /// A step of a client transaction that no answer caused.
    pub(super) fn client_step(&mut self, now: Instant, id: TransactionId, input: ClientInput) {
        let times = self.times;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        let act = transaction.machine.client(now, &transaction.times(&times), input);
        self.act(now, id, act);
    }

    /// Does what a transaction wants after a timer or an error.
    fn act(&mut self, now: Instant, id: TransactionId, act: Act) {
        let Some(transaction) = self.transactions.get(id) else {
            return;
        };
        match act {
            Act::Send => {
                let (to, message) = (transaction.to(), transaction.message.clone());
                let to = self.send(now, to, message);
                self.transactions.set_hop(id, to);
                self.settle(id);
            }
            Act::TimedOut | Act::Failed => {
                let (session, role) = (transaction.session, transaction.role.clone());
                self.settle(id);
                // "treated as if a 408 (Request Timeout) status code has been received", a transport error as a 503 (§8.1.3.1).
                let status = if act == Act::TimedOut { 408 } else { 503 };
                self.silence(now, id, session, &role, status);
            }
            Act::Nothing | Act::Pass | Act::Ack | Act::AckAndPass => self.settle(id),
        }
    }

    /// Answers a request that has a transaction.
    pub(super) fn respond(&mut self, now: Instant, id: TransactionId, status: u16, bytes: Bytes) {
        let times = self.times;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        if transaction
            .machine
            .server(now, &transaction.times(&times), ServerInput::Respond(status))
            == Act::Send
        {
            transaction.message = bytes.clone();
            let to = transaction.to();
            let to = self.send(now, to, bytes);
            self.transactions.set_hop(id, to);
        }
        self.settle(id);
    }

    /// What an INVITE of theirs keeps.
    pub(super) fn invitation(&self, id: TransactionId) -> Option<&Invitation> {
        match &self.transactions.get(id)?.role {
            Role::Invitation(invitation) => Some(invitation),
            _ => None,
        }
    }
}

/// The transaction that a request belongs to (RFC 3261 §17.2.3); an ACK and, for what it cancels, a CANCEL name `method` INVITE.
pub(super) fn server_key(request: &Request, method: &str) -> Key {
    if request.branch.starts_with(MAGIC_COOKIE) {
        Key::Server {
            branch: request.branch.clone(),
            sent_by: request.sent_by.clone(),
            method: method.to_owned(),
        }
    } else {
        Key::Old {
            uri: request.uri.clone(),
            from_tag: request.from_tag.clone(),
            call_id: request.call_id.clone(),
            cseq: request.cseq,
            via: request.top_via.clone(),
            method: method.to_owned(),
        }
    }
}
