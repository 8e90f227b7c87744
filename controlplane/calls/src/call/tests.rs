//! Both machines without a node: a table over (state, input), and properties of every short story.

use playbook::Mode;

use super::*;
use crate::notice::Step;
use crate::table::{self, brief};

fn order(mode: Mode, accept: playbook::Accept) -> Input {
    table::order(mode, accept, table::ID, false)
}

/// What a driver sees of a call: who was invited and not ended, which timers run, what the caller hears.
#[derive(Default)]
struct Seen {
    peer: bool,
    target: bool,
    caller_ended: bool,
    /// Something may still come of a REFER of ours.
    referring: bool,
    timers: Vec<Timer>,
    scene: Option<Scene>,
    requested: usize,
    closed: usize,
    ended: usize,
}

impl Seen {
    fn input(&mut self, input: &Input, call: &Call) {
        match input {
            // Of agents that are called the machine ends the last one.
            Input::AiLost(_) => self.peer = !call.started(),
            Input::PeerFailed(_) | Input::PeerGone => self.peer = false,
            Input::TargetFailed(_) | Input::TargetGone | Input::NoCapacity => self.target = false,
            Input::ReferFailed(_) | Input::ReferOutcome(_) => self.referring = false,
            Input::CallerGone => self.caller_ended = true,
            Input::Timer(timer) => self.timers.retain(|other| other != timer),
            _ => {}
        }
    }

    fn actions(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::InviteAi(_) => assert!(!std::mem::replace(&mut self.peer, true), "two AIs"),
                Action::Refer => assert!(!std::mem::replace(&mut self.referring, true), "two REFERs"),
                Action::ForgetRefer => self.referring = false,
                Action::InviteTarget => assert!(!std::mem::replace(&mut self.target, true), "two targets"),
                Action::EndPeer(_) => assert!(std::mem::take(&mut self.peer), "no peer to end"),
                Action::EndTarget(_) => assert!(std::mem::take(&mut self.target), "no target to end"),
                Action::Promote => {
                    assert!(!std::mem::replace(&mut self.peer, true), "two peers");
                    assert!(std::mem::take(&mut self.target), "no target to promote");
                }
                Action::EndCaller(_) | Action::RejectCaller(_) => {
                    assert!(
                        !std::mem::replace(&mut self.caller_ended, true),
                        "the caller is ended twice"
                    );
                }
                Action::Show(scene, _) => self.scene = Some(*scene),
                Action::Arm(timer) => {
                    self.timers.retain(|other| other != timer);
                    self.timers.push(*timer);
                }
                Action::Disarm(timer) => self.timers.retain(|other| other != timer),
                Action::Tell(_, Step::Requested { .. }) => self.requested += 1,
                Action::Tell(_, Step::Closed { .. }) => self.closed += 1,
                Action::TellEnded(_) => self.ended += 1,
                _ => {}
            }
        }
    }

    /// What must hold after every input.
    fn check(&self, call: &Call) {
        use crate::handoff::State as H;
        let gated = [Timer::Required, Timer::Acknowledge];
        let gate = gated.into_iter().find(|timer| self.timers.contains(timer));
        let bound = match call.state() {
            State::Connecting { .. } => Some(Timer::AiAnswer),
            State::Calling => Some(Timer::CallerAnswer),
            State::HandingOff(handoff) => match handoff.state() {
                H::Referring { .. } => Some(Timer::Refer),
                H::Routing => Some(Timer::Route),
                H::Queued => Some(Timer::Queue),
                H::Inviting | H::Ringing => Some(Timer::Ring),
                H::Briefing { .. } => Some(Timer::Accept),
                H::Gated { .. } => Some(gate.unwrap_or(Timer::Required)),
                H::Introducing => Some(Timer::AiStays),
                H::Joining | H::Returning { .. } => None,
            },
            State::Talking if !call.watched().is_empty() => Some(Timer::Evidence),
            State::Goodbye { .. } => Some(Timer::Goodbye),
            _ => None,
        };
        let asks = matches!(call.state(), State::HandingOff(handoff) if matches!(handoff.state(), H::Referring { .. }));
        assert!(self.referring || !asks, "{call:?} waits for nothing");
        let waits = matches!(call.state(), State::HandingOff(handoff) if matches!(handoff.state(), H::Gated { .. }));
        assert!(gate.is_none() || waits, "{call:?} waits for a gate that it has passed");
        let lined = matches!(call.state(), State::HandingOff(handoff) if handoff.line().is_some());
        assert!(
            lined || !self.timers.contains(&Timer::Queue),
            "{call:?} stands in no line"
        );
        if let Some(timer) = bound {
            assert!(self.timers.contains(&timer), "{call:?} may last for ever");
        }
        // Whom the caller hears is there.
        match self.scene {
            _ if matches!(
                call.state(),
                State::Referred { .. } | State::Ending { .. } | State::Over
            ) =>
            {
                assert!(self.caller_ended, "{call:?} leaves the caller on the line");
                assert!(!self.peer && !self.target, "{call:?} leaves somebody on the line");
                let referred = matches!(call.state(), State::Referred { .. });
                assert_eq!(self.timers.is_empty(), !referred, "{call:?}");
                assert_eq!(self.referring, referred, "{call:?} forgets its REFER, or does not");
            }
            Some(Scene::Conversation | Scene::Returned { .. } | Scene::HandedOff) => {
                assert!(self.peer, "{call:?}: silence")
            }
            Some(Scene::Introduced { .. }) => assert!(self.target && self.peer, "{call:?}: silence"),
            Some(Scene::Joined { .. } | Scene::Briefing { .. } | Scene::Gated { .. }) => {
                assert!(self.target, "{call:?}: silence")
            }
            Some(Scene::Setup) => assert!(!call.started()),
            Some(Scene::Waiting { .. } | Scene::Goodbye { .. }) | None => {}
        }
    }
}

