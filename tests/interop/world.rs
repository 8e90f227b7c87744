//! One test's world: the server, its peers, and their audio.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use sim::Sound;

use crate::baresip::{Baresip, Tongue};
use crate::baton::Baton;
use crate::party::{Law, Party};
use crate::ports::Ports;
use crate::proxy::Proxy;
use crate::sipp::{Sipp, Start, Transport};

/// Prompts, each a tone of its own: what is said, its key in `[prompts]`, and for how long.
const PROMPTS: [(Sound, &str, usize); 7] = [
    (Sound::Announcement, "announcement", 400),
    (Sound::Hold, "hold", 1000),
    (Sound::Briefing, "briefing", 600),
    (Sound::Busy, "busy", 400),
    (Sound::NoAnswer, "no_answer", 400),
    (Sound::Failed, "failed", 400),
    (Sound::Goodbye, "goodbye", 400),
];

/// Whom the human is played by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Human {
    /// With this scenario.
    Sipp(&'static str),
    Baresip(Tongue),
}

/// What a world is made of.
pub(crate) struct Plan {
    pub(crate) transport: Transport,
    /// Scenario of the AI.
    pub(crate) ai: &'static str,
    /// Who the human is.
    pub(crate) human: Human,
    /// Values for the human's scenario.
    pub(crate) human_values: &'static [(&'static str, &'static str)],
    /// Values for the AI's scenario.
    pub(crate) ai_values: &'static [(&'static str, &'static str)],
    /// Scenario of another human, the target `colleague`, who is reached by a REFER only.
    pub(crate) colleague: Option<&'static str>,
    /// Keys of the trunk.
    pub(crate) trunk: &'static str,
    /// Keys of `[playbook]`.
    pub(crate) playbook: &'static str,
    /// How long the human may ring, seconds.
    pub(crate) ring_s: u32,
    /// RFC 3261's T1, ms.
    pub(crate) t1_ms: u32,
    /// Whether the AI is reached by way of a proxy.
    pub(crate) proxy: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            transport: Transport::Udp,
            ai: "answers",
            human: Human::Sipp("rings_until_told"),
            human_values: &[],
            ai_values: &[],
            colleague: None,
            trunk: "",
            playbook: "",
            ring_s: 30,
            t1_ms: 200,
            proxy: false,
        }
    }
}

/// A peer: sipp for what it signals, and us for what it says.
pub(crate) struct Peer {
    pub(crate) sipp: Sipp,
    pub(crate) party: Party,
}

impl Peer {
    /// Waits for `up`, and speaks to where that says.
    pub(crate) fn is_up(&mut self) {
        let words = self.sipp.until("up");
        self.speaks_as(&words);
    }

    /// Gives the cue for the next re-INVITE, and speaks as its answer says, whose direction is this.
    pub(crate) fn offers(&mut self) -> String {
        self.sipp.tell("INFO");
        let mut words = self.sipp.until("reinvited");
        let direction = words.pop().expect("a direction");
        self.speaks_as(&words);
        direction
    }

    /// Speaks to this address and port, as this payload type.
    pub(crate) fn speaks_as(&self, words: &[String]) {
        let [address, port, payload_type] = words else {
            panic!("speak, but where: {words:?}")
        };
        let to = format!("{address}:{port}").parse().expect("an address and a port");
        let law = match payload_type.as_str() {
            "0" => Law::Mu,
            "8" => Law::A,
            other => panic!("payload type {other} is no G.711"),
        };
        self.party.speak_to(to, law);
    }
}

