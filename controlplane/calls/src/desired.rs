//! What was asked of the data plane for one session, until it has answered.

use std::time::Duration;

use media::command::{Command, Generation, SessionId, SessionSpec};

/// How often a command is repeated that is not answered.
const REPEATS: u8 = 3;

/// The last desired state of a session.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    session: SessionId,
    generation: u64,
    /// The first generation of the scene: later ones only changed a leg's address or codec.
    since: u64,
    spec: SessionSpec,
    /// The scene's being in force, or being impossible, was reported.
    reported: bool,
    repeats: u8,
    ending: bool,
}

/// What an unanswered command leads to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a command is rare, moved once and dropped")]
pub(crate) enum Unanswered {
    /// Send it again.
    Repeat(Command),
    /// The data plane is silent.
    GiveUp,
}

impl Desired {
    /// Nothing asked for yet.
    pub(crate) fn new(session: SessionId) -> Desired {
        Desired {
            session,
            generation: 0,
            since: 0,
            spec: SessionSpec::default(),
            reported: true,
            repeats: 0,
            ending: false,
        }
    }

    /// The last spec.
    pub(crate) fn spec(&self) -> &SessionSpec {
        &self.spec
    }

    /// The generation that the next `Set` will have.
    pub(crate) fn next(&self) -> Generation {
        Generation(self.generation + 1)
    }

    /// Another spec; `scene`: it is a new scene, whose being in force is to be reported.
    pub(crate) fn set(&mut self, spec: SessionSpec, scene: bool) -> Command {
        self.generation += 1;
        self.spec = spec;
        self.repeats = 0;
        if scene {
            self.since = self.generation;
            self.reported = false;
        }
        self.command()
    }

    /// The session is to end.
    pub(crate) fn end(&mut self) -> Command {
        self.ending = true;
        self.repeats = 0;
        self.command()
    }

    /// Whether the end was asked for.
    pub(crate) fn ending(&self) -> bool {
        self.ending
    }

    /// `Applied` came. Whether the scene is in force by it, for the first time; and whether nothing is unanswered now.
    pub(crate) fn applied(&mut self, generation: Generation) -> (bool, bool) {
        if self.ending || generation.0 < self.since || generation.0 > self.generation {
            return (false, false);
        }
        let news = !std::mem::replace(&mut self.reported, true);
        (news, generation.0 == self.generation)
    }

    /// `Refused` came. Whether it is the answer to the last `Set`.
    pub(crate) fn refused(&mut self, generation: Generation) -> bool {
        let news = !self.ending && generation.0 == self.generation;
        self.reported |= news;
        news
    }

    /// Whether a scene was asked for of which is not known whether it is in force.
    pub(crate) fn awaits_scene(&self) -> bool {
        !self.reported
    }

    /// How long the data plane may wait for a leg's first packet before it answers.
    pub(crate) fn patience(&self) -> Duration {
        let patience = self.spec.legs.iter().map(|leg| leg.hears.patience);
        patience.max().unwrap_or_default()
    }

    /// Nothing came in time.
    pub(crate) fn unanswered(&mut self) -> Unanswered {
        if self.repeats >= REPEATS {
            self.reported = true;
            return Unanswered::GiveUp;
        }
        self.repeats += 1;
        Unanswered::Repeat(self.command())
    }

    fn command(&self) -> Command {
        let session = self.session;
        if self.ending {
            return Command::End { session };
        }
        Command::Set {
            session,
            generation: Generation(self.generation),
            spec: self.spec.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(command: &Command) -> u64 {
        match command {
            Command::Set { generation, .. } => generation.0,
            Command::End { .. } => 0,
        }
    }

    #[test]
    fn a_scene_is_in_force_once_though_its_spec_changed_meanwhile() {
        let mut desired = Desired::new(SessionId(7));
        assert_eq!(generation(&desired.set(SessionSpec::default(), true)), 1);
        assert_eq!(generation(&desired.set(SessionSpec::default(), true)), 2);
        assert_eq!(generation(&desired.set(SessionSpec::default(), false)), 3);
        assert_eq!(desired.applied(Generation(1)), (false, false), "of the scene before");
        assert_eq!(
            desired.applied(Generation(9)),
            (false, false),
            "of none that was asked for"
        );
        assert_eq!(desired.applied(Generation(2)), (true, false));
        assert_eq!(desired.applied(Generation(3)), (false, true));
        assert!(!desired.refused(Generation(2)));
        assert!(desired.refused(Generation(3)));
    }

    #[test]
    fn a_command_is_repeated_three_times_with_its_generation() {
        let mut desired = Desired::new(SessionId(7));
        let first = desired.set(SessionSpec::default(), true);
        for _ in 0..3 {
            assert_eq!(desired.unanswered(), Unanswered::Repeat(first.clone()));
        }
        assert_eq!(desired.unanswered(), Unanswered::GiveUp);
        assert_eq!(desired.end(), Command::End { session: SessionId(7) });
        assert_eq!(
            desired.unanswered(),
            Unanswered::Repeat(Command::End { session: SessionId(7) })
        );
        assert_eq!(desired.applied(Generation(1)), (false, false));
    }
}
