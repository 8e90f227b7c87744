//! A source whose packets are longer than its listener takes.

use super::mixing::{assert_returned, evidence, watched};
use super::*;
use crate::codec::opus::Settings;
use crate::coders::{Coders, Sizes};
use crate::command::Codec::{self, G722, L16, Opus, Pcma, Pcmu};
use crate::voice::tests::{heard, said};

fn rig(mixers: usize) -> Rig {
    let sizes = Sizes {
        wide: 8,
        opus_narrow: 4,
        opus_wide: 4,
        mixers,
        listeners: 4,
        ..Sizes::default()
    };
    Rig::with(Config {
        coders: Arc::new(Coders::new(sizes, &Settings::default()).unwrap()),
        ..config()
    })
}

/// The caller takes packets of one length, the human sends another.
struct Way {
    from: (Codec, usize),
    to: (Codec, u8),
}

const fn way(from: Codec, ptime: usize, to: Codec, takes: u8) -> Way {
    Way {
        from: (from, ptime),
        to: (to, takes),
    }
}

impl Way {
    fn spec(&self) -> SessionSpec {
        let mut caller = leg_in(CALLER, self.to.0, hears(HUMAN));
        caller.ptime_ms = self.to.1;
        caller.maxptime_ms = Some(self.to.1);
        let mut human = leg_in(HUMAN, self.from.0, nobody());
        human.ptime_ms = self.from.1 as u8;
        watched(&[caller, human], None)
    }

    /// Three seconds of the human's packets, as they come.
    fn run(&self, rig: &mut Rig) -> Vec<Vec<u8>> {
        rig.set(self.spec());
        let (codec, ptime) = self.from;
        let packets = said(codec, 3_000 / ptime, ptime);
        let mut header = Header {
            marker: false,
            payload_type: number(codec),
            sequence: Seq(9),
            timestamp: 77,
            ssrc: 5,
        };
        for payload in &packets {
            rig.packet(HUMAN, &header, payload);
            header.sequence = header.sequence.next();
            header.timestamp += codec.ticks(ptime as u8);
            rig.run(ptime as u64);
        }
        packets
    }
}

#[test]
fn who_takes_shorter_packets_than_his_source_sends_gets_them_and_all_that_was_said() {
    for way in [
        way(Pcmu, 60, Pcmu, 20),
        way(Pcma, 40, L16, 10),
        way(L16, 30, G722, 20),
        way(Opus, 60, Pcmu, 20),
        way(Pcmu, 40, Opus, 20),
        way(G722, 60, G722, 30),
    ] {
        let name = format!("{:?} {:?}", way.from, way.to);
        let mut rig = rig(1);
        let packets = way.run(&mut rig);
        rig.set(spec(&[]));
        let sent = rig.heard(CALLER);
        let ticks = way.to.0.ticks(way.to.1) as i32;
        for pair in sent.windows(2) {
            let [one, next] = [0, 1].map(|at| pair[at].header());
            assert_eq!(next.sequence.distance_from(one.sequence), 1, "{name}");
            assert_eq!(timestamp_distance(next.timestamp, one.timestamp), ticks, "{name}");
            assert_eq!(pair[1].at - pair[0].at, u64::from(way.to.1) * MS, "{name}");
        }
        let evidence = evidence(&rig, CALLER);
        let broken = evidence.lost + evidence.sequence_breaks + evidence.timestamp_breaks + evidence.late;
        assert_eq!(broken, 0, "{name}: {evidence:?}");
        assert_eq!(rig.core.counters().lost, 0);
        // The 200 ms that begin a second later are there as they were said.
        let [was, is] = [
            heard(way.from.0, packets.iter().map(Vec::as_slice)),
            heard(way.to.0, sent.iter().map(Sent::payload)),
        ];
        let piece = &was[32_000..35_200];
        let alike = is
            .windows(piece.len())
            .map(|there| correlation(piece, there))
            .fold(0.0, f64::max);
        assert!(alike > 0.95, "{name}: {alike}");
        assert_returned(&mut rig);
    }
}

fn correlation(one: &[i16], other: &[i16]) -> f64 {
    let sum = |one: &[i16], other: &[i16]| -> f64 {
        one.iter()
            .zip(other)
            .map(|(&one, &other)| f64::from(one) * f64::from(other))
            .sum()
    };
    sum(one, other) / (sum(one, one) * sum(other, other)).sqrt().max(1.0)
}

/// The human was to speak in packets of 60 ms, and does so in 20: what was lent for the one serves the other.
#[test]
fn a_source_that_keeps_to_another_time_than_agreed_is_heard_as_well() {
    for agreed in [20, 60] {
        let way = way(Opus, 20, Pcmu, 20);
        let mut rig = rig(1);
        let mut spec = way.spec();
        spec.legs[1].ptime_ms = agreed;
        spec.legs[0].hears.patience = Duration::from_secs(2);
        rig.set(spec);
        rig.run(100);
        rig.talk_in(HUMAN, 3, Opus);
        rig.talker(HUMAN).packets = (said(Opus, 150, 20), 0);
        rig.run(2_000);
        let sent: Vec<Sent> = rig
            .heard(CALLER)
            .into_iter()
            .filter(|sent| sent.at > 300 * MS)
            .collect();
        assert!((89..=91).contains(&sent.len()), "{agreed}: {}", sent.len());
        assert_eq!(rig.core.counters().lost, 0, "{agreed}");
        let heard = heard(Pcmu, sent.iter().map(Sent::payload));
        let energy = heard.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / heard.len() as f64;
        assert!(energy > 1e6, "{agreed}: {energy}");
    }
}

#[test]
fn without_a_mixer_they_go_on_as_they_come() {
    let way = way(Pcmu, 60, Pcma, 20);
    let mut rig = rig(0);
    let packets = way.run(&mut rig);
    assert_eq!(rig.core.coders.free(), rig.core.coders.sizes());
    let sent = rig.heard(CALLER);
    let long = sent.iter().filter(|sent| sent.payload().len() == 480).count();
    assert_eq!(long, packets.len());
}
