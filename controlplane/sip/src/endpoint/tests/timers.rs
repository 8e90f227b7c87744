//! Every retransmission schedule, as it is seen on the wire (RFC 3261 table 4), and every message lost once.

use super::network::{A, B, Network, sdp};

/// T1 doubling without a bound: 0, 0.5, 1.5, 3.5, … s.
const DOUBLING: [u64; 7] = [0, 500, 1500, 3500, 7500, 15500, 31500];
/// T1 doubling up to T2.
pub(super) const CAPPED: [u64; 11] = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];

fn after(start: u64, schedule: &[u64]) -> Vec<u64> {
    schedule.iter().map(|ms| start + ms).collect()
}

#[test]
fn invite_that_nobody_answers() {
    let mut net = Network::new();
    net.lose(|_, _| true);
    net.call();
    net.finish();
    assert_eq!(net.times(A, "INVITE"), DOUBLING);
    assert_eq!(net.said(A), ["refused 408"]);
    assert_eq!(net.ms(), 32_000);
}

#[test]
fn bye_that_nobody_answers() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    let start = net.ms();
    net.lose(|end, _| end == A);
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(33_000);
    assert_eq!(net.times(A, "BYE"), after(start, &CAPPED));
    assert_eq!(net.said(A), ["ended"]);
    assert_eq!(net.said(B), [""; 0]);
}

#[test]
fn refusal_that_nobody_acknowledges() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.lose(|_, what| what == "ACK");
    let start = net.ms();
    net.ends[B].reject(net.now, b, 486, &[]).expect("reject");
    net.finish();
    assert_eq!(net.times(B, "486 INVITE"), after(start, &CAPPED));
    assert_eq!(
        net.times(A, "ACK"),
        after(start + 10, &CAPPED),
        "each is acknowledged (timer D)"
    );
    assert_eq!(net.said(A), ["refused 486"]);
    assert_eq!(net.said(B), ["invite", "ended"]);
}

#[test]
fn answer_that_nobody_acknowledges() {
    let mut net = Network::new();
    let (_, b) = net.invite();
    net.lose(|_, what| what == "ACK");
    let start = net.ms();
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.finish();
    assert_eq!(net.times(B, "200 INVITE"), after(start, &CAPPED));
    assert_eq!(net.times(A, "ACK"), after(start + 10, &CAPPED));
    assert_eq!(net.times(B, "BYE"), [start + 32_000]);
    assert_eq!(net.said(A), ["answered answer", "bye Peer"]);
    assert_eq!(net.said(B), ["invite", "bye NoAck"]);
    let acks: Vec<_> = net.log.iter().filter(|sent| sent.what() == "ACK").collect();
    assert!(
        acks.iter().all(|ack| ack.bytes == acks[0].bytes),
        "the same ACK every time"
    );
    assert_eq!(acks[0].to, net.addresses[B]);
}

#[test]
fn answer_that_never_arrives() {
    let mut net = Network::new();
    let (a, b) = net.invite();
    net.lose(|end, what| end == B && what == "200 INVITE");
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.finish();
    assert_eq!(
        net.said(A),
        ["refused 487"],
        "the BYE of a dialog that we never knew of"
    );
    assert_eq!(net.said(B), ["invite", "bye NoAck"]);
    assert!(net.ends[A].end(net.now, a, None).is_err());
}

#[test]
fn each_message_of_a_call_lost_once() {
    let all = [
        "INVITE",
        "100 INVITE",
        "180 INVITE",
        "200 INVITE",
        "ACK",
        "BYE",
        "200 BYE",
    ];
    for victim in all {
        let mut net = Network::new();
        let mut done = false;
        net.lose(move |_, what| !done && what == victim && !std::mem::replace(&mut done, true));
        let a = net.call();
        net.run(600);
        let b = net.invited(B);
        net.ends[B].ring(net.now, b, 180, None).expect("ring");
        net.run(100);
        net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
        net.run(1000);
        net.ends[A].end(net.now, a, None).expect("end");
        net.finish();
        let ringing = if victim == "180 INVITE" {
            vec![]
        } else {
            vec!["progress 180"]
        };
        assert_eq!(
            net.said(A),
            [ringing, vec!["answered answer", "ended"]].concat(),
            "without {victim}"
        );
        assert_eq!(net.said(B), ["invite", "acked", "bye Peer"], "without {victim}");
    }
}

