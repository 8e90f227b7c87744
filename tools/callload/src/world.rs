//! All calls and the time that they take: one thread, three SIP sockets, and the way of the RTP.

mod media;

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use baton_parties::codec::Codec;
use baton_parties::sdp::Local;
use baton_parties::sip::{Event, Ua};
use serde_json::{Value, json};

use crate::figures::Figures;
use crate::heard::Heard;
use crate::http::{Answer, Kind, Request};
use crate::line::{Laws, PTIME, Role, Stream};
use crate::options::Options;
use crate::post::Post;
use crate::rtp::Rtp;
use media::Due;

/// How long a call talks with the AI before it is handed off, and with the human after the join.
const TALK: Duration = Duration::from_secs(1);

/// Calls that are placed a second while the background builds up, and handoffs of those that are to be on hold.
const SETUP_RATE: f64 = 50.0;

/// A handoff that has not joined by then is a fault.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a party that is done still answers repetitions.
const LINGER: Duration = Duration::from_secs(2);

/// How long it sleeps where there is nothing to do.
const REST: Duration = Duration::from_micros(50);

/// How often the timers of the user agents are looked at.
const TIMERS: Duration = Duration::from_millis(50);

struct Leg {
    role: Role,
    codec: Codec,
    ua: Ua,
    sip_call_id: String,
    stream: Stream,
    /// Counts the legs that have had this place.
    age: u32,
    /// Of an AI or a human: `X-Baton-Call`.
    baton: Option<String>,
    /// Which call of ours it belongs to, once that is known.
    call: Option<u32>,
    heard: Heard,
    done: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialing,
    Talking,
    /// The handoff was due at.
    HandingOff(Instant),
    Joined(Instant),
    /// On hold, for as long as it is measured.
    Held,
    Over,
}

struct Call {
    leg: usize,
    baton: Option<String>,
    stage: Stage,
    background: bool,
    /// Placed while it is measured.
    counts: bool,
    began: Instant,
}

/// What is being measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing that counts.
    Idle,
    /// The calls that live the whole time, by themselves.
    Alone,
    /// Everything.
    Load,
    /// Callers on hold.
    Hold,
}

/// Everything on our side.
pub(crate) struct World {
    posts: [Post; 3],
    pub(crate) rtp: Rtp,
    server: SocketAddr,
    codecs: [Codec; 3],
    /// Refusals for the budget are no fault.
    may_refuse: bool,
    laws: Laws,
    base: Instant,
    phase: Phase,
    legs: Vec<Option<Leg>>,
    free: Vec<usize>,
    ages: u32,
    by_id: HashMap<(u8, String), usize>,
    /// Of each role, by the server's port: whose audio comes from there, its place and one more.
    by_port: [Vec<u32>; 3],
    /// When each stream has its next packet.
    due_packets: BinaryHeap<Due>,
    by_baton: HashMap<String, u32>,
    calls: Vec<Call>,
    /// Who can be talked with, for turns.
    talking: Vec<u32>,
    next_turn_of: usize,
    /// When the next handoffs are due, and of which calls: the soonest first.
    due: VecDeque<(Instant, u32)>,
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    pending: usize,
    /// What had been dropped when the phase began.
    dropped: [u64; 2],
    ssrc: u32,
    /// When timers were looked at last, and those of which leg and call.
    timers: Instant,
    timers_of: usize,
    patience_of: usize,
    last_turn: Instant,
    pub(crate) figures: Figures,
}

impl World {
    pub(crate) fn new(
        options: &Options,
        posts: [Post; 3],
        rtp: Rtp,
        server: SocketAddr,
        requests: Sender<Request>,
        answers: Receiver<Answer>,
    ) -> World {
        let now = Instant::now();
        World {
            posts,
            rtp,
            server,
            codecs: options.codecs,
            may_refuse: options.core_share < 100,
            laws: Laws::new(),
            base: now,
            phase: Phase::Idle,
            legs: Vec::new(),
            free: Vec::new(),
            ages: 0,
            by_id: HashMap::new(),
            by_port: std::array::from_fn(|_| vec![0; 1 << 16]),
            due_packets: BinaryHeap::new(),
            by_baton: HashMap::new(),
            calls: Vec::new(),
            talking: Vec::new(),
            next_turn_of: 0,
            due: VecDeque::new(),
            requests,
            answers,
            pending: 0,
            dropped: [0; 2],
            ssrc: 1,
            timers: now,
            timers_of: 0,
            patience_of: 0,
            last_turn: now,
            figures: Figures::default(),
        }
    }

