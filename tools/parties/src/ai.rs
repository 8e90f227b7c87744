//! The AI agent: greets, listens, tells Baton what was said, asks for the handoff, and is there if the caller comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::Args;
use crate::events;
use crate::http;
use crate::party::{COMMON, Party};
use crate::sip::Event;

/// From the ACK to the greeting: the caller's 200 is on its way meanwhile.
const BREATH: Duration = Duration::from_millis(400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Connected {
        since: Instant,
    },
    Greeted,
    Asked,
    /// The handoff is running.
    Handed,
    Back,
}

/// Where Baton's API is, and for which call.
struct Api {
    server: Option<SocketAddr>,
    key: String,
    call: String,
}

pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let own = ["api", "mode", "target", "reason"];
    let args = Args::parse(words, &[&COMMON[..], &own].concat(), &["watch-stdin"])?;
    let mut party = Party::start("ai", "ai-1,ai-2,ai-back", &args)?;
    let mut api = Api {
        server: args.parsed("api")?,
        // Not on the command line, where every user of the host could read it.
        key: std::env::var("BATON_PARTY_KEY").unwrap_or_default(),
        call: String::new(),
    };
    let mut state = State::Waiting;
    while !party.is_over() {
        for event in party.step() {
            let now = Instant::now();
            match event {
                Event::Invited { call, offer } => {
                    events::emit(now, "invited", json!({ "call": call }));
                    api.call = call.unwrap_or_default();
                    party.accept(offer.as_ref());
                }
                Event::Up(_) => {
                    events::emit(now, "answered", json!({}));
                    state = State::Connected { since: now };
                }
                Event::Ended => events::emit(now, "bye", json!({ "by": "peer" })),
                _ => {}
            }
        }
        state = match state {
            State::Connected { since } if since.elapsed() >= BREATH => {
                party.say_next();
                State::Greeted
            }
            State::Greeted if party.heard_a_sentence() => {
                party.say_next();
                api.send("POST", "turns", first_turns());
                api.send("PATCH", "context", context());
                State::Asked
            }
            State::Asked if party.heard_a_sentence() => {
                api.send("POST", "turns", last_turns());
                api.send("POST", "handoffs", handoff(&args));
                State::Handed
            }
            // Only where the caller has come back can it hear somebody.
            State::Handed if party.heard_a_sentence() => {
                party.say_next();
                State::Back
            }
            same => same,
        };
    }
    party.finish("ai")
}

impl Api {
    fn send(&self, method: &str, what: &str, body: Value) {
        let Some(server) = self.server else { return };
        let path = format!("/v1/calls/{}/{what}", self.call);
        let details = match http::request(server, &self.key, method, &path, &body) {
            Ok((status, answer)) => json!({ "method": method, "path": path, "status": status, "answer": answer }),
            Err(error) => json!({ "method": method, "path": path, "status": null, "error": error }),
        };
        events::emit(Instant::now(), "http", details);
    }
}

fn first_turns() -> Value {
    json!([
        { "role": "ai", "text": "Good morning, this is the digital assistant. How can I help?" },
        {
            "role": "caller",
            "text": "Hello. My parcel has not arrived.",
            "confidence": 0.97,
            "intent": "missing_parcel",
            "sentiment": { "label": "negative", "score": -0.4 }
        }
    ])
}

fn context() -> Value {
    json!({
        "summary": "The caller's parcel has not arrived. The order number was asked for; the caller wants a person.",
        "intent": "missing_parcel",
        "goal": "find out where the parcel is",
        "sentiment": { "label": "negative", "score": -0.4 },
        "fields": { "caller_name": "not asked", "order": "4417" },
        "actions_tried": ["asked for the order number"],
        "unresolved": "where the parcel is",
        "authentication": { "level": "none" },
        "next_actions": ["look the order up", "name the day of delivery"],
        "disclosure": { "told_that_it_is_an_ai": true }
    })
}

fn last_turns() -> Value {
    json!([
        { "role": "ai", "text": "I am sorry about that. Which order number do you have?" },
        { "role": "caller", "text": "Four four one seven. May I please talk to a person?", "confidence": 0.95 }
    ])
}

fn handoff(args: &Args) -> Value {
    let mut body = json!({
        "mode": args.text("mode").unwrap_or("auto"),
        "reason": args.text("reason").unwrap_or("the caller asked for a person"),
    });
    if let (Some(target), Value::Object(body)) = (args.text("target"), &mut body) {
        body.insert("target".to_owned(), json!(target));
    }
    body
}
