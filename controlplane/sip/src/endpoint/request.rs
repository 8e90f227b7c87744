//! Requests of ours in a dialog that are neither INVITE, ACK nor CANCEL (RFC 3261 §12.2.1.1, §17.1.2): one way for all of them.

use std::time::Instant;

use bytes::Bytes;

use super::print::{Outgoing, SDP};
use super::session::{Role, State, TransactionId};
use super::{ByeCause, DialogId, Endpoint, WrongState};
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
        let id = self.start(now, machine, key, dialog.destination(), message, session, role);
        self.settle_unborn(now);
        id
    }

    /// Asks in a confirmed dialog whether the peer still knows it (OPTIONS, RFC 3261 §11). 481, or no answer: `Bye` with
    /// [`ByeCause::Lost`]; any other answer, and a transport error: nothing. One at a time, and not before our 2xx is acknowledged: the
    /// peer may not have got it yet.
    pub fn probe(&mut self, now: Instant, dialog: DialogId) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        let ready = session.state == State::Confirmed && session.end.is_none() && session.unacked.is_none();
        if !ready || session.probed {
            return Err(WrongState);
        }
        session.probed = true;
        session.dialog.local_cseq += 1;
        let copy = session.dialog.clone();
        let parts = Parts {
            method: Method::Options,
            headers: vec![("Accept".to_owned(), SDP.to_owned())],
            body: None,
        };
        self.start_request(now, &copy, Some(dialog), parts, Role::Probe);
        Ok(())
    }

    /// The final answer to an OPTIONS of ours, or what stands for it.
    pub(super) fn probe_answered(&mut self, now: Instant, session: Option<DialogId>, status: u16) {
        let Some((dialog, session)) = session.and_then(|id| Some((id, self.sessions.get_mut(&id)?))) else {
            return;
        };
        session.probed = false;
        // §12.2.1.2: 481 and 408 end the dialog.
        if matches!(status, 408 | 481) {
            self.dialog_unknown(now, dialog);
        }
    }

    /// The peer does not know the dialog any more.
    pub(super) fn dialog_unknown(&mut self, now: Instant, dialog: DialogId) {
        let Some(session) = self.sessions.get_mut(&dialog) else {
            return;
        };
        match (session.state, session.end.take()) {
            (State::Confirmed, Some(reason)) => self.send_bye(now, dialog, reason.as_deref()),
            (State::Confirmed, None) => self.lost(now, dialog, ByeCause::Lost),
            _ => {}
        }
    }
}
