//! The timers of one call: one enum, one array.

use std::time::Instant;

/// What a call waits for, but never for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Timer {
    /// The AI agent must answer.
    AiAnswer,
    /// The caller who is called back must answer.
    CallerAnswer,
    /// Who is asked where the caller goes must have said so.
    Route,
    /// This target must answer.
    Ring,
    /// Some target must answer.
    Reach,
    /// Some agent of this queue must be free.
    Queue,
    /// The human who answered must accept.
    Accept,
    /// What is required of the context must be told, or the join does not wait for it.
    Required,
    /// Somebody must have acknowledged the context, or the join does not wait for it.
    Acknowledge,
    /// The AI has stayed long enough with caller and human.
    AiStays,
    /// The data plane must answer the last command.
    Media,
    /// The window's evidence must come.
    Evidence,
    /// The goodbye must be over.
    Goodbye,
    /// A party that sends nothing is asked whether it is there.
    Probe,
    /// The carrier must say what became of our REFER.
    Refer,
    /// A supervisor must answer.
    Supervisor,
    /// Who waits is told again how long it will take.
    Estimate,
    /// The time has come that a rule of the playbook waits for.
    Playbook,
}

impl Timer {
    /// All of them, in the order in which they fire when due at the same time.
    pub const ALL: [Timer; 18] = [
        Timer::AiAnswer,
        Timer::CallerAnswer,
        Timer::Route,
        Timer::Ring,
        Timer::Reach,
        Timer::Queue,
        Timer::Accept,
        Timer::Required,
        Timer::Acknowledge,
        Timer::AiStays,
        Timer::Media,
        Timer::Evidence,
        Timer::Goodbye,
        Timer::Probe,
        Timer::Refer,
        Timer::Supervisor,
        Timer::Estimate,
        Timer::Playbook,
    ];
}

impl Timer {
    /// What its firing is called, the same for ever.
    pub fn name(self) -> &'static str {
        match self {
            Timer::AiAnswer => "ai_answer over",
            Timer::CallerAnswer => "caller_answer over",
            Timer::Route => "route over",
            Timer::Ring => "ring over",
            Timer::Reach => "reach over",
            Timer::Queue => "max_wait over",
            Timer::Accept => "accept over",
            Timer::Required => "required_wait over",
            Timer::Acknowledge => "acknowledge over",
            Timer::AiStays => "ai_stays over",
            Timer::Media => "applied over",
            Timer::Evidence => "evidence over",
            Timer::Goodbye => "goodbye over",
            Timer::Probe => "silence_probe over",
            Timer::Refer => "refer over",
            Timer::Supervisor => "supervisor over",
            Timer::Estimate => "estimate_every over",
            Timer::Playbook => "playbook over",
        }
    }
}

/// When each timer fires, if it is armed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Fires at `at`; an earlier setting is forgotten.
    pub fn arm(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Does not fire.
    pub fn disarm(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// The next time at which one fires.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes out one that is due.
    pub fn due(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL
            .into_iter()
            .find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.disarm(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timer_fires_once_when_due_and_not_when_disarmed() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.arm(Timer::Reach, at(30));
        timers.arm(Timer::Ring, at(20));
        timers.arm(Timer::Accept, at(10));
        timers.disarm(Timer::Accept);
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.due(at(19)), None);
        assert_eq!(timers.due(at(30)), Some(Timer::Ring));
        assert_eq!(timers.due(at(30)), Some(Timer::Reach));
        assert_eq!(timers.due(at(30)), None);
        assert_eq!(timers.next(), None);
    }
}
