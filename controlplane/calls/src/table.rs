//! Every state of a call with every input: what follows, or why nothing does.
//!
//! The table is not written: it is what the machines do with one call in each state and one input of each kind. What has
//! to be said beside it is why a pair cannot come up, and why one that can does nothing; a test finds every pair that has
//! neither action nor reason. The README has it as text, and the simulator must visit all that can come up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::call::{Action, Scene};
use crate::notice::Step;
use crate::observe::Pair;

mod samples;

#[cfg(test)]
pub(crate) use samples::{ID, gated, introduced, order, queued};
pub(crate) use samples::{inputs, samples};

/// The states, by [`Call::state_name`](crate::call::Call::state_name).
pub const STATES: [&str; 20] = [
    "connecting",
    "calling",
    "talking",
    "referring",
    "routing",
    "queued",
    "inviting",
    "ringing",
    "briefing",
    "gated",
    "joining",
    "introducing",
    "joined",
    "handed_off",
    "returning",
    "returned",
    "goodbye",
    "referred",
    "ending",
    "over",
];

/// From the trigger of a handoff to its join or return.
const REACHING: [&str; 8] = [
    "routing",
    "referring",
    "queued",
    "inviting",
    "ringing",
    "briefing",
    "gated",
    "joining",
];

/// Why an input cannot come in a state; `None` where it can.
pub fn cannot_come(state: &str, input: &str) -> Option<&'static str> {
    if state == "over" {
        return Some("nothing of the call is left");
    }
    let among = |states: &[&str]| states.contains(&state);
    let reaching = REACHING.contains(&state);
    let conversation = among(&["talking", "joined", "handed_off", "returned"]);
    let over = among(&["referred", "ending"]);
    let (comes, why) = match input {
        "caller gone" => match state {
            "calling" => (false, "it has not answered: it can only fail"),
            _ => (!over, "the caller's dialog was let go"),
        },
        "caller answers" | "caller failed" => (state == "calling", "the caller has called, or has answered"),
        "peer rings" | "peer answers" | "peer failed" => (state == "connecting", "the peer has answered"),
        "peer gone" => match state {
            "connecting" => (false, "it has not answered: it can only fail"),
            "calling" => (false, "nobody else is there"),
            "goodbye" => (false, "it is gone"),
            _ => (!over, "its dialog was let go"),
        },
        "ai lost" => (
            among(&["connecting", "talking", "returned"]),
            "it is `peer gone` where no AI has the call, or where it is being handed off",
        ),
        "target rings" | "no capacity" => (state == "inviting", "it is said once, at the INVITE"),
        "target answers" | "target failed" => (among(&["inviting", "ringing"]), "no INVITE is open"),
        "target silent" => (state == "joining", "only a join waits for a first packet"),
        "target gone" => (
            among(&["briefing", "gated", "joining", "introducing"]),
            "no target has answered",
        ),
        "refer accepted" | "refer failed" | "refer progress" | "refer done" | "refer outcome" => (
            among(&["referring", "referred"]),
            "no REFER of ours is open, or it was forgotten",
        ),
        "key 1" | "key 2" | "other key" => (
            among(&["briefing", "gated", "joining", "introducing"]),
            "only a target's keys are taken",
        ),
        "applied" => match state {
            "returned" => (false, "the scene was in force before"),
            _ => (!over, "only the session's end is asked for"),
        },
        "media failed" => match state {
            "returned" => (
                false,
                "the scene is in force; a refused change of a leg stays with the node",
            ),
            _ => (!over, "an end is never refused"),
        },
        "media silent" => (true, ""),
        "played" => (!among(&["connecting", "calling", "introducing"]), "nothing is played"),
        "first word" | "evidence" => {
            let idle = among(&["connecting", "calling", "talking", "handed_off"]);
            (!idle, "no handoff is open")
        }
        "media ended" => (over, "the session's end was not asked for"),
        "ai_answer over" => (state == "connecting", "the timer does not run"),
        "caller_answer over" => (state == "calling", "the timer does not run"),
        "ring over" => (among(&["inviting", "ringing"]), "the timer does not run"),
        "reach over" => (reaching && !among(&["queued", "routing"]), "the timer does not run"),
        "max_wait over" => (reaching && !among(&["referring", "routing"]), "the timer does not run"),
        "routed" => (state == "routing", REFUSED),
        "route over" => (state == "routing", "the timer does not run"),
        "in line" | "agent free" | "nobody there" => (state == "queued", "no agent is waited for"),
        "required_wait over" | "acknowledge over" => (state == "gated", "the timer does not run"),
        "ai_stays over" => (state == "introducing", "the timer does not run"),
        "context told" => (
            reaching || state == "introducing" || state == "returning",
            "no handoff is open that could wait for it",
        ),
        "acknowledged" => (among(&["inviting", "ringing", "briefing", "gated"]), REFUSED),
        "accept over" => (state == "briefing", "the timer does not run"),
        "applied over" => (
            false,
            "the node repeats the command, and says `media silent` in the end",
        ),
        "silence_probe over" => (false, "the node asks the party whether it is there"),
        "supervisor over" => (false, "the node lets go of a supervisor that does not answer"),
        "estimate_every over" => (false, "the node says what there is to be said: `wait estimate`"),
        "wait estimate" => (
            among(&["queued", "inviting", "ringing"]),
            "it is said only while a human is called",
        ),
        "playbook over" => (false, "the node asks the rules"),
        "evidence over" => {
            let awaited = reaching || among(&["introducing", "joined", "returned", "returning", "goodbye"]);
            (awaited, "the timer does not run")
        }
        "goodbye over" => (state == "goodbye", "the timer does not run"),
        "refer over" => (among(&["referring", "referred"]), "the timer does not run"),
        "handoff" => (conversation, REFUSED),
        "accept" => (state == "briefing", REFUSED),
        "decline" => (among(&["inviting", "ringing", "briefing"]), REFUSED),
        "cancel" => (
            among(&[
                "routing",
                "referring",
                "queued",
                "inviting",
                "ringing",
                "briefing",
                "gated",
            ]),
            REFUSED,
        ),
        "hang up" => (!over, REFUSED),
        _ => (false, "there is no such input"),
    };
    (!comes).then_some(why)
}

