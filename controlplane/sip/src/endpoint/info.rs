//! Keys in INFO, out and in: what peers without telephone-event send. RFC 6086 §1 and RFC 2976 know no more of it than that it is there
//! ("legacy INFO usage"); the two bodies are what everybody sends.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::received::Request;
use super::request::Parts;
use super::session::{Role, Session, State};
use super::{DialogId, Endpoint, Event, WrongState};
use crate::message::Message;
use crate::method::Method;

/// `Signal=5`, and `Duration=160` in ms.
const RELAY: &str = "application/dtmf-relay";
/// The key alone.
const PLAIN: &str = "application/dtmf";
/// What we take.
const ACCEPT: &str = "application/dtmf-relay, application/dtmf";
/// How long a key is said to have been pressed, ms: it goes out as soon as it is pressed, and nobody knows by then.
const DURATION_MS: u32 = 160;
/// Keys that wait for the answer to the one before. Who presses more while a peer is silent presses into the void.
const WAITING_MAX: usize = 32;
/// The keys in the order of their event codes (RFC 4733 §3.2).
const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];
/// The code of a flash hook, which is no key.
const FLASH: usize = 16;

/// Keys that go out in a dialog.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    waiting: VecDeque<char>,
    /// One has no final answer.
    sent: bool,
}

/// What the body of an INFO says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressed {
    Key(char),
    /// A flash hook, or an INFO without a body, which asks only whether the dialog is there.
    Nothing,
}

/// Why it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// It is of another type.
    Type,
    Garbage,
}

impl Endpoint {
    /// Tells the peer that this key was pressed (`0`–`9`, `*`, `#`, `A`–`D`): INFO with `application/dtmf-relay`. One at a time, in the
    /// order in which they were pressed, and not before our 2xx is acknowledged. What the peer refuses is not said again and does not
    /// end the call; after a 481, or no answer at all, it is asked whether it is there ([`Endpoint::probe`]).
    pub fn press(&mut self, now: Instant, dialog: DialogId, key: char) -> Result<(), WrongState> {
        let session = self.sessions.get_mut(&dialog).ok_or(WrongState)?;
        let fits = KEYS.contains(&key) && session.keys.waiting.len() < WAITING_MAX;
        if session.state != State::Confirmed || session.end.is_some() || !fits {
            return Err(WrongState);
        }
        session.keys.waiting.push_back(key);
        self.send_key(now, dialog);
        Ok(())
    }

    /// Sends the key that waits, if none is under way.
    pub(super) fn send_key(&mut self, now: Instant, dialog: DialogId) {
        let free = |session: &&mut Session| {
            session.state == State::Confirmed
                && session.end.is_none()
                && session.unacked.is_none()
                && !session.keys.sent
        };
        let Some(session) = self.sessions.get_mut(&dialog).filter(free) else {
            return;
        };
        let Some(key) = session.keys.waiting.pop_front() else {
            return;
        };
        session.keys.sent = true;
        session.dialog.local_cseq += 1;
        let copy = session.dialog.clone();
        let body = format!("Signal={key}\r\nDuration={DURATION_MS}\r\n");
        let parts = Parts {
            method: Method::Info,
            headers: Vec::new(),
            body: Some((RELAY, Bytes::from(body))),
        };
        self.start_request(now, &copy, Some(dialog), parts, Role::Key);
    }

    /// The final answer to an INFO of ours, or what stands for it.
    pub(super) fn key_answered(&mut self, now: Instant, session: Option<DialogId>, status: u16) {
        let Some((dialog, session)) = session.and_then(|id| Some((id, self.sessions.get_mut(&id)?))) else {
            return;
        };
        session.keys.sent = false;
        if matches!(status, 408 | 481) {
            // What was pressed half a minute ago would be an answer to another question.
            session.keys.waiting.clear();
            // A peer that does not know INFO may not answer it. Another question is under way where this is refused.
            let _ = self.probe(now, dialog);
        } else {
            self.send_key(now, dialog);
        }
    }

    /// An INFO came in a dialog.
    pub(super) fn info_came(&mut self, now: Instant, id: DialogId, request: Request) {
        let over = |session: &Session| {
            session.end.is_some() || matches!(session.state, State::Rejecting { .. } | State::Ending)
        };
        if self.sessions.get(&id).is_none_or(over) {
            return self.stateless(now, &request, 481, &[]);
        }
        // RFC 6086 §4.2.2: of a package that we have not said to take; Recv-Info says which we do: none.
        if request.message.header("Info-Package").is_some() {
            return self.stateless(now, &request, 469, &[("Recv-Info", "")]);
        }
        match pressed(&request.message) {
            Ok(pressed) => {
                self.answer_once(now, id, &request, 200);
                if let Pressed::Key(key) = pressed {
                    self.events.push_back(Event::Key { dialog: id, key });
                }
            }
            Err(Unread::Type) => self.stateless(now, &request, 415, &[("Accept", ACCEPT)]),
            Err(Unread::Garbage) => self.stateless(now, &request, 400, &[]),
        }
    }
}

/// Reads the body of an INFO.
fn pressed(message: &Message) -> Result<Pressed, Unread> {
    let body = message.body();
    if body.is_empty() {
        return Ok(Pressed::Nothing);
    }
    let plain = message
        .header("Content-Encoding")
        .is_none_or(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    let kind = message.content_type().ok_or(Unread::Type)?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| plain && kind.eq_ignore_ascii_case(name);
    if !is(RELAY) && !is(PLAIN) {
        return Err(Unread::Type);
    }
    let text = std::str::from_utf8(body).map_err(|_| Unread::Garbage)?;
    let signal = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("Signal").then(|| value.trim())
    });
    // Some send the lines of the one under the name of the other.
    let key = signal
        .or_else(|| is(PLAIN).then(|| text.trim()))
        .ok_or(Unread::Garbage)?;
    read(key).ok_or(Unread::Garbage)
}

/// A key by its sign, or by its event code as some gateways write it: 10 for `*`, 11 for `#`.
fn read(text: &str) -> Option<Pressed> {
    if let [sign] = text.as_bytes() {
        let key = char::from(*sign).to_ascii_uppercase();
        return KEYS.contains(&key).then_some(Pressed::Key(key));
    }
    match text.parse().ok().filter(|_| text.len() == 2)? {
        FLASH => Some(Pressed::Nothing),
        code @ 10.. => KEYS.get(code).copied().map(Pressed::Key),
        _ => None,
    }
}
