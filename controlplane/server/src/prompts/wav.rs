//! A WAV file of any usual kind, as the data plane wants it: mono, 16 bit, 8000 Hz or, where there is more in it than that carries, 16,000.

use std::io::Read;
use std::ops::RangeInclusive;
use std::sync::Arc;

use hound::{SampleFormat, WavReader, WavSpec};
use media::codec::opus::Band;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// What it must be, for who made one that is not.
pub(crate) const WANTED: &str = "it must be a WAV file of PCM, 8 to 32 bit or float, 4000 to 192000 Hz, up to 8 channels (`sox IN -r 16000 -c 1 -e signed -b 16 OUT.wav` makes one)";

const RATES: RangeInclusive<u32> = 4000..=192_000;

const CHANNELS_MAX: u16 = 8;

/// Full scale is 1.
const LOUDEST: f32 = 8.0;

/// The longest one, 10 minutes: it is held in memory once per codec.
const SECONDS_MAX: u32 = 600;

/// Samples that are resampled at one time, at the least. With more the filter is steeper: with 4,096 all is there up to 7.5 kHz of a file of 48 kHz.
const CHUNK: u32 = 4096;

/// The samples and their rate, or what is wrong with the file.
pub(crate) fn decode(bytes: impl Read) -> Result<(Arc<[i16]>, Band), String> {
    let mut reader = WavReader::new(bytes).map_err(|error| format!("not a WAV file that can be read ({error})"))?;
    let spec = reader.spec();
    check(spec)?;
    if reader.duration() > spec.sample_rate.saturating_mul(SECONDS_MAX) {
        return Err("longer than 10 minutes".to_owned());
    }
    let band = match spec.sample_rate {
        ..=8_000 => Band::Narrow,
        _ => Band::Wide,
    };
    let mut line = match spec.sample_rate {
        rate if rate == band.hz() => Line::Same(Vec::new()),
        rate => Line::Other(Box::new(Resampling::new(rate, band.hz())?)),
    };
    mono(&mut reader, spec, |sample| line.take(sample))?;
    let samples = line.end()?;
    match samples.is_empty() {
        true => Err("no sample in it".to_owned()),
        false => Ok((samples.into(), band)),
    }
}

fn check(spec: WavSpec) -> Result<(), String> {
    let known = match spec.sample_format {
        SampleFormat::Int => matches!(spec.bits_per_sample, 8 | 16 | 24 | 32),
        SampleFormat::Float => spec.bits_per_sample == 32,
    };
    if !known {
        return Err(format!("{} bits a sample", spec.bits_per_sample));
    }
    if !(1..=CHANNELS_MAX).contains(&spec.channels) {
        return Err(format!("{} channels", spec.channels));
    }
    if !RATES.contains(&spec.sample_rate) {
        return Err(format!("{} Hz", spec.sample_rate));
    }
    Ok(())
}

/// Gives away the mean of the channels, sample by sample; full scale is 1.
fn mono<R: Read>(
    reader: &mut WavReader<R>,
    spec: WavSpec,
    mut give: impl FnMut(f32) -> Result<(), String>,
) -> Result<(), String> {
    let channels = usize::from(spec.channels);
    let mut sum = 0.0;
    let mut add = |at: usize, sample: f32| {
        sum += sample;
        match at % channels == channels - 1 {
            true => give(std::mem::take(&mut sum) / channels as f32),
            false => Ok(()),
        }
    };
    match spec.sample_format {
        SampleFormat::Int => {
            let full = (1_i64 << (spec.bits_per_sample - 1)) as f32;
            for (at, sample) in reader.samples::<i32>().enumerate() {
                add(at, sample.map_err(unreadable)? as f32 / full)?;
            }
        }
        SampleFormat::Float => {
            for (at, sample) in reader.samples::<f32>().enumerate() {
                let sample = Some(sample.map_err(unreadable)?).filter(|sample| sample.is_finite());
                // What is no number is no sound, and what is far too loud makes none of what is beside it.
                add(at, sample.unwrap_or(0.0).clamp(-LOUDEST, LOUDEST))?;
            }
        }
    }
    Ok(())
}

