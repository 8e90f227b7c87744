//! What the node and the core of a simulated call are made with.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use calls::config::{
    AiAgent, Deadlines, Estimate, Keys, Outbound, Pattern, Place, Prefer, Prompts, Queue, Strategy, Target, Trunk,
};
use media::command::Latch;
use playbook::Playbook;
use playbook::decisions::Manner;
use playbook::hours::Calendar;
use playbook::rules::{Requests, Rules};
use sip::digest::Credentials;
use sip::endpoint::{FlowBounds, Transport};
use sip::sdp::Encoding;

use crate::scenario::{Carriage, Scenario, Trust};
use crate::tone::Sound;
use crate::ua::{USER, Ua};
use crate::world::Who;
use crate::world::plane::first_port;

/// The library of prompts, made once, and what each of them is.
pub(super) fn prompts() -> (Arc<media::prompt::Prompts>, Prompts) {
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
    let announcement = add("announcement", Sound::Announcement, 2);
    let prompts = Prompts {
        announcement,
        called_back: announcement,
        disclosure: Some(add("disclosure", Sound::Disclosure, 1)),
        hold: add("hold", Sound::Hold, 1),
        briefing: add("briefing", Sound::Briefing, 3),
        busy: add("busy", Sound::Busy, 1),
        no_answer: add("no_answer", Sound::NoAnswer, 1),
        failed: add("failed", Sound::Failed, 1),
        goodbye: add("goodbye", Sound::Goodbye, 1),
        after_hours: add("after_hours", Sound::Failed, 1),
        estimate: Some(Estimate {
            every: Duration::ZERO,
            soon: add("estimate_soon", Sound::Soon, 1),
            intro: add("estimate_intro", Sound::About, 1),
            minutes: vec![
                (1, add("minutes_1", Sound::Minutes(1), 1)),
                (2, add("minutes_2", Sound::Minutes(2), 1)),
            ],
        }),
        place: Some(Place {
            every: Duration::ZERO,
            intro: add("place_intro", Sound::About, 1),
            numbers: vec![(1, add("place_1", Sound::Minutes(1), 1))],
        }),
    };
    (Arc::new(library), prompts)
}

