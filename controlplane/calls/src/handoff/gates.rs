//! What a join waits for once the human has taken the call.

use media::command::PlayId;

use crate::action::{Action, Scene};
use crate::call::Parties;
use crate::handoff::{Handoff, State};
use crate::notice::{Gate, Opened, Step};
use crate::timer::Timer;

impl Handoff {
    /// The human takes the call: joined at once, or when all gates are open.
    pub(super) fn take(&mut self, parties: &mut Parties, out: &mut Vec<Action>) {
        self.tell(Step::Accepted, out);
        out.push(Action::Disarm(Timer::Accept));
        self.open.clear();
        for gate in [Gate::Elements, Gate::Acknowledged] {
            if self.is_there(gate) {
                self.open.push(gate);
                self.tell(
                    Step::Gate {
                        gate,
                        opened: Opened::There,
                    },
                    out,
                );
            }
        }
        if self.gates().all(|gate| self.open.contains(&gate)) {
            return self.join(out);
        }
        let hold = parties.play();
        self.state = State::Gated { hold };
        let shut: Vec<_> = self.gates().filter(|gate| !self.open.contains(gate)).collect();
        out.extend(shut.into_iter().map(|gate| Action::Arm(gate.timer())));
        self.show_gated(hold, parties, out);
    }

    pub(super) fn show_gated(&self, hold: PlayId, parties: &Parties, out: &mut Vec<Action>) {
        let scene = Scene::Gated {
            wait: self.wait,
            hold,
            talks_on: self.order.talks_on && parties.peer.is_some(),
        };
        out.push(Action::Show(scene, Some(self.window())));
    }

    /// The gates that there are.
    fn gates(&self) -> impl Iterator<Item = Gate> + use<> {
        let (manner, waits) = (&self.order.manner, !self.target().machine);
        let elements = (waits && !manner.required_wait.is_zero()).then_some(Gate::Elements);
        let acknowledged = (waits && manner.acknowledged).then_some(Gate::Acknowledged);
        elements.into_iter().chain(acknowledged)
    }

    /// Whether there is such a gate, and what it waits for is there.
    fn is_there(&self, gate: Gate) -> bool {
        let is = match gate {
            Gate::Elements => self.complete,
            Gate::Acknowledged => self.acknowledged,
        };
        is && self.gates().any(|other| other == gate)
    }

    /// A gate opens.
    pub(super) fn pass(&mut self, gate: Gate, opened: Opened, out: &mut Vec<Action>) {
        if self.open.contains(&gate) || !self.gates().any(|other| other == gate) {
            return;
        }
        self.open.push(gate);
        out.push(Action::Disarm(gate.timer()));
        self.tell(Step::Gate { gate, opened }, out);
        if self.gates().all(|gate| self.open.contains(&gate)) {
            self.join(out);
        }
    }
}
