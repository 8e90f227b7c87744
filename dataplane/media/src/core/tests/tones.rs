//! Keys in the sound of a leg without telephone-event.

use super::words::coded;
use super::*;
use crate::codec::opus::Band;
use crate::coders::{Coders, Sizes};
use crate::command::Heard;
use crate::dtmf::detect::{Detector, Key};
use crate::dtmf::{Tone, code_of};
use crate::speech::prompt;
use crate::voice::tests::heard;

fn rig(keys: usize) -> Rig {
    let sizes = Sizes {
        wide: 8,
        opus_narrow: 4,
        opus_wide: 4,
        mixers: 2,
        listeners: 4,
        keys,
        ..Sizes::default()
    };
    Rig::with(Config {
        coders: Arc::new(Coders::new(sizes, &Default::default()).unwrap()),
        ..config()
    })
}

fn band(codec: Codec) -> Band {
    codec.band().unwrap_or(Band::Wide)
}

/// The key for so long, ms.
fn tone(codec: Codec, key: char, ms: usize) -> Vec<i16> {
    let mut samples = vec![0; ms * band(codec).hz() as usize / 1_000];
    Tone::of(code_of(key).unwrap())
        .unwrap()
        .fill(band(codec), 0, &mut samples);
    samples
}

fn quiet(codec: Codec, ms: usize) -> Vec<i16> {
    vec![0; ms * band(codec).hz() as usize / 1_000]
}

/// A leg whose telephone has no keys but tones.
fn human(codec: Codec, dtmf: Dtmf, hears: Hears) -> LegSpec {
    let mut leg = LegSpec {
        dtmf,
        ..leg_in(HUMAN, codec, hears)
    };
    leg.format.events = None;
    leg
}

fn says(rig: &mut Rig, codec: Codec, samples: &[i16]) {
    rig.talk_in(HUMAN, 3, codec);
    rig.talker(HUMAN).packets = (coded(codec, samples), 0);
}

fn digits(rig: &Rig) -> Vec<(char, u64)> {
    let digit = |(at, event): &(u64, Event)| match event {
        Event::Digit { leg, digit, .. } => {
            assert_eq!(*leg, HUMAN);
            Some((*digit, *at / MS))
        }
        _ => None,
    };
    rig.events.iter().filter_map(digit).collect()
}

/// For how long the caller heard keys, ms.
fn keys_heard(rig: &Rig, codec: Codec) -> Vec<u32> {
    let sent = rig.heard(CALLER);
    let wide = heard(codec, sent.iter().map(Sent::payload));
    let mut narrow = vec![0; wide.len() / 2];
    crate::resample::Downsampler::new().process(&wide, &mut narrow);
    let mut all = Vec::new();
    Detector::new().heard(&narrow, |key| {
        if let Key::Ended { ms } = key {
            all.push(ms);
        }
    });
    all
}

#[test]
fn each_key_in_the_sound_is_told_once_in_every_codec() {
    for codec in Codec::ALL {
        let mut rig = rig(1);
        let mut line = quiet(codec, 200);
        for key in "1234567890*#ABCD".chars() {
            line.extend([tone(codec, key, 80), quiet(codec, 80)].concat());
        }
        says(&mut rig, codec, &line);
        rig.set(spec(&[human(codec, Dtmf::Take, plays(1, &[BRIEF], true))]));
        rig.run(2_740);
        let told: String = digits(&rig).into_iter().map(|(key, _)| key).collect();
        assert_eq!(told, "1234567890*#ABCD", "{codec:?}");
    }
}