fn unreadable(error: hound::Error) -> String {
    match error {
        hound::Error::IoError(error) => format!("cut off ({error})"),
        other => other.to_string(),
    }
}

/// What becomes of the samples. What the header says of their number is believed by nobody: memory is taken as they come.
enum Line {
    Same(Vec<i16>),
    Other(Box<Resampling>),
}

impl Line {
    fn take(&mut self, sample: f32) -> Result<(), String> {
        match self {
            Line::Same(samples) => {
                samples.push(to_16_bit(sample));
                Ok(())
            }
            Line::Other(resampling) => resampling.take(sample),
        }
    }

    fn end(self) -> Result<Vec<i16>, String> {
        match self {
            Line::Same(samples) => Ok(samples),
            Line::Other(resampling) => resampling.end(),
        }
    }
}

/// From another rate, as long as it was, and without delay.
struct Resampling {
    from: u32,
    to: u32,
    resampler: Fft<f32>,
    chunk: Vec<f32>,
    taken: u64,
    came: Vec<f32>,
}

impl Resampling {
    fn new(from: u32, to: u32) -> Result<Resampling, String> {
        // An even number of samples in and out, or its delay would be no whole number of them.
        let step = 2 * from / gcd(from, to);
        let chunk = (CHUNK.div_ceil(step) * step) as usize;
        let window = WindowFunction::BlackmanHarris2;
        let made = Fft::new_custom(from as usize, to as usize, chunk, 1, 1, window, FixedSync::Input);
        Ok(Resampling {
            from,
            to,
            resampler: made.map_err(|error| format!("{from} Hz: {error}"))?,
            chunk: Vec::with_capacity(chunk),
            taken: 0,
            came: Vec::new(),
        })
    }

    fn take(&mut self, sample: f32) -> Result<(), String> {
        self.chunk.push(sample);
        self.taken += 1;
        match self.chunk.len() == self.resampler.input_frames_next() {
            true => self.turn(),
            false => Ok(()),
        }
    }

    /// What is missing of the chunk is silence.
    fn turn(&mut self) -> Result<(), String> {
        let from = self.from;
        let frames = self.resampler.input_frames_next();
        self.chunk.resize(frames, 0.0);
        let input = InterleavedSlice::new(&self.chunk, 1, frames).map_err(|error| format!("{from} Hz: {error}"))?;
        let output = self.resampler.process(&input, None);
        let output = output.map_err(|error| format!("{from} Hz: {error}"))?;
        self.came.extend(output.take_data());
        self.chunk.clear();
        Ok(())
    }

    /// What the filter spreads beyond one end is at the other: where it is played as a loop nothing is missing at the seam.
    fn end(mut self) -> Result<Vec<i16>, String> {
        let delay = self.resampler.output_delay();
        let wanted = (self.taken * u64::from(self.to)).div_ceil(u64::from(self.from)) as usize;
        while self.came.len() < 2 * delay + wanted {
            self.turn()?;
        }
        let (before, rest) = self.came.split_at_mut(delay);
        let (samples, after) = rest.split_at_mut(wanted);
        for (sample, spread) in samples.iter_mut().zip(after) {
            *sample += *spread;
        }
        for (sample, spread) in samples.iter_mut().rev().zip(before.iter().rev()) {
            *sample += *spread;
        }
        Ok(samples.iter().copied().map(to_16_bit).collect())
    }
}

fn gcd(one: u32, other: u32) -> u32 {
    match other {
        0 => one,
        other => gcd(other, one % other),
    }
}

