//! A judge of speech: what was said against what was heard.
//!
//! [`judge`] looks for what was said in what was heard, however late it is there, and measures how alike the two are: in the shape of their loudness,
//! in the waveform, in the spectrum, in speed and in pitch. What is wrong has a name ([`Fault`]): silence, another sound, swapped bytes, a
//! wrong clock, a slip, a hole, clipping. It is no PESQ: it says whether a path is sound, not how much people would like it.
//!
//! Pure: samples in, a [`Verdict`] out. Any rate goes; both are brought to 8000 Hz, and above 3400 Hz they are compared where both have that.
#![forbid(unsafe_code)]

mod align;
mod damage;
mod loudness;
mod pitch;
mod resample;
mod spectrum;

use std::fmt;

use align::Track;
use loudness::Loudness;

/// The rate that is judged at, Hz.
const RATE: u32 = 8000;

/// The rate of what is compared above telephone speech, Hz.
const WIDE_RATE: u32 = 16_000;

/// Samples, mono, and how many there are in a second.
#[derive(Clone, Copy, Debug)]
pub struct Sound<'a> {
    /// 16 bit, full scale 32,768.
    pub samples: &'a [i16],
    /// Hz.
    pub rate: u32,
}

impl<'a> Sound<'a> {
    /// Samples at this rate.
    pub fn new(samples: &'a [i16], rate: u32) -> Sound<'a> {
        Sound { samples, rate }
    }

    fn at(self, rate: u32) -> Vec<f32> {
        let samples: Vec<f32> = self
            .samples
            .iter()
            .map(|sample| f32::from(*sample) / 32_768.0)
            .collect();
        resample::resample(&samples, f64::from(self.rate), f64::from(rate))
    }
}

/// The same sound at another rate.
pub fn resampled(sound: Sound<'_>, rate: u32) -> Vec<i16> {
    if sound.rate == rate {
        return sound.samples.to_vec();
    }
    let samples = sound.at(rate);
    samples
        .iter()
        .map(|sample| (sample * 32_768.0).round() as i16)
        .collect()
}

/// What may be wrong before it is a fault. The defaults are met by every telephone codec at its usual rate, one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Correlation of the loudness, at least.
    pub envelope: f32,
    /// Correlation of the waveform, piece by piece, at least.
    pub waveform: f32,
    /// Mean distance of the spectra from 200 to 3400 Hz, dB, at most.
    pub spectral_db: f32,
    /// The same from 3400 to 7000 Hz.
    pub wide_db: f32,
    /// Speed and pitch, off by at most this part of them.
    pub speed: f64,
    /// A slip within what was heard, ms, at most.
    pub slip_ms: f64,
    /// A hole, ms, at most.
    pub hole_ms: f64,
    /// Samples at the very top, of all, at most.
    pub clipped: f32,
    /// Louder or softer, dB, at most.
    pub gain_db: f32,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            envelope: 0.95,
            waveform: 0.8,
            spectral_db: 4.0,
            wide_db: 6.0,
            speed: 0.005,
            slip_ms: 5.0,
            hole_ms: 35.0,
            clipped: 0.01,
            gain_db: 6.0,
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Too little was said to judge by: less than 300 ms of sound.
    NothingSaid,
    /// Nothing was heard.
    Silence,
    /// What was heard is something else.
    NothingAlike,
    /// Each sample has its low byte first, or should have: with its bytes the other way round, it is what was said.
    BytesSwapped,
    /// It plays at so many times its speed.
    Speed(f64),
    /// Its voice has so many times its pitch, at the right speed.
    Pitch(f64),
    /// From here on it is later by so much, or earlier where that is negative, ms.
    Slip {
        /// How much.
        ms: f64,
        /// Since the beginning of what was said, ms.
        at_ms: f64,
    },
    /// Something was said here and nothing heard, ms.
    Hole {
        /// How long.
        ms: f64,
        /// Since the beginning of what was said, ms.
        at_ms: f64,
    },
    /// So many of the samples are at the very top.
    Clipped(f32),
    /// It is louder by so much, or softer where that is negative, dB.
    Level(f32),
    /// The shape of its loudness is another one: this is the correlation.
    Envelope(f32),
    /// Noise, or a distortion: this is what is left of the correlation of the waveform.
    Distorted(f32),
    /// The spectra from 200 to 3400 Hz differ by so much, dB.
    Spectrum(f32),
    /// The spectra from 3400 to 7000 Hz differ by so much, dB.
    WideSpectrum(f32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NothingSaid => f.write_str("too little was said to judge by"),
            Fault::Silence => f.write_str("silence"),
            Fault::NothingAlike => f.write_str("something else was heard"),
            Fault::BytesSwapped => f.write_str("the two bytes of each sample are swapped"),
            Fault::Speed(ratio) => write!(f, "{ratio:.3} times the speed"),
            Fault::Pitch(ratio) => write!(f, "{ratio:.3} times the pitch"),
            Fault::Slip { ms, at_ms } => write!(f, "a slip of {ms:.0} ms at {at_ms:.0} ms"),
            Fault::Hole { ms, at_ms } => write!(f, "a hole of {ms:.0} ms at {at_ms:.0} ms"),
            Fault::Clipped(share) => write!(f, "{:.1} % of it clipped", 100.0 * share),
            Fault::Level(db) => write!(f, "{db:+.1} dB"),
            Fault::Envelope(is) => write!(f, "another loudness (correlation {is:.3})"),
            Fault::Distorted(is) => write!(f, "distorted (correlation {is:.3})"),
            Fault::Spectrum(db) => write!(f, "another spectrum ({db:.1} dB)"),
            Fault::WideSpectrum(db) => write!(f, "another spectrum above 3400 Hz ({db:.1} dB)"),
        }
    }
}