#[test]
fn lost_answer_to_a_cancel_and_lost_487() {
    for victim in ["CANCEL", "200 CANCEL", "487 INVITE", "ACK"] {
        let mut net = Network::new();
        let (a, _) = net.invite();
        let mut done = false;
        net.lose(move |_, what| !done && what == victim && !std::mem::replace(&mut done, true));
        net.ends[A].end(net.now, a, None).expect("end");
        net.finish();
        assert_eq!(net.said(A), ["refused 487"], "without {victim}");
        assert_eq!(net.said(B), ["invite", "cancelled"], "without {victim}");
    }
}

#[test]
fn cancel_waits_for_a_provisional_answer() {
    let mut net = Network::new();
    net.lose(|end, _| end == B);
    let a = net.call();
    net.run(100);
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(300);
    assert_eq!(net.times(A, "CANCEL"), [0; 0]);
    net.lose(|_, _| false);
    net.finish();
    // The INVITE is repeated at 500 ms, the 100 comes at 520 ms.
    assert_eq!(net.times(A, "CANCEL"), [520]);
    assert_eq!(net.said(A), ["refused 487"]);
    assert_eq!(net.said(B), ["invite", "cancelled"]);
}

#[test]
fn no_final_answer_after_a_cancel() {
    let mut net = Network::new();
    let (a, _) = net.invite();
    net.lose(|end, what| end == B && what.ends_with("INVITE"));
    let start = net.ms();
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(31_999);
    assert_eq!(net.said(A), [""; 0]);
    net.run(1);
    assert_eq!(net.said(A), ["refused 408"]);
    assert_eq!(net.ms(), start + 32_000);
    net.finish();
}

#[test]
fn ringing_is_repeated_every_minute() {
    let mut net = Network::new();
    let (a, b) = net.invite();
    let start = net.ms();
    net.ends[B].ring(net.now, b, 180, None).expect("ring");
    net.run(125_000);
    assert_eq!(net.times(B, "180 INVITE"), [start, start + 60_000, start + 120_000]);
    net.ends[A].end(net.now, a, None).expect("end");
    net.finish();
}

#[test]
fn unreachable_fails_at_once() {
    let mut net = Network::new();
    net.invite();
    net.lose(|_, _| true);
    net.call();
    net.run(100);
    let to = net.addresses[B];
    net.ends[A].handle_unreachable(net.now, "192.0.2.77:5060".parse().expect("address"));
    net.pump();
    assert_eq!(net.said(A), [""; 0]);
    net.ends[A].handle_unreachable(net.now, to);
    net.pump();
    assert_eq!(
        net.said(A),
        ["refused 503"],
        "the first INVITE was answered: its peer is there"
    );
    assert_eq!(
        net.ends[A].alive(),
        crate::endpoint::Alive {
            dialogs: 1,
            transactions: 1,
            refers: 0
        }
    );
}

#[test]
fn bye_to_an_unreachable_peer_ends() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.lose(|_, _| true);
    net.ends[A].end(net.now, a, None).expect("end");
    net.pump();
    let to = net.addresses[B];
    net.ends[A].handle_unreachable(net.now, to);
    net.pump();
    assert_eq!(net.said(A), ["ended"]);
}

#[test]
fn finished_transactions_absorb_and_then_go() {
    let mut net = Network::new();
    let (a, _) = net.connect();
    net.ends[A].end(net.now, a, None).expect("end");
    net.run(100);
    let end = net.ms();
    assert_eq!(net.ends[A].alive().dialogs + net.ends[B].alive().dialogs, 0);
    // A: INVITE (timer M) and BYE (K); B: INVITE (L) and BYE (J).
    assert_eq!(
        (net.ends[A].alive().transactions, net.ends[B].alive().transactions),
        (2, 2)
    );
    net.run(5_000);
    assert_eq!(
        (net.ends[A].alive().transactions, net.ends[B].alive().transactions),
        (1, 2)
    );
    net.finish();
    assert!(net.ms() >= end + 31_800 && net.ms() <= end + 32_000);
}

/// A timer that is set anew while time stands still may fire at the same instant as another one of the same session.
#[test]
fn two_timers_at_one_instant_both_fire() {
    // A user who is late by so much makes the repeated 200 due exactly when its ACK is given up.
    for late in (0..32_000).step_by(500) {
        let mut net = Network::new();
        let (_, b) = net.invite();
        let end = &mut net.ends[B];
        end.answer(net.now, b, sdp("answer"), &[]).expect("answer");
        let mut now = net.now + std::time::Duration::from_millis(late);
        end.handle_timeout(now);
        while let Some(at) = end.poll_timeout() {
            now = now.max(at);
            end.handle_timeout(now);
        }
        assert_eq!(end.alive(), crate::endpoint::Alive::default(), "{late} ms late");
    }
}
