//! Which call a dialog, a handoff or a deadline belongs to. Ordered maps: nothing here depends on a hash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use media::command::LegId;
use sip::endpoint::{DialogId, ReferId};

use crate::notice::{CallId, HandoffId};

/// All calls of type `C`, and the ways to them.
#[derive(Debug)]
pub(crate) struct Registry<C> {
    calls: BTreeMap<CallId, C>,
    dialogs: BTreeMap<DialogId, (CallId, LegId)>,
    handoffs: BTreeMap<HandoffId, CallId>,
    refers: BTreeMap<ReferId, CallId>,
    deadlines: BTreeSet<(Instant, CallId)>,
}

impl<C> Default for Registry<C> {
    fn default() -> Registry<C> {
        Registry {
            calls: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            handoffs: BTreeMap::new(),
            refers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<C> Registry<C> {
    /// Puts a call in, or back.
    pub(crate) fn insert(&mut self, id: CallId, call: C) {
        self.calls.insert(id, call);
    }

    /// Takes a call out, to work on it.
    pub(crate) fn take(&mut self, id: CallId) -> Option<C> {
        self.calls.remove(&id)
    }

    /// Looks at a call.
    pub(crate) fn call(&self, id: CallId) -> Option<&C> {
        self.calls.get(&id)
    }

    /// All calls.
    pub(crate) fn calls(&self) -> impl ExactSizeIterator<Item = (CallId, &C)> {
        self.calls.iter().map(|(id, call)| (*id, call))
    }

    /// From now on the dialog is this leg.
    pub(crate) fn bind(&mut self, dialog: DialogId, call: CallId, leg: LegId) {
        self.dialogs.insert(dialog, (call, leg));
    }

    /// What the dialog still says is of no interest.
    pub(crate) fn unbind(&mut self, dialog: DialogId) {
        self.dialogs.remove(&dialog);
    }

    /// Whose dialog it is.
    pub(crate) fn dialog(&self, dialog: DialogId) -> Option<(CallId, LegId)> {
        self.dialogs.get(&dialog).copied()
    }

    /// A REFER of ours is out: its outcome may come when its dialog is gone.
    pub(crate) fn refers(&mut self, refer: ReferId, call: CallId) {
        self.refers.insert(refer, call);
    }

    /// Nothing comes of it any more.
    pub(crate) fn refers_no_more(&mut self, refer: ReferId) {
        self.refers.remove(&refer);
    }

    /// Whose REFER it is.
    pub(crate) fn refer(&self, refer: ReferId) -> Option<CallId> {
        self.refers.get(&refer).copied()
    }

    /// A handoff starts.
    pub(crate) fn open(&mut self, handoff: HandoffId, call: CallId) {
        self.handoffs.insert(handoff, call);
    }

    /// A handoff is closed.
    pub(crate) fn close(&mut self, handoff: HandoffId) {
        self.handoffs.remove(&handoff);
    }

    /// Whose handoff it is.
    pub(crate) fn handoff(&self, handoff: HandoffId) -> Option<CallId> {
        self.handoffs.get(&handoff).copied()
    }

    /// Handoffs that are not closed.
    pub(crate) fn handoffs(&self) -> usize {
        self.handoffs.len()
    }

    /// The call's next deadline was `old` and is `new`.
    pub(crate) fn schedule(&mut self, call: CallId, old: Option<Instant>, new: Option<Instant>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.deadlines.remove(&(old, call));
        }
        if let Some(new) = new {
            self.deadlines.insert((new, call));
        }
    }

    /// The next deadline of all.
    pub(crate) fn next(&self) -> Option<(Instant, CallId)> {
        self.deadlines.first().copied()
    }
}
