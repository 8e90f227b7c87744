//! A session: its legs, the state that was last asked for, and the window that is open.

use std::time::Duration;

use arrayvec::ArrayVec;

use crate::command::{Generation, LEGS_MAX, LegId, Refusal, SessionId, SessionSpec, Watch, WindowId};
use crate::events::{Listeners, Mailbox};
use crate::evidence::Evidence;
use crate::leg::Slot;
use crate::timers::NEVER;

/// How long a window stays open after its first word was asked for, ns.
pub(crate) const WINDOW: u64 = Duration::from_secs(10).as_nanos() as u64;

/// Legs that can have a place at a time: those of the state in force, and those that a state brings which waits.
pub const LEGS_PLACED_MAX: usize = 2 * LEGS_MAX;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// The newest `Set`, refused or not.
    pub(crate) generation: Generation,
    pub(crate) answer: Answer,
    /// The `Set` whose rows are wanted.
    pub(crate) wanted: Option<Generation>,
    /// Since when they all are in force.
    pub(crate) in_force: Option<u64>,
    /// In the order of the spec; behind them those that only the state has which waits.
    pub(crate) legs: ArrayVec<(LegId, Slot), LEGS_PLACED_MAX>,
    /// A `Set` that is carried out once the legs that it waits for are heard.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) window: Option<Window>,
    /// When the window closes by itself.
    pub(crate) window_until: u64,
    /// The last window that was closed: a `Set` that still carries it does not open it again.
    pub(crate) closed: Option<WindowId>,
    pub(crate) mailbox: Mailbox,
    /// Only its mailbox is left.
    pub(crate) ended: bool,
}

/// What was, or will be, said to the newest `Set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was taken.
    Taken,
    /// It was not.
    Refused(Refusal),
}

/// A `Set` that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) generation: Generation,
    pub(crate) spec: SessionSpec,
    /// The legs that it waits for; each knows itself whether it has come ([`crate::leg::Source::awaited`]).
    pub(crate) legs: ArrayVec<Slot, LEGS_MAX>,
    pub(crate) since: u64,
    /// When patience is at its end.
    pub(crate) until: u64,
}

/// The window that is open.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) id: WindowId,
    /// Whose first word closes it.
    pub(crate) word_of: Option<LegId>,
    /// One of the listeners has an ear for it ([`Leg::listening`]): it alone says so.
    ///
    /// [`Leg::listening`]: crate::leg::Leg::listening
    pub(crate) by_ear: bool,
    /// Listeners that are gone already.
    pub(crate) gone: Listeners,
}

impl Session {
    pub(crate) fn new(id: SessionId, generation: Generation) -> Session {
        Session {
            id,
            generation,
            answer: Answer::Taken,
            wanted: None,
            in_force: None,
            legs: ArrayVec::new(),
            waiting: None,
            window: None,
            window_until: NEVER,
            closed: None,
            mailbox: Mailbox::default(),
            ended: false,
        }
    }

    /// Where a leg is.
    pub(crate) fn leg(&self, id: LegId) -> Option<Slot> {
        self.legs.iter().find(|(leg, _)| *leg == id).map(|&(_, slot)| slot)
    }

    /// The earlier of its two deadlines.
    pub(crate) fn due(&self) -> u64 {
        let patience = self.waiting.as_ref().map_or(NEVER, |waiting| waiting.until);
        self.window_until.min(patience)
    }

    /// Whether this watch is the open window's.
    pub(crate) fn watches(&self, watch: Option<Watch>) -> bool {
        self.window.as_ref().map(|window| window.id) == watch.map(|watch| watch.window)
    }
}

impl Window {
    pub(crate) fn new(id: WindowId) -> Window {
        Window {
            id,
            word_of: None,
            by_ear: false,
            gone: Listeners::new(),
        }
    }

    /// A listener is gone. Of more than have room the first are forgotten.
    pub(crate) fn leaves(&mut self, leg: LegId, evidence: Evidence) {
        if self.gone.is_full() {
            self.gone.remove(0);
        }
        self.gone.push((leg, evidence));
    }
}
