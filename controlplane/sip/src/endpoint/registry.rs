//! All transactions, and what finds one: its key, the dialog that asked for it, and the way that its messages take.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::DialogId;
use super::auth::Attempt;
use super::flow::FlowId;
use super::hop::{Hop, Transport};
use super::received::Request;
use super::session::{Role, TransactionId};
use super::table::{Index, Table};
use crate::timer::Times;
use crate::transaction::{Key, Machine};

/// A transaction with what its user needs of it.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) machine: Machine,
    pub(super) key: Key,
    pub(super) scheduled: Option<Instant>,
    /// Where its messages go: [`Transactions::set_hop`].
    to: Hop,
    /// A client's request, a server's last answer.
    pub(super) message: Bytes,
    /// Whose it is. The session may be gone already.
    pub(super) session: Option<DialogId>,
    pub(super) role: Role,
    /// Of a client: what it showed, and what it was asked for.
    pub(super) attempt: Attempt,
    /// How often its message was sent again on a new connection since something came for it.
    pub(super) reconnects: u8,
    /// The same since its beginning.
    pub(super) moves: u8,
    filed: Filed,
}

/// Under what the indexes have a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Filed {
    peer: Option<SocketAddr>,
    flow: Option<FlowId>,
    asker: Option<DialogId>,
}

impl Transaction {
    pub(super) fn new(machine: Machine, key: Key, to: Hop, message: Bytes, role: Role) -> Transaction {
        Transaction {
            machine,
            key,
            scheduled: None,
            to,
            message,
            session: None,
            role,
            attempt: Attempt::default(),
            reconnects: 0,
            moves: 0,
            filed: Filed::default(),
        }
    }

    pub(super) fn to(&self) -> Hop {
        self.to
    }

    /// The times of its transport. A server keeps what it answered on a stream, too, and as long: a client whose connection was
    /// closed asks again on a new one.
    pub(super) fn times(&self, times: &Times) -> Times {
        let server = matches!(self.machine, Machine::ServerOther(_));
        Times {
            reliable: self.to.transport == Transport::Tcp && !server,
            ..*times
        }
    }

    fn belongs(&self) -> Filed {
        let server = matches!(self.machine, Machine::ServerInvite(_) | Machine::ServerOther(_));
        let by_datagram = self.to.transport == Transport::Udp;
        Filed {
            peer: (by_datagram && self.machine.fails_undelivered()).then_some(self.to.address),
            flow: self.to.flow,
            asker: self.session.filter(|_| server),
        }
    }
}

/// From tag, Call-ID and CSeq number: what the parts of a merged request share (RFC 3261 §8.2.2.2).
pub(super) type MergeKey = (String, String, u32);

pub(super) fn merge_key(request: &Request) -> MergeKey {
    (request.from_tag.clone(), request.call_id.clone(), request.cseq)
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    all: Table<TransactionId, Transaction>,
    keys: BTreeMap<Key, TransactionId>,
    /// Of the INVITEs that came.
    merges: BTreeMap<MergeKey, TransactionId>,
    /// Those that would fail if a datagram to their peer could not be delivered.
    peers: Index<SocketAddr, TransactionId>,
    flows: Index<FlowId, TransactionId>,
    /// Requests of the peers of dialogs.
    askers: Index<DialogId, TransactionId>,
}

impl Transactions {
    pub(super) fn get(&self, id: TransactionId) -> Option<&Transaction> {
        self.all.get(&id)
    }

    /// To be followed by [`Transactions::refile`] where the machine takes a step.
    pub(super) fn get_mut(&mut self, id: TransactionId) -> Option<&mut Transaction> {
        self.all.get_mut(&id)
    }

    /// Call-IDs of the INVITEs that came.
    pub(super) fn invitations(&self) -> impl Iterator<Item = &str> {
        self.merges.keys().map(|(_, call_id, _)| call_id.as_str())
    }

