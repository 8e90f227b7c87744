//! One node, one core, three kinds of parties and a network, stepped from event to event on virtual time.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use calls::node::{Node, Output};
use calls::notice::{CallId, HandoffId, Notice, StandingLeg, Step, What};
use calls::request::RequestError;
use media::command::{Command, Event, Port, Refusal};
use media::verdict::Verdict;

use crate::net::{Datagram, Net};
use crate::random::Random;
use crate::rtp::Packet;
use crate::scenario::{Also, Scenario};
use crate::tcp::Tcp;
use crate::tone::Sound;
use crate::ua::{Answering, State, Ua};

mod config;
mod plane;
mod script;
mod streams;
mod wire;

use config::{node_config, prompts};
use plane::{Plane, Task};
use script::Cue;
pub use wire::Wire;

/// Where Baton is.
pub const NODE: [u8; 4] = [192, 0, 2, 1];
/// The lowest media port.
pub const FIRST_PORT: u16 = 40_000;
/// Pairs of ports.
pub const PAIRS: u16 = 32;

/// Which of the parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The caller.
    Caller,
    /// The AI.
    Ai,
    /// The n-th target.
    Human(usize),
}

/// One packet as Baton sent it, before the network touched it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it left.
    pub at: Instant,
    /// To whom.
    pub to: Who,
    /// The packet.
    pub packet: Packet,
    /// What it sounds like; `None`: not audio.
    pub sound: Option<Sound>,
}

/// Everything.
#[derive(Debug)]
pub struct World {
    /// The virtual clock.
    pub now: Instant,
    /// When it began.
    pub start: Instant,
    /// What is played.
    pub scenario: Scenario,
    /// The caller.
    pub caller: Ua,
    /// The AI.
    pub ai: Ua,
    /// The targets in order; then agents of a queue who have phones of their own.
    pub humans: Vec<Ua>,
    /// All RTP that Baton sent to parties.
    pub sent: Vec<Sent>,
    /// Everything that the node reported.
    pub notices: Vec<Notice>,
    /// The legs that the node told last to be up.
    pub legs: Vec<StandingLeg>,
    /// The call, once it is there.
    pub call: Option<CallId>,
    /// The handoff, once it is there.
    pub handoff: Option<HandoffId>,
    /// What a second request for a handoff was answered, and other refusals.
    pub refusals: Vec<RequestError>,
    /// What of [`Scenario::also`] was done, and when.
    pub done: Vec<(Instant, Also)>,
    /// Wishes about a handoff that were granted, and when.
    pub granted: Vec<(Instant, Also)>,
    /// When the worker refused a table.
    pub refusals_of_media: Vec<Instant>,
    /// All SIP between Baton and the parties, as Baton sent and got it.
    pub wire: Vec<Wire>,
    /// Datagrams that Baton sent to nobody we know: a fault.
    pub astray: Vec<Datagram>,
    /// The node under test.
    pub node: Node,
    /// The data plane under test.
    pub plane: Plane,
    /// Connections between the node and the parties.
    pub tcp: Tcp,
    net: Net,
    random: Random,
    tasks: VecDeque<(Instant, Task)>,
    events: VecDeque<(Instant, Event)>,
    script: Vec<(Instant, Cue)>,
    /// What waits for a step.
    after: Vec<(&'static str, Duration, Also)>,
    /// Until when the worker takes no command.
    stalled: Option<Instant>,
    refuse_next: bool,
    /// Until when nothing of the worker's reaches the node.
    hushed: Option<Instant>,
    /// Until when the worker keeps what it has to say.
    full: Option<Instant>,
    lose_evidence: bool,
    sprayed: Option<Instant>,
    sprayer: u64,
}

impl World {
    /// Sets the scene.
    pub fn new(scenario: Scenario) -> World {
        let start = Instant::now();
        let mut random = Random::new(scenario.seed);
        let node_sip = SocketAddr::from((NODE, 5060));
        let [caller_codecs, ai_codecs, human_codecs] = &scenario.encodings;
        let [caller_by, ai_by, humans_by] = scenario.carriages.of;
        let mut phase = || random.between(Duration::ZERO, Duration::from_millis(20));
        let phases = [phase(), phase(), phase(), phase(), phase()];
        let ua = |host: u8, voice, codecs: &[_], answering, index: usize, by| {
            let seed = Random::new(scenario.seed ^ (u64::from(host) << 40)).bits();
            Ua::new(
                [198, 51, 100, host],
                voice,
                codecs,
                answering,
                phases[index % phases.len()],
                by,
                seed,
            )
        };
        let answering = scenario.called_back.unwrap_or(Answering::RingOn);
        let mut caller = ua(10, Sound::Caller, caller_codecs, answering, 0, caller_by);
        caller.on_refer = scenario.carrier;
        caller.asked = scenario.asked;
        let ai = ua(20, Sound::Ai, ai_codecs, scenario.ai, 1, ai_by);
        let humans: Vec<Ua> = scenario
            .humans
            .iter()
            .chain(scenario.phones())
            .enumerate()
            .map(|(n, human)| {
                let voice = if scenario.quiet_humans {
                    Sound::Comfort
                } else {
                    Sound::Human(n as u8)
                };
                let mut human = ua(30 + n as u8, voice, human_codecs, human.answering, 2 + n, humans_by);
                human.asked = scenario.asked;
                if scenario.list_all {
                    human.list_all();
                }
                human
            })
            .collect();
        let (library, prompts) = prompts();
        let plane = Plane::new(&scenario, &library, start);
        let mut node = Node::new(node_config(&scenario, prompts, node_sip, &caller, &ai, &humans), start);
        scenario.took.iter().for_each(|took| node.learn("human-0", *took));
        let mut world = World {
            now: start,
            start,
            caller,
            ai,
            humans,
            sent: Vec::new(),
            notices: Vec::new(),
            legs: Vec::new(),
            call: None,
            handoff: None,
            refusals: Vec::new(),
            done: Vec::new(),
            granted: Vec::new(),
            refusals_of_media: Vec::new(),
            wire: Vec::new(),
            astray: Vec::new(),
            node,
            plane,
            tcp: Tcp::new(scenario.seed ^ 5, scenario.net[0], scenario.carriages.breaks),
            net: Net::new(scenario.seed ^ 2, scenario.net[0], scenario.net[1]),
            random,
            tasks: VecDeque::new(),
            events: VecDeque::new(),
            script: Vec::new(),
            after: Vec::new(),
            stalled: None,
            refuse_next: false,
            hushed: None,
            full: None,
            lose_evidence: false,
            sprayed: scenario.spray.map(|_| start),
            sprayer: 0,
            scenario,
        };
        let agents = world.scenario.line.as_ref().map(|line| line.agents.clone());
        for (n, presence) in agents.into_iter().flatten().enumerate() {
            world.put_agent(n, presence);
        }
        world.write_script();
        world
    }