    /// Places the calls that live the whole time; `false` where they do not all come up.
    pub(crate) fn build_up(&mut self, calls: u32) -> bool {
        let begin = Instant::now();
        let mut placed = 0;
        while begin.elapsed().as_secs_f64() < f64::from(calls) / SETUP_RATE + 5.0 {
            let due = (begin.elapsed().as_secs_f64() * SETUP_RATE) as u32;
            while placed < due.min(calls) {
                self.dial(true);
                placed += 1;
            }
            self.turn();
            if placed == calls && self.talking.len() as u64 + self.figures.refused == u64::from(calls) {
                return true;
            }
        }
        false
    }

    /// Hands all calls off to humans who are briefed until it is over; `false` where they are not all on hold in time.
    pub(crate) fn put_on_hold(&mut self) -> bool {
        let begin = Instant::now();
        let count = self.calls.len() as u32;
        let mut asked = 0;
        while begin.elapsed().as_secs_f64() < f64::from(count) / SETUP_RATE + 10.0 {
            let now = Instant::now();
            let due = (begin.elapsed().as_secs_f64() * SETUP_RATE) as u32;
            while asked < due.min(count) {
                self.hand_off(asked, now);
                asked += 1;
            }
            self.turn();
            if self
                .calls
                .iter()
                .all(|call| matches!(call.stage, Stage::Held | Stage::Over))
            {
                return self.figures.faults_in_all == 0;
            }
        }
        false
    }

