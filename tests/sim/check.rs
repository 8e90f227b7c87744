//! What must be true of every simulated call.

use calls::notice::{Party, Step, What};
use media::evidence::Evidence;

use crate::tone::Sound;
use crate::world::{Who, World};

mod agents;
mod forks;
mod glare;
mod line;
mod machine;
mod owed;
mod refer;
mod ringing;
mod rows;
mod scene;
mod silence;
mod story;
mod told;

pub use glare::Glare;
pub use line::Line;

impl World {
    /// What Baton sent to a party, in order, each sound once while it lasts: `[Ai, Announcement, Hold, Human(0)]`.
    /// Comfort noise and single packets of `Other` (a seam between two prompts) are left out.
    pub fn heard(&self, who: Who) -> Vec<Sound> {
        let mut sounds: Vec<Sound> = Vec::new();
        for sound in self.sent.iter().filter(|s| s.to == who).filter_map(|s| s.sound) {
            if !matches!(sound, Sound::Other | Sound::Comfort) && sounds.last() != Some(&sound) {
                sounds.push(sound);
            }
        }
        sounds
    }

    /// The evidence of one party.
    pub fn evidence(&self, wanted: Party) -> Option<Evidence> {
        self.notices.iter().rev().find_map(|notice| match &notice.what {
            What::Handoff(_, Step::Evidence(all)) => all
                .iter()
                .find(|(party, _)| *party == wanted)
                .map(|(_, evidence)| *evidence),
            _ => None,
        })
    }

    /// Everything that must be true after every call, whatever happened in it; the faults in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let scenes = self.scenes();
        self.left_over(&mut faults);
        self.rows(&scenes, &mut faults);
        self.silence(&scenes, &mut faults);
        self.told(&scenes, &mut faults);
        self.given_back(&scenes, &mut faults);
        self.agents(&mut faults);
        self.forks(&mut faults);
        self.machines(&mut faults);
        self.owed(&scenes, &mut faults);
        self.ringing(&mut faults);
        self.refer(&mut faults);
        self.glare(&mut faults);
        self.lines(&mut faults);
        self.story(&scenes, &mut faults);
        faults
    }

    /// Stops a test where anything of [`World::faults`] is wrong, with the call's story.
    #[track_caller]
    pub fn assert_no_faults(&self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "{}\n{}", self.ladder().join("\n"), faults.join("\n"));
    }

    /// Nothing may be left: no call, port, session, timer, transaction, ringing phone.
    fn left_over(&self, faults: &mut Vec<String>) {
        let node = self.node.alive();
        if node != calls::node::Alive::default() {
            faults.push(format!("the node still holds {node:?}"));
        }
        if self.node.flows() > 0 {
            faults.push(format!("the node still has {} connections", self.node.flows()));
        }
        if self.node.poll_timeout().is_some() {
            faults.push("the node still waits for a timer".into());
        }
        for core in self.plane.left() {
            faults.push(format!("a core still holds {core:?}"));
        }
        for who in self.everyone() {
            let ua = self.ua(who);
            if ua.flows() > 0 && !ua.is_deaf() {
                faults.push(format!("{who:?} still has {} connections", ua.flows()));
            }
            if self.is_busy(who) && !ua.is_deaf() {
                faults.push(format!("{who:?} is still {:?}", ua.state));
            }
        }
        let deaf = self.everyone().into_iter().filter(|who| self.ua(*who).is_deaf());
        let gone: Vec<_> = deaf.map(|who| self.ua(who).sip.ip()).collect();
        let open = self.tcp.open(&gone);
        if open > 0 {
            faults.push(format!("{open} ends of connections are open"));
        }
        if let Some(datagram) = self.astray.first() {
            faults.push(format!("sent to nobody: {} -> {}", datagram.from, datagram.to));
        }
    }
}
