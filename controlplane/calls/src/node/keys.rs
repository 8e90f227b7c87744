//! Keys that a leg presses: for the handoff, or for who hears the leg.

use std::time::Instant;

use media::command::LegId;

use crate::call::Input;
use crate::config::Keys;
use crate::node::{Live, Node};
use crate::spec::Role;

impl Node {
    /// A leg pressed a key: the data plane took it from its audio, or it came in an INFO. The target's are for the handoff alone, until
    /// its join is in force: the caller never hears a key of the consultation. All others go on, in INFO, to who hears the leg and
    /// wants them so; of those the audio has nothing, since they were taken ([`spec`](crate::spec::spec)).
    pub(super) fn pressed(&mut self, now: Instant, live: &mut Live, leg: LegId, key: char) -> Option<Input> {
        match live.legs.role(leg)? {
            Role::Target => return Some(Input::Digit(key)),
            Role::Supervisor => return None,
            Role::Caller | Role::Peer => {}
        }
        let rows = live.desired.spec().legs.iter();
        let hearing = rows.filter(|row| row.send && row.hears.sources().any(|heard| heard == leg));
        for listener in hearing.filter_map(|row| live.legs.iter().find(|it| it.id == row.leg)) {
            if listener.keys == Keys::Info {
                // A dialog that is ending is told nothing more; who does not answer has enough to answer.
                let _ = self.endpoint.press(now, listener.dialog, key);
            }
        }
        None
    }
}
