//! Why callers are not taken, counted.

/// Why a caller is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node drains: 503.
    Draining,
    /// Every worker that has ports is as busy as it may be: 503.
    Load,
    /// No worker has ports: 503.
    Ports,
    /// No AI agent is configured: 480.
    Agent,
    /// What it offers is nothing that we can carry: 415, 488.
    Offer,
    /// It comes from no trunk: 403. The endpoint refuses nearly all of these before.
    Trunk,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 6] = [
        Refusal::Draining,
        Refusal::Load,
        Refusal::Ports,
        Refusal::Agent,
        Refusal::Offer,
        Refusal::Trunk,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Draining => "draining",
            Refusal::Load => "load",
            Refusal::Ports => "ports",
            Refusal::Agent => "no_agent",
            Refusal::Offer => "offer",
            Refusal::Trunk => "no_trunk",
        }
    }
}

/// How many callers were refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Those that were refused for this.
    pub fn of(&self, why: Refusal) -> u64 {
        self.0[why as usize]
    }

    /// So many more.
    pub fn count(&mut self, why: Refusal, callers: u64) {
        self.0[why as usize] += callers;
    }
}