fn to_16_bit(sample: f32) -> i16 {
    // Saturates.
    (sample * 32_768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::io::Cursor;

    use super::*;

    const INT: SampleFormat = SampleFormat::Int;

    fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec {
            channels,
            sample_rate,
            bits_per_sample,
            sample_format,
        }
    }

    /// Frames of a sound, −1 to 1; each channel has it.
    fn wav(spec: WavSpec, frames: u32, sound: impl Fn(f64) -> f64) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a writer");
        for frame in 0..frames {
            let sample = sound(f64::from(frame) / f64::from(spec.sample_rate));
            for _ in 0..spec.channels {
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(sample as f32),
                    INT => {
                        let full = ((1_i64 << (spec.bits_per_sample - 1)) - 1) as f64;
                        writer.write_sample((sample * full).round() as i32)
                    }
                }
                .expect("a sample");
            }
        }
        writer.finalize().expect("a header");
        bytes.into_inner()
    }

    fn tone(hz: f64) -> impl Fn(f64) -> f64 {
        move |seconds| 0.5 * (TAU * hz * seconds).sin()
    }

    /// Of full scale, in dB.
    fn power(samples: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = samples.len() as f64;
        10.0 * (samples.map(|sample| sample * sample).sum::<f64>() / count)
            .max(1e-12)
            .log10()
    }

    #[test]
    fn a_file_of_a_lines_own_kind_is_taken_as_it_is() {
        for (rate, kind) in [(8000, Band::Narrow), (16_000, Band::Wide)] {
            let sound = |seconds: f64| (seconds * f64::from(rate) % 100.0 - 50.0) / 32_767.0;
            let (samples, band) = decode(&wav(spec(1, rate, 16, INT), 250, sound)[..]).expect("right");
            assert_eq!((samples.len(), band), (250, kind));
            assert_eq!((samples[107], samples[149], samples[200]), (-43, -1, -50));
        }
    }

    #[test]
    fn whatever_the_rate_the_sound_is_the_same_at_the_same_time() {
        for (kind, frames) in [
            (spec(1, 16_000, 16, INT), 24_001),
            (spec(2, 44_100, 16, INT), 66_151),
            (spec(1, 48_000, 24, INT), 72_000),
            (spec(6, 48_000, 32, INT), 72_000),
            (spec(2, 96_000, 32, SampleFormat::Float), 144_000),
            (spec(1, 11_025, 8, INT), 16_538),
            (spec(1, 22_050, 16, INT), 33_075),
            (spec(1, 4000, 16, INT), 6000),
            (spec(1, 44_101, 16, INT), 66_152),
        ] {
            let (samples, band) = decode(&wav(kind, frames, tone(1000.0))[..]).expect("it is read");
            let hz = f64::from(band.hz());
            assert_eq!(band == Band::Wide, kind.sample_rate > 8000);
            let whole = 3 * band.hz() as usize / 2;
            assert!(
                (whole..=whole + 2).contains(&samples.len()),
                "{kind:?}: {}",
                samples.len()
            );
            let wrong = samples.iter().enumerate().map(|(at, sample)| {
                let wanted = tone(1000.0)(at as f64 / hz);
                f64::from(*sample) / 32_768.0 - wanted
            });
            // Its end and its beginning are one only to within a sample.
            let wrong = wrong.skip(800).take(whole - 1600).collect::<Vec<_>>();
            let off = power(wrong.into_iter());
            // 8 bit have noise of their own.
            let most = if kind.bits_per_sample == 8 { -45.0 } else { -70.0 };
            assert!(off < most, "{kind:?}: {off:.1} dB");
        }
    }

    #[test]
    fn what_16000_hz_cannot_carry_is_gone_and_not_heard_as_something_else() {
        for rate in [11_025, 22_050, 44_100, 48_000] {
            let level = |hz: f64| {
                let (samples, _) = decode(&wav(spec(1, rate, 16, INT), rate, tone(hz))[..]).expect("it is read");
                power(samples[2000..14_000].iter().map(|sample| f64::from(*sample) / 32_768.0))
            };
            let whole = level(1000.0);
            let highest = 7500.0_f64.min(f64::from(rate) * 0.46);
            assert!(
                (level(highest) - whole).abs() < 0.5,
                "{rate} Hz: {}",
                level(highest) - whole
            );
            if rate > 16_800 {
                assert!(level(8400.0) < whole - 80.0, "{rate} Hz: {}", level(8400.0) - whole);
            }
        }
    }

    #[test]
    fn a_loop_is_a_loop_at_any_rate() {
        for rate in [4000, 11_025, 44_100, 48_000] {
            // Whole periods in two seconds: what follows its end is its beginning.
            let (samples, band) = decode(&wav(spec(1, rate, 16, INT), 2 * rate, tone(700.5))[..]).expect("it is read");
            let off = samples.iter().enumerate().map(|(at, sample)| {
                let wanted = tone(700.5)(at as f64 / f64::from(band.hz()));
                (f64::from(*sample) / 32_768.0 - wanted).abs()
            });
            let most = off.fold(0.0, f64::max);
            assert!(most < 1e-3, "{rate} Hz: {most}");
        }
    }

    #[test]
    fn channels_are_mixed_and_full_scale_does_not_wrap() {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec(2, 8000, 16, INT)).expect("a writer");
        for (left, right) in [(1000, 3000), (-8, 8), (i16::MAX, i16::MAX), (i16::MIN, i16::MIN)] {
            writer.write_sample(left).expect("a sample");
            writer.write_sample(right).expect("a sample");
        }
        writer.finalize().expect("a header");
        assert_eq!(
            *decode(&bytes.into_inner()[..]).unwrap().0,
            [2000, 0, i16::MAX, i16::MIN]
        );
        // A square has more at its edges once what lies above is gone.
        let square = |seconds: f64| if (seconds * 500.0).fract() < 0.5 { 1.0 } else { -1.0 };
        let (samples, _) = decode(&wav(spec(1, 48_000, 16, INT), 48_000, square)[..]).unwrap();
        assert_eq!(
            (samples.iter().max(), samples.iter().min()),
            (Some(&i16::MAX), Some(&i16::MIN))
        );
        assert!(
            samples[800..]
                .chunks(32)
                .all(|period| period.iter().map(|sample| i32::from(*sample)).sum::<i32>().abs() < 16_000)
        );
    }

    #[test]
    fn what_is_no_number_is_no_sound() {
        let sound = |seconds: f64| if seconds < 0.01 { f64::NAN } else { f64::INFINITY };
        let (samples, _) = decode(&wav(spec(1, 48_000, 32, SampleFormat::Float), 4800, sound)[..]).unwrap();
        assert!(samples.len() == 1600 && samples.iter().all(|sample| *sample == 0));
        // One that is far too loud is heard, and takes nothing from what is a moment later.
        let click = |seconds: f64| if seconds < 1e-9 { 1e38 } else { tone(1000.0)(seconds) };
        let (samples, _) = decode(&wav(spec(2, 48_000, 32, SampleFormat::Float), 48_000, click)[..]).unwrap();
        let heard = power(samples[800..15_200].iter().map(|sample| f64::from(*sample) / 32_768.0));
        assert!((heard + 9.03).abs() < 0.1, "{heard:.2} dB");
    }

    #[test]
    fn a_header_that_claims_more_than_there_is_costs_nothing_and_is_named() {
        for rate in [8000_u32, 192_000] {
            let mut lies = wav(spec(1, rate, 8, INT), 1, |_| 0.0);
            // The length of `data`, the last field of the header.
            lies[40..44].copy_from_slice(&(rate * SECONDS_MAX).to_le_bytes());
            assert!(decode(&lies[..]).unwrap_err().starts_with("cut off"), "{rate} Hz");
            lies[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
            assert_eq!(decode(&lies[..]), Err("longer than 10 minutes".to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of = |channels, rate, frames| decode(&wav(spec(channels, rate, 16, INT), frames, |_| 0.0)[..]);
        assert_eq!(of(9, 8000, 10), Err("9 channels".to_owned()));
        assert_eq!(of(1, 3999, 10), Err("3999 Hz".to_owned()));
        assert_eq!(of(1, 192_001, 10), Err("192001 Hz".to_owned()));
        assert_eq!(of(1, 8000, 0), Err("no sample in it".to_owned()));
        assert_eq!(of(1, 4000, 4000 * 600 + 1), Err("longer than 10 minutes".to_owned()));
        assert!(decode(&b"RIFF"[..]).unwrap_err().starts_with("not a WAV file"));
        let cut = wav(spec(1, 48_000, 16, INT), 100, |_| 0.0);
        assert!(decode(&cut[..cut.len() - 50]).unwrap_err().starts_with("cut off"));
    }
}
