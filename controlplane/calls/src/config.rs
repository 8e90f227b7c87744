//! What a node is made with: checked values, no files, no names of keys.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use media::command::{Latch, PromptId};
use playbook::Playbook;
use playbook::hours::Calendar;
pub use playbook::routing::Strategy;
use sip::digest::Credentials;
use sip::endpoint::Transport;
use sip::sdp::Encoding;

pub use crate::load::Budget;
use crate::notice::Outcome;
pub use crate::pattern::{NoPattern, Pattern};

/// The whole configuration of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The SIP endpoint.
    pub sip: sip::endpoint::Config,
    /// The address in our SDP.
    pub media_address: IpAddr,
    /// That of the other family, where the data plane serves both: each leg is told the one of its peer's family.
    pub media_also: Option<IpAddr>,
    /// The workers have no ports for RTCP: it is exchanged only with peers that have RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux_only: bool,
    /// What each worker has bound: its even RTP ports.
    pub workers: Vec<Vec<u16>>,
    /// How much of the workers new calls may use.
    pub budget: Budget,
    /// Who may send to a leg's port.
    pub latch: Latch,
    /// What we speak, best first.
    pub codecs: Vec<Encoding>,
    /// By what a codec is chosen, of those that both sides have.
    pub prefer: Prefer,
    /// Who may call us.
    pub trunks: Vec<Trunk>,
    /// Who answers first. A call goes to the first agent that the trunk names, or to the first of all.
    pub ai_agents: Vec<AiAgent>,
    /// Humans.
    pub targets: Vec<Target>,
    /// When, to whom, with what.
    pub playbook: Playbook,
    /// What is spoken by each line of the playbook's matrix, in its order.
    pub sounds: Vec<Sounds>,
    /// What is spoken.
    pub prompts: Prompts,
    /// Somebody outside is asked where a caller goes, where nobody has said so; for so long at the most. `None`: nobody.
    pub router: Option<Duration>,
    /// Bounds on every wait.
    pub deadlines: Deadlines,
    /// `http://host:port`, for the context's URL in Call-Info.
    pub public_url: String,
    /// Call ids, handoff ids and tokens come from it.
    pub seed: u64,
}

/// What may change while calls are running.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in `Config`")]
pub struct Peers {
    pub budget: Budget,
    pub latch: Latch,
    pub codecs: Vec<Encoding>,
    pub prefer: Prefer,
    pub trunks: Vec<Trunk>,
    pub ai_agents: Vec<AiAgent>,
    pub targets: Vec<Target>,
    pub playbook: Playbook,
    pub sounds: Vec<Sounds>,
    pub prompts: Prompts,
    pub router: Option<Duration>,
    pub deadlines: Deadlines,
    pub public_url: String,
}

impl Config {
    /// The same node with others.
    pub(crate) fn with(self, peers: Peers) -> Config {
        Config {
            budget: peers.budget,
            latch: peers.latch,
            codecs: peers.codecs,
            prefer: peers.prefer,
            trunks: peers.trunks,
            ai_agents: peers.ai_agents,
            targets: peers.targets,
            playbook: peers.playbook,
            sounds: peers.sounds,
            prompts: peers.prompts,
            router: peers.router,
            deadlines: peers.deadlines,
            public_url: peers.public_url,
            ..self
        }
    }

    /// What is to be disclosed, where this line of the playbook's matrix counts.
    pub(crate) fn disclosure(&self, line: Option<usize>) -> Option<PromptId> {
        let own = line.and_then(|line| self.sounds.get(line));
        own.and_then(|own| own.disclosure).or(self.prompts.disclosure)
    }
}

/// By what a codec is chosen, of those that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Prefer {
    /// A caller gets its first choice, and whoever is called is offered first what the caller speaks.
    #[default]
    NoTranscode,
    /// The widest band first.
    Quality,
    /// The cheapest first.
    Cost,
}

/// How a leg is told keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Keys {
    /// In its RTP: telephone-event (RFC 4733), or tones.
    #[default]
    Rtp,
    /// In INFO (`application/dtmf-relay`).
    Info,
}