const REFUSED: &str = "it is refused where it is asked (404 or 409; a REFER: 491 or 481)";

/// Why a pair that can come up does nothing.
pub fn does_nothing(state: &str, input: &str) -> Option<&'static str> {
    match (state, input) {
        ("gated" | "joining" | "introducing", "key 1" | "key 2" | "other key") => {
            Some("crossed: the human has taken the call")
        }
        (_, "context told" | "acknowledged") => Some("noted: the join may wait for it"),
        ("briefing", "other key") => Some("only 1 and 2 mean something"),
        ("joined" | "handed_off", "media failed") => Some("the rows in force are the ones that are wanted"),
        ("queued" | "inviting" | "ringing", "wait estimate") => {
            Some("what is being said is said to its end, and an AI that talks on is not interrupted")
        }
        (_, "applied") => Some("nobody waits for this scene"),
        ("briefing" | "gated" | "joining", "reach over") => Some("noted: no other target is tried after this one"),
        (_, "max_wait over") => Some("noted: no other agent of the queue is tried after this one"),
        (_, "peer gone") => Some("noted: the caller will not be given back"),
        ("referred", "refer accepted" | "refer progress") => Some("noted: the outcome is awaited"),
        ("referred", "media ended" | "media silent") => Some("noted: the outcome is awaited"),
        (_, "played") => Some("what was played has nothing to say"),
        (
            "routing" | "referring" | "queued" | "inviting" | "ringing" | "briefing" | "gated" | "joining"
            | "introducing" | "returning",
            "evidence",
        ) => Some("noted: told when the handoff closes"),
        (
            "routing" | "referring" | "queued" | "inviting" | "ringing" | "briefing" | "gated" | "returning"
            | "referred",
            "first word",
        ) => Some("crossed: the join did not come about"),
        _ => None,
    }
}

/// The pairs that can come up.
pub fn reachable() -> BTreeSet<Pair> {
    let names: BTreeSet<_> = inputs().iter().map(|(_, input)| input.name()).collect();
    let all = STATES
        .iter()
        .flat_map(|state| names.iter().map(move |input| (*state, *input)));
    all.filter(|(state, input)| cannot_come(state, input).is_none())
        .collect()
}

