//! What was asked of the data plane for one session, until it has answered.

use std::time::Instant;

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
    /// The newest generation that is in force.
    in_force: u64,
    /// The last `Set` was not repeated: no copy of it can come later than its answer.
    asked_once: bool,
    /// The last `Set` was a mere change of a leg and was refused: what is in force is older.
    refused: bool,
    /// Until when the last `Set` may wait for a leg's first packet.
    patience: Option<Instant>,
    ending: bool,
}

/// What an unanswered command leads to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a command is rare, moved once and dropped")]
pub(crate) enum Unanswered {
    /// Send it again.
    Repeat(Command),
    /// It was refused: ask anew, for what is right by now.
    Anew,
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
            in_force: 0,
            asked_once: true,
            refused: false,
            patience: None,
            ending: false,
        }
    }

    /// Whose it is.
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Whether the last `Set` was carried out.
    pub(crate) fn in_force(&self) -> bool {
        self.generation > 0 && self.in_force == self.generation && !self.ending
    }

    /// Whether, besides, no copy of it can be under way.
    pub(crate) fn settled(&self) -> bool {
        self.in_force() && self.asked_once
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
    pub(crate) fn set(&mut self, now: Instant, spec: SessionSpec, scene: bool) -> Command {
        self.generation += 1;
        let patience = spec.legs.iter().map(|leg| leg.hears.patience).max();
        self.patience = patience
            .filter(|patience| !patience.is_zero())
            .map(|patience| now + patience);
        self.spec = spec;
        self.repeats = 0;
        self.asked_once = true;
        self.refused = false;
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
        self.refused = false;
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
        self.in_force = generation.0;
        let news = !std::mem::replace(&mut self.reported, true);
        (news, generation.0 == self.generation)
    }

    /// `Refused` came. Whether it is the answer to the last `Set`.
    pub(crate) fn refused(&mut self, generation: Generation) -> bool {
        let news = !self.ending && generation.0 == self.generation;
        self.refused = news && self.reported;
        self.reported |= news;
        news
    }

    /// Whether a scene was asked for of which is not known whether it is in force.
    pub(crate) fn awaits_scene(&self) -> bool {
        !self.reported
    }

    /// `Waiting` came. Whether it is a sign of life of the last `Set`: not for longer than that may wait.
    pub(crate) fn waits(&mut self, now: Instant, generation: Generation) -> bool {
        let may = !self.ending && generation.0 == self.generation && self.patience.is_some_and(|until| now < until);
        if may {
            self.repeats = 0;
        }
        may
    }

    /// Nothing came in time, or what came was a refusal and its time is over.
    pub(crate) fn unanswered(&mut self) -> Unanswered {
        if std::mem::take(&mut self.refused) {
            return Unanswered::Anew;
        }
        if self.repeats >= REPEATS {
            self.reported = true;
            return Unanswered::GiveUp;
        }
        self.repeats += 1;
        self.asked_once = false;
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
    use std::time::Duration;

    use media::command::{Codec, Dtmf, Format, Hears, Latch, LegId, LegSpec, Port};

    use super::*;

    fn generation(command: &Command) -> u64 {
        match command {
            Command::Set { generation, .. } => generation.0,
            Command::End { .. } => 0,
        }
    }

    #[test]
    fn a_scene_is_in_force_once_though_its_spec_changed_meanwhile() {
        let (mut desired, start) = (Desired::new(SessionId(7)), Instant::now());
        assert_eq!(generation(&desired.set(start, SessionSpec::default(), true)), 1);
        assert_eq!(generation(&desired.set(start, SessionSpec::default(), true)), 2);
        assert_eq!(generation(&desired.set(start, SessionSpec::default(), false)), 3);
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
        let (mut desired, start) = (Desired::new(SessionId(7)), Instant::now());
        let first = desired.set(start, SessionSpec::default(), true);
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

    #[test]
    fn that_it_waits_is_an_answer_as_long_as_it_may_wait() {
        let (mut desired, start) = (Desired::new(SessionId(7)), Instant::now());
        let mut spec = SessionSpec::default();
        spec.legs.push(patient(Duration::from_secs(5)));
        let at = |ms| start + Duration::from_millis(ms);
        desired.set(start, spec, true);
        for ms in [0, 1_000, 4_999] {
            for _ in 0..REPEATS {
                assert!(matches!(desired.unanswered(), Unanswered::Repeat(_)));
            }
            assert!(!desired.waits(at(ms), Generation(2)), "of no command of ours");
            assert!(desired.waits(at(ms), Generation(1)));
        }
        assert!(!desired.waits(at(5_000), Generation(1)));
        for _ in 0..REPEATS {
            assert!(matches!(desired.unanswered(), Unanswered::Repeat(_)));
        }
        assert_eq!(desired.unanswered(), Unanswered::GiveUp);
        // What need not wait does not.
        desired.set(start, SessionSpec::default(), true);
        assert!(!desired.waits(start, Generation(2)));
    }

    fn patient(patience: Duration) -> LegSpec {
        LegSpec {
            leg: LegId(0),
            port: Port(20_000),
            remote: None,
            remote_rtcp: None,
            exchange: 0,
            format: Format {
                codec: Codec::Pcmu,
                send: 0,
                receive: 0,
                events: None,
                comfort_noise: None,
            },
            also: None,
            opus: Default::default(),
            pressed: Default::default(),
            ptime_ms: 20,
            maxptime_ms: None,
            latch: Latch::SignalledIp,
            dtmf: Dtmf::Relay,
            send: true,
            receive: true,
            hears: Hears {
                patience,
                ..Hears::default()
            },
        }
    }
}
