//! The caller: calls, says its sentences in turn, hangs up.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::Args;
use crate::events;
use crate::party::{COMMON, Party};
use crate::sip::Event;

pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let own = ["to", "via", "hangup-heard-ms", "hangup-after-ms"];
    let args = Args::parse(words, &[&COMMON[..], &own].concat(), &["watch-stdin"])?;
    let mut party = Party::start("caller", "caller-1,caller-2,caller-3", &args)?;
    let hangup_heard = args.parsed("hangup-heard-ms")?.map(Duration::from_millis);
    let hangup_after = args.parsed("hangup-after-ms")?.map(Duration::from_millis);
    party.call(&args.required::<String>("to")?, args.required("via")?);

    let mut answered: Option<Instant> = None;
    let mut done = false;
    while !party.is_over() {
        for event in party.step() {
            let now = Instant::now();
            match event {
                Event::Answered(_) => {
                    answered = Some(now);
                    events::emit(now, "answered", json!({}));
                }
                Event::Refused(code) => events::emit(now, "refused", json!({ "code": code })),
                Event::Ended => events::emit(now, "bye", json!({ "by": "peer" })),
                _ => {}
            }
        }
        let hang_up = match answered {
            None => false,
            // Turn by turn: what the other says is over before the next sentence begins.
            Some(at) if hangup_after.is_some_and(|limit| at.elapsed() >= limit) => true,
            Some(_) if hangup_heard.is_some_and(|limit| !party.has_more() && party.heard_since() >= limit) => true,
            Some(_) if party.heard_a_sentence() => !party.say_next(),
            Some(_) => false,
        };
        if hang_up && !std::mem::replace(&mut done, true) {
            events::emit(Instant::now(), "bye", json!({ "by": "caller" }));
            party.ua.hang_up(Instant::now());
        }
    }
    party.finish("caller")
}
