//! The mailbox of a session: a fixed place for everything that can be said about it, so that no event is dropped
//! and none queues without bound.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use crate::command::{Event, Generation, LEGS_MAX, LegId, PlayId, Refusal, SessionId, WindowId};
use crate::evidence::Evidence;
use crate::session::LEGS_PLACED_MAX;

/// Digits that wait to be fetched. More are counted as overflow: a peer can press keys without end.
pub(crate) const DIGITS_MAX: usize = 32;
/// Ends of prompts that wait to be fetched.
pub(crate) const PLAYED_MAX: usize = 32;

/// What waits to be said about one session. Times are ns since the core's start.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    digits: ArrayVec<(LegId, char, u64), DIGITS_MAX>,
    played: ArrayVec<(LegId, PlayId, u8, u64), PLAYED_MAX>,
    /// Changes of legs that the reader does not know of: to silence or from it.
    audible: ArrayVec<(LegId, Audible, u64), LEGS_PLACED_MAX>,
    waiting: Option<Generation>,
    refused: Option<(Generation, Refusal)>,
    applied: Option<(Generation, u64)>,
    first_word: ArrayVec<(WindowId, u64), 2>,
    evidence: ArrayVec<(WindowId, Listeners), 2>,
    ended: bool,
    /// It stands in the queue of mailboxes.
    pub(crate) queued: bool,
}

/// What a leg's sending has changed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audible {
    Silent,
    Sounding,
}

/// The evidence of every listener of a window.
pub(crate) type Listeners = ArrayVec<(LegId, Evidence), LEGS_MAX>;

impl Mailbox {
    /// False where there was no room.
    pub(crate) fn digit(&mut self, leg: LegId, digit: char, at: u64) -> bool {
        self.digits.try_push((leg, digit, at)).is_ok()
    }

    /// False where there was no room.
    pub(crate) fn played(&mut self, leg: LegId, play: PlayId, item: u8, at: u64) -> bool {
        self.played.try_push((leg, play, item, at)).is_ok()
    }

    /// A change that takes back one that nobody has heard of yet leaves nothing to say.
    pub(crate) fn audible(&mut self, leg: LegId, audible: Audible, at: u64) -> bool {
        match self.audible.iter().position(|(id, ..)| *id == leg) {
            Some(place) => {
                self.audible.remove(place);
                true
            }
            None => self.audible.try_push((leg, audible, at)).is_ok(),
        }
    }

    /// A leg is gone: whether it sounds is of no interest any more.
    pub(crate) fn leaves(&mut self, leg: LegId) {
        self.audible.retain(|(id, ..)| *id != leg);
    }

    /// Only the newest is kept, as long as there is no answer.
    pub(crate) fn waiting(&mut self, generation: Generation) {
        self.waiting = Some(generation);
    }

    /// Only the newest is kept.
    pub(crate) fn refused(&mut self, generation: Generation, reason: Refusal) {
        self.waiting = self.waiting.filter(|waiting| *waiting > generation);
        if self.refused.is_none_or(|(newest, _)| newest <= generation) {
            self.refused = Some((generation, reason));
        }
    }

    /// Only the newest is kept.
    pub(crate) fn applied(&mut self, generation: Generation, at: u64) {
        self.waiting = self.waiting.filter(|waiting| *waiting > generation);
        self.applied = Some((generation, at));
    }

    /// False where there was no room.
    pub(crate) fn first_word(&mut self, window: WindowId, at: u64) -> bool {
        self.first_word.try_push((window, at)).is_ok()
    }

    /// False where there was no room.
    pub(crate) fn evidence(&mut self, window: WindowId, listeners: Listeners) -> bool {
        self.evidence.try_push((window, listeners)).is_ok()
    }

    /// Nothing comes after it.
    pub(crate) fn ended(&mut self) {
        self.ended = true;
    }

    /// The next event, in an order that its reader can rely on: `Applied` before the first word that it let
    /// through, the first word before its evidence, `Ended` last.
    pub(crate) fn next(&mut self, session: SessionId, start: Instant) -> Option<Event> {
        let time = |at| start + Duration::from_nanos(at);
        if let Some((leg, digit, at)) = self.digits.pop_at(0) {
            return Some(Event::Digit {
                session,
                leg,
                digit,
                at: time(at),
            });
        }
        if let Some((leg, play, item, at)) = self.played.pop_at(0) {
            return Some(Event::Played {
                session,
                leg,
                play,
                item,
                at: time(at),
            });
        }
        if let Some((leg, audible, at)) = self.audible.pop_at(0) {
            let at = time(at);
            return Some(match audible {
                Audible::Silent => Event::Silent { session, leg, at },
                Audible::Sounding => Event::Sounding { session, leg, at },
            });
        }
        if let Some(generation) = self.waiting.take() {
            return Some(Event::Waiting { session, generation });
        }
        if let Some((generation, reason)) = self.refused.take() {
            return Some(Event::Refused {
                session,
                generation,
                reason,
            });
        }
        if let Some((generation, at)) = self.applied.take() {
            return Some(Event::Applied {
                session,
                generation,
                at: time(at),
            });
        }
        let closed = self.evidence.first().map(|&(window, _)| window);
        if let Some(&(window, at)) = self.first_word.first()
            && closed.is_none_or(|closed| closed == window)
        {
            self.first_word.remove(0);
            return Some(Event::FirstWord {
                session,
                window,
                at: time(at),
            });
        }
        if let Some((window, listeners)) = self.evidence.pop_at(0) {
            return Some(Event::Evidence {
                session,
                window,
                listeners,
            });
        }
        std::mem::take(&mut self.ended).then_some(Event::Ended { session })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.digits.is_empty()
            && self.played.is_empty()
            && self.audible.is_empty()
            && self.waiting.is_none()
            && self.refused.is_none()
            && self.applied.is_none()
            && self.first_word.is_empty()
            && self.evidence.is_empty()
            && !self.ended
    }
}