    /// The process dies, and another one at the same place ends what it is told to have been left.
    pub fn crash(&mut self) {
        let node_sip = SocketAddr::from((NODE, 5060));
        // Another process draws other numbers.
        let scenario = Scenario {
            seed: self.scenario.seed ^ 0x5eed,
            ..self.scenario.clone()
        };
        let (library, prompts) = prompts();
        let config = node_config(&scenario, prompts, node_sip, &self.caller, &self.ai, &self.humans);
        self.node = Node::new(config, self.now);
        self.plane = Plane::new(&scenario, &library, self.now);
        self.tasks.clear();
        self.events.clear();
        self.tcp.die(self.now, NODE.into());
        for leg in std::mem::take(&mut self.legs) {
            assert!(self.node.end_foreign(self.now, leg), "a leg that nobody else has");
        }
        self.transmit();
    }

    /// Plays the scenario to its end, then until every timer has run out (ten minutes more at the most).
    pub fn run(scenario: Scenario) -> World {
        let mut world = World::new(scenario);
        world.run_to_the_end();
        world
    }

    /// Plays on to the end, then until every timer has run out: the last is of who refused a connection, 300 s after the last message.
    pub fn run_to_the_end(&mut self) {
        let last = self.start + self.scenario.end + Duration::from_secs(600);
        while self.step(last) {}
    }

    /// Plays until `at` after the start.
    pub fn run_until(&mut self, at: Duration) {
        let last = self.start + at;
        while self.step(last) {}
        self.now = last;
    }

    /// One step of time; false where nothing is left to do before `last`.
    fn step(&mut self, last: Instant) -> bool {
        let humans = self.humans.iter().filter_map(Ua::next_at).min();
        let next = [
            self.net.next_at(),
            self.tcp.next_at(),
            self.node.poll_timeout(),
            self.plane.poll_timeout(),
            self.caller.next_at(),
            self.ai.next_at(),
            humans,
            self.tasks.front().map(|(at, _)| self.takes_at(*at)),
            self.events.front().map(|(at, _)| self.heard_at(*at)),
            self.script.last().map(|(at, _)| *at),
            self.full,
            self.sprayed,
        ];
        let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= last) else {
            return false;
        };
        self.now = self.now.max(next);
        self.play_script();
        self.deliver();
        self.timeouts();
        self.transmit();
        true
    }

