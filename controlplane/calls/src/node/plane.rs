//! What the data plane has to say, and what follows where it says nothing.

use std::time::Instant;

use media::command::{Event as MediaEvent, Refusal, SessionId};

use crate::call::{Input, State};
use crate::desired::Unanswered;
use crate::node::{Live, Node};
use crate::notice::{CallId, HandoffId, Reason};
use crate::timer::Timer;

impl Node {
    /// A worker said something.
    pub fn handle_media(&mut self, now: Instant, event: MediaEvent) {
        let session = session(&event);
        let Some(mut live) = self.registry.take(CallId(session.0)) else {
            return;
        };
        match event {
            MediaEvent::Applied { generation, at, .. } => {
                let (news, current) = live.desired.applied(generation);
                for taken in live.retired(generation) {
                    self.ports.release(now, taken);
                }
                if current {
                    live.timers.disarm(Timer::Media);
                    self.rows_in_force(now, &mut live);
                }
                let input = self.settled(now, &mut live);
                let mut actions = Vec::new();
                for input in news.then_some(Input::Applied).into_iter().chain(input) {
                    live.at = at;
                    actions.extend(self.handle_input(&mut live, input));
                }
                return self.carry_out(now, live, actions);
            }
            MediaEvent::Waiting { generation, .. } => {
                // Who waits is asked again, and says so again: a worker that dies meanwhile is missed as soon as any other.
                if live.desired.waits(now, generation) {
                    live.timers.arm(Timer::Media, now + live.config.deadlines.applied);
                }
            }
            MediaEvent::Refused { generation, reason, .. } => {
                let scene = live.desired.awaits_scene();
                if live.desired.refused(generation) {
                    live.timers.disarm(Timer::Media);
                    if self.rows_refused(now, &mut live, reason, scene) {
                        return self.put_back(now, live);
                    }
                    let input = match reason {
                        // Of all scenes the join alone waits for a leg.
                        Refusal::Silent if scene => Input::TargetSilent,
                        Refusal::Silent => return self.resumed_silently(now, live),
                        // A mere change of a leg: the rows that are in force stay so, and the call goes on. They may keep a
                        // party behind hold audio, so it is asked for again.
                        // Three may be more than can be mixed, as soon as one is back from a hold: two are not.
                        _ if !scene && !live.call.introduces() => {
                            live.timers.arm(Timer::Media, now + live.config.deadlines.applied);
                            return self.put_back(now, live);
                        }
                        Refusal::NoSession | Refusal::Coders => Input::MediaFailed(Reason::NoCapacity),
                        _ => Input::MediaFailed(Reason::Error),
                    };
                    if matches!(live.call.state(), State::Talking) {
                        // Where the call goes on, who has left it is still in the table.
                        live.timers.arm(Timer::Media, now + live.config.deadlines.applied);
                    }
                    return self.drive(now, now, live, input);
                }
            }
            MediaEvent::Played { play, item, at, .. } => {
                live.progress(play, item);
                self.stand_in(now, &mut live);
                return self.drive(now, at, live, Input::Played(play, item));
            }
            MediaEvent::Digit { leg, digit, .. } => {
                return self.key(now, live, leg, digit, false);
            }
            MediaEvent::FirstWord { window, at, .. } => {
                let handoff = HandoffId(window.0);
                if live.call.knows(handoff) {
                    return self.drive(now, at, live, Input::FirstWord(handoff));
                }
            }
            MediaEvent::Evidence { window, listeners, .. } => {
                let handoff = HandoffId(window.0);
                if live.call.knows(handoff) {
                    let listeners = live.name(&listeners);
                    return self.drive(now, now, live, Input::Evidence(handoff, listeners));
                }
            }
            MediaEvent::Silent { leg, at, .. } => self.sounds(now, &mut live, leg, Some(at)),
            MediaEvent::Sounding { leg, .. } => self.sounds(now, &mut live, leg, None),
            MediaEvent::Moved { moved, .. } => return self.moved(now, live, moved),
            MediaEvent::Ended { .. } => {
                if live.desired.ending() {
                    return self.drive(now, now, live, Input::MediaEnded);
                }
            }
        }
        self.put_back(now, live);
    }

    /// The data plane did not answer in time.
    pub(super) fn media_silent(&mut self, now: Instant, mut live: Box<Live>) {
        // Nobody has been told of the end yet, and who is told of it must still be known then.
        if live.way.is_some() && live.desired.ending() {
            let end = live.desired.end();
            self.command(now, &mut live, end);
            return self.put_back(now, live);
        }
        match live.desired.unanswered() {
            Unanswered::Repeat(command) => {
                self.command(now, &mut live, command);
                self.put_back(now, live);
            }
            Unanswered::Anew => {
                self.refresh(now, &mut live);
                self.put_back(now, live);
            }
            Unanswered::GiveUp => self.drive(now, now, live, Input::MediaSilent),
        }
    }
}

fn session(event: &MediaEvent) -> SessionId {
    match event {
        MediaEvent::Applied { session, .. }
        | MediaEvent::Waiting { session, .. }
        | MediaEvent::Refused { session, .. }
        | MediaEvent::Played { session, .. }
        | MediaEvent::Digit { session, .. }
        | MediaEvent::FirstWord { session, .. }
        | MediaEvent::Evidence { session, .. }
        | MediaEvent::Silent { session, .. }
        | MediaEvent::Sounding { session, .. }
        | MediaEvent::Moved { session, .. }
        | MediaEvent::Ended { session } => *session,
    }
}
