//! Peers that send whatever they like.

use std::time::Duration;

use bytes::Bytes;

use super::network::{A, B, Network, check, config, nothing_left, sdp};
use super::peer::{REFER_TO, Script, answer_to, carol, request};
use crate::endpoint::{Alive, DialogId, Endpoint, Event, Refer};
use crate::random::Random;

/// All that two endpoints say to each other in a call with everything in it.
fn corpus() -> Vec<Bytes> {
    let mut net = Network::new();
    let (a, b) = net.invite();
    net.ends[B].ring(net.now, b, 180, Some(sdp("early"))).expect("ring");
    net.run(20);
    net.ends[B].answer(net.now, b, sdp("answer"), &[]).expect("answer");
    net.run(50);
    net.ends[A].reinvite(net.now, a, sdp("hold")).expect("reinvite");
    net.run(15);
    net.ends[B].answer_reinvite(net.now, b, sdp("held")).expect("answer");
    net.run(50);
    for (from, to, sender) in [(A, B, a), (B, A, b)] {
        net.ends[from].probe(net.now, sender).expect("probe");
        for _ in 0..2 {
            let refer = Refer {
                to: "sip:carol@c.example".into(),
                by: Some("sip:us@h.example".into()),
                headers: Vec::new(),
            };
            net.ends[from].refer(net.now, sender, refer).expect("refer");
            net.run(15);
            let theirs = net.referred(to);
            net.ends[to].accept_refer(net.now, theirs).expect("accept");
            net.run(30);
            net.ends[to].notify(net.now, theirs, 486, true).expect("notify");
            net.run(30);
        }
    }
    net.ends[B].end(net.now, b, None).expect("end");
    net.run(50);
    let second = net.call();
    net.run(30);
    net.ends[A].end(net.now, second, None).expect("end");
    net.run(50);
    net.log.iter().map(|sent| sent.bytes.clone()).collect()
}

/// A datagram with a few bytes changed, cut, or joined to another.
fn mutate(random: &mut Random, corpus: &[Bytes]) -> Bytes {
    let pick = |random: &mut Random| corpus[random.below(corpus.len() as u64) as usize].to_vec();
    let mut bytes = pick(random);
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] = b"0123456789;,:<>@=\"\r\n "[random.below(21) as usize],
            2 => bytes.truncate(at.max(1)),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.next() as u8),
            _ => {
                let other = pick(random);
                let from = random.below(other.len() as u64) as usize;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    Bytes::from(bytes)
}

#[test]
fn mutations_neither_break_nor_fill_an_endpoint() {
    let corpus = corpus();
    let net = Network::new();
    let mut random = Random::new(99);
    for round in 0..20 {
        // The same seeds as in the corpus: tags and branches fit, so that mutations reach the dialogs.
        let address = net.addresses[(round % 2) as usize];
        let mut end = Endpoint::new(config(address, 2 + round % 2));
        let mut now = net.start;
        let mut live: Vec<DialogId> = Vec::new();
        if round % 2 == 0 {
            let invite = crate::endpoint::Invite {
                to: format!("sip:bob@{}", net.addresses[B]),
                from: "<sip:alice@a.example>".into(),
                offer: Some(sdp("offer")),
                ..Default::default()
            };
            live.push(end.invite(now, invite));
        }
        for _ in 0..1000 {
            now += Duration::from_millis(random.below(60));
            end.handle_timeout(now);
            end.handle_datagram(
                now,
                net.addresses[random.below(2) as usize],
                mutate(&mut random, &corpus),
            );
            while let Some(event) = end.poll_event() {
                match event {
                    Event::Invite { dialog, .. } => {
                        live.push(dialog);
                        let _ = match random.below(3) {
                            0 => end.reject(now, dialog, 486, &[]),
                            1 => end.ring(now, dialog, 180, None),
                            _ => end.answer(now, dialog, sdp("answer"), &[]),
                        };
                    }
                    Event::Reinvite { dialog, .. } => drop(end.answer_reinvite(now, dialog, sdp("answer"))),
                    Event::Answered { dialog, .. } | Event::Acked { dialog, .. } => {
                        let _ = end.reinvite(now, dialog, sdp("more"));
                        let _ = end.probe(now, dialog);
                        for _ in 0..2 {
                            let _ = end.refer(now, dialog, carol());
                        }
                    }
                    Event::Refer { refer, .. } => {
                        end.accept_refer(now, refer).expect("it has just come");
                        end.notify(now, refer, 200, random.below(2) == 0).expect("accepted");
                    }
                    _ => {}
                }
            }
            while end.poll_transmit().is_some() {}
            check(&end);
            let alive = end.alive();
            assert!(
                alive.transactions <= 200 && alive.dialogs <= 200 && alive.refers <= 200,
                "round {round}: {alive:?}"
            );
        }
        for dialog in live {
            let _ = end.end(now, dialog, None);
        }
        while let Some(at) = end.poll_timeout() {
            end.handle_timeout(at);
        }
        assert_eq!(end.alive(), Alive::default(), "round {round}");
        assert!(nothing_left(&end), "round {round}");
    }
}

