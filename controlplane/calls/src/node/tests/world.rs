//! The world around a node: peers, a data plane that says yes, and time.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use media::command::{Command, Event as Media, LegId, LegSpec, PromptId, Refusal, SessionId, SessionSpec};
use playbook::decisions::Manner;
use playbook::hours::Calendar;
use playbook::rules::{Requests, Rules};
use playbook::{Accept, ColdHears, Mode, Playbook};
use sip::endpoint::{DialogId, Event, Invite, Refer, ReferId};
use sip::sdp::{Encoding, Local};

use super::super::*;
use crate::config::{AiAgent, Budget, Deadlines, Keys, Outbound, Pattern, Prefer, Prompts, Target, Trunk};
use crate::notice::{CallId, End, HandoffId, Notice, Outcome, Reason, StandingLeg, Step, What};
use crate::request::HandoffRequest;

pub(super) const CALLER: usize = 0;
pub(super) const AI: usize = 1;
pub(super) const SALES: usize = 2;
pub(super) const SUPPORT: usize = 3;
pub(super) const STRANGER: usize = 4;

/// A description with nothing in it that we can carry.
pub(super) const STRANGE: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.10\r\ns=-\r\nc=IN IP4 10.0.0.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3\r\n";

pub(super) fn address(host: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, 10 + host as u8), 5060))
}

pub(super) fn us() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 5060))
}

pub(super) fn endpoint(advertise: SocketAddr) -> sip::endpoint::Config {
    let seed = u64::from(advertise.port()) + advertise.ip().to_string().len() as u64 * 7;
    sip::endpoint::Config::new(advertise, seed)
}

/// The rules where nothing but this asks for a human.
pub(super) fn asking_for(phrase: &str) -> Rules {
    let requests = Requests {
        phrases: vec![phrase.to_owned()],
        intents: Vec::new(),
    };
    Rules::new(requests, Vec::new()).expect("no rule twice")
}

pub(super) fn config() -> Config {
    let target = |name: &str, host| Target {
        name: name.to_owned(),
        uri: format!("sip:{name}@{}", address(host)),
        next_hop: address(host),
        transport: None,
        ring: Duration::from_secs(20),
        hours: Arc::new(Calendar::always()),
        patterns: vec![Pattern::parse(&format!("sip:+4930*@{}", address(host))).unwrap()],
        briefing: None,
        hold: None,
        codecs: None,
        auth: None,
        dtmf: Keys::Rtp,
        reinvite: true,
        queue: None,
        machine: None,
    };
    Config {
        sip: endpoint(us()),
        media_address: us().ip(),
        media_also: None,
        rtcp_mux_only: false,
        workers: vec![(0..8).map(|n| 20_000 + 2 * n).collect()],
        budget: Budget::default(),
        latch: media::command::Latch::SignalledIp,
        codecs: vec![Encoding::Pcmu, Encoding::Pcma],
        prefer: Prefer::NoTranscode,
        trunks: vec![Trunk {
            name: "carrier".to_owned(),
            addresses: vec![address(CALLER).ip()],
            ai_agent: None,
            refer: false,
            auth: None,
            codecs: None,
            dtmf: Keys::Rtp,
            reinvite: true,
            verstat: true,
            outbound: Some(Outbound {
                uri: format!("sip:{}@{}", Outbound::NUMBER, address(CALLER)),
                from: "sip:+4930111@baton.example".to_owned(),
                next_hop: address(CALLER),
                transport: None,
            }),
        }],
        ai_agents: vec![AiAgent {
            name: "anna".to_owned(),
            uri: format!("sip:anna@{}", address(AI)),
            next_hop: address(AI),
            auth: None,
            transport: None,
            codecs: None,
            dtmf: Keys::Rtp,
        }],
        targets: vec![target("sales", SALES), target("support", SUPPORT)],
        playbook: Playbook {
            usual: Manner {
                targets: vec!["sales".to_owned(), "support".to_owned()],
                required: vec!["goal".to_owned()],
                ..Manner::default()
            },
            decisions: vec![],
            cold_hears: ColdHears::Hold,
            ai_gone: playbook::AiGone::End,
            rules: asking_for("human"),
            redact: playbook::redact::Redact::default(),
            caller_id_field: None,
        },
        sounds: vec![],
        prompts: Prompts {
            announcement: PromptId(0),
            disclosure: None,
            hold: PromptId(1),
            briefing: PromptId(2),
            busy: PromptId(3),
            no_answer: PromptId(4),
            failed: PromptId(5),
            goodbye: PromptId(6),
            called_back: PromptId(19),
            after_hours: PromptId(15),
            estimate: None,
            place: None,
        },
        router: None,
        deadlines: Deadlines {
            ai_answer: Duration::from_secs(15),
            accept: Duration::from_secs(30),
            reach: Duration::from_secs(120),
            applied: Duration::from_millis(500),
            ..Deadlines::default()
        },
        public_url: "http://127.0.0.1:8080".to_owned(),
        seed: 1,
    }
}

