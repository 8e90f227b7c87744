//! What must be true of every simulated call.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use calls::notice::{End, Outcome, Party, Reason, Step, What};
use media::evidence::Evidence;
use sip::sdp::Direction;

use crate::net::Profile;
use crate::scenario::{Also, Offer};
use crate::tone::Sound;
use crate::ua::State;
use crate::world::{Sent, Who, World};

/// What the line to one party looked like as it left Baton.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Packets.
    pub packets: usize,
    /// SSRCs seen.
    pub ssrcs: usize,
    /// Sequence numbers that were not the last one plus one.
    pub sequence_breaks: usize,
    /// Timestamps of audio that went back, or overlapped the packet before.
    pub timestamp_breaks: usize,
    /// Timestamps that ran ahead of the passed time by more than 60 ms.
    pub timestamp_jumps: usize,
    /// Longest time between two packets.
    pub longest_gap: Duration,
    /// Longest time from the last packet of one sound to the first of the next.
    pub longest_cut: Duration,
    /// Changes of sound without a marker bit on the first packet.
    pub unmarked: usize,
}

impl World {
    /// The line to a party between two times from the start.
    pub fn line(&self, who: Who, from: Duration, to: Duration) -> Line {
        let within = self.start + from..self.start + to;
        let packets: Vec<&Sent> = self
            .sent
            .iter()
            .filter(|s| s.to == who && within.contains(&s.at))
            .collect();
        let ssrcs: BTreeSet<u32> = packets.iter().map(|s| s.packet.ssrc).collect();
        let mut line = Line {
            packets: packets.len(),
            ssrcs: ssrcs.len(),
            ..Line::default()
        };
        for pair in packets.windows(2) {
            let (old, new) = (pair[0], pair[1]);
            let gap = new.at - old.at;
            line.longest_gap = line.longest_gap.max(gap);
            line.sequence_breaks += usize::from(new.packet.sequence != old.packet.sequence.wrapping_add(1));
            if let (Some(before), Some(after)) = (old.sound, new.sound) {
                let advance = new.packet.timestamp.wrapping_sub(old.packet.timestamp);
                let duration = old.packet.payload.len() as u32;
                line.timestamp_breaks += usize::from(advance < duration || advance > u32::MAX / 2);
                let passed = gap.as_micros() as u32 / 125;
                line.timestamp_jumps += usize::from(advance > passed + 480 && advance <= u32::MAX / 2);
                if before != after && before != Sound::Other && after != Sound::Other {
                    line.longest_cut = line.longest_cut.max(gap);
                }
                let sources = |sound| matches!(sound, Sound::Caller | Sound::Ai | Sound::Human(_));
                if before != after && sources(after) {
                    line.unmarked += usize::from(!new.packet.marker);
                }
            }
        }
        line
    }

    /// What Baton sent to a party, in order, each sound once while it lasts: `[Ai, Announcement, Hold, Human(0)]`.
    /// Single packets of `Other` (a seam between two prompts) are left out.
    pub fn heard(&self, who: Who) -> Vec<Sound> {
        let mut sounds: Vec<Sound> = Vec::new();
        for sound in self.sent.iter().filter(|s| s.to == who).filter_map(|s| s.sound) {
            if sound != Sound::Other && sounds.last() != Some(&sound) {
                sounds.push(sound);
            }
        }
        sounds
    }

