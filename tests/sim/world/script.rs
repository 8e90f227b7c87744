//! The script: what happens in a call, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use calls::load::Measure;
use calls::notice::{CallId, HandoffId};
use calls::request::{CallBack, HandoffRequest, Request, Response, Whom};
use calls::supervisor::Wish;
use playbook::routing::{Presence, Profile};

use crate::net::Datagram;
use crate::rtp::Packet;
use crate::scenario::{Aim, Also, When};
use crate::tone::Sound;
use crate::ua::Ua;
use crate::world::{FIRST_PORT, NODE, PAIRS, Who, World};

/// How often a caller with a long name says it: more than a datagram takes (RFC 3261 §18.1.1).
const LONG: usize = 150;

/// What the script does at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    Call,
    Handoff,
    EveryoneHangsUp,
    Also(Also),
}

impl World {
    pub(super) fn write_script(&mut self) {
        self.scenario.caller_keys.sort_by_key(|(at, _)| Reverse(*at));
        let cues = [
            (Some(Duration::ZERO), Cue::Call),
            (self.scenario.handoff_at, Cue::Handoff),
            (self.scenario.cancel_at, Cue::Also(Also::Cancel)),
            (self.scenario.caller_hangs_up, Cue::Also(Also::HangUp(Who::Caller))),
            (self.scenario.ai_hangs_up, Cue::Also(Also::HangUp(Who::Ai))),
            (Some(self.scenario.end), Cue::EveryoneHangsUp),
        ];
        for (at, cue) in cues {
            if let Some(at) = at {
                self.plan(self.start + at, cue);
            }
        }
        for (when, what) in self.scenario.also.clone() {
            match when {
                When::At(at) => self.plan(self.start + at, Cue::Also(what)),
                When::After(step, wait) => self.after.push((step, wait, what)),
            }
        }
    }

    /// Puts a cue into the script, which is kept with the next one last.
    fn plan(&mut self, at: Instant, cue: Cue) {
        let place = self.script.partition_point(|(other, _)| *other > at);
        self.script.insert(place, (at, cue));
    }

    /// A step of a handoff came: what waits for it gets its time.
    pub(super) fn stepped(&mut self, name: &str) {
        let (now, waiting) = (self.now, std::mem::take(&mut self.after));
        for (step, wait, what) in waiting {
            if step == name {
                self.plan(now + wait, Cue::Also(what));
            } else {
                self.after.push((step, wait, what));
            }
        }
    }

    pub(super) fn play_script(&mut self) {
        while let Some((_, cue)) = self.script.pop_if(|(at, _)| *at <= self.now) {
            let now = self.now;
            match cue {
                Cue::Call if self.scenario.called_back.is_some() => self.call_back(),
                Cue::Call => {
                    let name = if self.scenario.carriages.long {
                        "Caller".repeat(LONG)
                    } else {
                        "Caller".into()
                    };
                    let node = SocketAddr::from((NODE, 5060));
                    self.caller.call(now, "sip:service@192.0.2.1", node, &name);
                }
                Cue::Handoff => self.ask_for_handoff(),
                Cue::Also(what) => {
                    self.done.push((now, what));
                    self.play_also(what);
                }
                Cue::EveryoneHangsUp => {
                    self.caller.hang_up(now);
                    self.sprayed = None;
                }
            }
        }
        if let Some(at) = self.sprayed.filter(|at| *at <= self.now) {
            self.spray();
            self.sprayed = self.scenario.spray.map(|every| at + every);
        }
        if let Some((_, digit)) = self.scenario.caller_keys.pop_if(|(at, _)| self.start + *at <= self.now) {
            self.caller.press(digit);
        }
        for n in 0..self.humans.len() {
            self.play_human(n);
        }
    }