pub(super) struct Peer {
    pub(super) endpoint: Endpoint,
    pub(super) local: Local,
    /// The last dialog, its last request and how it went.
    pub(super) dialog: Option<DialogId>,
    pub(super) request: Option<sip::message::Message>,
    /// All INVITEs that came.
    pub(super) invites: Vec<(DialogId, sip::message::Message)>,
    pub(super) log: Vec<&'static str>,
    /// The descriptions that came in a re-INVITE or in the answer to one.
    pub(super) bodies: Vec<Bytes>,
    /// … in the answer to an INVITE.
    pub(super) answers: Vec<Bytes>,
    /// The last REFER that came, and what came of those that it sent: the answer, then each NOTIFY, the last with a dot.
    pub(super) asked: Option<(ReferId, sip::message::Message)>,
    pub(super) told: Vec<String>,
    /// The keys that it was told in INFO.
    pub(super) keys: String,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) node: Node,
    pub(super) peers: Vec<Peer>,
    /// The data plane's session, and whether it answers; where it does not, whether it says at least that it waits.
    pub(super) spec: SessionSpec,
    pub(super) sets: usize,
    pub(super) answers: bool,
    pub(super) waits: bool,
    pub(super) last: Option<Command>,
    pub(super) commands: Vec<Command>,
    /// To which worker each of them went.
    pub(super) workers: Vec<usize>,
    /// Sessions that were to go from one worker to another, and have not been said to be there or not.
    pub(super) ways: VecDeque<(SessionId, usize, usize)>,
    pub(super) notices: Vec<What>,
    /// Answers that came later.
    pub(super) late: Vec<(Ticket, Result<Response, RequestError>)>,
    /// The legs that were last told to be up.
    pub(super) legs: Vec<StandingLeg>,
    /// In the order in which they left: datagrams' first words and media commands.
    pub(super) order: Vec<String>,
}

