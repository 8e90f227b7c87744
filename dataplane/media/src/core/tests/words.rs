//! The first word of who is joined: told by ear, as the caller hears it, and by nothing that is no speech.

use super::*;
use crate::codec::l16;
use crate::codec::opus::Band;
use crate::coders::{Coders, Sizes};
use crate::command::{Heard, Watch, WindowId};
use crate::evidence::Evidence;
use crate::vad::tests::{Around, hiss, spoken, voices};
use crate::voice::tests::{coders, heard};
use crate::voice::{Needs, Standing, Voice};

const WINDOW: WindowId = WindowId(7);

/// Who is joined, how the caller hears him, and in what.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: Codec,
    to: Codec,
    mixed: bool,
}

const RELAY: Way = way(Codec::Pcmu, Codec::Pcmu);

const fn way(from: Codec, to: Codec) -> Way {
    Way { from, to, mixed: false }
}

const fn mixed(from: Codec, to: Codec) -> Way {
    Way { from, to, mixed: true }
}

impl Way {
    fn band(self) -> Band {
        self.from.band().unwrap_or(Band::Wide)
    }

    fn ms(self) -> usize {
        self.band().hz() as usize / 1_000
    }

    fn spec(self) -> SessionSpec {
        let gain_db = if self.mixed { -6 } else { 0 };
        let hears = Hears {
            legs: [Heard { leg: HUMAN, gain_db }].into_iter().collect(),
            ..Hears::default()
        };
        SessionSpec {
            watch: Some(Watch {
                window: WINDOW,
                first_word_of: Some(HUMAN),
            }),
            ..spec(&[
                leg_in(CALLER, self.to, hears),
                leg_in(AI, Codec::Pcmu, super::hears(HUMAN)),
                leg_in(HUMAN, self.from, nobody()),
            ])
        }
    }
}

fn rig(ears: usize) -> Rig {
    let sizes = Sizes {
        wide: 8,
        opus_narrow: 4,
        opus_wide: 4,
        mixers: 2,
        listeners: 4,
        ears,
        ..Sizes::default()
    };
    Rig::with(Config {
        coders: Arc::new(Coders::new(sizes, &Default::default()).unwrap()),
        ..config()
    })
}

/// Samples in packets of 20 ms.
pub(super) fn coded(codec: Codec, samples: &[i16]) -> Vec<Vec<u8>> {
    let (linear, length) = match codec.band() {
        Some(Band::Narrow) => (Codec::L16, 160),
        _ => (Codec::L16Wide, 320),
    };
    let coders = coders();
    let mut voice = Voice::default()
        .lacking(Needs::of(codec, Some(linear)), coders.lines())
        .unwrap();
    let standing = Standing { first: false, lost: 0 };
    let packet = |samples: &[i16]| {
        let mut payload = vec![0; 4_000];
        let len = l16::encode(samples, &mut payload);
        let len = match codec == linear {
            true => len,
            false => {
                let coded = voice.transcode(linear, codec, standing, &mut payload, len, |_, _| ());
                coded.unwrap().len
            }
        };
        payload.truncate(len);
        payload
    };
    samples.chunks_exact(length).map(packet).collect()
}

/// The human says this from the join on.
fn join(rig: &mut Rig, way: Way, says: &[i16]) {
    rig.talk_in(HUMAN, 3, way.from);
    rig.talker(HUMAN).packets = (coded(way.from, says), 0);
    rig.set(way.spec());
}

fn run(way: Way, says: &[i16]) -> Rig {
    let mut rig = rig(1);
    join(&mut rig, way, says);
    assert_eq!(rig.core.coders.free().ears, 0, "{way:?}");
    rig.run((says.len() / way.ms()) as u64);
    rig
}

/// When the word was told to have begun, ns.
fn word(rig: &Rig) -> Option<u64> {
    let mut words = rig.events.iter().filter_map(|(_, event)| match event {
        Event::FirstWord { at, window, .. } if *window == WINDOW => Some(at.duration_since(rig.start)),
        _ => None,
    });
    let word = words.next();
    assert_eq!(words.next(), None, "there is one first word");
    word.map(|at| at.as_nanos() as u64)
}