    /// Lets time pass with nothing new.
    pub(crate) fn idle(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.turn();
        }
    }

    /// From now on, this is measured.
    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.dropped = self.dropped_so_far();
        for leg in self.legs.iter_mut().flatten() {
            // Of those that are handed off, all counts.
            let background = leg.call.is_none_or(|call| self.calls[call as usize].background);
            if background {
                leg.heard.begin();
            }
        }
    }

    /// The phase is over: what the lines were like that live longer than it.
    pub(crate) fn end(&mut self) {
        let now = Instant::now();
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        let dropped = self.dropped_so_far();
        self.figures.own_dropped += dropped[0] - self.dropped[0];
        self.figures.server_overruns += dropped[1] - self.dropped[1];
        for leg in self.legs.iter_mut().flatten().filter(|leg| leg.done.is_none()) {
            let Some(call) = leg.call.map(|call| &self.calls[call as usize]) else {
                continue;
            };
            if !call.background || call.stage == Stage::Over {
                continue;
            }
            leg.heard.end(now);
            let lines = match (phase, leg.role) {
                (Phase::Alone, Role::Caller) => &mut self.figures.alone,
                (Phase::Load, Role::Caller) => &mut self.figures.beside,
                (Phase::Hold, Role::Caller) => &mut self.figures.held,
                (Phase::Hold, Role::Human) => &mut self.figures.briefed,
                _ => continue,
            };
            lines.add(&leg.heard);
        }
    }

    /// At our sockets and our end of the link; at the server's.
    fn dropped_so_far(&self) -> [u64; 2] {
        let own = self.posts.iter().map(Post::dropped).sum::<u64>() + self.rtp.dropped();
        [own, self.rtp.server_overruns()]
    }

    /// Turns and handoffs at their rates.
    pub(crate) fn load(&mut self, options: &Options, time: Duration) {
        let begin = Instant::now();
        let (mut turns, mut handoffs) = (0, 0);
        while begin.elapsed() < time {
            let passed = begin.elapsed().as_secs_f64();
            while f64::from(turns) < passed * f64::from(options.turns) {
                let due = begin + Duration::from_secs_f64(f64::from(turns) / f64::from(options.turns));
                self.ask_turn(due);
                turns += 1;
            }
            while f64::from(handoffs) < passed * f64::from(options.handoffs) {
                self.dial(false);
                handoffs += 1;
            }
            self.turn();
        }
    }

    /// Waits for what is under way.
    pub(crate) fn settle(&mut self) {
        let begin = Instant::now();
        let busy = |world: &World| {
            let open = |call: &Call| !call.background && call.stage != Stage::Over;
            world.pending > 0 || world.calls.iter().any(open)
        };
        while busy(self) && begin.elapsed() < PATIENCE {
            self.turn();
        }
    }

    /// Hangs up the rest.
    pub(crate) fn finish(&mut self) {
        for number in 0..self.calls.len() {
            self.hang_up(number as u32);
        }
        self.idle(Duration::from_secs(1));
    }

    fn dial(&mut self, background: bool) {
        let now = Instant::now();
        let number = self.calls.len() as u32;
        let leg = self.add_leg(Role::Caller, number, now);
        let uri = format!("sip:line@{}", self.server);
        if let Some(added) = &mut self.legs[leg] {
            added.ua.invite(now, &uri, self.server);
            added.call = Some(number);
        }
        self.calls.push(Call {
            leg,
            baton: None,
            stage: Stage::Dialing,
            background,
            counts: self.phase == Phase::Load,
            began: now,
        });
        self.serve(leg, now);
    }

    fn add_leg(&mut self, role: Role, number: u32, now: Instant) -> usize {
        self.ssrc = self.ssrc.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        self.ages = self.ages.wrapping_add(1);
        let post = &self.posts[role as usize];
        let codec = self.codecs[role as usize];
        let media = Local {
            address: self.rtp.address(),
            port: self.rtp.port(role),
            codec,
            ptime_ms: PTIME.as_millis() as u32,
            session: self.ssrc >> 1,
            version: 1,
        };
        let leg = Leg {
            role,
            codec,
            ua: Ua::new(post.at, ["caller", "ai", "human"][role as usize], media),
            sip_call_id: String::new(),
            stream: Stream::new(role, number, codec, self.ssrc, now),
            age: self.ages,
            baton: None,
            call: None,
            heard: Heard::default(),
            done: None,
        };
        match self.free.pop() {
            Some(place) => {
                self.legs[place] = Some(leg);
                place
            }
            None => {
                self.legs.push(Some(leg));
                self.legs.len() - 1
            }
        }
    }

    fn ask_turn(&mut self, due: Instant) {
        // Those who are no longer talking leave the list as they are met.
        while !self.talking.is_empty() {
            self.next_turn_of %= self.talking.len();
            let number = self.talking[self.next_turn_of];
            let call = &self.calls[number as usize];
            if call.stage != Stage::Talking {
                self.talking.swap_remove(self.next_turn_of);
                continue;
            }
            self.next_turn_of += 1;
            let Some(baton) = &call.baton else { continue };
            let role = if self.next_turn_of.is_multiple_of(2) {
                "caller"
            } else {
                "ai"
            };
            let body = json!({
                "role": role, "text": "I ordered it on the third and it has not come, the number is 4711.",
                "confidence": 0.93, "intent": "order_status",
            });
            let path = format!("/v1/calls/{baton}/turns");
            self.ask(Kind::Turn, number, due, path, body);
            return;
        }
    }

    fn ask(&mut self, kind: Kind, call: u32, due: Instant, path: String, body: Value) {
        let request = Request {
            kind,
            call,
            due,
            path,
            body,
        };
        if self.requests.send(request).is_ok() {
            self.pending += 1;
        }
    }

    /// One round: what came, what is due, what goes out; a short sleep where nothing did.
    fn turn(&mut self) {
        let now = Instant::now();
        let stall = now.saturating_duration_since(self.last_turn);
        if self.phase != Phase::Idle {
            self.figures.own_stall = self.figures.own_stall.max(stall);
        }
        self.last_turn = now;
        let mut busy = false;
        busy |= self.take_rtp();
        for role in [Role::Caller, Role::Ai, Role::Human] {
            busy |= self.take_sip(role);
        }
        self.take_answers();
        self.hand_off_due(now);
        busy |= self.send_rtp();
        self.take_time(now);
        // A packet that waits for us would be charged to the server.
        if !busy {
            std::thread::sleep(REST);
        }
    }

    /// One message, if one came: packets do not wait for more than that.
    fn take_sip(&mut self, role: Role) -> bool {
        let mut buffer = [0; 4096];
        let Ok((length, from)) = self.posts[role as usize].sip.recv_from(&mut buffer) else {
            return false;
        };
        let now = Instant::now();
        let datagram = &buffer[..length];
        let Some(id) = call_id(datagram) else { return true };
        let key = (role as u8, id);
        let place = match self.by_id.get(&key) {
            Some(place) => *place,
            None if datagram.starts_with(b"INVITE ") => {
                let place = self.add_leg(role, 0, now);
                if let Some(leg) = &mut self.legs[place] {
                    leg.sip_call_id.clone_from(&key.1);
                }
                self.by_id.insert(key, place);
                place
            }
            None => return true,
        };
        if let Some(leg) = &mut self.legs[place] {
            leg.ua.handle(now, from, datagram);
        }
        self.serve(place, now);
        true
    }

    /// What a user agent has to say and to send.
    fn serve(&mut self, place: usize, now: Instant) {
        loop {
            let Some(leg) = &mut self.legs[place] else { return };
            if let Some((to, datagram)) = leg.ua.poll_transmit() {
                if leg.sip_call_id.is_empty()
                    && let Some(id) = call_id(&datagram)
                {
                    leg.sip_call_id.clone_from(&id);
                    self.by_id.insert((leg.role as u8, id), place);
                }
                let _ = self.posts[leg.role as usize].sip.send_to(&datagram, to);
                continue;
            }
            let Some(event) = leg.ua.poll_event() else { return };
            self.take_event(place, event, now);
        }
    }

    fn take_event(&mut self, place: usize, event: Event, now: Instant) {
        let Some(leg) = &mut self.legs[place] else { return };
        let role = leg.role;
        match event {
            Event::Invited { call, offer } => {
                leg.baton = call;
                leg.call = leg.baton.as_ref().and_then(|baton| self.by_baton.get(baton)).copied();
                leg.ua.ring(now);
                leg.ua.accept(now);
                let call = leg.call.filter(|_| role == Role::Human);
                if let Some(offer) = offer {
                    self.speak(place, offer.audio, now);
                }
                if let Some(call) = call {
                    self.human_invited(call, now);
                }
            }
            Event::Answered(answer) => self.speak(place, answer.audio, now),
            Event::Changed(description) => self.speak(place, description.audio, now),
            Event::Up(answer) => {
                if let Some(answer) = answer {
                    self.speak(place, answer.audio, now);
                }
            }
            Event::Refused(503) if self.may_refuse => {
                self.figures.refused += 1;
                self.end_leg(place, now);
            }
            Event::Refused(code) => {
                self.figures
                    .fault(format!("a caller's INVITE was answered with {code}"));
                self.end_leg(place, now);
            }
            Event::TimedOut => {
                self.figures.fault(format!("nobody answered a message of the {role:?}"));
                self.end_leg(place, now);
            }
            Event::Ended => {
                if role == Role::Caller
                    && let Some(number) = leg.call
                    && self.calls[number as usize].stage != Stage::Over
                {
                    let stage = self.calls[number as usize].stage;
                    self.figures.fault(format!("a caller was hung up on while {stage:?}"));
                }
                self.end_leg(place, now);
            }
            Event::Over => self.end_leg(place, now),
        }
    }

    fn human_invited(&mut self, number: u32, now: Instant) {
        let call = &mut self.calls[number as usize];
        let Stage::HandingOff(due) = call.stage else { return };
        if call.counts {
            self.figures.invites.push(now.saturating_duration_since(due));
        }
        if call.background {
            call.stage = Stage::Held;
        }
    }

    fn end_leg(&mut self, place: usize, now: Instant) {
        let Some(leg) = &mut self.legs[place] else { return };
        leg.done.get_or_insert(now);
        let (role, to) = (leg.role, leg.stream.to.take());
        if let Some(to) = to {
            self.forget_port(role, to, place);
        }
        let leg = self.legs[place].as_ref();
        if let Some(number) = leg.filter(|leg| leg.role == Role::Caller).and_then(|leg| leg.call) {
            self.close(number);
        }
    }

    /// A caller's call is over.
    fn close(&mut self, number: u32) {
        let call = &mut self.calls[number as usize];
        let stage = std::mem::replace(&mut call.stage, Stage::Over);
        if let Some(baton) = call.baton.take() {
            self.by_baton.remove(&baton);
        }
        if !call.background
            && matches!(stage, Stage::Joined(_))
            && let Some(leg) = &mut self.legs[call.leg]
        {
            leg.heard.end(Instant::now());
            self.figures.handed.add(&leg.heard);
        }
    }

    fn hang_up(&mut self, number: u32) {
        let now = Instant::now();
        let place = self.calls[number as usize].leg;
        if self.calls[number as usize].stage == Stage::Over {
            if self.calls[number as usize].background && !self.may_refuse {
                self.figures.fault("a background call ended by itself");
            }
            return;
        }
        self.close(number);
        if let Some(leg) = &mut self.legs[place] {
            leg.ua.hang_up(now);
        }
        self.serve(place, now);
    }

    fn take_answers(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            self.pending -= 1;
            let latency = answer.at.saturating_duration_since(answer.due);
            let measured = self.phase == Phase::Load;
            let (expected, latencies) = match answer.kind {
                Kind::Turn => (200, &mut self.figures.turns),
                Kind::Handoff => (202, &mut self.figures.handoffs),
            };
            if answer.status != Ok(expected) {
                let (kind, call) = (answer.kind, answer.call);
                let words: String = answer.body.chars().take(200).collect();
                self.figures
                    .fault(format!("{kind:?} of call {call}: {:?} {words}", answer.status));
                continue;
            }
            if measured {
                latencies.push(latency);
            }
            if answer.kind == Kind::Handoff && self.calls[answer.call as usize].counts {
                let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                self.figures.ids.extend(body["id"].as_str().map(str::to_owned));
            }
        }
    }

    /// All timers within [`TIMERS`], some of them in each turn.
    fn take_time(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.timers).as_secs_f64() / TIMERS.as_secs_f64();
        self.timers = now;
        let part = |all: usize| (passed.min(1.0) * all as f64).ceil() as usize;
        for _ in 0..part(self.legs.len()) {
            self.timers_of = (self.timers_of + 1) % self.legs.len();
            self.take_time_of(self.timers_of, now);
        }
        for _ in 0..part(self.calls.len()) {
            self.patience_of = (self.patience_of + 1) % self.calls.len();
            self.take_patience_of(self.patience_of as u32, now);
        }
    }

    fn take_time_of(&mut self, place: usize, now: Instant) {
        let Some(leg) = &mut self.legs[place] else { return };
        leg.ua.handle_timeout(now);
        if leg.done.is_some_and(|done| now >= done + LINGER) {
            self.by_id
                .remove(&(leg.role as u8, std::mem::take(&mut leg.sip_call_id)));
            self.legs[place] = None;
            self.free.push(place);
            return;
        }
        self.serve(place, now);
    }

    fn take_patience_of(&mut self, number: u32, now: Instant) {
        let call = &self.calls[number as usize];
        if call.background {
            return;
        }
        match call.stage {
            Stage::Joined(at) if now >= at + TALK => self.hang_up(number),
            Stage::HandingOff(due) if now >= due + PATIENCE => {
                self.figures.fault("a handoff did not join");
                self.hang_up(number);
            }
            Stage::Dialing if now >= call.began + PATIENCE => {
                self.figures.fault("a call was not connected");
                self.hang_up(number);
            }
            _ => {}
        }
    }

    /// In every turn, for how late it is counts.
    fn hand_off_due(&mut self, now: Instant) {
        while let Some(&(due, number)) = self.due.front().filter(|(due, _)| *due <= now) {
            self.due.pop_front();
            if self.calls[number as usize].stage == Stage::Talking {
                self.hand_off(number, due);
            }
        }
    }

    fn hand_off(&mut self, number: u32, due: Instant) {
        let call = &mut self.calls[number as usize];
        let Some(baton) = &call.baton else { return };
        let path = format!("/v1/calls/{baton}/handoffs");
        // From now on no turn is due in it: one that is under way may come after the join.
        call.stage = Stage::HandingOff(due);
        if !call.background {
            self.figures.asked += 1;
        }
        self.ask(
            Kind::Handoff,
            number,
            due,
            path,
            json!({ "mode": "auto", "reason": "load" }),
        );
    }
}

/// The Call-ID of a message, as the server and we print it.
fn call_id(datagram: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(datagram).ok()?;
    let line = text
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix("Call-ID:"))?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_id_is_found_in_the_head_only() {
        let message = b"BYE sip:a@b SIP/2.0\r\nVia: x\r\nCall-ID:  abc@d \r\n\r\nCall-ID: other";
        assert_eq!(call_id(message).as_deref(), Some("abc@d"));
        assert_eq!(call_id(b"BYE sip:a@b SIP/2.0\r\n\r\nCall-ID: other"), None);
        assert_eq!(call_id(&[0xff, 0xfe]), None);
    }
}