impl World {
    pub(super) fn new(config: Config) -> World {
        let now = Instant::now();
        let peer = |host: usize| Peer {
            endpoint: Endpoint::new(endpoint(address(host))),
            local: Local::new(
                address(host).ip(),
                40_000,
                &[Encoding::Pcmu, Encoding::Pcma],
                1 + host as u64,
            ),
            dialog: None,
            request: None,
            invites: Vec::new(),
            log: Vec::new(),
            bodies: Vec::new(),
            answers: Vec::new(),
            asked: None,
            told: Vec::new(),
            keys: String::new(),
        };
        let mut node = Node::new(config, now);
        node.observe();
        World {
            now,
            node,
            peers: (0..=STRANGER).map(peer).collect(),
            spec: SessionSpec::default(),
            sets: 0,
            answers: true,
            waits: false,
            last: None,
            commands: Vec::new(),
            workers: Vec::new(),
            ways: VecDeque::new(),
            notices: Vec::new(),
            late: Vec::new(),
            legs: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Lets everything pass that can pass without time.
    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            let mut media = VecDeque::new();
            while let Some(output) = self.node.poll_output() {
                quiet = false;
                match output {
                    Output::Datagram(datagram) => {
                        let line = String::from_utf8_lossy(&datagram.bytes);
                        self.order.push(line.lines().next().unwrap_or_default().to_owned());
                        let peer = (0..self.peers.len())
                            .find(|host| address(*host) == datagram.to)
                            .expect("a peer");
                        self.peers[peer]
                            .endpoint
                            .handle_datagram(self.now, us(), datagram.bytes);
                    }
                    Output::Stream(stream) => panic!("TCP, which nobody has here: {stream:?}"),
                    Output::Media { worker, command } => {
                        self.workers.push(worker);
                        media.push_back(command);
                    }
                    Output::Move { session, from, to } => self.ways.push_back((session, from, to)),
                    Output::Notice(Notice {
                        what: What::Legs(legs), ..
                    }) => self.legs = legs,
                    Output::Notice(notice) => self.notices.push(notice.what),
                    Output::Answer(ticket, answer) => self.late.push((ticket, answer)),
                }
            }
            media.into_iter().for_each(|command| self.take_command(command));
            for host in 0..self.peers.len() {
                while let Some(event) = self.peers[host].endpoint.poll_event() {
                    quiet = false;
                    self.peers[host].handle(event);
                }
                while let Some(datagram) = self.peers[host].endpoint.poll_transmit() {
                    quiet = false;
                    self.node.handle_datagram(self.now, address(host), datagram.bytes);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// A command came to the data plane, which answers it or not.
    pub(super) fn take_command(&mut self, command: Command) {
        let name = match command {
            Command::Set { .. } => "Set",
            Command::End { .. } => "End",
        };
        self.order.push(name.to_owned());
        self.last = Some(command.clone());
        self.commands.push(command.clone());
        match command {
            command if self.answers => self.answer_media(command),
            Command::Set {
                session, generation, ..
            } if self.waits => {
                let waiting = Media::Waiting { session, generation };
                self.node.handle_media(self.now, waiting);
            }
            _ => {}
        }
    }

    pub(super) fn answer_media(&mut self, command: Command) {
        match command {
            Command::Set {
                session,
                generation,
                spec,
            } => {
                let closed = self
                    .spec
                    .watch
                    .filter(|watch| spec.watch.map(|new| new.window) != Some(watch.window));
                let legs: Vec<_> = self.spec.legs.iter().map(|leg| leg.leg).collect();
                self.spec = spec;
                self.sets += 1;
                self.node.handle_media(
                    self.now,
                    Media::Applied {
                        session,
                        generation,
                        at: self.now,
                    },
                );
                if let Some(watch) = closed {
                    let listeners = legs.into_iter().map(|leg| (leg, Default::default())).collect();
                    self.node.handle_media(
                        self.now,
                        Media::Evidence {
                            session,
                            window: watch.window,
                            listeners,
                        },
                    );
                }
            }
            Command::End { session } => {
                if let Some(watch) = self.spec.watch.take() {
                    let listeners = self.spec.legs.iter().map(|leg| (leg.leg, Default::default())).collect();
                    self.node.handle_media(
                        self.now,
                        Media::Evidence {
                            session,
                            window: watch.window,
                            listeners,
                        },
                    );
                }
                self.spec = SessionSpec::default();
                self.node.handle_media(self.now, Media::Ended { session });
            }
        }
    }

    /// The first session that is on its way is there, or stays where it was.
    pub(super) fn moved(&mut self, moved: bool) {
        let (session, ..) = self.ways.pop_front().expect("a session on its way");
        self.node.handle_media(self.now, Media::Moved { session, moved });
        self.settle();
    }

    /// Lets time pass, from deadline to deadline.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let peers = self.peers.iter().filter_map(|peer| peer.endpoint.poll_timeout());
            let Some(next) = peers.chain(self.node.poll_timeout()).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.node.handle_timeout(self.now);
            for peer in &mut self.peers {
                peer.endpoint.handle_timeout(self.now);
            }
        }
        self.now = end;
        self.settle();
    }

    pub(super) fn call(&mut self, host: usize) {
        let offer = self.peers[host].local.offer();
        self.call_offering(host, Some(offer.into()));
    }

    /// Calls with this description, or with none.
    pub(super) fn call_offering(&mut self, host: usize, offer: Option<Bytes>) {
        let peer = &mut self.peers[host];
        let invite = Invite {
            to: format!("sip:line@{}", us()),
            from: "\"Bob\" <sip:+4930123@carrier.example>".to_owned(),
            next_hop: Some(us()),
            headers: vec![("X-Baton-Call".to_owned(), "call_0000000000000bad".to_owned())],
            offer,
            ..Invite::default()
        };
        peer.dialog = Some(peer.endpoint.invite(self.now, invite));
        self.settle();
    }

    pub(super) fn ring(&mut self, host: usize) {
        let peer = &mut self.peers[host];
        peer.endpoint.ring(self.now, peer.dialog.unwrap(), 180, None).unwrap();
        self.settle();
    }

    pub(super) fn answer(&mut self, host: usize) {
        let peer = &mut self.peers[host];
        let offer = peer
            .request
            .as_ref()
            .and_then(|request| request.sdp())
            .expect("an offer");
        let (answer, _) = peer.local.answer(&offer).unwrap();
        peer.endpoint
            .answer(self.now, peer.dialog.unwrap(), answer.into(), &[])
            .unwrap();
        self.settle();
    }

    pub(super) fn reject(&mut self, host: usize, status: u16) {
        let peer = &mut self.peers[host];
        peer.endpoint
            .reject(self.now, peer.dialog.unwrap(), status, &[])
            .unwrap();
        self.settle();
    }

    pub(super) fn hang_up(&mut self, host: usize) {
        let peer = &mut self.peers[host];
        peer.endpoint.end(self.now, peer.dialog.unwrap(), None).unwrap();
        self.settle();
    }

    /// Sends a re-INVITE in the dialog of this peer.
    pub(super) fn reinvite(&mut self, host: usize, offer: impl Into<Bytes>) {
        let peer = &mut self.peers[host];
        peer.endpoint
            .reinvite(self.now, peer.dialog.unwrap(), offer.into())
            .unwrap();
        self.settle();
    }

    /// This peer answers with what we cannot use.
    pub(super) fn answer_strangely(&mut self, host: usize) {
        let peer = &mut self.peers[host];
        peer.endpoint
            .answer(self.now, peer.dialog.unwrap(), STRANGE.into(), &[])
            .unwrap();
        self.settle();
    }

    /// The data plane refuses the last command, and then answers or not as before.
    pub(super) fn refuse_media(&mut self, reason: Refusal) {
        let Some(Command::Set {
            session, generation, ..
        }) = self.last
        else {
            panic!("no set")
        };
        let refused = Media::Refused {
            session,
            generation,
            reason,
        };
        self.node.handle_media(self.now, refused);
        self.settle();
    }

    /// Sends REFER in the dialog of this peer.
    pub(super) fn refer(&mut self, host: usize, to: &str, headers: &[(&str, &str)]) {
        let peer = &mut self.peers[host];
        let refer = Refer {
            to: to.to_owned(),
            by: None,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        peer.endpoint.refer(self.now, peer.dialog.unwrap(), refer).unwrap();
        self.settle();
    }

    /// Answers the REFER that came to this peer.
    pub(super) fn take_refer(&mut self, host: usize) {
        let peer = &mut self.peers[host];
        let (refer, _) = peer.asked.clone().expect("a REFER");
        peer.endpoint.accept_refer(self.now, refer).unwrap();
        self.settle();
    }

    pub(super) fn notify(&mut self, host: usize, status: u16, last: bool) {
        let peer = &mut self.peers[host];
        let (refer, _) = peer.asked.clone().expect("a REFER");
        peer.endpoint.notify(self.now, refer, status, last).unwrap();
        self.settle();
    }

    /// What has come of the REFERs of this peer, since the last time.
    pub(super) fn told(&mut self, host: usize) -> Vec<String> {
        std::mem::take(&mut self.peers[host].told)
    }

    /// Caller and AI talk.
    pub(super) fn talking() -> World {
        let mut world = World::new(config());
        world.talk();
        world
    }

    /// The same, and only one human can be tried.
    pub(super) fn with_one_target(accept: Accept) -> World {
        let mut config = config();
        config.playbook.usual.targets = vec!["sales".to_owned()];
        config.playbook.usual.accept = accept;
        let mut world = World::new(config);
        world.talk();
        world
    }

    pub(super) fn talk(&mut self) {
        self.call(CALLER);
        self.ring(AI);
        self.answer(AI);
        assert_eq!(self.peers[CALLER].log, ["progress", "answered"]);
        assert_eq!(self.hears("caller"), "relay(ai)");
        assert_eq!(self.hears("ai"), "relay(caller)");
    }

    pub(super) fn id(&self) -> CallId {
        self.node.registry.calls().next().expect("a call").0
    }

    pub(super) fn ask(&mut self, mode: Mode) -> HandoffId {
        let request = HandoffRequest {
            mode: Some(mode),
            target: None,
            reason: "wants a refund".to_owned(),
            context: None,
            by_ai: false,
        };
        let id = self.id();
        let Ok(Response::Handoff(handoff)) = self.node.handle_request(self.now, Request::Handoff(id, request)) else {
            panic!("refused");
        };
        self.settle();
        handoff
    }

    pub(super) fn request(&mut self, request: Request) -> Result<Response, RequestError> {
        let response = self.node.handle_request(self.now, request);
        self.settle();
        response
    }

    /// The row of a party as the API shows it; empty where it is not there.
    pub(super) fn hears(&self, party: &str) -> String {
        let (_, live) = self.node.registry.calls().next().expect("a call");
        let view = self.node.view(live);
        view.legs
            .into_iter()
            .find(|leg| leg.party == party)
            .map(|leg| leg.hears)
            .unwrap_or_default()
    }

    pub(super) fn leg(&self, leg: u16) -> Option<&LegSpec> {
        self.spec.legs.iter().find(|row| row.leg == LegId(leg))
    }

    /// What is played now on a leg is over.
    pub(super) fn played(&mut self, leg: u16, item: u8) {
        let play = self
            .leg(leg)
            .and_then(|row| row.hears.play.as_ref())
            .expect("something is played")
            .id;
        let session = SessionId(self.id().0);
        self.node.handle_media(
            self.now,
            Media::Played {
                session,
                leg: LegId(leg),
                play,
                item,
                at: self.now,
            },
        );
        self.settle();
    }

    pub(super) fn digit(&mut self, leg: u16, digit: char) {
        let session = SessionId(self.id().0);
        self.node.handle_media(
            self.now,
            Media::Digit {
                session,
                leg: LegId(leg),
                digit,
                at: self.now,
            },
        );
        self.settle();
    }

    /// This peer presses a key, and says so in INFO.
    pub(super) fn press(&mut self, host: usize, key: char) {
        let peer = &mut self.peers[host];
        peer.endpoint.press(self.now, peer.dialog.unwrap(), key).unwrap();
        self.settle();
    }

    /// The keys that a peer was told in INFO, since the last time.
    pub(super) fn keys(&mut self, host: usize) -> String {
        std::mem::take(&mut self.peers[host].keys)
    }

    /// Names of the notices, in order.
    pub(super) fn story(&self) -> Vec<&'static str> {
        self.notices.iter().map(name).collect()
    }

    /// Why the first target that failed did, and the status that said so.
    pub(super) fn failed(&self) -> Option<(Reason, Option<u16>)> {
        self.notices.iter().find_map(|what| match what {
            What::Handoff(_, Step::TargetFailed { reason, status, .. }) => Some((*reason, *status)),
            _ => None,
        })
    }

    pub(super) fn closed(&self) -> Option<(End, Outcome, Option<Reason>)> {
        self.notices.iter().find_map(|what| match what {
            What::Handoff(_, Step::Closed { end, result, reason }) => Some((*end, *result, *reason)),
            _ => None,
        })
    }
}

impl Peer {
    pub(super) fn handle(&mut self, event: Event) {
        let name = match event {
            Event::Invite { dialog, request, .. } => {
                self.invites.push((dialog, (*request).clone()));
                (self.dialog, self.request) = (Some(dialog), Some(*request));
                "invite"
            }
            Event::Cancelled { .. } => "cancelled",
            Event::Progress { .. } => "progress",
            Event::Answered { body, .. } => {
                self.answers.extend(body);
                "answered"
            }
            Event::Refused { status, .. } => match status {
                403 => "403",
                480 => "480",
                488 => "488",
                503 => "503",
                _ => "refused",
            },
            Event::Acked { .. } => "acked",
            Event::Bye { .. } => "bye",
            Event::ReinviteAnswered { body, .. } => {
                self.bodies.extend(body);
                "reinvite answered"
            }
            Event::ReinviteRefused { .. } => "reinvite refused",
            Event::Reinvite { body, .. } => {
                self.bodies.extend(body);
                "reinvite"
            }
            Event::Refer { refer, request, .. } => {
                self.asked = Some((refer, *request));
                "refer"
            }
            Event::ReferAnswered { status, .. } => return self.told.push(status.to_string()),
            Event::ReferProgress { status, last, .. } => {
                return self.told.push(format!("{status}{}", if last { "." } else { "" }));
            }
            Event::Key { key, .. } => return self.keys.push(key),
            Event::Ended { .. } => return,
        };
        self.log.push(name);
    }
}

pub(super) fn name(what: &What) -> &'static str {
    match what {
        What::CallStarted { .. } => "started",
        What::NotReached { .. } => "not reached",
        What::CallEnded { .. } => "ended",
        What::Turns { .. } => "turns",
        What::Context(_) => "patch",
        What::ContextUpdated(_) => "context",
        What::Spoken { .. } => "spoken",
        What::Legs(_) => "legs",
        What::Hears { .. } => "hears",
        What::Supervisor { how, .. } => how.name(),
        What::Handoff(_, step) => step.name(),
    }
}