/// Whether the target has: until then the caller waits, or talks on with the AI.
fn answered(seen: &Seen) -> bool {
    !matches!(seen.scene, Some(Scene::Waiting { .. } | Scene::Conversation))
}

/// Inputs that the driver can give: nobody hangs up who is not there, a timer fires only when it runs.
fn can_come(input: &Input, seen: &Seen, call: &Call) -> bool {
    match input {
        Input::PeerRinging | Input::PeerAnswered | Input::PeerFailed(_) => seen.peer && !call.started(),
        Input::PeerGone => seen.peer && call.started(),
        Input::AiLost(_) => call.is_last_agent() || call.with_ai() && *call.state() == State::Talking,
        Input::TargetRinging | Input::TargetAnswered | Input::TargetFailed(_) | Input::NoCapacity => {
            seen.target && !answered(seen)
        }
        Input::AgentFree | Input::NobodyThere | Input::InLine { .. } => call.state_name() == "queued",
        Input::Context { .. } => call.handoff().is_some(),
        Input::TargetGone => seen.target && answered(seen),
        Input::CallerGone => !seen.caller_ended,
        Input::Timer(timer) => seen.timers.contains(timer),
        Input::Accept | Input::Acknowledged | Input::Decline | Input::Cancel | Input::HangUp | Input::Handoff(_) => {
            call.allows(input).is_ok()
        }
        Input::FirstWord(id) | Input::Evidence(id, _) => call.knows(*id),
        Input::MediaEnded => seen.caller_ended,
        Input::ReferAccepted | Input::ReferFailed(_) | Input::ReferProgress(_) | Input::ReferOutcome(_) => {
            seen.referring
        }
        _ => true,
    }
}

#[test]
fn no_story_leaves_anybody_in_silence_or_anything_open() {
    let inputs = table::inputs();
    let mut seed = 1_u64;
    let mut draw = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut joined, mut returned, mut opened, mut introduced, mut in_line) = (0, 0, 0, 0, 0);
    for _ in 0..20_000 {
        let (mut call, actions) = Call::new(1 + draw(2));
        let mut seen = Seen::default();
        seen.actions(&actions);
        let give = |call: &mut Call, seen: &mut Seen, input: Input| {
            seen.input(&input, call);
            let actions = call.handle(input);
            seen.actions(&actions);
            seen.check(call);
            actions
        };
        for _ in 0..200 {
            // Without a little help nearly every story ends before it gets interesting.
            let input = match draw(13) {
                12 if call.state_name() == "queued" => Input::AgentFree,
                0 => Input::Applied,
                1 => Input::TargetAnswered,
                2 => Input::Digit('1'),
                3 if draw(4) == 0 => table::gated(table::ID),
                3 if draw(4) == 0 => table::introduced(table::ID),
                3 if draw(4) == 0 => table::queued(table::ID),
                _ => inputs[draw(inputs.len())].1.clone(),
            };
            let deadly = matches!(
                input,
                Input::CallerGone | Input::HangUp | Input::MediaFailed(_) | Input::MediaSilent
            );
            if !can_come(&input, &seen, &call) || deadly && draw(16) != 0 {
                continue;
            }
            for action in give(&mut call, &mut seen, input) {
                joined += usize::from(matches!(action, Action::TellJoined(_)));
                returned += usize::from(matches!(action, Action::Tell(_, Step::Returned)));
                opened += usize::from(matches!(action, Action::Tell(_, Step::Gate { .. })));
                introduced += usize::from(matches!(action, Action::Show(Scene::Introduced { .. }, _)));
                in_line += usize::from(matches!(action, Action::Tell(_, Step::Queued { .. })));
            }
        }
        if !seen.caller_ended {
            give(&mut call, &mut seen, Input::CallerGone);
        }
        if !matches!(call.state(), State::Over) {
            give(&mut call, &mut seen, Input::MediaEnded);
        }
        if seen.referring {
            give(&mut call, &mut seen, Input::Timer(Timer::Refer));
        }
        assert_eq!(*call.state(), State::Over);
        assert_eq!(seen.requested, seen.closed);
        assert_eq!(seen.ended, 1);
        for (_, input) in &inputs {
            assert!(
                call.handle(input.clone()).is_empty(),
                "a call that is over does nothing"
            );
        }
    }
    assert!(
        joined > 100 && returned > 100 && opened > 100 && introduced > 100 && in_line > 100,
        "the stories reach the interesting states: {joined}, {returned}, {opened}, {introduced}, {in_line}"
    );
}

