//! Coders are held by rows that need them, and by nobody else.

use super::*;
use crate::codec::opus::{Band, Decoder, Effort, Encoder, Settings};
use crate::coders::{Coders, Sizes};
use crate::command::{Watch, WindowId};
use crate::dtmf::Event as Digit;
use crate::evidence::Evidence;
use crate::seed::Seed;
use crate::voice::tests::coders;

fn rig_with(coders: Coders) -> Rig {
    Rig::with(Config {
        coders: Arc::new(coders),
        ..config()
    })
}

/// What was measured of a listener.
fn evidence(rig: &Rig, leg: LegId) -> Evidence {
    let mut closed = rig.events.iter().filter_map(|(_, event)| match event {
        Event::Evidence { listeners, .. } => listeners.iter().find(|(id, _)| *id == leg),
        _ => None,
    });
    closed.next().expect("a window was closed").1
}

/// Nothing is on the old row, so the new one is in force at once.
#[test]
fn a_change_at_once_keeps_nothing_of_the_way_there() {
    let mut rig = rig_with(coders());
    let full = rig.core.coders.free();
    let caller = |hears| leg_in(CALLER, Codec::Opus, hears);
    let ai = leg(AI, nobody());
    rig.set(spec(&[caller(hears(AI)), ai.clone()]));
    let joined = rig.set(spec(&[
        caller(hears(HUMAN)),
        ai,
        leg_in(HUMAN, Codec::L16Wide, nobody()),
    ]));
    assert!(rig.applied(joined).is_some());
    let wanted = Sizes {
        opus_wide: full.opus_wide - 1,
        ..full
    };
    assert_eq!(rig.core.coders.free(), wanted);
}

#[test]
fn what_patience_lost_gives_back_its_coders() {
    let mut rig = rig_with(coders());
    let full = rig.core.coders.free();
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, hears(CALLER))]));
    rig.talk(AI, 0, LOUD);
    rig.run(100);
    let waits = rig.set(spec(&[
        leg(CALLER, awaits(HUMAN, 200)),
        leg(AI, nobody()),
        leg_in(HUMAN, Codec::Opus, hears(CALLER)),
    ]));
    assert_ne!(rig.core.coders.free(), full);
    rig.run(500);
    assert!(rig.refused_silent(waits).is_some());
    assert_eq!(rig.core.coders.free(), full);
}

#[test]
fn what_only_listened_goes_back_with_the_window() {
    let mut rig = rig_with(coders());
    let full = rig.core.coders.free().listeners;
    let legs = [
        leg_in(CALLER, Codec::Opus, hears(AI)),
        leg_in(AI, Codec::Opus, nobody()),
    ];
    let watched = SessionSpec {
        watch: Some(Watch {
            window: WindowId(1),
            first_word_of: Some(AI),
        }),
        ..spec(&legs)
    };
    rig.set(watched.clone());
    rig.talk_in(AI, 0, Codec::Opus);
    rig.run(500);
    assert!(
        rig.events
            .iter()
            .any(|(_, event)| matches!(event, Event::FirstWord { .. }))
    );
    assert_eq!(rig.core.coders.free().listeners, full, "closed");
    // It still says so, and does not open it again.
    rig.set(watched);
    assert_eq!(rig.core.coders.free().listeners, full, "repeated");
}

/// The pool of the right band is empty, so the row goes on by the other. That is no reason to refuse what it does already.
#[test]
fn a_row_that_goes_on_with_the_other_band_may_go_on() {
    let sizes = Sizes {
        wide: 2,
        opus_narrow: 0,
        opus_wide: 1,
        ..Sizes::default()
    };
    let mut rig = rig_with(Coders::new(sizes, &Default::default()).unwrap());
    let caller = |hears| leg_in(CALLER, Codec::Opus, hears);
    let others = [leg_in(AI, Codec::L16Wide, nobody()), leg(HUMAN, nobody())];
    let of = |hears| spec(&[caller(hears), others[0].clone(), others[1].clone()]);
    rig.set(of(hears(AI)));
    rig.talk_in(AI, 0, Codec::L16Wide);
    rig.talk(HUMAN, 5, LOUD);
    rig.run(100);
    let joined = rig.set(of(hears(HUMAN)));
    rig.run(100);
    assert!(rig.applied(joined).is_some());
    let again = rig.set(of(hears(HUMAN)));
    assert!(rig.applied(again).is_some(), "{:?}", rig.events);
    rig.run(100);
    assert_eq!(rig.dropped(Reason::Untranscodable), 0);
}

