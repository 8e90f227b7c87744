//! Requests of ours in a dialog that are neither INVITE, ACK nor CANCEL (RFC 3261 §12.2.1.1, §17.1.2): one way for all of them.

use std::time::Instant;

use bytes::Bytes;

use super::print::Outgoing;
use super::session::{Role, TransactionId};
use super::{DialogId, Endpoint};
use crate::dialog::Dialog;
use crate::method::Method;
use crate::transaction::{ClientOther, Key, Machine};

/// What tells one such request from another.
pub(super) struct Parts {
    pub(super) method: Method,
    pub(super) headers: Vec<(String, String)>,
    /// Content-Type and body.
    pub(super) body: Option<(&'static str, Bytes)>,
}

impl Endpoint {
    /// Sends a request with the dialog's CSeq number as it is: who sends has counted it up. What comes back, or does not, goes to `role`.
    pub(super) fn start_request(
        &mut self,
        now: Instant,
        dialog: &Dialog,
        session: Option<DialogId>,
        parts: Parts,
        role: Role,
    ) -> TransactionId {
        let branch = self.branch();
        let message = Outgoing {
            method: parts.method.clone(),
            dialog,
            to: &dialog.remote,
            cseq: dialog.local_cseq,
            branch: &branch,
            headers: &parts.headers,
            body: parts.body.as_ref().map(|(kind, body)| (*kind, body)),
        }
        .print(&self.config);
        let key = Key::Client {
            branch,
            method: parts.method.to_string(),
        };
        let machine = Machine::ClientOther(ClientOther::new(now, &self.times));
        self.start(machine, key, dialog.destination(), message, session, role)
    }
}