    fn play_also(&mut self, what: Also) {
        let now = self.now;
        match what {
            Also::Reinvite(who, offer) => self.ua_mut(who).reinvite(now, offer),
            Also::OfferAgain => {
                if let Some(call) = self.call {
                    self.node.offer_again(now, call);
                }
            }
            Also::Mute(who) => self.ua_mut(who).mute = true,
            Also::Unmute(who) => self.ua_mut(who).mute = false,
            Also::Speak(n) => self.ua_mut(Who::Human(n)).voice = Sound::Human(n as u8),
            Also::Refer(who, aim, afterwards) => {
                let to = self.aim(aim);
                self.ua_mut(who).refer(now, &to, afterwards);
            }
            Also::NewStream(who) => self.ua_mut(who).new_stream(),
            Also::Vanish(who) => self.ua_mut(who).vanish(),
            Also::Press(who, digit) => self.ua_mut(who).press(digit),
            Also::PressInfo(who, digit) => {
                let now = self.now;
                self.ua_mut(who).press_by_info(now, digit);
            }
            Also::HangUp(who) => self.ua_mut(who).hang_up(now),
            Also::Handoff => self.ask_for_handoff(),
            Also::Accept => self.wish(what, Request::Accept),
            Also::Acknowledge => self.wish(what, Request::Acknowledge),
            Also::Route => self.route(),
            Also::Summary => {
                if let Some(call) = self.call {
                    self.request(Request::Context(call, serde_json::json!({ "summary": "all is said" })));
                }
            }
            Also::Decline => self.wish(what, Request::Decline),
            Also::Cancel => self.wish(what, Request::Cancel),
            Also::Presence(n, presence) => self.put_agent(n, presence),
            Also::Supervise => {
                if let Some(call) = self.call {
                    let whom = Whom::Target(format!("human-{}", self.scenario.targets()));
                    self.request(Request::Supervise(call, whom, "desk".into()));
                }
            }
            Also::Supervision(mode) => {
                if let Some(call) = self.call {
                    let wish = Wish {
                        mode: Some(mode),
                        rows: Vec::new(),
                    };
                    if self.request(Request::Hears(call, wish, "desk".into())).is_some() {
                        self.granted.push((self.now, what));
                    }
                }
            }
            Also::Dismiss => {
                if let Some(call) = self.call {
                    self.request(Request::Dismiss(call, "desk".into()));
                }
            }
            Also::EndCall => {
                if let Some(call) = self.any_call() {
                    self.request(Request::HangUp(call));
                }
            }
            Also::Drain => self.node.drain(),
            Also::Stall(time) => self.stalled = self.stalled.max(Some(now + time)),
            Also::Hush(time) => self.hushed = self.hushed.max(Some(now + time)),
            Also::Full(time) => self.full = self.full.max(Some(now + time)),
            Also::LoseEvidence => self.lose_evidence = true,
            Also::MediaRefuses => self.refuse_next = true,
            Also::Busy(worker) => {
                let share = |other| if other == worker { 0.9 } else { 0.0 };
                let measure = |other| {
                    Some(Measure {
                        // It has nothing of this call in full: what it costs is not known, and the others are many.
                        since: self.start,
                        share: share(other),
                    })
                };
                self.node.handle_load(now, &[0, 1].map(measure));
            }
        }
    }

    /// An agent of the queue says whether it is there.
    pub(super) fn put_agent(&mut self, n: usize, presence: Presence) {
        let Some(line) = self.scenario.line.as_ref().filter(|line| n < line.agents.len()) else {
            return;
        };
        let profile = Profile {
            id: format!("agent-{n}"),
            name: String::new(),
            uri: format!("sip:agent-{n}@{}", self.humans[line.target].sip),
            skills: BTreeMap::new(),
            languages: BTreeSet::new(),
            presence,
            calls: 1,
            order: n as u16,
        };
        self.request(Request::PutAgent(profile));
    }

    /// The Refer-To of a REFER.
    fn aim(&self, aim: Aim) -> String {
        match aim {
            Aim::Target(n) => match self.humans[..self.scenario.targets()].get(n) {
                Some(human) => format!("sip:human-{n}@{}", human.sip),
                None => "sip:nobody@192.0.2.99".into(),
            },
            Aim::Stranger => "sip:+900123456789@203.0.113.9".into(),
            Aim::StrangeUser => format!("sip:+900123456789@{}", self.humans[0].sip),
        }
    }

