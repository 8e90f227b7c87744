//! The human: rings, answers or not, hears the briefing, presses 1, and talks to the caller.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::Args;
use crate::events;
use crate::party::{COMMON, Party};
use crate::sdp::Description;
use crate::sip::Event;

/// When the human says hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cue {
    /// After the briefing it presses 1 (`--accept key`).
    Key,
    /// After the briefing (`--accept none`).
    Briefing,
    /// At once after the answer (`--accept none --no-briefing`).
    Answer,
    /// Likewise, and to nobody: a machine with its greeting, which hears nothing and presses no key (`--accept never`).
    Machine,
}

/// From the key or the answer to the hello: the two are joined by then, and it is no dead air yet.
const BREATH: Duration = Duration::from_millis(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Ringing { since: Instant },
    Answered,
    Briefed { since: Instant },
    Pressed,
    Talking,
}

pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let own = ["answer-after", "accept", "press-after"];
    let flags = ["busy", "reject", "no-answer", "no-briefing", "watch-stdin"];
    let args = Args::parse(words, &[&COMMON[..], &own].concat(), &flags)?;
    let cue = match (args.text("accept").unwrap_or("key"), args.has("no-briefing")) {
        ("key", false) => Cue::Key,
        ("none", false) => Cue::Briefing,
        ("none", true) => Cue::Answer,
        ("never", false) => Cue::Machine,
        (accept, _) => {
            return Err(format!(
                "--accept {accept}: key, none or never; without a briefing none"
            ));
        }
    };
    let answer_after = Duration::from_millis(args.parsed("answer-after")?.unwrap_or(1200));
    let press_after = args.parsed("press-after")?.map(Duration::from_millis);
    let mut party = Party::start("human", "human-hello,human-2", &args)?;

    let mut state = State::Waiting;
    let mut offer: Option<Description> = None;
    while !party.is_over() {
        for event in party.step() {
            let now = Instant::now();
            match event {
                Event::Invited { call, offer: theirs } => {
                    events::emit(now, "invited", json!({ "call": call }));
                    offer = theirs;
                    if args.has("busy") {
                        party.ua.reject(now, 486, "Busy Here");
                    } else if args.has("reject") {
                        party.ua.reject(now, 603, "Decline");
                    } else {
                        party.ua.ring(now);
                        events::emit(now, "ringing", json!({}));
                        state = State::Ringing { since: now };
                    }
                }
                Event::Up(_) => {
                    events::emit(now, "answered", json!({}));
                    state = match cue {
                        Cue::Answer | Cue::Machine => State::Briefed { since: now },
                        Cue::Key | Cue::Briefing => State::Answered,
                    };
                }
                Event::Ended => {
                    let cancelled = matches!(state, State::Ringing { .. });
                    events::emit(
                        now,
                        if cancelled { "cancelled" } else { "bye" },
                        json!({ "by": "peer" }),
                    );
                }
                _ => {}
            }
        }
        state = match state {
            State::Ringing { since } if !args.has("no-answer") && since.elapsed() >= answer_after => {
                party.accept(offer.as_ref());
                State::Waiting
            }
            State::Answered if cue == Cue::Key && press_after.is_some_and(|time| party.heard_since() >= time) => {
                party.media.press('1');
                State::Pressed
            }
            State::Answered if party.heard_a_sentence() => {
                events::emit(Instant::now(), "briefed", json!({}));
                if cue == Cue::Key {
                    party.media.press('1');
                    State::Pressed
                } else {
                    State::Briefed { since: Instant::now() }
                }
            }
            State::Pressed if party.is_idle_for(BREATH) => {
                // The rest of the briefing was no word of the caller's.
                party.listen_anew();
                party.say_next();
                State::Talking
            }
            State::Briefed { since } if since.elapsed() >= BREATH => {
                party.say_next();
                State::Talking
            }
            State::Talking if cue != Cue::Machine && party.heard_a_sentence() => {
                party.say_next();
                State::Talking
            }
            same => same,
        };
    }
    party.finish("human")
}