/// The server and its peers.
pub(crate) struct World {
    pub(crate) baton: Option<Baton>,
    pub(crate) sip: SocketAddr,
    /// Who calls, once it does.
    caller: Option<Peer>,
    ai: Peer,
    human: Option<Peer>,
    phone: Option<Baresip>,
    colleague: Option<Peer>,
    /// Before the AI, where there is one.
    pub(crate) proxy: Option<Proxy>,
    /// The call's id.
    pub(crate) call: String,
    transport: Transport,
    ports: Ports,
    folder: Folder,
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn new(ports: &mut Ports) -> Folder {
        // A port of ours is nobody else's, so the name is not either.
        let name = format!("baton-interop-{}-{}", std::process::id(), ports.take(1));
        // In memory where that can be: what sipp writes down is what a test waits for, and a disk that others keep busy may hold up
        // whoever opens a file for ten seconds.
        let in_memory = Path::new("/dev/shm").join(&name);
        let path = match std::fs::create_dir(&in_memory) {
            Ok(()) => in_memory,
            Err(_) => std::env::temp_dir().join(name),
        };
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    /// Starts the server, the AI and the human.
    pub(crate) fn start(plan: Plan) -> World {
        let mut ports = Ports::claim();
        let folder = Folder::new(&mut ports);
        let (sip, http) = (local(ports.take(1)), local(ports.take(1)));
        let (media, sip_text) = (ports.take(20), sip.to_string());
        let mut start = |name, scenario, voice, values: &[(&'static str, &str)]| {
            let values = with_baton(values, &sip_text);
            start_peer(
                &mut ports,
                &folder,
                plan.transport,
                name,
                scenario,
                voice,
                &values,
                None,
            )
        };
        let ai = start("ai", plan.ai, Sound::Ai, plan.ai_values);
        let colleague = plan
            .colleague
            .map(|scenario| start("colleague", scenario, Sound::Human(1), &[]));
        let (human, phone) = match plan.human {
            Human::Sipp(scenario) => (Some(start("human", scenario, Sound::Human(0), plan.human_values)), None),
            Human::Baresip(tongue) => (None, Some(Baresip::start(&mut ports, tongue, folder.path()))),
        };
        let human_at = human.as_ref().map(|human| human.sipp.at);
        let human_at = human_at
            .or(phone.as_ref().map(|phone| phone.at))
            .expect("one of the two");
        let proxy = plan.proxy.then(|| Proxy::start(local(ports.take(2)), sip, ai.sipp.at));
        let ai_hop = proxy.as_ref().map_or(ai.sipp.at, |proxy| proxy.at);
        let tcp = plan.transport.parameter();
        let mut config = format!(
            "[node]\ndrain_s = 0\nlog = \"debug,hyper=info,reqwest=info\"\n[sip]\nlisten = \"{sip}\"\nt1_ms = {}\n\
             [media]\nfirst_port = {media}\nports_per_worker = 10\n[http]\nlisten = \"{http}\"\n\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{}{tcp}\"\nnext_hop = \"{ai_hop}{tcp}\"\n\
             [[trunks]]\nname = \"carrier\"\n{}\n\
             [playbook]\nrequest_phrases = []\ntargets = [\"support\"]\n{}\n",
            plan.t1_ms, ai.sipp.at, plan.trunk, plan.playbook,
        );
        let targets = [
            ("support", Some(human_at)),
            ("colleague", colleague.as_ref().map(|peer| peer.sipp.at)),
        ];
        for (name, at) in targets.into_iter().filter_map(|(name, at)| Some((name, at?))) {
            let _ = writeln!(
                config,
                "[[targets]]\nname = \"{name}\"\nuri = \"sip:{name}@{at}{tcp}\"\nring_s = {}",
                plan.ring_s
            );
        }
        config += "[prompts]\n";
        for (sound, name, ms) in PROMPTS {
            write_wav(&folder.path().join(format!("{name}.wav")), &sound.samples(0, ms * 8));
            let _ = writeln!(config, "{name} = \"{name}.wav\"");
        }
        std::fs::write(folder.path().join("baton.toml"), config).expect("a file in our folder");
        World {
            baton: Some(Baton::start(folder.path(), http)),
            sip,
            caller: None,
            ai,
            human,
            phone,
            colleague,
            proxy,
            call: String::new(),
            transport: plan.transport,
            ports,
            folder,
        }
    }

    pub(crate) fn baton(&self) -> &Baton {
        self.baton.as_ref().expect("it runs")
    }

    pub(crate) fn caller(&mut self) -> &mut Peer {
        self.caller.as_mut().expect("somebody called")
    }

    pub(crate) fn ai(&mut self) -> &mut Peer {
        &mut self.ai
    }

    pub(crate) fn human(&mut self) -> &mut Peer {
        self.human.as_mut().expect("the human is a sipp")
    }

    pub(crate) fn phone(&mut self) -> &mut Baresip {
        self.phone.as_mut().expect("the human is a baresip")
    }

    pub(crate) fn colleague(&mut self) -> &mut Peer {
        self.colleague.as_mut().expect("there is a colleague")
    }

    fn peers(&self) -> impl Iterator<Item = &Peer> {
        [self.caller.as_ref(), Some(&self.ai), self.human.as_ref()]
            .into_iter()
            .flatten()
    }

    /// Somebody calls by this scenario.
    pub(crate) fn dial(&mut self, scenario: &str, values: &[(&'static str, &str)]) {
        let (ports, folder) = (&mut self.ports, &self.folder);
        let to = Some(self.sip);
        let caller = start_peer(
            ports,
            folder,
            self.transport,
            "caller",
            scenario,
            Sound::Caller,
            values,
            to,
        );
        self.caller = Some(caller);
    }

    /// Somebody calls by this scenario; caller and AI hear each other.
    pub(crate) fn call_with(&mut self, scenario: &str, values: &[(&'static str, &str)]) {
        self.dial(scenario, values);
        let invited = self.ai.sipp.until("invited");
        self.call.clone_from(&invited[1]);
        self.ai.is_up();
        self.caller().is_up();
        self.caller().party.hears(Sound::Ai);
        self.ai.party.hears(Sound::Caller);
    }

    /// Somebody calls, and does nothing else by itself; caller and AI hear each other.
    pub(crate) fn call(&mut self) {
        self.call_with("calls", &[]);
    }

    /// One more place for audio.
    pub(crate) fn another_party(&mut self, voice: Sound) -> Party {
        Party::new(voice, local(self.ports.take(2)))
    }

    /// Asks for a handoff by the API; its id.
    pub(crate) fn hand_off(&self, mode: &str) -> String {
        self.baton().hand_off(&self.call, mode)
    }

    /// The record, once it says how the handoff went, closed or not.
    pub(crate) fn outcome(&self, handoff: &str) -> Value {
        self.baton()
            .until(&format!("/v1/handoffs/{handoff}"), |record| !record["result"].is_null())
    }

    /// The record, once the handoff is in this state.
    pub(crate) fn until_state(&self, handoff: &str, state: &str) -> Value {
        self.baton()
            .until(&format!("/v1/handoffs/{handoff}"), |record| record["state"] == state)
    }

    /// The record of the newest handoff, which somebody asked for by REFER.
    pub(crate) fn newest_handoff(&self) -> String {
        let list = self.baton().until("/v1/handoffs", |list| {
            list["handoffs"].as_array().is_some_and(|handoffs| !handoffs.is_empty())
        });
        let handoffs = list["handoffs"].as_array().expect("a list");
        let newest = handoffs
            .iter()
            .max_by_key(|one| one["requested_at"].as_str().map(str::to_owned));
        newest.expect("one")["id"].as_str().expect("an id").to_owned()
    }

    /// The operator hangs up.
    pub(crate) fn hang_up(&self) {
        let (status, body) = self
            .baton()
            .request(Method::DELETE, &format!("/v1/calls/{}", self.call), None);
        assert_eq!(status, 204, "{body}");
    }

    /// The longest time by which the host kept us from our work.
    pub(crate) fn longest_stall(&self) -> Duration {
        self.peers()
            .map(|peer| peer.party.longest_stall())
            .max()
            .unwrap_or_default()
    }

    /// The lines to the caller and to the humans that are sipps, where they were joined, were one line each, whatever happened.
    pub(crate) fn assert_lines(&mut self) {
        let stall = self.longest_stall();
        self.caller().party.assert_one_line(stall);
        let humans = [self.human.as_ref(), self.colleague.as_ref()].into_iter().flatten();
        for human in humans.filter(|human| human.party.now() > 0) {
            human.party.assert_one_line(stall);
        }
    }

    /// Everybody named has come to the end of its scenario, and the server ends with nothing left.
    pub(crate) fn end(mut self, peers: &[&str]) {
        for name in peers {
            match *name {
                "caller" => self.caller().sipp.finish(),
                "ai" => self.ai.sipp.finish(),
                "human" => self.human().sipp.finish(),
                "colleague" => self.colleague().sipp.finish(),
                other => panic!("{other} is nobody"),
            }
        }
        self.baton.take().expect("it runs").stop();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}

impl World {
    /// For whoever looks into a failure.
    #[expect(clippy::print_stderr, reason = "a test that fails says why")]
    fn tell(&self) {
        for peer in self.peers() {
            eprintln!("heard: {:?}\n{}", peer.party.story(), peer.sipp.complaints());
        }
        if let Some(phone) = &self.phone {
            eprintln!("--- baresip\n{}", phone.said());
        }
        if let Some(baton) = &self.baton {
            eprintln!("--- baton\n{}", baton.log());
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one thing")]
fn start_peer(
    ports: &mut Ports,
    folder: &Folder,
    transport: Transport,
    name: &'static str,
    scenario: &str,
    voice: Sound,
    values: &[(&'static str, &str)],
    calls: Option<SocketAddr>,
) -> Peer {
    let party = Party::new(voice, local(ports.take(2)));
    let start = Start {
        name,
        scenario,
        calls,
        at: local(ports.take(1)),
        control_port: ports.take(1),
        echo_port: ports.take(4),
        audio: party.at,
        transport,
        values,
    };
    let sipp = Sipp::start(folder.path(), &start);
    Peer { sipp, party }
}

/// The values, and where Baton is.
fn with_baton<'v>(values: &[(&'static str, &'v str)], baton: &'v str) -> Vec<(&'static str, &'v str)> {
    let mut values = values.to_vec();
    values.push(("baton", baton));
    values
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Mono, 8000 Hz, 16 bit.
pub(crate) fn write_wav(path: &Path, samples: &[i16]) {
    write_wav_at(path, 8000, samples);
}

pub(crate) fn write_wav_at(path: &Path, rate: u32, samples: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file in our folder");
    for sample in samples {
        writer.write_sample(*sample).expect("room on the disk");
    }
    writer.finalize().expect("room on the disk");
}
