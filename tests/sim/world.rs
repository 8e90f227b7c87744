//! One node, one core, three kinds of parties and a network, stepped from event to event on virtual time.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use calls::config::{AiAgent, Deadlines, Prompts, Target, Trunk};
use calls::node::{Node, Output};
use calls::notice::{CallId, HandoffId, Notice, Step, What};
use calls::request::{HandoffRequest, Request, RequestError, Response};
use media::command::{Command, Event, Latch, Port};
use media::core::Core;
use media::verdict::Verdict;
use playbook::Playbook;

use crate::net::{Datagram, Net};
use crate::random::Random;
use crate::rtp::Packet;
use crate::scenario::{Also, Scenario};
use crate::tone::Sound;
use crate::ua::{Answering, State, Ua};

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
    /// The targets in order.
    pub humans: Vec<Ua>,
    /// All RTP that Baton sent to parties.
    pub sent: Vec<Sent>,
    /// Everything that the node reported.
    pub notices: Vec<Notice>,
    /// The call, once it is there.
    pub call: Option<CallId>,
    /// The handoff, once it is there.
    pub handoff: Option<HandoffId>,
    /// What a second request for a handoff was answered, and other refusals.
    pub refusals: Vec<RequestError>,
    /// Datagrams that Baton sent to nobody we know: a fault.
    pub astray: Vec<Datagram>,
    /// The node under test.
    pub node: Node,
    /// The core under test.
    pub core: Core,
    net: Net,
    random: Random,
    commands: VecDeque<(Instant, Command)>,
    events: VecDeque<(Instant, Event)>,
    script: Vec<(Instant, Cue)>,
    sprayed: Option<Instant>,
    sprayer: u64,
}

/// What the script does at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cue {
    Call,
    Handoff,
    Cancel,
    CallerHangsUp,
    AiHangsUp,
    EveryoneHangsUp,
    Also(Also),
}

impl World {
    /// Sets the scene.
    pub fn new(scenario: Scenario) -> World {
        let start = Instant::now();
        let mut random = Random::new(scenario.seed);
        let node_sip = SocketAddr::from((NODE, 5060));
        let [caller_codecs, ai_codecs, human_codecs] = &scenario.encodings;
        let mut phase = || random.between(Duration::ZERO, Duration::from_millis(20));
        let phases = [phase(), phase(), phase(), phase(), phase()];
        let ua = |host: u8, voice, codecs: &[_], answering, index: usize| {
            let seed = Random::new(scenario.seed ^ (u64::from(host) << 40)).bits();
            Ua::new(
                [198, 51, 100, host],
                voice,
                codecs,
                answering,
                phases[index % phases.len()],
                seed,
            )
        };
        let caller = ua(10, Sound::Caller, caller_codecs, Answering::RingOn, 0);
        let ai = ua(20, Sound::Ai, ai_codecs, scenario.ai, 1);
        let humans: Vec<Ua> = scenario
            .humans
            .iter()
            .enumerate()
            .map(|(n, human)| {
                let voice = if scenario.quiet_humans {
                    Sound::Comfort
                } else {
                    Sound::Human(n as u8)
                };
                ua(30 + n as u8, voice, human_codecs, human.answering, 2 + n)
            })
            .collect();
        let (library, prompts) = prompts();
        let core = Core::new(
            media::core::Config {
                first_port: Port(FIRST_PORT),
                pairs: PAIRS,
                sessions: 8,
                pending: 64,
                prompts: library,
                cname: "baton".into(),
                seed: scenario.seed ^ 1,
            },
            start,
        );
        let node = Node::new(node_config(&scenario, prompts, node_sip, &caller, &ai, &humans), start);
        let mut world = World {
            now: start,
            start,
            caller,
            ai,
            humans,
            sent: Vec::new(),
            notices: Vec::new(),
            call: None,
            handoff: None,
            refusals: Vec::new(),
            astray: Vec::new(),
            node,
            core,
            net: Net::new(scenario.seed ^ 2, scenario.net[0], scenario.net[1]),
            random,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            script: Vec::new(),
            sprayed: scenario.spray.map(|_| start),
            sprayer: 0,
            scenario,
        };
        world.write_script();
        world
    }