/// A late packet is broken, and then one is lost: the hole is upstream's.
#[test]
fn a_late_broken_packet_is_missing_once() {
    let mut rig = rig_with(coders());
    let legs = [leg(CALLER, hears(AI)), leg_in(AI, Codec::Opus, nobody())];
    rig.set(SessionSpec {
        watch: Some(Watch {
            window: WindowId(1),
            first_word_of: None,
        }),
        ..spec(&legs)
    });
    rig.talk_in(AI, 0, Codec::Opus);
    rig.run(205);
    let skip = |rig: &mut Rig| {
        let talker = rig.talker(AI);
        let late = talker.header;
        talker.header.sequence = late.sequence.next();
        talker.header.timestamp = late.timestamp.wrapping_add(960);
        late
    };
    let late = skip(&mut rig);
    rig.run(40);
    assert_eq!(
        rig.packet(AI, &late, &[0xff; 30]),
        Verdict::Drop(Reason::Untranscodable)
    );
    skip(&mut rig);
    rig.run(100);
    rig.set(spec(&legs));
    let evidence = evidence(&rig, CALLER);
    assert_eq!((evidence.sequence_breaks, evidence.lost), (0, 0), "{evidence:?}");
}

#[test]
fn what_is_made_has_room_at_every_packet_time() {
    for codec in Codec::ALL {
        for ptime in [10, 20, 30, 40, 50, 60] {
            let mut rig = rig_with(coders());
            let mut caller = leg_in(CALLER, codec, plays(1, &[BRIEF], false));
            caller.ptime_ms = ptime;
            rig.set(spec(&[caller]));
            rig.run(1_200);
            let sent = rig.heard(CALLER);
            let ptime = if codec == Codec::Opus { 20 } else { ptime };
            assert_eq!(sent.len(), 1_200usize.div_ceil(ptime.into()), "{codec:?} {ptime}");
            for pair in sent.windows(2) {
                let step = timestamp_distance(pair[1].header().timestamp, pair[0].header().timestamp);
                assert_eq!(step, codec.ticks(ptime) as i32, "{codec:?} {ptime}");
            }
        }
    }
}

/// Two listeners hear the same packets, of every packet time.
#[test]
fn every_listener_has_room_for_every_packet_time() {
    for ptime in [10, 20, 30, 40, 50, 60] {
        let mut rig = rig_with(coders());
        let listener = |id| leg_in(id, Codec::L16Wide, hears(CALLER));
        rig.set(spec(&[leg(CALLER, nobody()), listener(AI), listener(HUMAN)]));
        let mut header = Header {
            marker: false,
            payload_type: 0,
            sequence: Seq(9),
            timestamp: 77,
            ssrc: 5,
        };
        for _ in 0..10 {
            rig.packet(CALLER, &header, &vec![0x55; 8 * ptime]);
            header.sequence = header.sequence.next();
            header.timestamp += 8 * ptime as u32;
            rig.run(ptime as u64);
        }
        for id in [AI, HUMAN] {
            assert_eq!(rig.heard(id).len(), 10, "{id:?} {ptime} ms");
        }
    }
}