/// Actions in a few words; timers only where there is nothing else.
pub(crate) fn brief(actions: &[Action]) -> String {
    let words = actions.iter().filter_map(|action| {
        Some(match action {
            Action::RingCaller => "180".to_owned(),
            Action::AnswerCaller => "200".to_owned(),
            Action::Start => "start".to_owned(),
            Action::RejectCaller(status) => format!("refuse caller {status}"),
            Action::EndCaller(_) => "BYE caller".to_owned(),
            Action::InviteAi(_) => "INVITE next AI".to_owned(),
            Action::EndPeer(_) => "end peer".to_owned(),
            Action::AskRoute => "where to?".to_owned(),
            Action::LineUp => "line up".to_owned(),
            Action::Estimate => "how long?".to_owned(),
            Action::InviteTarget => "INVITE target".to_owned(),
            Action::EndTarget(_) => "end target".to_owned(),
            Action::Refer => "REFER".to_owned(),
            Action::ForgetRefer => "forget REFER".to_owned(),
            Action::Promote => "target is peer".to_owned(),
            Action::Show(scene, _) => match scene {
                Scene::Setup => "*setup*".to_owned(),
                Scene::Conversation => "*conversation*".to_owned(),
                Scene::Waiting { wait } if wait.hold_only => "*hold*".to_owned(),
                Scene::Waiting { .. } => "*waiting*".to_owned(),
                Scene::Briefing { .. } => "*briefing*".to_owned(),
                Scene::Gated { .. } => "*human holds*".to_owned(),
                Scene::Joined { .. } => "*joined*".to_owned(),
                Scene::Introduced { .. } => "*all three*".to_owned(),
                Scene::HandedOff => "*handed off*".to_owned(),
                Scene::Returned { apology, .. } => format!("*returned: {apology:?}*").to_lowercase(),
                Scene::Goodbye { .. } => "*goodbye*".to_owned(),
            },
            Action::Say(..) => "*how long, hold*".to_owned(),
            Action::Unwatch => "close window".to_owned(),
            Action::EndMedia => "end session".to_owned(),
            Action::Arm(_) | Action::Disarm(_) => return None,
            Action::Tell(_, step) => told(step),
            Action::TellJoined(_) => "`joined`".to_owned(),
            Action::TellNotReached(status) => format!("`not reached: {status}`"),
            Action::TellEnded(by) => format!("`ended` by {by}"),
        })
    });
    let words: Vec<_> = words.collect();
    match words.is_empty() && !actions.is_empty() {
        true => "timer".to_owned(),
        false => words.join(", "),
    }
}

fn told(step: &Step) -> String {
    match step {
        Step::Requested { .. } => "`requested`".to_owned(),
        Step::Answered { .. } => "`answered`".to_owned(),
        Step::Routed { unchanged, .. } => match unchanged {
            Some(why) => format!("`routed: {}`", why.name()),
            None => "`routed`".to_owned(),
        },
        Step::Queued { place, .. } => format!("`queued: {place}`"),
        Step::Evidence(_) => "`evidence`".to_owned(),
        Step::Gate { gate, opened } => format!("`gate: {gate:?}, {opened:?}`").to_lowercase(),
        Step::TargetFailed { reason, .. } => format!("`target failed: {reason:?}`"),
        Step::Closed { end, result, reason } => match reason {
            Some(reason) => format!("`closed: {end:?}, {result:?}, {reason:?}`"),
            None => format!("`closed: {end:?}, {result:?}`"),
        },
        step => format!("`{step:?}`").to_lowercase(),
    }
}