    fn deliver(&mut self) {
        let now = self.now;
        while self.tasks.front().is_some_and(|(at, _)| self.takes_at(*at) <= now) {
            let Some((_, task)) = self.tasks.pop_front() else {
                break;
            };
            match task {
                Task::Command(
                    _,
                    Command::Set {
                        session, generation, ..
                    },
                ) if std::mem::take(&mut self.refuse_next) => {
                    let reason = Refusal::Port;
                    self.refusals_of_media.push(now);
                    self.tell_node(Event::Refused {
                        session,
                        generation,
                        reason,
                    });
                }
                Task::Command(worker, command) => self.plane.handle_command(now, worker, command),
                Task::Move(session, from, to) => {
                    let moved = loop {
                        match self.plane.move_session(session, from, to) {
                            Some(moved) => break moved,
                            None => self.send_rtp(),
                        }
                    };
                    self.tell_node(Event::Moved { session, moved });
                }
            }
        }
        while self.events.front().is_some_and(|(at, _)| self.heard_at(*at) <= now) {
            let Some((_, event)) = self.events.pop_front() else {
                break;
            };
            self.node.handle_media(now, event);
        }
        self.deliver_streams();
        while let Some(datagram) = self.net.arrived(now) {
            let ip = datagram.to.ip();
            if ip == IpAddr::from(NODE) && datagram.to.port() == 5060 {
                self.log(datagram.from.ip(), false, false, &datagram.bytes);
                self.node
                    .handle_datagram(now, datagram.from, Bytes::from(datagram.bytes));
            } else if ip == IpAddr::from(NODE) {
                self.rtp_in(datagram);
            } else if let Some(n) = self.phone_at(ip, &datagram.bytes) {
                let to = self.humans[n].sip;
                self.humans[n].receive(now, Datagram { to, ..datagram });
            } else if let Some(ua) = self.party(ip) {
                ua.receive(now, datagram);
            } else {
                self.astray.push(datagram);
            }
        }
    }

    /// When the worker takes a command that reached it at `at`.
    fn takes_at(&self, at: Instant) -> Instant {
        self.stalled.map_or(at, |until| at.max(until))
    }

    /// When the node hears what reached it at `at`.
    fn heard_at(&self, at: Instant) -> Instant {
        self.hushed.map_or(at, |until| at.max(until))
    }

    /// The worker's word is under way to the node.
    fn tell_node(&mut self, event: Event) {
        if self.lose_evidence && matches!(event, Event::Evidence { .. }) {
            return;
        }
        let at = self.now + self.random.between(Duration::ZERO, self.scenario.hop);
        let at = self.events.back().map_or(at, |(last, _)| at.max(*last));
        self.events.push_back((at, event));
    }

    fn party(&mut self, ip: IpAddr) -> Option<&mut Ua> {
        let humans = self.humans.iter_mut();
        [&mut self.caller, &mut self.ai]
            .into_iter()
            .chain(humans)
            .find(|ua| ua.sip.ip() == ip)
    }

    /// Which agent's own phone a request of Baton's rings that goes to the address of the queue, as behind a PBX: by its Request-URI.
    fn phone_at(&self, to: IpAddr, bytes: &[u8]) -> Option<usize> {
        let scenario = &self.scenario;
        let line = scenario.line.as_ref().filter(|line| !line.phones.is_empty())?;
        if self.humans[line.target].sip.ip() != to {
            return None;
        }
        let first = bytes.split(|&byte| byte == b'\r').next()?;
        let uri = std::str::from_utf8(first).ok()?.split(' ').nth(1)?;
        let agent = uri.strip_prefix("sip:agent-")?.split('@').next()?.parse().ok()?;
        match scenario.phone(agent)? {
            Who::Human(n) if n >= scenario.humans.len() => Some(n),
            _ => None,
        }
    }

    fn rtp_in(&mut self, datagram: Datagram) {
        let mut buffer = [0; 2048];
        let len = datagram.bytes.len();
        buffer[..len].copy_from_slice(&datagram.bytes);
        let port = Port(datagram.to.port());
        if let Verdict::Send { from, to, len } =
            self.plane
                .handle_packet(self.now, port, datagram.from, &mut buffer, len)
        {
            self.rtp_out(from, to, &buffer[..len]);
        }
    }

