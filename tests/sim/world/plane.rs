//! The data plane: a core for each worker, and the way of a session from one to the other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use media::codec::opus::Settings;
use media::coders::{Coders, Sizes};
use media::command::{Command, Event, Port, SessionId};
use media::core::{Alive, Config, Core, Departure, Parcel};
use media::prompt::Prompts;
use media::verdict::{Transmit, Verdict};

use crate::scenario::Scenario;
use crate::world::{FIRST_PORT, PAIRS};

/// What reaches a worker.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "most are commands")]
pub(super) enum Task {
    /// This is for the worker of this number.
    Command(usize, Command),
    /// A session is to go from one worker to another.
    Move(SessionId, usize, usize),
}

/// The cores of one process.
#[derive(Debug)]
pub struct Plane {
    cores: [Core; 2],
    /// Ports that are with another core than at the start.
    moved: BTreeMap<u16, usize>,
}

/// Nothing is transcoded but G.711, which needs no states.
fn coders(mixers: usize) -> Arc<Coders> {
    if mixers == 0 {
        return Arc::default();
    }
    let sizes = Sizes {
        mixers,
        ..Sizes::default()
    };
    Arc::new(Coders::new(sizes, &Settings::default()).expect("there is no encoder among them"))
}

impl Plane {
    pub(super) fn new(scenario: &Scenario, prompts: &Arc<Prompts>, now: Instant) -> Plane {
        let core = |worker: u16| {
            let config = Config {
                first_port: Port(first_port(worker)),
                pairs: PAIRS,
                guests: PAIRS,
                sessions: 8,
                pending: 64,
                prompts: Arc::clone(prompts),
                cname: "baton".into(),
                seed: scenario.seed ^ u64::from(1 + 8 * worker),
                coders: coders(scenario.mixers),
                silence: media::core::SILENCE,
                added_latency: media::core::ADDED_LATENCY,
            };
            Core::new(config, now)
        };
        Plane {
            cores: [core(0), core(1)],
            moved: BTreeMap::new(),
        }
    }

    pub(super) fn handle_command(&mut self, now: Instant, worker: usize, command: Command) {
        self.cores[worker].handle_command(now, command);
    }

    /// Whose port it is.
    fn home(&self, port: Port) -> usize {
        let even = port.0 & !1;
        let moved = self.moved.get(&even).copied();
        moved.unwrap_or(usize::from(even >= first_port(1)))
    }

    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        port: Port,
        from: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Verdict {
        let home = self.home(port);
        self.cores[home].handle_packet(now, port, from, buffer, len)
    }

    /// Has a session go. `None`: there are packets to be sent before.
    pub(super) fn move_session(&mut self, session: SessionId, from: usize, to: usize) -> Option<bool> {
        let mut parcel = Parcel::default();
        if !self.cores[to].expect() {
            return Some(false);
        }
        let departure = self.cores[from].depart(session, &mut parcel);
        if departure == Departure::NotYet {
            self.cores[to].expect_no_more();
            return None;
        }
        self.moved.extend(parcel.ports().map(|port| (port.0, to)));
        self.cores[to].arrive(&mut parcel);
        Some(departure == Departure::Gone)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.cores.iter().filter_map(Core::poll_timeout).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let due = |core: &&mut Core| core.poll_timeout().is_some_and(|at| at <= now);
        self.cores
            .iter_mut()
            .filter(due)
            .for_each(|core| core.handle_timeout(now));
    }

    pub(super) fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        self.cores.iter_mut().find_map(|core| core.poll_transmit(now, buffer))
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.cores.iter_mut().find_map(Core::poll_event)
    }

    /// Packets that had to be transcoded.
    pub fn transcoded(&self) -> u64 {
        self.cores.iter().map(|core| core.counters().transcoded).sum()
    }

    /// What each core has that is not as at the start.
    pub fn left(&self) -> Vec<Alive> {
        let alive = self.cores.iter().map(Core::alive);
        alive.filter(|alive| *alive != Alive::default()).collect()
    }
}

/// The lowest port of a worker.
pub(super) fn first_port(worker: u16) -> u16 {
    FIRST_PORT + 2 * PAIRS * worker
}
