//! A human agent: what is said of it, what it does, and how its last calls went.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Talks and ratings that count, the last ones.
const KEPT: usize = 15;

/// What is said of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// `sip:…`: where it is called.
    pub uri: String,
    /// From 1 to 10, by name.
    pub skills: BTreeMap<String, u8>,
    /// Languages that it speaks: each is a skill too, of the highest level, by its tag.
    pub languages: BTreeSet<String>,
    /// Whether it is there.
    pub presence: Presence,
    /// How many calls it takes at once, at least one.
    pub calls: u8,
    /// Its place where agents are called in order; the lowest first.
    pub order: u16,
}

/// Whether an agent is there, as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It may be called.
    Available,
    /// It is there, and does something else.
    Busy,
    /// It is back soon.
    Away,
    /// It is not at work.
    Offline,
}

impl Presence {
    /// All of them.
    pub const ALL: [Presence; 4] = [Presence::Available, Presence::Busy, Presence::Away, Presence::Offline];

    /// As the API has it.
    pub fn name(self) -> &'static str {
        match self {
            Presence::Available => "available",
            Presence::Busy => "busy",
            Presence::Away => "away",
            Presence::Offline => "offline",
        }
    }
}

/// Who of those that are free and can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The lowest `order`.
    InOrder,
    /// Who has been idle longest.
    LongestIdle,
    /// Who takes the least time for a call, on the average of the last ones. Who has had none comes last.
    LowestHandleTime,
    /// Whom callers liked best, likewise.
    HighestCsat,
    /// The highest sum of the levels of the skills that are needed.
    BestSkill,
}

/// What an agent does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It talks with a caller of ours.
    Talking,
    /// Its phone rings.
    Ringing,
    /// It is left alone after a talk.
    WrapUp,
    /// It did not answer, and is called for nobody for a while.
    SetAside,
    /// What it said.
    Present(Presence),
}

impl Doing {
    /// As the API has it.
    pub fn name(self) -> &'static str {
        match self {
            Doing::Talking => "talking",
            Doing::Ringing => "ringing",
            Doing::WrapUp => "wrap_up",
            Doing::SetAside => "set_aside",
            Doing::Present(presence) => presence.name(),
        }
    }
}

/// An agent as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct View<'a> {
    /// What is said of it.
    pub profile: &'a Profile,
    /// What it does.
    pub doing: Doing,
    /// Since when it has had nothing to do; where it is available.
    pub idle: Option<Duration>,
    /// For how long it is called for nobody.
    pub set_aside: Option<Duration>,
    /// How long a talk and its wrap-up took, on the average of the last ones.
    pub handle: Option<Duration>,
    /// How callers liked it, likewise.
    pub csat: Option<f32>,
}

/// A column's name: of a skill or a language.
pub(super) fn skill(name: &str) -> String {
    format!("s {name}")
}

/// … of the agents of a queue.
pub(super) fn queue(name: &str) -> String {
    format!("q {name}")
}

impl Profile {
    /// Its columns, each with a level.
    pub(super) fn names(&self, queues: &[&str]) -> Vec<(String, u8)> {
        let skills = self.skills.iter().map(|(name, level)| (skill(name), *level));
        let languages = self.languages.iter().map(|name| (skill(name), 10));
        let queues = queues.iter().map(|name| (queue(name), 1));
        skills.chain(languages).chain(queues).collect()
    }
}

/// An agent of the pool.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) profile: Profile,
    /// No other one ever has it.
    pub(super) number: u64,
    /// Since when it has had nothing to do, in µs.
    pub(super) idle: u64,
    /// Callers whom it is kept for, those in wrap-up counted.
    pub(super) seats: u8,
    /// Of those whom it is called for, …
    pub(super) ringing: u8,
    /// … and whom it talks with.
    pub(super) talking: u8,
    /// Until when it is called for nobody.
    pub(super) aside: Option<Instant>,
    pub(super) gone: bool,
    pub(super) figures: Figures,
}

impl Agent {
    pub(super) fn new(profile: Profile, number: u64, idle: u64) -> Agent {
        Agent {
            profile,
            number,
            idle,
            seats: 0,
            ringing: 0,
            talking: 0,
            aside: None,
            gone: false,
            figures: Figures::default(),
        }
    }

    /// It serves callers, if not at once.
    pub(super) fn is_there(&self) -> bool {
        !self.gone && self.profile.presence == Presence::Available && self.aside.is_none()
    }

    /// It serves callers, or will again when it is done with something else.
    pub(super) fn is_at_work(&self) -> bool {
        let is_there = matches!(self.profile.presence, Presence::Available | Presence::Busy);
        !self.gone && is_there && self.aside.is_none()
    }

    /// What it does: of several things what is heard or seen most.
    pub(super) fn doing(&self) -> Doing {
        match self.profile.presence {
            _ if self.talking > 0 => Doing::Talking,
            _ if self.ringing > 0 => Doing::Ringing,
            _ if self.seats > 0 => Doing::WrapUp,
            Presence::Available if self.aside.is_some() => Doing::SetAside,
            presence => Doing::Present(presence),
        }
    }

    /// It can be called.
    pub(super) fn is_free(&self) -> bool {
        self.is_there() && self.seats < self.profile.calls
    }
}

/// How its last calls went.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    handled: VecDeque<Duration>,
    ratings: VecDeque<f32>,
}

impl Figures {
    pub(super) fn handled(&mut self, time: Duration) {
        push(&mut self.handled, time);
    }

    pub(super) fn rated(&mut self, csat: f32) {
        push(&mut self.ratings, csat);
    }

    pub(super) fn handle(&self) -> Option<Duration> {
        let count = u32::try_from(self.handled.len()).ok()?;
        self.handled.iter().sum::<Duration>().checked_div(count)
    }

    pub(super) fn csat(&self) -> Option<f32> {
        let count = self.ratings.len();
        (count > 0).then(|| self.ratings.iter().sum::<f32>() / count as f32)
    }
}

fn push<T>(last: &mut VecDeque<T>, one: T) {
    if last.len() == KEPT {
        last.pop_front();
    }
    last.push_back(one);
}
