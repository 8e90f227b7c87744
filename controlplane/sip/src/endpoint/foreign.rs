//! Dialogs as plain data: handed out, so that whoever comes after us can end them where we cannot any more.

use std::net::SocketAddr;
use std::time::Instant;

use super::auth::Keyring;
use super::hop::{Hop, Transport};
use super::session::{Session, State};
use super::{DialogId, Endpoint};
use crate::dialog::Dialog;
use crate::digest::Credentials;

/// How far beyond the last known number the CSeq of a foreign dialog's BYE is. Requests of ours that are not told of count it up: an
/// OPTIONS each half minute makes so many in three weeks.
const AHEAD: u32 = 1 << 16;

/// RFC 3261 §8.1.1.5: the number "MUST be less than 2**31".
const CSEQ_MAX: u32 = (1 << 31) - 1;

/// A confirmed dialog (RFC 3261 §12): what its BYE needs, from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Call-ID.
    pub call_id: String,
    /// From of our requests, with our tag.
    pub local: String,
    /// Our tag.
    pub local_tag: String,
    /// To of our requests, with their tag.
    pub remote: String,
    /// Their tag; empty where they have none (RFC 2543).
    pub remote_tag: String,
    /// CSeq number of our last request when this was written.
    pub local_cseq: u32,
    /// Route headers of our requests.
    pub routes: Vec<String>,
    /// Remote target: their Contact's URI.
    pub target: String,
    /// Where they were.
    pub peer: SocketAddr,
    /// How they were reached. A connection is not part of it: it ends with the process that has it.
    pub transport: Transport,
}

/// Data that no dialog of ours ever had, or those of one that we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotForeign;

impl Standing {
    fn of(dialog: &Dialog) -> Standing {
        Standing {
            call_id: dialog.call_id.clone(),
            local: dialog.local.clone(),
            local_tag: dialog.local_tag.clone(),
            remote: dialog.remote.clone(),
            remote_tag: dialog.remote_tag.clone().unwrap_or_default(),
            local_cseq: dialog.local_cseq,
            routes: dialog.routes.clone(),
            target: dialog.target.clone(),
            peer: dialog.peer.address,
            transport: dialog.peer.transport,
        }
    }

    /// Whether it says what there is to say of the dialog. Its CSeq number may be older.
    fn says(&self, dialog: &Dialog) -> bool {
        self.call_id == dialog.call_id
            && self.local_tag == dialog.local_tag
            && Some(&self.remote_tag) == dialog.remote_tag.as_ref()
            && self.target == dialog.target
            && self.routes == dialog.routes
            && (self.peer, self.transport) == (dialog.peer.address, dialog.peer.transport)
    }

    /// Whether every part can stand in a message.
    fn is_sound(&self) -> bool {
        let parts = [&self.call_id, &self.local, &self.local_tag, &self.remote, &self.target];
        let written = parts.into_iter().all(|part| !part.is_empty());
        let all = parts.into_iter().chain([&self.remote_tag]).chain(&self.routes);
        written && all.into_iter().all(|part| !part.contains(char::is_control))
    }
}

impl Endpoint {
    /// The dialog as plain data; `None` where it is not confirmed, or is being ended.
    pub fn standing(&self, dialog: DialogId) -> Option<Standing> {
        self.confirmed(dialog).map(Standing::of)
    }

    /// Whether [`Endpoint::standing`] would say the same, but for the CSeq number.
    pub fn stands(&self, dialog: DialogId, standing: &Standing) -> bool {
        self.confirmed(dialog).is_some_and(|dialog| standing.says(dialog))
    }

    /// Whether it is confirmed, and is not being ended.
    pub fn is_confirmed(&self, dialog: DialogId) -> bool {
        self.confirmed(dialog).is_some()
    }

    fn confirmed(&self, dialog: DialogId) -> Option<&Dialog> {
        let session = self.sessions.get(&dialog)?;
        let lives = session.state == State::Confirmed && session.end.is_none();
        lives.then_some(&session.dialog)
    }

    /// Sends BYE in a dialog of somebody who is gone (RFC 3261 §15.1.1). Any answer, and none, ends it: `Ended` follows. What the
    /// peer sends in it until then finds a dialog.
    pub fn end_foreign(
        &mut self,
        now: Instant,
        standing: Standing,
        credentials: Vec<Credentials>,
        reason: Option<&str>,
    ) -> Result<DialogId, NotForeign> {
        let key = (standing.call_id.clone(), standing.local_tag.clone());
        if !standing.is_sound() || self.dialogs.contains_key(&key) {
            return Err(NotForeign);
        }
        let peer = match standing.transport {
            Transport::Tcp if self.flows.bounds.is_some() => Hop::tcp(standing.peer, None),
            _ => Hop::udp(standing.peer),
        };
        let dialog = Dialog {
            call_id: standing.call_id,
            local: standing.local,
            local_tag: standing.local_tag,
            remote: standing.remote,
            remote_tag: Some(standing.remote_tag),
            // §12.2.1.1: higher than every number before it; gaps are allowed (§12.2.2).
            local_cseq: standing.local_cseq.saturating_add(AHEAD).min(CSEQ_MAX - 1),
            remote_cseq: None,
            routes: standing.routes,
            target: standing.target,
            peer,
        };
        let id = DialogId(self.next_id());
        let mut session = Session::new(dialog, false, State::Confirmed);
        session.keyring = Keyring::new(credentials);
        self.add_session(id, session);
        self.send_bye(now, id, reason);
        self.settle_unborn(now);
        Ok(id)
    }
}
