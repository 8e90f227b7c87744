//! What each party heard.

use super::{GAP_MAX_MS, Judge};
use crate::cli::DemoMode;
use crate::demo::children::Who;
use crate::demo::listen::{LEAKED, Listener, Match, PRESENT};
use crate::demo::plan::Case;
use crate::demo::speech::Speech;

use ::judge::{Fault, Sound, Verdict, judge};

/// The first second of the hold audio stands for it: a join ends it anywhere.
const HOLD_SAMPLES: usize = 8000;

/// From here on a prompt is there, however distorted.
const FOUND: f32 = 0.5;

/// Samples of a second.
const SECOND: usize = 8000;

impl Judge<'_> {
    /// Who heard what, by correlation of the recordings.
    pub(super) fn sound(&mut self) {
        let case = self.run.case;
        let cold = self.run.mode == DemoMode::Cold;
        use Speech::*;
        let mut caller = vec![Ai1, Ai2];
        if !matches!(case, Case::Busy | Case::Reject | Case::AfterHours) && !cold {
            caller.push(Announcement);
        }
        if case.rings() || case == Case::Unreachable {
            caller.push(Hold);
        }
        caller.extend(match case {
            Case::Busy => &[Busy, AiBack][..],
            Case::NoAnswer | Case::Voicemail => &[NoAnswer, AiBack],
            Case::Reject | Case::Unreachable => &[Failed, AiBack],
            Case::AfterHours => &[AfterHours, AiBack],
            Case::CallerHangup => &[],
            Case::Warm | Case::Cold | Case::WebhookDown => &[HumanHello, Human2],
        });
        let found = self.heard(Who::Caller, &caller);
        self.as_said(Who::Caller, Who::Ai, &[Ai1, Ai2], &found);
        if case.joins() {
            self.as_said(Who::Caller, Who::Human, &[HumanHello, Human2], &found);
        }
        let mut not = vec![Briefing, Caller1, Caller2, Caller3, Caller4];
        if !case.joins() {
            not.extend([HumanHello, Human2]);
        }
        self.did_not_hear(Who::Caller, &not);

        let mut ai = vec![Caller1, Caller2];
        if case.returns() {
            ai.push(Caller4);
        }
        let found = self.heard(Who::Ai, &ai);
        self.as_said(Who::Ai, Who::Caller, &[Caller1, Caller2], &found);
        self.did_not_hear(
            Who::Ai,
            &[
                Announcement,
                Hold,
                Briefing,
                Busy,
                NoAnswer,
                Failed,
                AfterHours,
                HumanHello,
                Human2,
                Caller3,
                Ai1,
                Ai2,
                AiBack,
            ],
        );

        if case.joins() {
            let found = self.heard(Who::Human, if cold { &[Caller3] } else { &[Briefing, Caller3] });
            self.as_said(Who::Human, Who::Caller, &[Caller3], &found);
        }
        if case == Case::Voicemail {
            self.heard(Who::Human, &[Briefing]);
        }
        let mut not = vec![
            Announcement,
            Hold,
            Caller1,
            Caller2,
            Ai1,
            Ai2,
            AiBack,
            HumanHello,
            Human2,
        ];
        if cold || !case.joins() && case != Case::Voicemail {
            not.push(Briefing);
        }
        self.did_not_hear(Who::Human, &not);
    }

    /// What somebody said came through as it was said: the worst of it decides. What was not found at all is another promise's, unless
    /// nothing was.
    fn as_said(&mut self, who: Who, whom: Who, speeches: &[Speech], found: &[(Speech, Match)]) {
        let recording = &self.party(who).recording;
        let mut verdicts = Vec::new();
        for (speech, found) in found {
            if !speeches.contains(speech) || found.peak < FOUND {
                continue;
            }
            let samples = speech.samples();
            // A second on both sides is enough for any delay.
            let around = found.at.saturating_sub(SECOND)..(found.at + samples.len() + SECOND).min(recording.len());
            let verdict = judge(Sound::new(&samples, 8000), Sound::new(&recording[around], 8000));
            let mut held = verdict.passes();
            if !held && self.run.stall_ms > GAP_MAX_MS {
                // The host kept a speaker or us from sending: what slipped is not the handoff's.
                let slack = (2.0 * self.run.stall_ms * 8.0) as usize;
                let (pieces, all) = Listener::new(recording).pieces(&samples, found.at, slack);
                held = pieces > 0 && pieces + 1 >= all;
            }
            verdicts.push((held, verdict));
        }
        let nothing = || {
            let samples = speeches[0].samples();
            let verdict = judge(Sound::new(&samples, 8000), Sound::new(recording, 8000));
            (verdict.passes(), verdict)
        };
        let (held, verdict) = verdicts
            .into_iter()
            .min_by(|(a, first), (b, second)| a.cmp(b).then(first.waveform.total_cmp(&second.waveform)))
            .unwrap_or_else(nothing);
        let spoke = self.party(whom).summary()["codec"].as_str().unwrap_or("?").to_owned();
        let hears = self.party(who).codec().unwrap_or("nothing").to_owned();
        self.promise(
            held,
            format!("the {} heard the {} as it spoke", who.name(), whom.name()),
            format!("{spoke} to {hears}: {}", figures(&verdict)),
        );
    }

    /// Each prompt whole, and in this order. Where each is most likely.
    fn heard(&mut self, who: Who, speeches: &[Speech]) -> Vec<(Speech, Match)> {
        let first = self.party(who).summary()["first_ms"].as_f64().unwrap_or_default();
        let mut listener = Listener::new(&self.party(who).recording);
        let mut before = 0;
        let mut all_found = Vec::new();
        for speech in speeches {
            let samples = speech.samples();
            let samples = if *speech == Speech::Hold {
                &samples[..HOLD_SAMPLES]
            } else {
                &samples
            };
            let found = listener.whole(samples);
            all_found.push((*speech, found));
            let in_order = found.at >= before;
            if found.peak >= PRESENT {
                before = before.max(found.at);
            }
            let at = first + found.at as f64 / 8.0;
            let late = if in_order { "" } else { ", out of order" };
            let (mut held, mut figure) = (
                found.peak >= PRESENT,
                format!("correlation {:.2} at {at:.0} ms", found.peak),
            );
            if !held && self.run.stall_ms > GAP_MAX_MS {
                // The host kept a speaker or us from sending: the prompt has a slip in it that is not the handoff's.
                let slack = (2.0 * self.run.stall_ms * 8.0) as usize;
                let (heard, all) = listener.pieces(samples, found.at, slack);
                held = heard > 0 && heard + 1 >= all;
                figure += &format!(", {heard} of {all} pieces (host stall {:.0} ms)", self.run.stall_ms);
            }
            self.promise(
                held && in_order,
                format!("the {} heard {}", who.name(), speech.name()),
                figure + late,
            );
        }
        all_found
    }

    fn did_not_hear(&mut self, who: Who, speeches: &[Speech]) {
        let mut listener = Listener::new(&self.party(who).recording);
        let mut leaked = Vec::new();
        let mut most = (0.0, "nothing");
        for speech in speeches {
            let peak = listener.any_part(&speech.samples()).peak;
            if peak > most.0 {
                most = (peak, speech.name());
            }
            if peak >= LEAKED {
                leaked.push(format!("{} {peak:.2}", speech.name()));
            }
        }
        let names = speeches
            .iter()
            .map(|speech| speech.name())
            .collect::<Vec<_>>()
            .join(", ");
        let figure = if leaked.is_empty() {
            format!("at most {:.2} ({})", most.0, most.1)
        } else {
            leaked.join(", ")
        };
        self.promise(
            leaked.is_empty(),
            format!("the {} did not hear {names}", who.name()),
            figure,
        );
    }
}

/// What a reader wants of a verdict: what is wrong, and how alike the two were.
fn figures(verdict: &Verdict) -> String {
    let faults: Vec<String> = verdict.faults.iter().map(Fault::to_string).collect();
    let alike = format!(
        "waveform {:.2}, loudness {:.2}, spectrum {:.1} dB",
        verdict.waveform, verdict.envelope, verdict.spectral_db
    );
    if faults.is_empty() {
        alike
    } else {
        format!("{}; {alike}", faults.join(", "))
    }
}