/// A carrier or PBX that may call us.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Source addresses of its INVITEs. An INVITE from anywhere else is refused with 403.
    pub addresses: Vec<IpAddr>,
    /// Which AI agent answers, by name.
    pub ai_agent: Option<String>,
    /// It takes REFER: a cold handoff is its affair first, and ours where that fails.
    pub refer: bool,
    /// What we speak with it, best first; `None`: all that we speak.
    pub codecs: Option<Vec<Encoding>>,
    /// What is shown where it challenges a request of ours (RFC 3261 §22).
    pub auth: Option<Credentials>,
    /// How it is told the keys of whom it hears.
    pub dtmf: Keys,
    /// It may be sent a re-INVITE that spares a transcode.
    pub reinvite: bool,
    /// What it says of a caller's number (`verstat`) is believed.
    pub verstat: bool,
    /// How its callers are called back; `None`: they are not.
    pub outbound: Option<Outbound>,
}

/// How a trunk's callers are called back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// `sip:…` with [`Outbound::NUMBER`] or [`Outbound::DIGITS`] in it.
    pub uri: String,
    /// Who calls, in From: a number that the trunk has for us.
    pub from: String,
    /// Where the INVITE is sent.
    pub next_hop: SocketAddr,
    /// Over what; `None`: as `uri` asks.
    pub transport: Option<Transport>,
}

impl Outbound {
    /// Stands for the number in E.164, with its `+`.
    pub const NUMBER: &str = "{number}";

    /// … and without it.
    pub const DIGITS: &str = "{digits}";

    /// Whom to call where this is a caller's URI; `None` where there is no number in it: nobody is called whose number is not a global one.
    pub fn to(&self, caller: &str) -> Option<String> {
        let number = playbook::caller::number(caller)?;
        let uri = self.uri.replace(Outbound::NUMBER, &number);
        Some(uri.replace(Outbound::DIGITS, number.trim_start_matches('+')))
    }
}

/// A voice AI.
#[derive(Clone, Debug)]
pub struct AiAgent {
    /// Its name.
    pub name: String,
    /// `sip:…`
    pub uri: String,
    /// Where its INVITE is sent.
    pub next_hop: SocketAddr,
    /// What is shown where it challenges a request of ours (RFC 3261 §22).
    pub auth: Option<Credentials>,
    /// Over what; `None`: as `uri` asks.
    pub transport: Option<Transport>,
    /// What we speak with it, best first; `None`: all that we speak.
    pub codecs: Option<Vec<Encoding>>,
    /// How it is told the keys of whom it hears.
    pub dtmf: Keys,
}

/// A human, or a queue of them.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `sip:…`
    pub uri: String,
    /// Where its INVITE is sent.
    pub next_hop: SocketAddr,
    /// Over what; `None`: as the URI asks.
    pub transport: Option<Transport>,
    /// How long it may ring.
    pub ring: Duration,
    /// When it may be called.
    pub hours: Arc<Calendar>,
    /// It is a queue: one of its agents is called, at the agent's URI.
    pub queue: Option<Queue>,
    /// URIs that a REFER may name, besides the target's name and own URI, and those of a queue's agents. They are sent to the same
    /// next hop.
    pub patterns: Vec<Pattern>,
    /// What the human hears before the join, in place of the default briefing.
    pub briefing: Option<PromptId>,
    /// What the caller hears who waits for it, in place of the default hold audio.
    pub hold: Option<PromptId>,
    /// What we speak with it, best first; `None`: all that we speak.
    pub codecs: Option<Vec<Encoding>>,
    /// What is shown where it challenges a request of ours (RFC 3261 §22).
    pub auth: Option<Credentials>,
    /// How it is told the keys of whom it hears.
    pub dtmf: Keys,
    /// It may be sent a re-INVITE that spares a transcode.
    pub reinvite: bool,
    /// It is a machine of our own, and no human: joined at the answer, whatever the mode.
    pub machine: Option<Machine>,
}

/// Machines of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The caller leaves a message.
    Voicemail,
    /// The caller is told when it will be called back. Whether it wants that is known at the end of its call.
    Callback,
}

impl Machine {
    /// As the records show it.
    pub fn name(self) -> &'static str {
        match self {
            Machine::Voicemail => "voicemail",
            Machine::Callback => "callback",
        }
    }

    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Machine::Voicemail => Outcome::Voicemail,
            Machine::Callback => Outcome::CallbackScheduled,
        }
    }
}

