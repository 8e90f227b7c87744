//! A session moves to another worker, with its sockets: what it is while it is on its way.
//!
//! 1. The new worker keeps places for it ([`Stage::Room`]).
//! 2. The old one ends the receives of its ports and has every packet that they brought go its way; then it takes the session out of its
//!    core, and once the kernel has what was queued for sending, the sockets out of its ring ([`Stage::Leave`]).
//! 3. The new one arms the same sockets ([`Stage::Arrive`]): what came meanwhile has waited in them.
//!
//! A move lies in a box that [`Engine::move_session`](crate::Engine::move_session) makes and who reads the events frees; workers only hand
//! it on.

use std::sync::atomic::AtomicPtr;

use arrayvec::ArrayVec;
use media::command::{Port, SessionId};
use media::core::{LEGS_PLACED_MAX, Parcel};

use crate::socket::Socket;

/// Moves that can be under way at one time in an engine. Every queue has room for all of them.
pub(crate) const MOVES_MAX: usize = 32;

/// Sockets of one session: RTP and RTCP of each leg.
pub(crate) const SOCKETS_MAX: usize = 2 * LEGS_PLACED_MAX;

/// A move.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) session: SessionId,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) stage: Stage,
    pub(crate) state: Parcel,
    /// RTP ports whose receives are ending, or have ended.
    pub(crate) quiet: ArrayVec<Port, LEGS_PLACED_MAX>,
    pub(crate) sockets: ArrayVec<(u16, Socket), SOCKETS_MAX>,
    /// Events that the old worker had said when the session went: those of this session are among them.
    pub(crate) said: u64,
    /// The one that was handed to the same worker before it, while both wait there.
    pub(crate) below: AtomicPtr<Move>,
}

/// What is to be done next, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// By the new worker: whether there is room.
    Room,
    /// By the old one.
    Leave,
    /// By the new one; where nothing has come, it keeps no places any longer.
    Arrive,
    /// By who reads the events. `true`: it is there.
    Told(bool),
}

impl Move {
    pub(crate) fn new(session: SessionId, from: usize, to: usize) -> Move {
        Move {
            session,
            from,
            to,
            stage: Stage::Room,
            state: Parcel::default(),
            quiet: ArrayVec::new(),
            sockets: ArrayVec::new(),
            said: 0,
            below: AtomicPtr::default(),
        }
    }
}

/// Why a move does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The session is to go where it is.
    #[error("the session is to go to the worker that it is on")]
    Same,
    /// Too many sessions are on their way. Try again when [`Event::Moved`](media::command::Event::Moved) of one has come.
    #[error("{MOVES_MAX} sessions are on their way already")]
    TooMany,
}