    fn write_script(&mut self) {
        self.scenario.caller_keys.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let cues = [
            (Some(Duration::ZERO), Cue::Call),
            (self.scenario.handoff_at, Cue::Handoff),
            (self.scenario.cancel_at, Cue::Cancel),
            (self.scenario.caller_hangs_up, Cue::CallerHangsUp),
            (self.scenario.ai_hangs_up, Cue::AiHangsUp),
            (Some(self.scenario.end), Cue::EveryoneHangsUp),
        ];
        self.script = cues
            .into_iter()
            .filter_map(|(at, cue)| at.map(|at| (self.start + at, cue)))
            .collect();
        let also = self.scenario.also.iter();
        self.script
            .extend(also.map(|(at, what)| (self.start + *at, Cue::Also(*what))));
        self.script.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    /// Plays the scenario to its end, then until every timer has run out (two minutes more at the most).
    pub fn run(scenario: Scenario) -> World {
        let mut world = World::new(scenario);
        let last = world.start + world.scenario.end + Duration::from_secs(120);
        while world.step(last) {}
        world
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
            self.node.poll_timeout(),
            self.core.poll_timeout(),
            self.caller.next_at(),
            self.ai.next_at(),
            humans,
            self.commands.front().map(|(at, _)| *at),
            self.events.front().map(|(at, _)| *at),
            self.script.last().map(|(at, _)| *at),
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

    fn play_script(&mut self) {
        while let Some((_, cue)) = self.script.pop_if(|(at, _)| *at <= self.now) {
            let now = self.now;
            match cue {
                Cue::Call => self
                    .caller
                    .call(now, "sip:service@192.0.2.1", SocketAddr::from((NODE, 5060))),
                Cue::Handoff => self.ask_for_handoff(),
                Cue::Cancel => {
                    if let Some(handoff) = self.handoff {
                        self.request(Request::Cancel(handoff));
                    }
                }
                Cue::CallerHangsUp => self.caller.hang_up(now),
                Cue::AiHangsUp => self.ai.hang_up(now),
                Cue::Also(what) => self.play_also(what),
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
        match (what, self.handoff) {
            (Also::Reinvite(who, direction), _) => self.ua_mut(who).reinvite(now, direction),
            (Also::Mute(who), _) => self.ua_mut(who).mute = true,
            (Also::Handoff, _) => self.ask_for_handoff(),
            (Also::Accept, Some(handoff)) => drop(self.request(Request::Accept(handoff))),
            (Also::Decline, Some(handoff)) => drop(self.request(Request::Decline(handoff))),
            (Also::Accept | Also::Decline, None) => {}
        }
    }

    fn ua_mut(&mut self, who: Who) -> &mut Ua {
        match who {
            Who::Caller => &mut self.caller,
            Who::Ai => &mut self.ai,
            Who::Human(n) => &mut self.humans[n],
        }
    }

    fn play_human(&mut self, n: usize) {
        let (human, now) = (self.scenario.humans[n], self.now);
        let ua = &mut self.humans[n];
        let Some(answered) = ua.answered else { return };
        if let Some((_, digit)) = human.key.filter(|(after, _)| answered + *after <= now) {
            self.scenario.humans[n].key = None;
            self.humans[n].press(digit);
        } else if human.hang_up.is_some_and(|after| answered + after <= now) {
            ua.hang_up(now);
        }
    }

    /// Asks for the handoff of the scenario, as the AI does by API.
    pub fn ask_for_handoff(&mut self) {
        let Some(call) = self.call else { return };
        let wish = HandoffRequest {
            mode: self.scenario.mode,
            target: None,
            reason: "asked for".into(),
            context: None,
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

    fn deliver(&mut self) {
        let now = self.now;
        while self.commands.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, command)) = self.commands.pop_front() else {
                break;
            };
            self.core.handle_command(now, command);
        }
        while self.events.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, event)) = self.events.pop_front() else {
                break;
            };
            self.node.handle_media(now, 0, event);
        }
        while let Some(datagram) = self.net.arrived(now) {
            let ip = datagram.to.ip();
            if ip == IpAddr::from(NODE) && datagram.to.port() == 5060 {
                self.node
                    .handle_datagram(now, datagram.from, Bytes::from(datagram.bytes));
            } else if ip == IpAddr::from(NODE) {
                self.rtp_in(datagram);
            } else if let Some(ua) = self.party(ip) {
                ua.receive(now, datagram);
            } else {
                self.astray.push(datagram);
            }
        }
    }

    fn party(&mut self, ip: IpAddr) -> Option<&mut Ua> {
        let humans = self.humans.iter_mut();
        [&mut self.caller, &mut self.ai]
            .into_iter()
            .chain(humans)
            .find(|ua| ua.sip.ip() == ip)
    }

    fn rtp_in(&mut self, datagram: Datagram) {
        let mut buffer = [0; 2048];
        let len = datagram.bytes.len();
        buffer[..len].copy_from_slice(&datagram.bytes);
        let port = Port(datagram.to.port());
        if let Verdict::Send { from, to, len } =
            self.core.handle_packet(self.now, port, datagram.from, &mut buffer, len)
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
        if to == self.caller.rtp {
            return Some(Who::Caller);
        }
        if to == self.ai.rtp {
            return Some(Who::Ai);
        }
        self.humans.iter().position(|ua| ua.rtp == to).map(Who::Human)
    }