/// What was measured, and what is wrong with it. Where nothing alike was found, only the faults say something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Where in what was heard it begins, ms.
    pub delay_ms: f64,
    /// By how much it is louder, dB.
    pub gain_db: f32,
    /// Correlation of the loudness over time, −1 to 1.
    pub envelope: f32,
    /// Correlation of the waveform in pieces of 128 ms, each at its own delay: the mean, 0 to 1.
    pub waveform: f32,
    /// Mean distance of the spectra in 16 bands from 200 to 3400 Hz, dB, after the gain.
    pub spectral_db: f32,
    /// The same in 6 bands from 3400 to 7000 Hz, where both have that rate and something is said there.
    pub wide_db: Option<f32>,
    /// How fast it plays, 1 as it was said.
    pub speed: f64,
    /// The pitch of its voice; nothing where there is too little voice.
    pub pitch: Option<f64>,
    /// The longest time in which something was said and nothing heard, ms.
    pub hole_ms: f64,
    /// Samples at the very top, of all.
    pub clipped: f32,
    /// What is out of bounds, the worst first.
    pub faults: Vec<Fault>,
}

impl Verdict {
    fn of(fault: Fault) -> Verdict {
        Verdict {
            faults: vec![fault],
            ..Verdict::default()
        }
    }

    /// Whether nothing is out of bounds.
    pub fn passes(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Verdict {
    /// One line: the faults if there are any, and the figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        if !faults.is_empty() {
            write!(f, "{}; ", faults.join(", "))?;
        }
        write!(
            f,
            "waveform {:.3}, loudness {:.3}, spectrum {:.1} dB",
            self.waveform, self.envelope, self.spectral_db
        )?;
        if let Some(db) = self.wide_db {
            write!(f, ", above 3400 Hz {db:.1} dB")?;
        }
        write!(f, ", speed {:.4}", self.speed)?;
        if let Some(pitch) = self.pitch {
            write!(f, ", pitch {pitch:.4}")?;
        }
        write!(f, ", {:+.1} dB, at {:.1} ms", self.gain_db, self.delay_ms)
    }
}

/// Judges with the usual bounds.
pub fn judge(said: Sound<'_>, heard: Sound<'_>) -> Verdict {
    judge_within(said, heard, &Bounds::default())
}

/// Judges what was heard of what was said. It may begin anywhere in it, and other sounds may be before and after it.
pub fn judge_within(said: Sound<'_>, heard: Sound<'_>, bounds: &Bounds) -> Verdict {
    let (narrow, other) = (said.at(RATE), heard.at(RATE));
    let loudness = Loudness::of(&narrow);
    if loudness.sounding_ms() < 300.0 {
        return Verdict::of(Fault::NothingSaid);
    }
    if Loudness::of(&other).is_silence() {
        return Verdict::of(Fault::Silence);
    }
    let track = align::track(&narrow, &other);
    if track.waveform < 0.6
        && let Some(fault) = explain(heard, &narrow, &other, &track)
    {
        return Verdict::of(fault);
    }
    measure(said, heard, [&narrow, &other], &loudness, &track, bounds)
}