fn evidence(rig: &Rig, leg: LegId) -> Option<Evidence> {
    let listeners = rig.events.iter().find_map(|(_, event)| match event {
        Event::Evidence { listeners, .. } => Some(listeners),
        _ => None,
    });
    Some(listeners?.iter().find(|(id, _)| *id == leg)?.1)
}

/// When speech begins in what the caller was sent of a line with nothing but speech on it, ns.
fn truth(rig: &Rig, codec: Codec) -> u64 {
    let sent = rig.heard(CALLER);
    let samples = heard(codec, sent.iter().map(Sent::payload));
    let start = spoken(&samples, Band::Wide).0[0].start;
    sent[start / 320].at + (start % 320) as u64 * MS / 16
}

fn off(one: u64, other: u64) -> f64 {
    (one as f64 - other as f64) / MS as f64
}

/// Silence, and then a voice.
fn line(way: Way, voice: &[i16]) -> Vec<i16> {
    let mut line = [&vec![0; 900 * way.ms()][..], voice].concat();
    line.truncate(3_000 * way.ms());
    line
}

#[test]
fn the_first_word_is_told_within_60_ms_of_where_the_caller_hears_it_begin() {
    use Codec::{G722, L16Wide, Opus, Pcma, Pcmu};
    let seed = &mut crate::seed::Seed::new(5);
    for way in [
        RELAY,
        way(Pcma, Pcmu),
        way(G722, G722),
        way(L16Wide, L16Wide),
        way(Opus, Opus),
        way(Pcmu, Opus),
        way(Opus, Pcmu),
        way(G722, Pcmu),
        mixed(Pcmu, Pcmu),
        mixed(Opus, Pcmu),
        mixed(Pcmu, Opus),
    ] {
        for voice in voices(way.band()) {
            let clean = line(way, &voice);
            let rig = run(way, &clean);
            let truth = truth(&rig, way.to);
            let told = word(&rig).expect("it is speech");
            assert!(off(told, truth).abs() <= 60.0, "{way:?}: {} ms", off(told, truth));
            // The caller has heard nothing until then.
            let dead = evidence(&rig, CALLER).unwrap().dead_air.unwrap().as_nanos() as u64;
            assert!(off(dead, truth).abs() <= 60.0, "{way:?}: {} ms", off(dead, truth));

            let (_, power) = spoken(&clean, way.band());
            for around in [Around::White, Around::Room] {
                let mut noisy = clean.clone();
                let hiss = hiss(seed, around, power / 100.0, noisy.len());
                for (sample, hiss) in noisy.iter_mut().zip(hiss) {
                    *sample = sample.saturating_add(hiss);
                }
                let told = word(&run(way, &noisy)).expect("it is speech");
                let off = off(told, truth);
                assert!(off.abs() <= 60.0, "{way:?} {around:?}: {off} ms");
            }
        }
    }
}

#[test]
fn what_is_heard_before_a_word_and_is_no_speech_is_no_word() {
    let seed = &mut crate::seed::Seed::new(6);
    let ms = RELAY.ms();
    // A lorry: below 100 Hz, at −22 dBm0.
    let (mut low, mut lower) = (0.0, 0.0);
    let mut rumble = vec![0; 300 * ms];
    for sample in &mut rumble {
        low += 0.06 * (16_000.0 * crate::speech::random(seed) - low);
        lower += 0.06 * (low - lower);
        *sample = lower as i16;
    }
    let mut click = vec![0; 300 * ms];
    for (at, sample) in click[..8 * ms].iter_mut().enumerate() {
        *sample = if at % 5 < 2 { 12_000 } else { -9_000 };
    }
    let breath = hiss(seed, Around::White, 250.0f64.powi(2), 300 * ms);
    let comfort = hiss(seed, Around::White, 60.0f64.powi(2), 300 * ms);
    let mut fooled = 0;
    for voice in voices(Band::Narrow) {
        let start = spoken(&voice, Band::Narrow).0[0].start;
        let clean = run(RELAY, &line(RELAY, &voice[start..]));
        let truth = truth(&clean, Codec::Pcmu);
        for (what, noise) in [
            ("rumble", &rumble),
            ("click", &click),
            ("breath", &breath),
            ("comfort noise", &comfort),
        ] {
            let mut noisy = line(RELAY, &voice[start..]);
            noisy[560 * ms..860 * ms].copy_from_slice(noise);
            let told = word(&run(RELAY, &noisy)).expect("it is speech");
            let off = off(told, truth);
            assert!(off.abs() <= 60.0, "{what}: {off} ms");
            // By its level it would be.
            let mut by_level = rig(0);
            join(&mut by_level, RELAY, &noisy);
            by_level.run(3_000);
            fooled += u32::from(word(&by_level).is_some_and(|told| told + 100 * MS < truth));
        }
    }
    assert!(fooled > 0, "none of it is loud");
}