    fn timeouts(&mut self) {
        let now = self.now;
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
        let mut buffer = [0; 2048];
        loop {
            if self.core.poll_timeout().is_some_and(|at| at <= now) {
                self.core.handle_timeout(now);
            }
            while let Some(transmit) = self.core.poll_transmit(now, &mut buffer) {
                self.rtp_out(transmit.from, transmit.to, &buffer[..transmit.len]);
            }
            if self.core.poll_timeout().is_none_or(|at| at > now) {
                break;
            }
        }
        self.caller.timeout(now);
        self.ai.timeout(now);
        self.humans.iter_mut().for_each(|ua| ua.timeout(now));
    }

    fn transmit(&mut self) {
        let now = self.now;
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram(transmit) => {
                    let from = SocketAddr::from((NODE, 5060));
                    self.net.send(
                        now,
                        Datagram {
                            from,
                            to: transmit.to,
                            bytes: transmit.bytes.to_vec(),
                        },
                    );
                }
                Output::Media { command, .. } => {
                    let at = now + self.random.between(Duration::ZERO, self.scenario.hop);
                    let at = self.commands.back().map_or(at, |(last, _)| at.max(*last));
                    self.commands.push_back((at, command));
                }
                Output::Notice(notice) => self.note(notice),
            }
        }
        while let Some(event) = self.core.poll_event() {
            let at = now + self.random.between(Duration::ZERO, self.scenario.hop);
            let at = self.events.back().map_or(at, |(last, _)| at.max(*last));
            self.events.push_back((at, event));
        }
        let mut out = Vec::new();
        self.caller.transmit(now, &mut out);
        self.ai.transmit(now, &mut out);
        self.humans.iter_mut().for_each(|ua| ua.transmit(now, &mut out));
        for datagram in out {
            self.net.send(now, datagram);
        }
    }

    fn note(&mut self, notice: Notice) {
        match &notice.what {
            What::CallStarted { .. } => self.call = Some(notice.call),
            What::Handoff(handoff, Step::Requested { .. }) => self.handoff = Some(*handoff),
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

/// The library of prompts, made once, and what each of them is.
fn prompts() -> (Arc<media::prompt::Prompts>, Prompts) {
    static LIBRARY: OnceLock<(Arc<media::prompt::Prompts>, Prompts)> = OnceLock::new();
    LIBRARY.get_or_init(make_prompts).clone()
}

fn make_prompts() -> (Arc<media::prompt::Prompts>, Prompts) {
    let mut library = media::prompt::Prompts::new();
    let mut add = |name: &str, sound: Sound, seconds: usize| {
        library
            .add(name, &sound.samples(0, 8000 * seconds))
            .expect("the library takes a few prompts")
    };
    let prompts = Prompts {
        announcement: add("announcement", Sound::Announcement, 2),
        hold: add("hold", Sound::Hold, 1),
        briefing: add("briefing", Sound::Briefing, 3),
        busy: add("busy", Sound::Busy, 1),
        no_answer: add("no_answer", Sound::NoAnswer, 1),
        failed: add("failed", Sound::Failed, 1),
        goodbye: add("goodbye", Sound::Goodbye, 1),
    };
    (Arc::new(library), prompts)
}

fn node_config(
    scenario: &Scenario,
    prompts: Prompts,
    node: SocketAddr,
    caller: &Ua,
    ai: &Ua,
    humans: &[Ua],
) -> calls::config::Config {
    let name = |n: usize| format!("human-{n}");
    let sip = sip::endpoint::Config {
        advertise: node,
        agent: "Baton".into(),
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        seed: scenario.seed ^ 3,
        transactions: 1000,
    };
    let targets = humans.iter().enumerate().map(|(n, ua)| Target {
        name: name(n),
        uri: format!("sip:{}@{}", name(n), ua.sip),
        next_hop: ua.sip,
        ring: scenario.ring,
        briefing: None,
    });
    calls::config::Config {
        sip,
        media_address: node.ip(),
        workers: vec![(0..PAIRS).map(|n| FIRST_PORT + 2 * n).collect()],
        latch: Latch::SignalledIp,
        trunks: vec![Trunk {
            name: "carrier".into(),
            addresses: vec![caller.sip.ip()],
            ai_agent: None,
        }],
        ai_agents: vec![AiAgent {
            name: "ava".into(),
            uri: format!("sip:ava@{}", ai.sip),
            next_hop: ai.sip,
        }],
        targets: targets.collect(),
        playbook: Playbook {
            mode: playbook::Mode::Warm,
            accept: scenario.accept,
            targets: (0..humans.len()).map(name).collect(),
            request_phrases: vec!["speak to a human".into()],
            required: vec!["summary".into()],
        },
        prompts,
        deadlines: Deadlines {
            ai_answer: Duration::from_secs(10),
            accept: Duration::from_secs(10),
            reach: Duration::from_secs(60),
            applied: Duration::from_millis(500),
        },
        public_url: "http://192.0.2.1:8080".into(),
        seed: scenario.seed ^ 4,
    }
}
