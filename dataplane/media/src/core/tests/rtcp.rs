//! RTCP ends at each leg.

use super::*;
use crate::rtcp::{Compound, Ntp, Packet as Rtcp, Report, ReportBlock, SenderInfo};

fn with_rtcp(id: LegId, row: Hears) -> LegSpec {
    let mut to = remote(id);
    to.set_port(to.port() + 1_001);
    LegSpec {
        remote_rtcp: Some(to),
        ..leg(id, row)
    }
}

/// Reports that were sent to a leg: when, from which port, SSRC, sender's part, blocks, name, goodbye.
type Told = (u64, Port, u32, Option<SenderInfo>, Vec<ReportBlock>, String, bool);

fn told(rig: &Rig, leg: LegId) -> Vec<Told> {
    let rtcp = rig
        .sent
        .iter()
        .filter(|sent| (192..=223).contains(&sent.bytes[1]) && sent.to.ip() == remote(leg).ip());
    let read = |sent: &Sent| {
        let mut told = (sent.at, sent.from, 0, None, Vec::new(), String::new(), false);
        for packet in Compound::parse(&sent.bytes).unwrap().packets() {
            match packet {
                Rtcp::SenderReport { ssrc, info, blocks } => {
                    (told.2, told.3, told.4) = (ssrc, Some(info), blocks.iter().collect());
                }
                Rtcp::ReceiverReport { ssrc, blocks } => (told.2, told.4) = (ssrc, blocks.iter().collect()),
                Rtcp::SourceDescription { cname: Some((_, name)) } => {
                    told.5 = String::from_utf8(name.to_vec()).unwrap()
                }
                Rtcp::Bye { sources } => told.6 = sources.iter().eq([told.2]),
                _ => {}
            }
        }
        told
    };
    rtcp.map(read).collect()
}

#[test]
fn reports_come_every_5_s_and_are_about_our_line_and_what_we_received() {
    let mut rig = Rig::new();
    rig.set(spec(&[with_rtcp(CALLER, hears(AI)), leg(AI, nobody())]));
    rig.talk(AI, 0, LOUD);
    rig.talk(CALLER, 3, LOUD);
    rig.run(30_000);
    let reports = told(&rig, CALLER);
    assert!((4..=9).contains(&reports.len()), "{}", reports.len());
    assert!(reports[0].0 >= 1_250 * MS && reports[0].0 <= 3_750 * MS);
    for pair in reports.windows(2) {
        let interval = pair[1].0 - pair[0].0;
        assert!((2_500 * MS..=7_500 * MS).contains(&interval));
    }
    let heard = rig.heard(CALLER);
    for (at, from, ssrc, info, blocks, name, bye) in &reports {
        assert_eq!(
            (*from, name.as_str(), *bye),
            (Port(port(CALLER).0 + 1), "test@baton", false)
        );
        assert_eq!(*ssrc, heard[0].header().ssrc);
        let before: Vec<_> = heard.iter().filter(|sent| sent.at <= *at).collect();
        let info = info.unwrap();
        assert_eq!(
            (info.packets as usize, info.octets as usize),
            (before.len(), 160 * before.len())
        );
        // The pair of times lies on the line's clock: the last packet's timestamp, and the time since it.
        let last = before.last().unwrap();
        let since = ((at - last.at) / 125_000) as i32;
        assert_eq!(timestamp_distance(info.rtp_timestamp, last.header().timestamp), since);
        assert_eq!(info.ntp, Ntp(1 << 32).plus(Duration::from_nanos(*at)));
        let [block] = blocks[..] else { panic!("one source") };
        assert_eq!((block.ssrc, block.cumulative_lost, block.fraction_lost), (0xa000, 0, 0));
    }
    assert_eq!(rig.core.counters().rtcp, reports.len() as u64);
}

#[test]
fn muxed_rtcp_goes_and_comes_on_the_rtp_port_and_is_never_relayed() {
    let mut rig = Rig::new();
    let mut caller = leg(CALLER, hears(AI));
    caller.remote_rtcp = caller.remote;
    rig.set(spec(&[caller, leg(AI, hears(CALLER))]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(100);
    let info = SenderInfo {
        ntp: Ntp(0x0001_2345_6789_0000),
        ..SenderInfo::default()
    };
    let report = Report {
        ssrc: 0xa000,
        sender: Some(info),
        blocks: &[],
        cname: "peer",
        bye: false,
    };
    let mut bytes = [0; 200];
    let len = report.write(&mut bytes).unwrap();
    assert_eq!(
        rig.datagram(port(CALLER), remote(CALLER), &bytes[..len]),
        Verdict::Consumed
    );
    // A report about another source says nothing about the one that we hear.
    let other = Report {
        ssrc: 0xb000,
        sender: Some(SenderInfo {
            ntp: Ntp(99 << 40),
            ..info
        }),
        ..report
    };
    let mut bytes_of_other = [0; 200];
    let len_of_other = other.write(&mut bytes_of_other).unwrap();
    let odd = Port(port(CALLER).0 + 1);
    assert_eq!(rig.datagram(odd, remote(CALLER), &bytes[..len]), Verdict::Consumed);
    rig.datagram(odd, remote(CALLER), &bytes_of_other[..len_of_other]);
    let stranger = SocketAddr::from(([198, 51, 100, 7], 4_000));
    assert_eq!(
        rig.datagram(odd, stranger, &bytes[..len]),
        Verdict::Drop(Reason::Stranger)
    );
    rig.run(10_000);
    let reports = told(&rig, CALLER);
    assert!(reports.iter().all(|report| report.1 == port(CALLER)));
    assert!(reports[0].4[0].last_sr == 0x2345_6789 && reports[0].4[0].delay_since_last_sr > 0);
    assert!(told(&rig, AI).is_empty());
}

#[test]
fn a_leg_that_is_released_gets_a_bye() {
    let mut rig = Rig::new();
    rig.set(spec(&[with_rtcp(CALLER, hears(AI)), with_rtcp(AI, hears(CALLER))]));
    rig.talk(CALLER, 0, LOUD);
    rig.run(200);
    rig.set(spec(&[with_rtcp(CALLER, nobody())]));
    let goodbyes: Vec<_> = told(&rig, AI).into_iter().filter(|report| report.6).collect();
    assert_eq!(goodbyes.len(), 1);
    assert!(goodbyes[0].3.is_some_and(|info| info.packets == 10));
    assert!(told(&rig, CALLER).iter().all(|report| !report.6));
    assert_conserved(&mut rig);
    assert!(told(&rig, CALLER).iter().any(|report| report.6));
}