/// Somebody has come on the line, and he whistles in a car.
#[test]
fn what_is_as_loud_as_speech_for_a_second_is_a_word_whether_it_is_speech_or_not() {
    let seed = &mut crate::seed::Seed::new(7);
    let ms = RELAY.ms();
    let noise = hiss(seed, Around::White, 700.0f64.powi(2), 1_100 * ms);
    for (lasts, is_one) in [(940, false), (1_060, true)] {
        let mut says = vec![0; 3_000 * ms];
        says[600 * ms..(600 + lasts) * ms].copy_from_slice(&noise[..lasts * ms]);
        let rig = run(RELAY, &says);
        let told = word(&rig);
        assert_eq!(told.is_some(), is_one, "{lasts} ms");
        if let Some(told) = told {
            let sent = rig.heard(CALLER);
            let begins = sent[600 / 20].at;
            assert!(off(told, begins).abs() <= 20.0, "{} ms", off(told, begins));
        }
    }
}

#[test]
fn without_a_free_ear_the_level_tells_the_word() {
    let says = line(RELAY, &voices(Band::Narrow)[0]);
    let mut rig = rig(0);
    join(&mut rig, RELAY, &says);
    rig.run(3_000);
    assert!(word(&rig).is_some());
}

#[test]
fn an_ear_comes_back_with_the_word_with_the_window_and_with_its_legs() {
    let says = line(RELAY, &voices(Band::Narrow)[0]);
    let quiet = vec![0; says.len()];
    type Change = fn(&mut Rig);
    let changes: [(&[i16], Change); 5] = [
        (&says, |_| ()),
        (&quiet, |rig| rig.run(10_000)),
        (&quiet, |rig| {
            let spec = SessionSpec {
                watch: None,
                ..RELAY.spec()
            };
            rig.set(spec);
        }),
        (&quiet, |rig| {
            let mut spec = RELAY.spec();
            spec.legs.truncate(1);
            spec.legs[0].hears = nobody();
            rig.set(spec);
        }),
        (&quiet, Rig::end),
    ];
    for (at, (says, change)) in changes.into_iter().enumerate() {
        let mut rig = run(RELAY, says);
        change(&mut rig);
        assert_eq!(rig.core.coders.free().ears, 1, "{at}");
        assert_eq!(word(&rig).is_some(), at == 0, "{at}");
    }
}

#[test]
fn a_session_that_moves_keeps_its_ear() {
    let way = mixed(Codec::Pcmu, Codec::Pcmu);
    for way in [RELAY, way] {
        let says = line(way, &voices(way.band())[7]);
        let stays = run(way, &says);
        let mut moves = rig(1);
        join(&mut moves, way, &says);
        for _ in 0..100 {
            moves.run(30);
            moves.hop();
            let waits = word(&moves).is_none();
            assert_eq!(moves.core.coders.free().ears, usize::from(!waits));
        }
        assert!(word(&moves).is_some());
        assert_eq!(word(&moves), word(&stays), "{way:?}");
    }
}

/// The AI hears the human at once, the caller in a mix some 40 ms later: what is told is what the caller hears.
#[test]
fn the_word_is_told_as_the_first_listener_of_the_spec_hears_it() {
    let way = mixed(Codec::Pcmu, Codec::Pcmu);
    let says = line(way, &voices(way.band())[0]);
    let caller = run(way, &says);
    let mut gone = rig(1);
    gone.talk_in(HUMAN, 3, way.from);
    gone.talker(HUMAN).packets = (coded(way.from, &says), 0);
    let mut spec = way.spec();
    // He cannot be sent to.
    spec.legs[0].send = false;
    gone.set(spec);
    gone.run(3_000);
    let (caller, ai) = (word(&caller).unwrap(), word(&gone).unwrap());
    assert!(caller > ai, "{caller} {ai}");
}