pub(super) fn node_config(
    scenario: &Scenario,
    prompts: Prompts,
    node: SocketAddr,
    caller: &Ua,
    ai: &Ua,
    humans: &[Ua],
) -> calls::config::Config {
    let name = |n: usize| format!("human-{n}");
    let is_line = |n: usize| scenario.line.as_ref().is_some_and(|line| line.target == n);
    let sip = sip::endpoint::Config {
        flows: Some(FlowBounds::default()),
        ..sip::endpoint::Config::new(node, scenario.seed ^ 3)
    };
    let [caller_by, ai_by, humans_by] = scenario.carriages.of.map(transport);
    let targets = humans.iter().take(scenario.humans.len()).enumerate();
    let targets = targets.map(|(n, ua)| Target {
        name: name(n),
        uri: format!("sip:{}@{}", name(n), ua.sip),
        next_hop: ua.sip,
        transport: humans_by,
        ring: scenario.ring,
        hours: Arc::new(Calendar::always()),
        patterns: match is_line(n) {
            true => vec![Pattern::parse(&format!("sip:agent-*@{}", ua.sip)).expect("a pattern")],
            false => Vec::new(),
        },
        briefing: None,
        hold: None,
        codecs: None,
        auth: None,
        dtmf: keys(scenario.info[2]),
        reinvite: true,
        queue: scenario.line.as_ref().filter(|_| is_line(n)).map(|line| Queue {
            skills: Vec::new(),
            strategy: Strategy::InOrder,
            at_once: line.at_once,
            max_wait: line.max_wait,
            wrap_up: line.wrap_up,
            set_aside: line.set_aside,
        }),
        machine: scenario.machine(Who::Human(n)),
    });
    let requests = Requests {
        phrases: vec!["speak to a human".to_owned()],
        intents: Vec::new(),
    };
    calls::config::Config {
        sip,
        media_address: node.ip(),
        media_also: None,
        rtcp_mux_only: false,
        budget: calls::config::Budget::default(),
        workers: (0..)
            .zip([scenario.pairs, scenario.second].into_iter().filter(|pairs| *pairs > 0))
            .map(|(worker, pairs)| (0..pairs).map(|n| first_port(worker) + 2 * n).collect())
            .collect(),
        latch: Latch::SignalledIp,
        codecs: vec![Encoding::Pcmu, Encoding::Pcma],
        prefer: Prefer::NoTranscode,
        trunks: vec![Trunk {
            name: "carrier".into(),
            addresses: vec![caller.sip.ip()],
            ai_agent: None,
            refer: scenario.refer,
            auth: credentials(scenario.trust),
            codecs: None,
            dtmf: keys(scenario.info[0]),
            reinvite: true,
            verstat: true,
            outbound: Some(Outbound {
                uri: format!("sip:{}@{}", Outbound::NUMBER, caller.sip),
                from: format!("sip:+4930111@{}", node.ip()),
                next_hop: caller.sip,
                transport: caller_by,
            }),
        }],
        ai_agents: vec![AiAgent {
            name: "ava".into(),
            uri: format!("sip:ava@{}", ai.sip),
            next_hop: ai.sip,
            auth: None,
            transport: ai_by,
            codecs: None,
            dtmf: keys(scenario.info[1]),
        }],
        targets: targets.collect(),
        playbook: Playbook {
            usual: Manner {
                accept: scenario.accept,
                targets: (0..scenario.targets()).map(name).collect(),
                required: match scenario.discloses {
                    true => vec!["summary".into(), "disclosure".into()],
                    false => vec!["summary".into()],
                },
                required_wait: scenario.gates[0],
                acknowledged: !scenario.gates[1].is_zero(),
                acknowledge: scenario.gates[1],
                ai_stays: scenario.ai_stays,
                ..Manner::default()
            },
            decisions: Vec::new(),
            cold_hears: scenario.cold_hears,
            ai_gone: scenario.ai_gone,
            rules: Rules::new(requests, Vec::new()).expect("no rule twice"),
            redact: playbook::redact::Redact::default(),
            caller_id_field: None,
        },
        sounds: Vec::new(),
        prompts: Prompts {
            disclosure: prompts.disclosure.filter(|_| scenario.discloses),
            estimate: prompts
                .estimate
                .zip(scenario.estimate)
                .map(|(estimate, every)| Estimate { every, ..estimate }),
            place: prompts
                .place
                .zip(scenario.estimate)
                .map(|(place, every)| Place { every, ..place }),
            ..prompts
        },
        router: scenario.router.map(|router| router.bound),
        deadlines: Deadlines {
            ai_answer: Duration::from_secs(10),
            caller_answer: Duration::from_secs(15),
            accept: scenario.accept_within,
            reach: scenario.reach,
            applied: Duration::from_millis(500),
            refer: scenario.waits[0],
            evidence: scenario.waits[1],
            goodbye: scenario.waits[2],
            ..Deadlines::default()
        },
        public_url: "http://192.0.2.1:8080".into(),
        seed: scenario.seed ^ 4,
    }
}

fn keys(info: bool) -> Keys {
    match info {
        true => Keys::Info,
        false => Keys::Rtp,
    }
}

fn transport(carriage: Carriage) -> Option<Transport> {
    match carriage {
        Carriage::Udp | Carriage::Both => None,
        Carriage::Tcp | Carriage::Refused => Some(Transport::Tcp),
    }
}

fn credentials(trust: Trust) -> Option<Credentials> {
    let [username, right] = USER;
    let password = match trust {
        Trust::Nothing => return None,
        Trust::Right => right,
        Trust::Wrong => "open barley",
    };
    Some(Credentials {
        realm: None,
        username: username.into(),
        password: password.into(),
    })
}