/// What the machines never see: which layer decides, what follows, and a test that shows it.
const BELOW: [(&str, &str, &str); 14] = [
    (
        "CANCEL crosses our 200 to the caller",
        "endpoint: 200 to the CANCEL, the call stands; the caller's BYE follows (RFC 3261 §9.2)",
        "`sip`: `cancel_crosses_the_200`",
    ),
    (
        "a target's 200 crosses our CANCEL",
        "endpoint: ACK and BYE; the machine has gone on",
        "`calls`: `an_answer_that_crosses_our_cancel_is_ended_and_the_next_target_rings`",
    ),
    (
        "a second 2xx of a forked INVITE",
        "endpoint: ACK and BYE for every 2xx but the first (RFC 3261 §13.2.2.4)",
        "`sip`: `a_second_2xx_of_a_fork_gets_ack_and_bye`",
    ),
    (
        "re-INVITE with an offer: hold, unhold, codec, address",
        "node: answered from that leg's description alone; the same scene with the leg as it is now",
        "`calls`: `reinvites_of_every_party_are_answered_in_every_state_and_change_nobody_s_row`",
    ),
    (
        "the human answers with another codec than the caller speaks",
        "node: a re-INVITE that spares the transcode, to the human at once, or to the caller once the join is in force; nothing waits for its answer, and a refusal changes nothing",
        "`calls`: `a_join_does_not_wait_for_the_answer_which_counts_when_it_comes`, `who_refuses_or_does_not_answer_is_asked_once_and_the_join_is_transcoded`, `tests`: `a_leg_that_is_asked_changes_and_both_hear_every_packet`",
    ),
    (
        "re-INVITE that does not fit",
        "node: 488, everything as it was (RFC 3261 §14.2)",
        "`calls`: `an_offer_that_does_not_fit_is_refused_and_changes_nothing`",
    ),
    (
        "glare",
        "endpoint: 491, and ours again after the back-off of RFC 3261 §14.1; node: it says what was answered meanwhile",
        "`sip`: `reinvite_glare_is_settled_by_the_endpoints`, `calls`: `an_offer_that_crossed_theirs_says_what_was_answered_meanwhile`, `tests`: `offers_that_cross_both_get_through`",
    ),
    (
        "200 with a description that we cannot use",
        "node: ACK, BYE; the machine hears that the party failed with 488",
        "`calls`: `an_answer_that_cannot_be_used_is_a_failure`",
    ),
    (
        "the data plane refuses a change of one leg",
        "node: the rows in force stay, the call goes on",
        "`calls`: `a_refused_change_of_a_leg_keeps_the_rows_and_the_call_and_is_asked_for_again`",
    ),
    (
        "keys of caller and peer",
        "data plane: relayed to whoever hears the leg; node: told in INFO to who wants that (`dtmf = \"info\"`), and then not in the audio",
        "`media`: `a_relayed_digit_keeps_marker_duration_and_timestamp_and_has_the_listeners_payload_type`, `calls`: `who_wants_keys_in_info_is_told_those_of_whom_it_hears_and_the_audio_has_none`",
    ),
    (
        "a party sends no RTP",
        "data plane: comfort noise stands in; node: it is asked whether it is there (OPTIONS); no call ends for the silence",
        "`media`: `comfort_noise_stands_in_for_a_source_that_is_silent_for_60_ms_until_it_resumes`",
    ),
    (
        "a supervisor is invited, answers, leaves or fails; other rows are wished for",
        "node: laid over the scene while the call talks, and forgotten where a handoff begins; where the data plane refuses it, all is as it was",
        "`calls`: `whatever_becomes_of_a_supervisor_the_call_goes_on`, `no_wish_lets_the_caller_hear_a_human_who_has_not_accepted`",
    ),
    (
        "drain",
        "endpoint: new INVITEs get 503, running calls go on in every state",
        "`calls`: `a_node_that_drains_takes_no_new_call_and_ends_none`",
    ),
    (
        "the workers are as busy as `[budget]` allows",
        "the same: of running calls nothing is refused, nor a leg of their handoffs",
        "`calls`: `a_node_above_its_budget_goes_on_with_its_calls_and_their_handoffs_in_every_state`",
    ),
];

/// The whole table as Markdown.
pub fn text() -> String {
    let mut text = String::new();
    for state in STATES {
        let _ = write!(text, "\n**{state}**\n\n| input | what follows |\n|---|---|\n");
        let samples = samples();
        let here: Vec<_> = samples.iter().filter(|(_, call)| call.state_name() == state).collect();
        let mut plain: BTreeMap<String, String> = BTreeMap::new();
        for (special, call) in here {
            for (detail, input) in inputs() {
                if cannot_come(state, input.name()).is_some() {
                    continue;
                }
                let follows = brief(&call.clone().handle(input.clone()));
                let name = match detail {
                    "" => input.name().to_owned(),
                    detail => format!("{} ({detail})", input.name()),
                };
                if special.is_empty() {
                    if !follows.is_empty() {
                        let _ = writeln!(text, "| {name} | {follows} |");
                        plain.insert(name, follows);
                    }
                } else if !follows.is_empty() && plain.get(&name) != Some(&follows) {
                    let _ = writeln!(text, "| {name}; {special} | {follows} |");
                }
            }
        }
        let mut nothing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut never: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let names: BTreeSet<_> = inputs().iter().map(|(_, input)| input.name()).collect();
        for input in names {
            if let Some(why) = cannot_come(state, input) {
                never.entry(why).or_default().push(input);
            } else if let Some(why) = does_nothing(state, input) {
                nothing.entry(why).or_default().push(input);
            }
        }
        for (title, reasons) in [("Else nothing", nothing), ("Cannot come", never)] {
            let listed = reasons
                .iter()
                .map(|(why, inputs)| format!("{} ({why})", inputs.join(", ")));
            let listed: Vec<_> = listed.collect();
            if !listed.is_empty() {
                let _ = write!(text, "\n{title}: {}.\n", listed.join("; "));
            }
        }
    }
    text.push_str(
        "\n**What the machines never see**\n\n| what happens | who decides, and what follows | test |\n|---|---|---|\n",
    );
    for (what, who, test) in BELOW {
        let _ = writeln!(text, "| {what} | {who} | {test} |");
    }
    text
}

#[cfg(test)]
mod tests;
