//! Keys that a leg presses: for the handoff, or for who hears the leg.

use std::time::Instant;

use arrayvec::ArrayVec;
use media::command::{LEGS_MAX, LegId};
use media::dtmf::code_of;
use playbook::rules::Occasion;

use crate::call::Input;
use crate::config::Keys;
use crate::node::{Live, Node};
use crate::spec::Role;

impl Node {
    /// A key, and what it leads to.
    pub(super) fn key(&mut self, now: Instant, mut live: Box<Live>, leg: LegId, key: char, told: bool) {
        if let Some(input) = self.pressed(now, &mut live, leg, key, told) {
            return self.drive(now, now, live, input);
        }
        match live.legs.role(leg) {
            Some(Role::Caller) if live.config.playbook.rules.wants_keys() => self.judge(now, live, Occasion::Key(key)),
            _ => self.put_back(now, live),
        }
    }

    /// A leg pressed a key: the data plane took it from its audio, or it came in an INFO. The target's are for the handoff alone, until
    /// its join is in force: the caller never hears a key of the consultation. All others go on, in INFO, to who hears the leg and
    /// wants them so; of those the audio has nothing, since they were taken ([`spec`](crate::spec::spec)). One that came in an INFO
    /// (`told`) the data plane tells all the others who hear the leg, in their audio.
    fn pressed(&mut self, now: Instant, live: &mut Live, leg: LegId, key: char, told: bool) -> Option<Input> {
        match live.legs.role(leg)? {
            Role::Target => return Some(Input::Digit(key)),
            Role::Supervisor => return None,
            Role::Caller | Role::Peer => {}
        }
        let rows = live.desired.spec().legs.iter();
        let hearing = rows.filter(|row| row.send && row.hears.sources().any(|heard| heard == leg));
        let hearing: ArrayVec<LegId, LEGS_MAX> = hearing.map(|row| row.leg).collect();
        let mut changed = false;
        for listener in live.legs.iter_mut().filter(|it| hearing.contains(&it.id)) {
            if listener.keys == Keys::Info {
                // A dialog that is ending is told nothing more; who does not answer has enough to answer.
                let _ = self.endpoint.press(now, listener.dialog, key);
            } else if let Some(code) = code_of(key).filter(|_| told) {
                listener.tell_key(code);
                changed = true;
            }
        }
        if changed {
            self.refresh(now, live);
        }
        None
    }
}