    fn rtp_out(&mut self, from: Port, to: SocketAddr, bytes: &[u8]) {
        let who = self.who(to);
        if let (Some(who), Some(packet)) = (who, Packet::parse(bytes)) {
            let sound = match packet.payload_type {
                0 => Some(Sound::of_packet(&packet.payload, false)),
                8 => Some(Sound::of_packet(&packet.payload, true)),
                _ => None,
            };
            self.sent.push(Sent {
                at: self.now,
                to: who,
                packet,
                sound,
            });
        }
        let datagram = Datagram {
            from: SocketAddr::from((NODE, from.0)),
            to,
            bytes: bytes.to_vec(),
        };
        self.net.send(self.now, datagram);
    }

    fn who(&self, to: SocketAddr) -> Option<Who> {
        if self.caller.receives_at(to) {
            return Some(Who::Caller);
        }
        if self.ai.receives_at(to) {
            return Some(Who::Ai);
        }
        self.humans.iter().position(|ua| ua.receives_at(to)).map(Who::Human)
    }

    fn timeouts(&mut self) {
        let now = self.now;
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
        loop {
            self.plane.handle_timeout(now);
            self.send_rtp();
            if self.plane.poll_timeout().is_none_or(|at| at > now) {
                break;
            }
        }
        self.caller.timeout(now);
        self.ai.timeout(now);
        self.humans.iter_mut().for_each(|ua| ua.timeout(now));
    }

    /// What the cores have to send.
    fn send_rtp(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(transmit) = self.plane.poll_transmit(self.now, &mut buffer) {
            self.rtp_out(transmit.from, transmit.to, &buffer[..transmit.len]);
        }
    }

    /// Something for a worker is under way.
    fn tell_worker(&mut self, task: Task) {
        let at = self.now + self.random.between(Duration::ZERO, self.scenario.hop);
        let at = self.tasks.back().map_or(at, |(last, _)| at.max(*last));
        self.tasks.push_back((at, task));
    }

    fn transmit(&mut self) {
        let now = self.now;
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram(transmit) => {
                    let datagram = Datagram {
                        from: SocketAddr::from((NODE, 5060)),
                        to: transmit.to,
                        bytes: transmit.bytes.to_vec(),
                    };
                    self.log(datagram.to.ip(), true, false, &datagram.bytes);
                    self.net.send(now, datagram);
                }
                Output::Stream(stream) => self.node_wants(stream),
                Output::Media { worker, command } => self.tell_worker(Task::Command(worker, command)),
                Output::Move { session, from, to } => self.tell_worker(Task::Move(session, from, to)),
                Output::Notice(notice) => self.note(notice),
                // Notices say the same.
                Output::Answer(..) => {}
            }
        }
        if self.full.is_none_or(|until| until <= now) {
            self.full = None;
            while let Some(event) = self.plane.poll_event() {
                self.tell_node(event);
            }
        }
        let (mut out, mut streams) = (Vec::new(), Vec::new());
        for ua in [&mut self.caller, &mut self.ai].into_iter().chain(&mut self.humans) {
            ua.transmit(now, &mut out, &mut streams);
            let host = ua.sip.ip();
            streams.drain(..).for_each(|stream| self.tcp.handle(now, host, stream));
        }
        for datagram in out {
            self.net.send(now, datagram);
        }
    }

    fn note(&mut self, notice: Notice) {
        match &notice.what {
            // What is kept for whoever comes after us; no part of the story.
            What::Legs(legs) => {
                self.legs.clone_from(legs);
                return;
            }
            What::CallStarted { .. } => {
                self.call = Some(notice.call);
                self.stepped("started");
            }
            What::Handoff(handoff, step) => {
                if matches!(step, Step::Requested { .. }) {
                    self.handoff = Some(*handoff);
                }
                if let (Step::Asked { .. }, Some(router)) = (step, self.scenario.router) {
                    self.answers_later(router.after);
                }
                self.stepped(step.name());
            }
            _ => {}
        }
        self.notices.push(notice);
    }

    /// A party by its name.
    pub fn ua(&self, who: Who) -> &Ua {
        match who {
            Who::Caller => &self.caller,
            Who::Ai => &self.ai,
            Who::Human(n) => &self.humans[n],
        }
    }

    /// Every party.
    pub fn everyone(&self) -> Vec<Who> {
        let humans = (0..self.humans.len()).map(Who::Human);
        [Who::Caller, Who::Ai].into_iter().chain(humans).collect()
    }

    /// Whether a party's phone rings or its call is up.
    pub fn is_busy(&self, who: Who) -> bool {
        matches!(self.ua(who).state, State::Early | State::Up)
    }
}