/// Whatever a peer sends, of every length that a buffer holds: nothing of it is doubled or out of order, and what is lost by us is what the listener's
/// codec cannot say.
#[test]
fn what_is_no_packet_of_its_codec_is_upstreams_fault() {
    let mut seed = Seed::new(1);
    let mut random = move |below: usize| (seed.next() >> 33) as usize % below;
    for from in Codec::ALL {
        for to in Codec::ALL {
            let mut rig = rig_with(coders());
            let listener = |id| leg_in(id, to, hears(CALLER));
            let legs = [leg_in(CALLER, from, nobody()), listener(AI), listener(HUMAN)];
            rig.set(SessionSpec {
                watch: Some(Watch {
                    window: WindowId(1),
                    first_word_of: None,
                }),
                ..spec(&legs)
            });
            let mut header = Header {
                marker: false,
                payload_type: number(from),
                sequence: Seq(9),
                timestamp: 77,
                ssrc: 5,
            };
            let mut unfit = 0;
            for _ in 0..300 {
                let below = [4, 1_932, 400, 60][random(4)];
                let mut payload: Vec<u8> = (0..random(below)).map(|_| random(256) as u8).collect();
                // Of Opus, many frames in one packet.
                if from == Codec::Opus && random(3) == 0 && payload.len() > 1 {
                    payload[0] |= 3;
                }
                rig.packet(CALLER, &header, &payload);
                // Longer than 120 ms, of no length of Opus, or longer than a packet.
                let ticks = from.duration(&payload).unwrap_or(0) * 1_000 / (from.clock_hz() / 1_000);
                let carried = ticks <= 120_000 && (to != Codec::Opus || ticks.is_multiple_of(2_500));
                let room = to
                    .bytes_a_tick()
                    .is_none_or(|bytes| ticks as usize * bytes / 125 <= 1_932);
                unfit += u64::from(from != to && !(carried && room));
                header.sequence = header.sequence.next();
                header.timestamp = header.timestamp.wrapping_add(from.ticks(20));
                rig.run(20);
            }
            rig.set(spec(&legs));
            for id in [AI, HUMAN] {
                let evidence = evidence(&rig, id);
                let wrong = (evidence.duplicated, evidence.reordered, evidence.sequence_breaks);
                assert_eq!(wrong, (0, 0, 0), "{from:?} to {to:?}: {evidence:?}");
                assert_eq!(evidence.timestamp_breaks, 0, "{from:?} to {to:?}: {evidence:?}");
                assert!(evidence.lost <= unfit, "{from:?} to {to:?}: {unfit} {evidence:?}");
                assert!(evidence.sent > 100);
            }
        }
    }
}

/// A source goes over to another clock in mid-run, with the numbers and the SSRC that it had: the line goes on in its own.
#[test]
fn a_source_with_another_clock_goes_on_in_the_clock_of_the_line() {
    for (before, after) in [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcmu)] {
        let mut rig = rig_with(coders());
        let legs = |codec| spec(&[leg(CALLER, hears(AI)), leg_in(AI, codec, nobody())]);
        rig.set(legs(before));
        rig.talk_in(AI, 0, before);
        rig.run(200);
        let had = rig.talker(AI).header;
        rig.hush(AI);
        rig.set(legs(after));
        rig.talkers.clear();
        rig.talk_in(AI, 0, after);
        rig.talker(AI).header = Header {
            payload_type: number(after),
            ..had
        };
        rig.run(200);
        let sent = rig.heard(CALLER);
        assert!(sent.len() >= 19, "{}", sent.len());
        assert_unbroken(&sent, 40 * MS);
        for pair in sent.windows(2) {
            let step = timestamp_distance(pair[1].header().timestamp, pair[0].header().timestamp);
            assert!(step <= 320, "{before:?} to {after:?}: {step}");
        }
    }
}

/// 3 s of a key in segments of 48,000 Hz: in 8,000 Hz it is one key, with one timestamp, for as long as it was held.
#[test]
fn a_long_key_is_one_key_in_a_slower_clock() {
    let mut rig = rig_with(coders());
    rig.set(spec(&[leg(CALLER, hears(HUMAN)), leg_in(HUMAN, Codec::Opus, nobody())]));
    let mut header = Header {
        payload_type: 101,
        marker: true,
        sequence: Seq(1),
        timestamp: 4_000,
        ssrc: 9,
    };
    let mut held = 0u32;
    for packet in 1..=150 {
        held += 960;
        let mut digit = Digit {
            code: 1,
            end: false,
            volume: 10,
            duration: u16::MAX,
        };
        if held > 65_535 {
            rig.packet(HUMAN, &header, &digit.write());
            header.sequence = header.sequence.next();
            header.timestamp = header.timestamp.wrapping_add(65_535);
            held -= 65_535;
        }
        (digit.end, digit.duration) = (packet == 150, held as u16);
        rig.packet(HUMAN, &header, &digit.write());
        header.sequence = header.sequence.next();
        rig.run(20);
    }
    let sent = rig.heard(CALLER);
    let keys: Vec<_> = sent.iter().filter(|sent| sent.header().payload_type == 101).collect();
    let mut began: Vec<_> = keys.iter().map(|sent| sent.header().timestamp).collect();
    began.dedup();
    assert_eq!(began.len(), 1, "{began:?}");
    let durations: Vec<_> = keys
        .iter()
        .map(|sent| Digit::parse(sent.payload()).unwrap().duration)
        .collect();
    assert!(durations.is_sorted(), "{durations:?}");
    assert_eq!(durations.last(), Some(&24_000));
}