/// The human takes the call by a key that he goes on holding: the caller hears him, and not that.
#[test]
fn the_key_that_takes_a_call_is_not_heard_by_the_caller_however_long_it_is_held() {
    let voice = prompt("human-hello", Band::Wide);
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus, Codec::L16Wide] {
        for gain_db in [0, -6] {
            let mut rig = rig(1);
            let voice = match band(codec) {
                Band::Wide => voice.clone(),
                Band::Narrow => prompt("human-hello", Band::Narrow),
            };
            let parts = [quiet(codec, 400), tone(codec, '1', 600), quiet(codec, 100), voice];
            says(&mut rig, codec, &parts.concat());
            let caller = |hears| leg_in(CALLER, Codec::Pcmu, hears);
            let [rings, joined] = [(Dtmf::Take, plays(2, &[BRIEF], true)), (Dtmf::Relay, hears(CALLER))]
                .map(|(dtmf, hears)| human(codec, dtmf, hears));
            rig.set(spec(&[caller(plays(1, &[HOLD], true)), rings]));
            while digits(&rig).is_empty() && rig.now < 1_000 * MS {
                rig.run(5);
            }
            let told = digits(&rig);
            assert!(matches!(told[..], [('1', 420..=480)]), "{codec:?}: {told:?}");
            assert_eq!(rig.core.coders.free().keys, 0);
            let hears = Hears {
                legs: [Heard { leg: HUMAN, gain_db }].into_iter().collect(),
                ..Hears::default()
            };
            rig.forget();
            rig.set(spec(&[caller(hears), joined]));
            rig.run(2_000);
            assert_eq!(keys_heard(&rig, Codec::Pcmu), [], "{codec:?} {gain_db}");
            assert_eq!(digits(&rig), []);
            let sent = rig.heard(CALLER);
            let heard = heard(Codec::Pcmu, sent.iter().map(Sent::payload));
            let level = |ms: std::ops::Range<usize>| crate::codec::mean_square(&heard[16 * ms.start..16 * ms.end]);
            assert!(level(900..1_500) > 40_000, "{codec:?} {gain_db}: he is heard");
            // It was needed for that key only.
            assert_eq!(rig.core.coders.free().keys, 1, "{codec:?}");
        }
    }
}

#[test]
fn who_hears_a_leg_whose_keys_are_taken_hears_the_beginning_of_the_tone_only() {
    let codec = Codec::Pcmu;
    let mut rig = rig(1);
    says(
        &mut rig,
        codec,
        &[quiet(codec, 400), tone(codec, '5', 400), quiet(codec, 400)].concat(),
    );
    rig.set(spec(&[
        leg_in(CALLER, codec, hears(HUMAN)),
        human(codec, Dtmf::Take, hears(CALLER)),
    ]));
    rig.run(1_000);
    assert_eq!(digits(&rig).len(), 1);
    let heard = keys_heard(&rig, codec);
    assert!(heard.iter().all(|&ms| ms <= 60), "{heard:?}");
    let packets = rig.heard(CALLER);
    let loud = |sent: &&Sent| crate::codec::g711::Law::Mu.mean_square(sent.payload()) > 1_000_000;
    assert!((1..=3).contains(&packets.iter().filter(loud).count()));
    assert_conserved(&mut rig);
    assert_eq!(rig.core.coders.free(), rig.core.coders.sizes());
}

#[test]
fn who_hears_a_leg_whose_keys_are_told_hears_its_tones_as_they_are() {
    let codec = Codec::Pcmu;
    let listened = |dtmf| {
        let mut rig = rig(1);
        let parts = [quiet(codec, 400), tone(codec, '5', 400), quiet(codec, 400)];
        says(&mut rig, codec, &parts.concat());
        rig.set(spec(&[
            leg_in(CALLER, codec, hears(HUMAN)),
            human(codec, dtmf, hears(CALLER)),
        ]));
        rig.run(1_000);
        let heard: Vec<_> = rig.heard(CALLER).iter().map(|sent| sent.payload().to_vec()).collect();
        let digits: String = digits(&rig).into_iter().map(|(key, _)| key).collect();
        (heard, digits)
    };
    let ((told, digits), (relayed, none)) = (listened(Dtmf::Tell), listened(Dtmf::Relay));
    assert!(told.len() > 40);
    assert!(told == relayed, "the same sound");
    assert_eq!((&*digits, &*none), ("5", ""));
}

#[test]
fn a_state_is_in_force_where_nobody_can_hear_its_keys() {
    let codec = Codec::Pcmu;
    let mut rig = rig(0);
    says(&mut rig, codec, &tone(codec, '5', 400));
    let generation = rig.set(spec(&[human(codec, Dtmf::Take, plays(1, &[BRIEF], true))]));
    rig.run(1_000);
    assert!(rig.applied(generation).is_some());
    assert_eq!(digits(&rig), []);
}

#[test]
fn a_leg_with_telephone_event_and_one_whose_keys_are_relayed_are_not_listened_to() {
    let mut rig = rig(1);
    says(&mut rig, Codec::Pcmu, &tone(Codec::Pcmu, '5', 400));
    let event = LegSpec {
        dtmf: Dtmf::Take,
        ..leg_in(HUMAN, Codec::Pcmu, nobody())
    };
    for leg in [event, human(Codec::Pcmu, Dtmf::Relay, nobody())] {
        rig.set(spec(&[leg]));
        assert_eq!(rig.core.coders.free().keys, 1);
        rig.run(300);
        assert_eq!(digits(&rig), []);
    }
}
