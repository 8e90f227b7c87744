//! Digits: relayed, taken, dropped, turned into tones, and ended when their source goes.

use super::*;
use crate::codec::g711::Law;
use crate::dtmf::Event as Digit;

/// Presses a key on a leg that talks: a packet each 20 ms, then three that end it, as telephones do.
pub(super) struct Press {
    header: Header,
    code: u8,
    packets: u16,
}

impl Press {
    /// In the place of the talker's next packets.
    pub(super) fn new(rig: &mut Rig, leg: LegId, code: u8) -> Press {
        let header = Header {
            payload_type: 101,
            marker: true,
            ..rig.talker(leg).header
        };
        Press {
            header,
            code,
            packets: 0,
        }
    }

    pub(super) fn packet(&mut self, rig: &mut Rig, leg: LegId, end: bool) -> Verdict {
        if !end {
            self.packets += 1;
        }
        let digit = Digit {
            code: self.code,
            end,
            volume: 10,
            duration: 160 * self.packets,
        };
        let verdict = rig.packet(leg, &self.header, &digit.write());
        self.header.sequence = self.header.sequence.next();
        self.header.marker = false;
        verdict
    }

    /// The talker goes on after it.
    pub(super) fn release(&self, rig: &mut Rig, leg: LegId) {
        let talker = rig.talker(leg);
        talker.header.sequence = self.header.sequence;
        talker.header.timestamp = self.header.timestamp + 160 * u32::from(self.packets);
    }

    /// The whole digit: `packets` of 20 ms, the last one three times.
    pub(super) fn whole(rig: &mut Rig, leg: LegId, code: u8, packets: u16) -> Press {
        let mut press = Press::new(rig, leg, code);
        let next = rig.talker(leg).next;
        rig.talker(leg).until = 0;
        for n in 0..packets {
            let at = next + u64::from(n) * 20 * MS;
            rig.run_ns(at.saturating_sub(rig.now));
            press.packet(rig, leg, false);
        }
        for _ in 0..3 {
            press.packet(rig, leg, true);
        }
        press.release(rig, leg);
        rig.talker(leg).until = u64::MAX;
        rig.talker(leg).next = next + u64::from(packets) * 20 * MS;
        press
    }
}

fn digits(rig: &Rig) -> Vec<char> {
    let digit = |(_, event): &(u64, Event)| match event {
        Event::Digit { digit, .. } => Some(*digit),
        _ => None,
    };
    rig.events.iter().filter_map(digit).collect()
}

fn call(caller: Dtmf) -> (Rig, LegSpec, LegSpec) {
    let mut caller_leg = leg(CALLER, nobody());
    caller_leg.dtmf = caller;
    (Rig::new(), caller_leg, leg(AI, hears(CALLER)))
}

#[test]
fn a_relayed_digit_keeps_marker_duration_and_timestamp_and_has_the_listeners_payload_type() {
    let (mut rig, caller, mut ai) = call(Dtmf::Relay);
    ai.format.events = Some(EventFormat {
        send: 96,
        receive: 97,
        clock_hz: 8_000,
    });
    rig.set(spec(&[caller, ai]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    Press::whole(&mut rig, CALLER, 5, 4);
    rig.run(60);
    let heard = rig.heard(AI);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.next());
    }
    let events: Vec<_> = heard.iter().filter(|sent| sent.header().payload_type == 96).collect();
    assert_eq!(events.len(), 7);
    assert!(events[0].header().marker && events[1..].iter().all(|sent| !sent.header().marker));
    let shapes: Vec<_> = events
        .iter()
        .map(|sent| Digit::parse(sent.payload()).unwrap())
        .collect();
    assert!(shapes.iter().all(|digit| digit.code == 5 && digit.volume == 10));
    assert_eq!(
        shapes
            .iter()
            .map(|digit| (digit.duration, digit.end))
            .collect::<Vec<_>>(),
        [
            (160, false),
            (320, false),
            (480, false),
            (640, false),
            (640, true),
            (640, true),
            (640, true)
        ]
    );
    let timestamp = events[0].header().timestamp;
    assert!(events.iter().all(|sent| sent.header().timestamp == timestamp));
    assert_eq!(heard.last().unwrap().header().payload_type, 0);
    assert!(digits(&rig).is_empty());
}