/// What could make it so unlike: `None` where it is at least as loud, and as soft, as what was said.
fn explain(heard: Sound<'_>, narrow: &[f32], other: &[f32], track: &Track) -> Option<Fault> {
    let swapped: Vec<i16> = heard.samples.iter().map(|sample| sample.swap_bytes()).collect();
    let swapped = Sound::new(&swapped, heard.rate).at(RATE);
    if align::track(narrow, &swapped).waveform > 0.8 {
        return Some(Fault::BytesSwapped);
    }
    // Faster and slower, by a little and by what confuses two clocks.
    let little = (1..=25).flat_map(|percent| [1.0 + f64::from(percent) / 100.0, 1.0 - f64::from(percent) / 125.0]);
    let clocks = [2.0, 0.5, 3.0, 1.0 / 3.0, 6.0, 1.0 / 6.0];
    let alike = |ratio: f64| {
        let faster = resample::resample(narrow, f64::from(RATE) * ratio, f64::from(RATE));
        (align::place(&faster, other).0, ratio, faster)
    };
    let best = little.chain(clocks).map(alike).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((envelope, ratio, faster)) = best
        && envelope > track.envelope
    {
        let there = align::track(&faster, other);
        if there.waveform > 0.6 {
            return Some(Fault::Speed(ratio * there.speed));
        }
    }
    // Under noise it is there still.
    (track.envelope < 0.8 && track.whole < 0.3).then_some(Fault::NothingAlike)
}

fn measure(
    said: Sound<'_>,
    heard: Sound<'_>,
    [narrow, other]: [&[f32]; 2],
    loudness: &Loudness,
    track: &Track,
    bounds: &Bounds,
) -> Verdict {
    let gain_db = damage::gain_db(narrow, other, loudness, track);
    let (hole_ms, hole_at_ms) = damage::longest_hole(narrow, other, loudness, track, gain_db);
    let wide = said.rate >= WIDE_RATE && heard.rate >= WIDE_RATE;
    let mut verdict = Verdict {
        delay_ms: track.delay_at(0.0) / f64::from(RATE) * 1000.0,
        gain_db,
        envelope: track.envelope,
        waveform: track.waveform,
        spectral_db: spectrum::distance(narrow, other, RATE, &spectrum::NARROW, track, gain_db).unwrap_or_default(),
        wide_db: if wide {
            let (said, heard) = (said.at(WIDE_RATE), heard.at(WIDE_RATE));
            spectrum::distance(&said, &heard, WIDE_RATE, &spectrum::WIDE, track, gain_db)
        } else {
            None
        },
        speed: track.speed,
        pitch: pitch::ratio(narrow, other, track),
        hole_ms,
        clipped: damage::clipped(said, heard, track),
        faults: Vec::new(),
    };
    let off = |ratio: f64| (ratio - 1.0).abs() > bounds.speed;
    let mut faults = Vec::new();
    let mut fault = |is: bool, fault: Fault| {
        if is {
            faults.push(fault);
        }
    };
    fault(off(verdict.speed), Fault::Speed(verdict.speed));
    if let Some(pitch) = verdict.pitch {
        fault(off(pitch) && !off(verdict.speed), Fault::Pitch(pitch));
    }
    if let Some((ms, at_ms)) = track.slip {
        fault(ms.abs() > bounds.slip_ms, Fault::Slip { ms, at_ms });
    }
    fault(
        hole_ms > bounds.hole_ms,
        Fault::Hole {
            ms: hole_ms,
            at_ms: hole_at_ms,
        },
    );
    fault(verdict.clipped > bounds.clipped, Fault::Clipped(verdict.clipped));
    fault(gain_db.abs() > bounds.gain_db, Fault::Level(gain_db));
    fault(verdict.waveform < bounds.waveform, Fault::Distorted(verdict.waveform));
    fault(verdict.envelope < bounds.envelope, Fault::Envelope(verdict.envelope));
    fault(
        verdict.spectral_db > bounds.spectral_db,
        Fault::Spectrum(verdict.spectral_db),
    );
    if let Some(db) = verdict.wide_db {
        fault(db > bounds.wide_db, Fault::WideSpectrum(db));
    }
    verdict.faults = faults;
    verdict
}