    pub(super) fn find(&self, key: &Key) -> Option<TransactionId> {
        self.keys.get(key).copied()
    }

    pub(super) fn has_merged(&self, key: &MergeKey) -> bool {
        self.merges.contains_key(key)
    }

    pub(super) fn insert(&mut self, id: TransactionId, transaction: Transaction) {
        if let Role::Invitation(invitation) = &transaction.role {
            self.merges.insert(merge_key(&invitation.request), id);
        }
        self.keys.insert(transaction.key.clone(), id);
        self.all.insert(id, transaction);
        self.refile(id);
    }

    pub(super) fn remove(&mut self, id: TransactionId) -> Option<Transaction> {
        let mut transaction = self.all.remove(&id)?;
        self.file(id, transaction.filed, Filed::default());
        transaction.filed = Filed::default();
        self.keys.remove(&transaction.key);
        if let Role::Invitation(invitation) = &transaction.role {
            let key = merge_key(&invitation.request);
            if self.merges.get(&key) == Some(&id) {
                self.merges.remove(&key);
            }
        }
        Some(transaction)
    }

    /// Its messages go another way from now on.
    pub(super) fn set_hop(&mut self, id: TransactionId, to: Hop) {
        if let Some(transaction) = self.all.get_mut(&id) {
            transaction.to = to;
            self.refile(id);
        }
    }

    /// Brings the indexes up to date with its machine and its way.
    pub(super) fn refile(&mut self, id: TransactionId) {
        let Some(transaction) = self.all.get_mut(&id) else {
            return;
        };
        let new = transaction.belongs();
        let old = std::mem::replace(&mut transaction.filed, new);
        self.file(id, old, new);
    }

    fn file(&mut self, id: TransactionId, old: Filed, new: Filed) {
        self.peers.change(old.peer, new.peer, id);
        self.flows.change(old.flow, new.flow, id);
        self.askers.change(old.asker, new.asker, id);
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Those that fail because a datagram to this peer could not be delivered.
    pub(super) fn undelivered(&self, peer: SocketAddr) -> Vec<TransactionId> {
        self.peers.of(&peer).collect()
    }

    /// Those whose messages go by a connection.
    pub(super) fn on_flow(&self, flow: FlowId) -> Vec<TransactionId> {
        self.flows.of(&flow).collect()
    }

    pub(super) fn is_used(&self, flow: FlowId) -> bool {
        self.flows.count(&flow) > 0
    }

    /// How many requests of its peer a dialog has made us keep.
    pub(super) fn asked(&self, dialog: DialogId) -> usize {
        self.askers.count(&dialog)
    }

    /// Entries of all tables and indexes.
    pub(super) fn held(&self) -> usize {
        let indexes = [self.peers.len(), self.flows.len(), self.askers.len()];
        self.all.len() + self.keys.len() + self.merges.len() + indexes.into_iter().sum::<usize>()
    }

    /// Whether the indexes say what the transactions say.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut filed = [0; 3];
        for (id, transaction) in self.all.iter() {
            assert_eq!(transaction.filed, transaction.belongs(), "{transaction:?}");
            let Filed { peer, flow, asker } = transaction.filed;
            assert!(peer.is_none_or(|peer| self.peers.of(&peer).any(|it| it == *id)));
            assert!(flow.is_none_or(|flow| self.flows.of(&flow).any(|it| it == *id)));
            assert!(asker.is_none_or(|asker| self.askers.of(&asker).any(|it| it == *id)));
            for (sum, filed) in filed.iter_mut().zip([peer.is_some(), flow.is_some(), asker.is_some()]) {
                *sum += usize::from(filed);
            }
            assert_eq!(self.keys.get(&transaction.key), Some(id));
        }
        assert_eq!(filed, [self.peers.len(), self.flows.len(), self.askers.len()]);
        assert_eq!(self.keys.len(), self.all.len());
    }
}
