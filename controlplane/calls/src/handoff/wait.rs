//! What is heard until the join: what the caller is to be told before it is with a human, how long it will take, and hold audio.

use crate::action::{Action, Scene, Wait};
use crate::call::Parties;
use crate::estimate::Said;
use crate::handoff::{Handoff, State};

/// What a caller is still to be told.
#[derive(Clone, Copy, Debug)]
struct Owed {
    disclosure: bool,
    announcement: bool,
}

impl Handoff {
    /// What is heard until the join.
    pub(super) fn show_waiting(&self, parties: &Parties, out: &mut Vec<Action>) {
        let scene = match self.order.talks_on && parties.peer.is_some() {
            true => Scene::Conversation,
            false => Scene::Waiting { wait: self.wait },
        };
        out.push(Action::Show(scene, Some(self.window())));
    }

    /// How long it will take, by itself, to who hears hold audio: what is being said is said to its end, and an AI that talks on is
    /// not interrupted.
    pub(super) fn say(&mut self, said: Said, parties: &mut Parties, out: &mut Vec<Action>) {
        let is_with_ai = self.order.talks_on && parties.peer.is_some();
        if is_with_ai || self.told < self.wait.spoken() || said == Said::default() {
            return;
        }
        self.wait_anew(said, parties);
        out.push(Action::Say(Scene::Waiting { wait: self.wait }, Some(self.window())));
    }

    /// Hold audio from its start, after this and what is owed.
    fn wait_anew(&mut self, said: Said, parties: &mut Parties) {
        let owed = self.owed();
        self.told = 0;
        self.wait = Wait {
            play: parties.play(),
            hold_only: !owed.announcement,
            discloses: owed.disclosure,
            said,
            ..self.wait
        };
    }

    /// What the caller is to be told before it is with the target that is tried, and has not heard to its end. A machine says itself what
    /// it is, and who talks on with the AI is not interrupted.
    fn owed(&self) -> Owed {
        let is_told = !self.target().machine && !self.order.talks_on;
        Owed {
            disclosure: is_told && self.order.discloses && !self.disclosed,
            announcement: is_told && !self.announced,
        }
    }

    /// Another target is tried, or another agent of it: what the caller hears goes on where it is, unless more is owed to it now, or it may
    /// have heard the human before for a moment.
    pub(super) fn wait_on(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        let owed = self.owed();
        let is_said = |owed: bool, said: bool| said || !owed;
        let goes_on = is_said(owed.disclosure, self.wait.discloses) && is_said(owed.announcement, !self.wait.hold_only);
        if !goes_on || self.state == State::Joining {
            self.wait_anew(Said::default(), parties);
            self.show_waiting(parties, out);
        } else if matches!(self.state, State::Briefing { .. } | State::Gated { .. }) {
            self.show_waiting(parties, out);
        }
    }
}