/// A target that is many human agents: who is called is one of those that it may call ([`Target::patterns`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What an agent must be able to do: skills, each at this level at least, from 1 to 10.
    pub skills: Vec<(String, u8)>,
    /// Who of those that are free.
    pub strategy: Strategy,
    /// How many of them are called at a time, at least one: who answers first has the caller.
    pub at_once: usize,
    /// How long a caller waits until somebody is free; then it is the next target's turn.
    pub max_wait: Duration,
    /// How long an agent is left alone after a talk.
    pub wrap_up: Duration,
    /// How long an agent who did not answer is called for nobody.
    pub set_aside: Duration,
}

/// How a caller who waits is told how long it will take.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Again after so long.
    pub every: Duration,
    /// It takes less than a minute.
    pub soon: PromptId,
    /// It takes about …
    pub intro: PromptId,
    /// … so many minutes, with the unit: those that can be said, ascending.
    pub minutes: Vec<(u8, PromptId)>,
}

/// How a caller who waits is told its place in line.
#[derive(Clone, Debug)]
pub struct Place {
    /// Again after so long.
    pub every: Duration,
    /// Your place in the line is …
    pub intro: PromptId,
    /// … number so many: those that can be said, ascending, each with its prompt.
    pub numbers: Vec<(u8, PromptId)>,
}

/// What is spoken, as prompts of the data plane's library.
#[derive(Clone, Debug)]
pub struct Prompts {
    /// To the caller: you are being connected.
    pub announcement: PromptId,
    /// Before it: what is to be disclosed, where nobody has told it the caller. `None`: nothing.
    pub disclosure: Option<PromptId>,
    /// To the caller while waiting; repeated for ever.
    pub hold: PromptId,
    /// To the human before the join.
    pub briefing: PromptId,
    /// To the caller who goes back to the AI: everybody is busy.
    pub busy: PromptId,
    /// … nobody answered.
    pub no_answer: PromptId,
    /// … the transfer did not work (rejected, unreachable, and all else).
    pub failed: PromptId,
    /// … nobody is there at this time.
    pub after_hours: PromptId,
    /// To the caller who is called back, in place of the announcement.
    pub called_back: PromptId,
    /// To the caller where the AI is gone: goodbye. Then BYE.
    pub goodbye: PromptId,
    /// To the caller while waiting: how long it will take. `None`: that is not said.
    pub estimate: Option<Estimate>,
    /// … and its place in line, before that. `None`: that is not said.
    pub place: Option<Place>,
}

/// What the caller of a handoff hears in place of what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sounds {
    /// You are being connected, and why.
    pub announcement: Option<PromptId>,
    /// While waiting, also in place of the target's own.
    pub hold: Option<PromptId>,
    /// What is to be disclosed.
    pub disclosure: Option<PromptId>,
}

/// Bounds on every wait.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// An AI agent must answer within.
    pub ai_answer: Duration,
    /// A caller who is called back must answer within.
    pub caller_answer: Duration,
    /// A human who answered must accept within.
    pub accept: Duration,
    /// The human's first packet must come within, from the acceptance (the answer, where it is joined at that).
    pub first_packet: Duration,
    /// A human must be reached within, over all targets.
    pub reach: Duration,
    /// The data plane must answer a `Set` within, if only that it waits for a first packet; then it is sent again, at most
    /// three times in a row without any answer.
    pub applied: Duration,
    /// A party that should send, and has been silent for so long, is asked whether it is still there (OPTIONS); and again after
    /// as long.
    pub silence_probe: Duration,
    /// The carrier must say what became of our REFER within, from each sign of life.
    pub refer: Duration,
    /// Evidence must come within, from the join or the return. The data plane closes a window after 10 s.
    pub evidence: Duration,
    /// A goodbye must be over within.
    pub goodbye: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            ai_answer: Duration::from_secs(10),
            caller_answer: Duration::from_secs(45),
            accept: Duration::from_secs(30),
            first_packet: Duration::from_secs(5),
            reach: Duration::from_secs(120),
            applied: Duration::from_millis(500),
            refer: Duration::from_secs(30),
            evidence: Duration::from_secs(15),
            goodbye: Duration::from_secs(30),
            silence_probe: Duration::from_secs(30),
        }
    }
}