#[test]
fn a_taken_digit_is_told_once_and_leaves_no_hole() {
    let (mut rig, caller, ai) = call(Dtmf::Take);
    rig.set(spec(&[caller, ai]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    Press::whole(&mut rig, CALLER, 1, 2);
    rig.run(40);
    Press::whole(&mut rig, CALLER, 1, 2);
    rig.run(85);
    assert_eq!(digits(&rig), ['1', '1']);
    let heard = rig.heard(AI);
    assert!(heard.iter().all(|sent| sent.header().payload_type == 0));
    assert_unbroken(&heard, 60 * MS);
    assert_eq!(rig.dropped(Reason::Digit), 10);
}

#[test]
fn a_digit_that_is_told_and_relayed_is_both() {
    let listened = |dtmf| {
        let (mut rig, caller, ai) = call(dtmf);
        rig.set(spec(&[caller, ai]));
        rig.talk(CALLER, 0, LOUD);
        rig.run(85);
        Press::whole(&mut rig, CALLER, 1, 2);
        rig.run(85);
        let heard: Vec<_> = rig.heard(AI).iter().map(|sent| sent.payload().to_vec()).collect();
        (heard, digits(&rig))
    };
    let ((told, digits), (relayed, none)) = (listened(Dtmf::Tell), listened(Dtmf::Relay));
    assert!(told.len() > 10);
    assert_eq!((told, digits), (relayed, vec!['1']));
    assert_eq!(none, []);
}

#[test]
fn a_taken_digit_is_told_when_nobody_hears_the_leg_and_when_only_its_end_comes() {
    let (mut rig, caller, _) = call(Dtmf::Take);
    rig.set(spec(&[caller]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    let mut press = Press::new(&mut rig, CALLER, 11);
    press.packets = 5;
    press.packet(&mut rig, CALLER, true);
    press.packet(&mut rig, CALLER, true);
    assert_eq!(digits(&rig), ['#']);
}

#[test]
fn a_dropped_digit_is_neither_told_nor_heard() {
    let (mut rig, caller, ai) = call(Dtmf::Drop);
    rig.set(spec(&[caller, ai]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    Press::whole(&mut rig, CALLER, 1, 2);
    rig.run(45);
    assert!(digits(&rig).is_empty());
    assert!(rig.heard(AI).iter().all(|sent| sent.header().payload_type == 0));
    assert_unbroken(&rig.heard(AI), 60 * MS);
}

#[test]
fn who_has_no_telephone_event_gets_the_tone() {
    let (mut rig, caller, mut ai) = call(Dtmf::Relay);
    ai.format = Format {
        codec: Codec::Pcma,
        send: 8,
        receive: 8,
        events: None,
        comfort_noise: None,
    };
    rig.set(spec(&[caller, ai]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    Press::whole(&mut rig, CALLER, 9, 4);
    rig.run(45);
    let heard = rig.heard(AI);
    assert_eq!(heard.len(), 11);
    assert_unbroken(&heard, 20 * MS);
    assert!(
        heard
            .iter()
            .all(|sent| sent.header().payload_type == 8 && sent.payload().len() == 160)
    );
    let mut expected = vec![0; 640];
    crate::dtmf::Tone::of(9).unwrap().encode(Law::A, 0, &mut expected);
    let tone: Vec<u8> = heard[5..9].iter().flat_map(|sent| sent.payload().to_vec()).collect();
    assert_eq!(tone, expected);
    for pair in heard.windows(2) {
        assert_eq!(
            timestamp_distance(pair[1].header().timestamp, pair[0].header().timestamp),
            160
        );
    }
}

#[test]
fn a_switch_inside_a_digit_ends_it_first() {
    for to_prompt in [false, true] {
        let mut rig = Rig::new();
        let legs = |row: Hears| spec(&[leg(CALLER, nobody()), leg(AI, row), leg(HUMAN, nobody())]);
        rig.set(legs(hears(CALLER)));
        rig.talk(CALLER, 0, LOUD);
        rig.talk(HUMAN, 5, [0x92, 0x12]);
        rig.run(100);
        rig.hush(CALLER);
        let mut press = Press::new(&mut rig, CALLER, 7);
        press.packet(&mut rig, CALLER, false);
        rig.run(20);
        press.packet(&mut rig, CALLER, false);
        rig.run(1);
        rig.set(legs(if to_prompt {
            plays(1, &[HOLD], true)
        } else {
            hears(HUMAN)
        }));
        rig.run(100);
        let heard = rig.heard(AI);
        for pair in heard.windows(2) {
            assert_eq!(pair[1].header().sequence, pair[0].header().sequence.next());
        }
        let first = heard.iter().position(|sent| sent.header().payload_type == 101).unwrap();
        let digit: Vec<_> = heard[first..first + 5]
            .iter()
            .map(|sent| Digit::parse(sent.payload()).unwrap())
            .collect();
        assert_eq!(
            digit
                .iter()
                .map(|digit| (digit.duration, digit.end))
                .collect::<Vec<_>>(),
            [(160, false), (320, false), (320, true), (320, true), (320, true)]
        );
        let event = heard[first + 4].header();
        let after = heard[first + 5].header();
        assert!(after.marker && after.payload_type == 0);
        assert!(timestamp_distance(after.timestamp, event.timestamp) >= 320);
        assert_conserved(&mut rig);
    }
}

#[test]
fn digits_beyond_the_mailbox_are_counted() {
    let (mut rig, caller, _) = call(Dtmf::Take);
    rig.set(spec(&[caller]));
    let mut header = Header {
        marker: true,
        payload_type: 101,
        sequence: Seq(0),
        timestamp: 0,
        ssrc: 5,
    };
    for _ in 0..40 {
        let mut buffer = [0; 64];
        let event = Digit {
            code: 3,
            end: false,
            volume: 10,
            duration: 160,
        };
        header.write(&mut buffer).unwrap()[..4].copy_from_slice(&event.write());
        let now = rig.instant();
        rig.core
            .handle_packet(now, port(CALLER), remote(CALLER), &mut buffer, 16);
        header.sequence = header.sequence.next();
        header.timestamp += 1_600;
    }
    rig.drain();
    assert_eq!(digits(&rig).len(), 32);
    assert_eq!(rig.core.counters().overflowed, 8);
}

#[test]
fn comfort_noise_packets_go_to_who_knows_them_and_leave_no_hole_with_the_others() {
    for known in [None, Some(19)] {
        let mut rig = Rig::new();
        let mut caller = leg(CALLER, nobody());
        caller.format.comfort_noise = Some(13);
        let mut ai = leg(AI, hears(CALLER));
        ai.format.comfort_noise = known;
        rig.set(spec(&[caller, ai]));
        rig.talk(CALLER, 0, LOUD);
        rig.run(85);
        let noise = Header {
            payload_type: 13,
            ..rig.talkers[0].header
        };
        rig.packet(CALLER, &noise, &[60]);
        rig.talker(CALLER).header.sequence = noise.sequence.next();
        rig.run(40);
        let heard = rig.heard(AI);
        let types: Vec<_> = heard
            .iter()
            .map(|sent| sent.header().payload_type)
            .filter(|pt| *pt != 0)
            .collect();
        assert_eq!(types, Vec::from_iter(known));
        for pair in heard.windows(2) {
            assert_eq!(pair[1].header().sequence, pair[0].header().sequence.next());
        }
    }
}

#[test]
fn a_late_packet_from_before_a_taken_digit_keeps_its_own_place() {
    let (mut rig, caller, ai) = call(Dtmf::Take);
    rig.set(spec(&[caller, ai]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    let late = rig.talkers[0].header;
    rig.talker(CALLER).header.sequence = late.sequence.next();
    rig.talker(CALLER).header.timestamp += 160;
    Press::whole(&mut rig, CALLER, 1, 1);
    rig.run(25);
    assert!(matches!(rig.packet(CALLER, &late, &[0; 160]), Verdict::Send { .. }));
    rig.run(40);
    let mut numbers: Vec<_> = rig.heard(AI).iter().map(|sent| sent.header().sequence.0).collect();
    let order = numbers.clone();
    numbers.sort();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)),
        "{order:?}"
    );
    assert_ne!(order, numbers);
}

#[test]
fn of_a_digit_that_began_before_the_switch_only_the_new_part_is_a_tone() {
    let (mut rig, caller, mut ai) = call(Dtmf::Relay);
    ai.format.events = None;
    ai.hears = nobody();
    rig.set(spec(&[caller.clone(), ai.clone()]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(100);
    rig.hush(CALLER);
    let mut press = Press::new(&mut rig, CALLER, 1);
    press.packets = 9;
    press.packet(&mut rig, CALLER, false);
    ai.hears = hears(CALLER);
    rig.set(spec(&[caller, ai]));
    rig.forget();
    rig.run(15);
    press.packet(&mut rig, CALLER, false);
    rig.run(15);
    press.packet(&mut rig, CALLER, false);
    let heard = rig.heard(AI);
    let tones: Vec<_> = heard
        .iter()
        .filter(|sent| Law::Mu.mean_square(sent.payload()) > 1_000_000)
        .collect();
    assert_eq!(
        tones.iter().map(|sent| sent.payload().len()).collect::<Vec<_>>(),
        [160, 160]
    );
    assert!(tones[0].header().marker && !tones[1].header().marker);
    assert_unbroken(&heard, 20 * MS);
}

/// The human accepts with a key; the caller hears hold audio, then the human.
fn accepting() -> (Rig, impl Fn(bool) -> SessionSpec) {
    let state = |joined: bool| {
        let mut human = leg(HUMAN, nobody());
        human.dtmf = if joined { Dtmf::Relay } else { Dtmf::Take };
        let caller = if joined { hears(HUMAN) } else { plays(1, &[HOLD], true) };
        spec(&[leg(CALLER, caller), human])
    };
    let mut rig = Rig::new();
    rig.set(state(false));
    rig.talk(HUMAN, 0, [0x92, 0x12]);
    rig.run(85);
    (rig, state)
}

fn keys_heard(rig: &Rig, leg: LegId) -> usize {
    let heard = rig.heard(leg);
    heard.iter().filter(|sent| sent.header().payload_type == 101).count()
}

#[test]
fn a_digit_that_began_under_take_stays_taken_after_the_join() {
    let (mut rig, state) = accepting();
    rig.run(15);
    rig.hush(HUMAN);
    let mut press = Press::new(&mut rig, HUMAN, 1);
    press.packet(&mut rig, HUMAN, false);
    assert_eq!(digits(&rig), ['1']);
    let joined = rig.set(state(true));
    for _ in 0..9 {
        rig.run(20);
        assert_eq!(press.packet(&mut rig, HUMAN, false), Verdict::Drop(Reason::Digit));
    }
    for _ in 0..3 {
        assert_eq!(press.packet(&mut rig, HUMAN, true), Verdict::Drop(Reason::Digit));
    }
    assert_eq!((rig.applied(joined), keys_heard(&rig, CALLER)), (None, 0));
    // Hold audio goes on while the key is down, and the human is heard with the first packet of voice.
    press.release(&mut rig, HUMAN);
    let (until, next) = (u64::MAX, rig.now + 20 * MS);
    (rig.talker(HUMAN).until, rig.talker(HUMAN).next) = (until, next);
    rig.run(50);
    assert_eq!(rig.applied(joined), Some(next));
    let heard = rig.heard(CALLER);
    assert_unbroken(&heard, 40 * MS);
    assert!(heard.iter().all(|sent| Law::Mu.mean_square(sent.payload()) > 100_000));
    // The next key is the caller's to hear.
    Press::whole(&mut rig, HUMAN, 2, 3);
    assert_eq!((digits(&rig).len(), keys_heard(&rig, CALLER)), (1, 6));
}

#[test]
fn a_late_end_of_a_taken_digit_is_not_relayed_after_the_next_one_has_begun() {
    let (mut rig, caller, ai) = call(Dtmf::Take);
    rig.set(spec(&[caller.clone(), ai.clone()]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(85);
    let mut taken = Press::whole(&mut rig, CALLER, 1, 2);
    taken.header.sequence = taken.header.sequence.plus(u16::MAX);
    let relays = LegSpec {
        dtmf: Dtmf::Relay,
        ..caller
    };
    rig.set(spec(&[relays, ai]));
    rig.run(40);
    Press::whole(&mut rig, CALLER, 2, 2);
    assert_eq!(keys_heard(&rig, AI), 5);
    assert_eq!(taken.packet(&mut rig, CALLER, true), Verdict::Drop(Reason::Digit));
    assert_eq!((digits(&rig).len(), keys_heard(&rig, AI)), (1, 5));
}

#[test]
fn a_row_waits_a_second_at_the_most_for_a_leg_that_only_presses_a_taken_key() {
    let (mut rig, state) = accepting();
    rig.run(15);
    rig.hush(HUMAN);
    let mut press = Press::new(&mut rig, HUMAN, 1);
    press.packet(&mut rig, HUMAN, false);
    rig.run(10);
    let joined = rig.set(state(true));
    let set_at = rig.now;
    rig.run(10);
    for _ in 0..60 {
        press.packet(&mut rig, HUMAN, false);
        rig.run(20);
    }
    assert_eq!(rig.applied(joined), Some(set_at + 1_000 * MS));
    let heard = rig.heard(CALLER);
    assert_unbroken(&heard, 20 * MS);
    let noise = |sent: &&Sent| Law::Mu.mean_square(sent.payload()) < crate::codec::g711::BELOW_50_DBM0;
    assert!(
        heard
            .iter()
            .filter(|sent| sent.at < set_at + 1_000 * MS)
            .all(|sent| !noise(&sent))
    );
    assert!(
        heard
            .iter()
            .filter(|sent| sent.at > set_at + 1_020 * MS)
            .all(|sent| noise(&sent))
    );
    assert_eq!((digits(&rig).len(), keys_heard(&rig, CALLER)), (1, 0));
}

#[test]
fn a_key_that_ends_and_brings_nothing_after_it_is_waited_for_60_ms_more() {
    let (mut rig, state) = accepting();
    rig.run(15);
    rig.hush(HUMAN);
    let mut press = Press::new(&mut rig, HUMAN, 1);
    press.packet(&mut rig, HUMAN, false);
    let joined = rig.set(state(true));
    rig.run(20);
    press.packet(&mut rig, HUMAN, true);
    let last = rig.now;
    rig.run(200);
    assert_eq!(rig.applied(joined), Some(last + 60 * MS));
    assert_unbroken(&rig.heard(CALLER), 20 * MS);
}

#[test]
fn a_late_packet_neither_opens_nor_shortens_nor_hides_the_digit_that_a_switch_ends() {
    // Numbers and durations in the order of arrival (duration 0: audio), and what the switch ends it with.
    let stories = [
        (vec![(0, 160), (1, 320), (3, 640), (2, 480)], Some(640)),
        (vec![(1, 160), (2, 320), (0, 0)], Some(320)),
        (vec![(0, 160), (2, 0), (1, 320)], None),
        (vec![(0, 160), (1, 320), (2, 0)], None),
    ];
    for (packets, ends) in stories {
        let mut rig = Rig::new();
        let legs = |row: Hears| spec(&[leg(CALLER, nobody()), leg(AI, row)]);
        rig.set(legs(hears(CALLER)));
        rig.talk(CALLER, 0, LOUD);
        rig.run(85);
        rig.hush(CALLER);
        let first = rig.talker(CALLER).header;
        for (number, duration) in packets {
            let event = Digit {
                code: 5,
                end: false,
                volume: 10,
                duration,
            };
            let header = Header {
                payload_type: if duration == 0 { 0 } else { 101 },
                sequence: first.sequence.plus(number),
                // A digit's packets have the time of its beginning.
                timestamp: match (number, duration) {
                    (2.., 0) => first.timestamp + 320,
                    (_, 0) => first.timestamp - 160,
                    _ => first.timestamp,
                },
                ..first
            };
            if duration == 0 {
                rig.packet(CALLER, &header, &[0x10; 160]);
            } else {
                rig.packet(CALLER, &header, &event.write());
            }
        }
        rig.forget();
        rig.set(legs(nobody()));
        let ended: Vec<_> = rig
            .heard(AI)
            .iter()
            .filter_map(|sent| Digit::parse(sent.payload()).filter(|_| sent.header().payload_type == 101))
            .collect();
        assert_eq!(ended.len(), if ends.is_some() { 3 } else { 0 });
        assert!(
            ended.iter().all(|digit| digit.end && Some(digit.duration) == ends),
            "{ended:?}"
        );
    }
}