#[test]
fn agents_are_tried_in_order() {
    let (mut call, _) = Call::new(2);
    assert_eq!(brief(&call.handle(Input::PeerFailed(486))), "INVITE next AI");
    assert_eq!(
        brief(&call.handle(Input::Timer(Timer::AiAnswer))),
        "end peer, refuse caller 480, end session"
    );
}

#[test]
fn the_briefing_s_end_joins_only_where_answering_is_accepting() {
    for (accept, says) in [
        (playbook::Accept::Answer, "`accepted`, *joined*"),
        (playbook::Accept::Key, ""),
        (playbook::Accept::Api, ""),
    ] {
        let (mut call, _) = Call::new(1);
        call.handle(Input::PeerAnswered);
        call.handle(order(Mode::Warm, accept));
        let shown = call.handle(Input::TargetAnswered);
        let briefing = shown.iter().find_map(|action| match action {
            Action::Show(Scene::Briefing { briefing, .. }, _) => Some(*briefing),
            _ => None,
        });
        assert_eq!(brief(&call.handle(Input::Played(briefing.unwrap(), 0))), says);
    }
}

#[test]
fn after_the_time_to_reach_anybody_no_other_target_is_tried() {
    let (mut call, _) = Call::new(1);
    call.handle(Input::PeerAnswered);
    call.handle(order(Mode::Warm, playbook::Accept::Key));
    call.handle(Input::TargetAnswered);
    assert_eq!(brief(&call.handle(Input::Timer(Timer::Reach))), "");
    assert_eq!(
        brief(&call.handle(Input::Digit('2'))),
        "end target, `target failed: Declined`, *returned: failed*"
    );
}

#[test]
fn wishes_that_do_not_fit_are_refused_with_the_reason() {
    let ask = || order(Mode::Warm, playbook::Accept::Key);
    for (state, call) in table::samples() {
        let running = call.allows(&ask()) == Err(RequestError::Running(HandoffId(table::ID)));
        let name = call.state_name();
        assert_eq!(running, call.handoff().is_some(), "{state}");
        let idle = matches!(name, "talking" | "returned" | "joined" | "handed_off");
        assert_eq!(call.allows(&ask()).is_ok(), idle, "{state}");
        assert_eq!(call.allows(&Input::Accept).is_ok(), name == "briefing", "{state}");
        let open = matches!(name, "inviting" | "ringing" | "briefing");
        assert_eq!(
            call.allows(&Input::Cancel).is_ok(),
            open || matches!(name, "referring" | "routing" | "queued" | "gated"),
            "{state}"
        );
        assert_eq!(call.allows(&Input::Decline).is_ok(), open, "{state}");
        let said = Input::Routed(handoff::Routed::Unchanged(handoff::Unrouted::Said));
        assert_eq!(call.allows(&said).is_ok(), name == "routing", "{state}");
        let waits = open || name == "gated";
        assert_eq!(call.allows(&Input::Acknowledged).is_ok(), waits, "{state}");
        let over = matches!(name, "ending" | "referred" | "over");
        assert_eq!(call.allows(&Input::HangUp).is_ok(), !over, "{state}");
    }
}