    /// The steps of the handoff, by name.
    pub fn steps(&self) -> Vec<&'static str> {
        self.notices
            .iter()
            .filter_map(|notice| match &notice.what {
                What::Handoff(_, step) => Some(step_name(step)),
                _ => None,
            })
            .collect()
    }

    /// When a step first came.
    pub fn step_at(&self, wanted: &str) -> Option<Instant> {
        self.notices.iter().find_map(|notice| match &notice.what {
            What::Handoff(_, step) if step_name(step) == wanted => Some(notice.at),
            _ => None,
        })
    }

    /// How the (last) handoff closed.
    pub fn closed(&self) -> Option<(End, Outcome, Option<Reason>)> {
        self.notices.iter().rev().find_map(|notice| match &notice.what {
            What::Handoff(_, Step::Closed { end, result, reason }) => Some((*end, *result, *reason)),
            _ => None,
        })
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
        self.left_over(&mut faults);
        self.isolation(&mut faults);
        self.silence(&mut faults);
        self.given_back(&mut faults);
        self.lines(&mut faults);
        self.story(&mut faults);
        faults
    }

    /// Nothing may be left: no call, port, session, timer, transaction, ringing phone.
    fn left_over(&self, faults: &mut Vec<String>) {
        let node = self.node.alive();
        if node != calls::node::Alive::default() {
            faults.push(format!("the node still holds {node:?}"));
        }
        let core = self.core.alive();
        if core != media::core::Alive::default() {
            faults.push(format!("the core still holds {core:?}"));
        }
        for who in self.everyone() {
            let ua = self.ua(who);
            if self.is_busy(who) {
                faults.push(format!("{who:?} is still {:?}", ua.state));
            }
        }
        if let Some(datagram) = self.astray.first() {
            faults.push(format!("sent to nobody: {} -> {}", datagram.from, datagram.to));
        }
    }

    /// Nobody hears what no row of any table gives them.
    fn isolation(&self, faults: &mut Vec<String>) {
        for sent in &self.sent {
            let Some(sound) = sent.sound else { continue };
            use Sound::{
                Ai, Announcement, Briefing, Busy, Caller, Comfort, Failed, Goodbye, Hold, Human, NoAnswer, Other,
            };
            let may = match (sent.to, sound) {
                (_, Comfort) => true,
                (Who::Caller, Ai | Human(_) | Announcement | Hold | Busy | NoAnswer | Failed | Goodbye | Other) => true,
                (Who::Ai, Caller) | (Who::Human(_), Caller | Briefing) => true,
                (Who::Human(_), Other) => true,
                (Who::Caller | Who::Ai | Who::Human(_), _) => false,
            };
            if !may {
                faults.push(format!("{:?} heard {sound:?} at {:?}", sent.to, sent.at - self.start));
                return;
            }
        }
    }

    /// The caller, and a human who answered, never hear nothing for a second.
    fn silence(&self, faults: &mut Vec<String>) {
        let bound = Duration::from_secs(1);
        let quiet = self.quiet();
        let excused = |from: Instant, to: Instant| quiet.iter().any(|(since, until)| *since < to && from < *until);
        for who in self.everyone().into_iter().filter(|who| *who != Who::Ai) {
            let ua = self.ua(who);
            // What was heard in the first of two calls cannot be told from the second's here.
            let Some(answered) = ua.answered.filter(|_| ua.calls < 2) else {
                continue;
            };
            // Once the caller is gone, nobody can know it before its BYE has come through.
            let over = [ua.ended, self.caller.ended].into_iter().flatten().min();
            let ended = over.unwrap_or(self.now);
            let sounds = self
                .sent
                .iter()
                .filter(|s| s.to == who && s.sound.is_some_and(|s| s != Sound::Comfort));
            // An answer that the network lost is repeated by the one who answered; nobody knows of it before.
            let known = self.sent.iter().find(|s| s.to == who).map(|s| s.at.max(answered));
            let lossless = self.scenario.net[0] == Profile::PERFECT;
            let Some(mut last) = (if lossless { Some(answered) } else { known }) else {
                continue;
            };
            for at in sounds.map(|sent| sent.at).chain([ended]).filter(|at| *at <= ended) {
                if at > last + bound && !excused(last, at) {
                    faults.push(format!(
                        "{who:?} heard nothing from {:?} for {:?}",
                        last - self.start,
                        at - last
                    ));
                    break;
                }
                last = last.max(at);
            }
        }
    }

    /// When somebody may hear nothing, because a party holds or is mute.
    fn quiet(&self) -> Vec<(Instant, Instant)> {
        let mut also: Vec<_> = self.done.iter().collect();
        also.sort_by_key(|(at, _)| *at);
        let also: Vec<_> = also.iter().map(|(at, what)| (*at - self.start, *what)).collect();
        // A re-INVITE whose packets are lost takes its time.
        let late = match self.scenario.net[0] == Profile::PERFECT {
            true => Duration::from_secs(1),
            false => Duration::from_secs(40),
        };
        let resumed = |who: Who, since: Duration| {
            let resume = Also::Reinvite(who, Offer::Direction(Direction::SendRecv));
            also.iter().find(|(at, what)| *at > since && *what == resume)
        };
        also.iter()
            .filter_map(|(at, what)| match what {
                Also::Mute(_) => Some((self.start + *at, self.now)),
                Also::Reinvite(_, Offer::Direction(Direction::SendRecv)) => None,
                Also::Reinvite(who, _) => {
                    let until = resumed(*who, *at).map_or(self.now, |(until, _)| self.start + *until + late);
                    Some((self.start + *at, until))
                }
                _ => None,
            })
            .collect()
    }

    /// A caller who is given back to the AI is heard by it at once.
    fn given_back(&self, faults: &mut Vec<String>) {
        let bound = Duration::from_millis(60);
        if self.scenario.net[1] != Profile::PERFECT || !self.quiet().is_empty() {
            return;
        }
        let returned = |notice: &&calls::notice::Notice| matches!(notice.what, What::Handoff(_, Step::Returned));
        for at in self.notices.iter().filter(returned).map(|notice| notice.at) {
            let up = |who: Who| self.ua(who).ended.is_none_or(|ended| ended > at + bound);
            // A digit is the caller's too.
            let heard = |s: &Sent| s.to == Who::Ai && s.sound != Some(Sound::Comfort) && s.at >= at;
            let soon = self.sent.iter().find(|s| heard(s)).is_some_and(|s| s.at <= at + bound);
            if up(Who::Caller) && up(Who::Ai) && !soon {
                faults.push(format!(
                    "the AI does not hear the caller given back at {:?}",
                    at - self.start
                ));
            }
        }
    }

    /// One SSRC for ever; on a perfect media network no break of sequence or timestamp either.
    fn lines(&self, faults: &mut Vec<String>) {
        for who in self.everyone() {
            let line = self.line(who, Duration::ZERO, Duration::from_secs(3600));
            if line.ssrcs > self.ua(who).calls.max(1) {
                faults.push(format!("{who:?} got {} SSRCs", line.ssrcs));
            }
            let perfect = self.scenario.net[1];
            let is_perfect = perfect.loss + perfect.duplicate == 0
                && perfect.jitter == Duration::ZERO
                && perfect.delay == Profile::PERFECT.delay;
            if is_perfect
                && self.ua(who).calls < 2
                && line.sequence_breaks + line.timestamp_breaks + line.timestamp_jumps > 0
            {
                faults.push(format!("the line to {who:?} broke: {line:?}"));
            }
        }
    }

    /// A handoff that began was closed, once, and truthfully.
    fn story(&self, faults: &mut Vec<String>) {
        let steps = self.steps();
        let count = |wanted: &str| steps.iter().filter(|step| **step == wanted).count();
        if count("requested") != count("closed") {
            faults.push(format!(
                "requested {} times, closed {} times",
                count("requested"),
                count("closed")
            ));
        }
        if steps.last().is_some_and(|last| *last != "closed") {
            faults.push(format!("the last step is {:?}", steps.last()));
        }
        if let Some((End::Completed, _, _)) = self.closed() {
            let human_heard = self.everyone().into_iter().any(|who| {
                matches!(who, Who::Human(_)) && self.sent.iter().any(|s| s.to == who && s.sound == Some(Sound::Caller))
            });
            let human_gone_at_once = self.humans.iter().any(|ua| ua.state == State::Gone);
            if !human_heard && !human_gone_at_once && self.quiet().is_empty() {
                faults.push("completed, but no human ever heard the caller".into());
            }
        }
    }
}

/// The name of a step.
pub fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Requested { .. } => "requested",
        Step::Invited { .. } => "invited",
        Step::Announced => "announced",
        Step::Ringing => "ringing",
        Step::Answered => "answered",
        Step::Accepted => "accepted",
        Step::Joined { .. } => "joined",
        Step::FirstHumanWord => "first_human_word",
        Step::TargetFailed { .. } => "target_failed",
        Step::Returned => "returned",
        Step::Evidence(_) => "evidence",
        Step::Closed { .. } => "closed",
    }
}