    /// The call, also one that has not started yet.
    fn any_call(&mut self) -> Option<CallId> {
        let Some(Response::Calls(calls)) = self.request(Request::Calls) else {
            return None;
        };
        calls.first()?.id.parse().ok()
    }

    /// What an API user asks of the handoff that was last told of.
    fn wish(&mut self, what: Also, wish: impl Fn(HandoffId) -> Request) {
        if let Some(handoff) = self.handoff
            && self.request(wish(handoff)).is_some()
        {
            self.granted.push((self.now, what));
        }
    }

    /// A party; of humans the last one where there are fewer.
    fn ua_mut(&mut self, who: Who) -> &mut Ua {
        match who {
            Who::Caller => &mut self.caller,
            Who::Ai => &mut self.ai,
            Who::Human(n) => {
                let last = self.humans.len() - 1;
                &mut self.humans[n.min(last)]
            }
        }
    }

    fn play_human(&mut self, n: usize) {
        let now = self.now;
        let Some(human) = self.scenario.behaviour(n) else {
            return;
        };
        let ua = &mut self.humans[n];
        let Some(answered) = ua.answered else { return };
        if let Some((_, digit)) = human.key.take_if(|(after, _)| answered + *after <= now) {
            ua.press(digit);
        } else if human.hang_up.is_some_and(|after| answered + after <= now) {
            ua.hang_up(now);
        }
    }

    /// The caller is called back, as was promised.
    fn call_back(&mut self) {
        let back = CallBack {
            trunk: "carrier".into(),
            caller: format!("sip:+4930123456@{}", self.caller.sip.ip()),
            target: None,
            humans: Vec::new(),
            reason: "promised".into(),
            context: serde_json::json!({ "fields": {}, "transcript": [] }),
        };
        self.request(Request::CallBack(Box::new(back)));
    }

    /// Who is asked where the caller goes needs so long for its answer.
    pub(super) fn answers_later(&mut self, after: Duration) {
        self.plan(self.now + after, Cue::Also(Also::Route));
    }

    fn route(&mut self) {
        let turns = self.scenario.router.is_some_and(|router| router.turns);
        let names = match turns {
            true => (0..self.scenario.targets())
                .rev()
                .map(|n| format!("human-{n}"))
                .collect(),
            false => vec!["nowhere".to_owned()],
        };
        self.wish(Also::Route, |handoff| Request::Route(handoff, Ok(names.clone())));
    }

    /// Asks for the handoff of the scenario, as the AI does by API.
    pub fn ask_for_handoff(&mut self) {
        let Some(call) = self.call else { return };
        let wish = HandoffRequest {
            mode: self.scenario.mode,
            target: None,
            reason: "asked for".into(),
            context: None,
            by_ai: false,
        };
        self.request(Request::Handoff(call, wish));
    }

    /// Any request to the node.
    pub fn request(&mut self, request: Request) -> Option<Response> {
        match self.node.handle_request(self.now, request) {
            Ok(response) => {
                if let Response::Handoff(handoff) = response {
                    self.handoff = Some(handoff);
                }
                Some(response)
            }
            Err(refusal) => {
                self.refusals.push(refusal);
                None
            }
        }
    }

    /// A stranger sends valid-looking RTP to every port of the node.
    fn spray(&mut self) {
        self.sprayer += 1;
        let from = SocketAddr::from(([203, 0, 113, 66], 6666));
        let bytes = Packet {
            marker: false,
            payload_type: [0, 8, 101][self.sprayer as usize % 3],
            sequence: self.sprayer as u16,
            timestamp: self.sprayer as u32 * 160,
            ssrc: 0x6666_6666,
            payload: vec![0x55; 160],
        }
        .to_bytes();
        for port in FIRST_PORT..FIRST_PORT + 2 * PAIRS {
            self.rtp_in(Datagram {
                from,
                to: SocketAddr::from((NODE, port)),
                bytes: bytes.clone(),
            });
        }
    }
}