/// The same in a dialog that is there, with CSeq numbers that count up: each message is a valid one with a few bytes changed.
#[test]
fn mutated_transfers_neither_break_nor_fill_a_dialog() {
    let mut random = Random::new(7);
    let (mut referred, mut notified) = (0, 0);
    for _ in 0..20 {
        let mut script = Script::new();
        let (mut dialog, mut tag) = script.connect();
        for cseq in 2..200 {
            let sipfrag = "Event: refer\nSubscription-State: active\nContent-Type: message/sipfrag\n";
            let (method, more) = match random.below(3) {
                0 => ("REFER", REFER_TO),
                1 => ("NOTIFY", sipfrag),
                _ => ("OPTIONS", ""),
            };
            let text = request(method, &format!("m{cseq}"), &cseq.to_string(), &tag, more);
            let text = text.replace("Content-Length: 0\n\n", "Content-Length: 21\n\nSIP/2.0 180 Ringing\n\n");
            let sound = Bytes::from(text.replace('\n', "\r\n"));
            let datagram = mutate(&mut random, &[sound]);
            script.end.handle_datagram(script.now, script.peer, datagram);
            while let Some(event) = script.event() {
                match event {
                    Event::Refer { refer, .. } => {
                        referred += 1;
                        script.end.accept_refer(script.now, refer).expect("it has just come");
                        let _ = script.end.notify(script.now, refer, 200, random.below(2) == 0);
                    }
                    Event::ReferProgress { .. } => notified += 1,
                    _ => {}
                }
            }
            // Our own REFERs and NOTIFYs get answers of the same kind.
            for message in script.sent() {
                if message.method().is_some() && random.below(3) > 0 {
                    let status = ["202 Accepted", "200 OK", "481 Gone"][random.below(16).min(2) as usize];
                    let text = answer_to(&message, status, "pt", "");
                    let answer = mutate(&mut random, &[Bytes::from(text.replace('\n', "\r\n"))]);
                    script.end.handle_datagram(script.now, script.peer, answer);
                }
            }
            script.sent();
            let _ = script.end.refer(script.now, dialog, carol());
            script.wait(random.below(20_000));
            check(&script.end);
            let alive = script.end.alive();
            assert!(alive.refers <= 16 && alive.transactions <= 200, "{alive:?}");
            if script.end.call_id(dialog).is_none() {
                script.wait(400_000);
                assert_eq!(script.end.alive(), Alive::default());
                while script.event().is_some() {}
                script.sent();
                (dialog, tag) = script.connect();
            }
        }
        let _ = script.end.end(script.now, dialog, None);
        script.wait(400_000);
        assert_eq!(script.end.alive(), Alive::default());
        assert!(nothing_left(&script.end));
    }
    assert!(
        referred > 100 && notified > 100,
        "mutations must reach transfers: {referred} {notified}"
    );
}

#[test]
fn a_call_to_ourselves() {
    let mut net = Network::new();
    let address = net.addresses[A];
    let invite = crate::endpoint::Invite {
        to: format!("sip:me@{address}"),
        from: "<sip:me@a.example>".into(),
        offer: Some(sdp("offer")),
        ..Default::default()
    };
    let end = &mut net.ends[A];
    let now = net.now;
    let caller = end.invite(now, invite);
    let (mut called, mut said) = (None, Vec::new());
    for _ in 0..20 {
        while let Some(transmit) = end.poll_transmit() {
            assert_eq!(transmit.to, address);
            end.handle_datagram(now, address, transmit.bytes);
        }
        while let Some(event) = end.poll_event() {
            match event {
                Event::Invite { dialog, .. } => {
                    called = Some(dialog);
                    end.answer(now, dialog, sdp("answer"), &[]).expect("answer");
                }
                Event::Acked { dialog, .. } => {
                    assert_eq!(Some(dialog), called);
                    said.push("acked");
                    end.end(now, caller, None).expect("end");
                }
                Event::Answered { dialog, .. } => {
                    assert_eq!(dialog, caller);
                    said.push("answered");
                }
                Event::Bye { dialog, .. } => {
                    assert_eq!(Some(dialog), called);
                    said.push("bye");
                }
                Event::Ended { dialog } => {
                    assert_eq!(dialog, caller);
                    said.push("ended");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(said, ["answered", "acked", "bye", "ended"]);
}