/// What is a length that Opus has not is lost by us, and said to be: nothing was wrong with it.
#[test]
fn what_we_cannot_carry_is_our_loss() {
    let mut rig = rig_with(coders());
    let legs = [leg(CALLER, nobody()), leg_in(AI, Codec::Opus, hears(CALLER))];
    let watch = Watch {
        window: WindowId(1),
        first_word_of: None,
    };
    rig.set(SessionSpec {
        watch: Some(watch),
        ..spec(&legs)
    });
    rig.talk(CALLER, 0, LOUD);
    rig.run(105);
    rig.talker(CALLER).payload.truncate(151);
    rig.run(20);
    rig.talker(CALLER).payload = LOUD.repeat(80);
    rig.run(100);
    rig.set(spec(&legs));
    let evidence = evidence(&rig, AI);
    assert_eq!(
        (evidence.lost, evidence.sequence_breaks, evidence.timestamp_breaks),
        (1, 0, 0)
    );
}

/// Packets of lengths that no frame has, whatever libopus makes of it: each has a packet, and none says more than it has.
#[test]
fn every_length_of_several_frames_goes_through_every_setting() {
    for (bitrate, complexity, fec, dtx) in [
        (24_000, 5, true, false),
        (128_000, 10, false, true),
        (510_000, 0, false, false),
    ] {
        let effort = Effort { bitrate, complexity };
        let settings = Settings {
            narrow: effort,
            wide: effort,
            fec,
            expected_loss: if fec { 20 } else { 0 },
            dtx,
        };
        for band in [Band::Narrow, Band::Wide] {
            for ms in [30, 50, 120] {
                let mut encoder = Encoder::new(band, &settings).unwrap();
                let mut decoder = Decoder::new(band).unwrap();
                let frame = band.hz() as usize / 1_000 * ms;
                for packet in 0..40usize {
                    let loud = if packet % 8 < 4 { 6_000.0 } else { 0.0 };
                    let samples: Vec<i16> = (0..frame)
                        .map(|at| (loud * ((packet * frame + at) as f64 * 0.31).sin()) as i16)
                        .collect();
                    let mut coded = [0; 1_900];
                    let len = encoder.encode(&samples, &mut coded);
                    let len = len.unwrap_or_else(|| panic!("{band:?} {ms} ms {bitrate} {packet}"));
                    let mut heard = [0; 1_920];
                    let count = decoder.decode(&coded[..len], &mut heard).expect("a packet");
                    assert!(count > 0 && count <= frame);
                }
            }
        }
    }
}

/// With a first packet that is broken a row does not begin: the old source goes on until one comes that can be heard, and then it is said.
#[test]
fn a_row_does_not_begin_with_what_cannot_be_carried() {
    let mut rig = rig_with(coders());
    let human = |hears| leg_in(HUMAN, Codec::Opus, hears);
    rig.set(spec(&[leg(CALLER, hears(AI)), leg(AI, nobody()), human(nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.talk_in(HUMAN, 5, Codec::Opus);
    rig.run(101);
    let joined = rig.set(spec(&[leg(CALLER, hears(HUMAN)), leg(AI, nobody()), human(nobody())]));
    let good = std::mem::replace(&mut rig.talker(HUMAN).packets, (vec![vec![0xff; 30]], 0));
    rig.run(10);
    assert_eq!(rig.dropped(Reason::Untranscodable), 1);
    assert_eq!(rig.applied(joined), None, "nothing of the human was heard yet");
    rig.talker(HUMAN).packets = good;
    rig.run(200);
    assert_eq!(rig.applied(joined), Some(125 * MS));
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
    assert_conserved(&mut rig);
}
