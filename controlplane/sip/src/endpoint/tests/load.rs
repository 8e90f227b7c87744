//! What a message, an error or a closed connection costs does not grow with what else is there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::network::{check, sdp, what};
use super::peer::{REFER_TO, answer_to, carol, request};
use crate::endpoint::{Config, DialogId, Endpoint, Event, FlowBounds, FlowId, ReferId, Stream};
use crate::message::Message;
use crate::work::tests::visits;

struct House {
    end: Endpoint,
    now: Instant,
}

/// A call that came, with its peer.
struct Call {
    dialog: DialogId,
    number: u16,
    tag: String,
    peer: SocketAddr,
    flow: Option<FlowId>,
}

impl House {
    fn new() -> House {
        let bounds = FlowBounds {
            connections: 10_000,
            ..FlowBounds::default()
        };
        let config = Config {
            transactions: 10_000,
            flows: Some(bounds),
            ..Config::new("192.0.2.1:5060".parse().expect("address"), 7)
        };
        House {
            end: Endpoint::new(config),
            now: Instant::now(),
        }
    }

    fn take(&mut self, call: &Call, text: &str) {
        let text = text.replace('\n', "\r\n");
        match call.flow {
            Some(flow) => self.end.handle_stream(self.now, flow, text.as_bytes()),
            None => self.end.handle_datagram(self.now, call.peer, Bytes::from(text)),
        }
    }

    /// A call over UDP or TCP from a peer of its own, answered and acknowledged.
    fn call(&mut self, number: u16, tcp: bool) -> Call {
        let peer = SocketAddr::from(([10, u8::from(tcp), (number >> 8) as u8, number as u8], 5060));
        let mut call = Call {
            dialog: DialogId(0),
            number,
            tag: String::new(),
            peer,
            flow: tcp.then(|| self.end.accept_flow(self.now, peer).expect("room")),
        };
        self.take(&call, &call.request("INVITE", 1, ""));
        let Some(Event::Invite { dialog, .. }) = self.end.poll_event() else {
            panic!("no INVITE")
        };
        call.dialog = dialog;
        self.end.answer(self.now, dialog, sdp("answer"), &[]).expect("answer");
        let ok = self.sent().pop().expect("200");
        call.tag = ok.to().and_then(|to| to.tag()).expect("tag");
        self.take(&call, &call.request("ACK", 1, ""));
        assert!(matches!(self.end.poll_event(), Some(Event::Acked { .. })));
        call
    }

    /// What was sent, on whatever way.
    fn sent(&mut self) -> Vec<Message> {
        let datagrams = std::iter::from_fn(|| self.end.poll_transmit()).map(|transmit| transmit.bytes);
        let mut sent: Vec<_> = datagrams.collect();
        sent.extend(
            std::iter::from_fn(|| self.end.poll_stream()).filter_map(|stream| match stream {
                Stream::Send { bytes, .. } => Some(bytes),
                _ => None,
            }),
        );
        sent.into_iter()
            .map(|bytes| Message::parse(bytes).expect("our own messages can be read"))
            .collect()
    }

    /// The request of ours that was sent just now.
    fn asked(&mut self, method: &str) -> Message {
        let mut sent = self.sent();
        sent.retain(|message| what(&message.to_bytes()) == method);
        assert_eq!(sent.len(), 1, "{method}");
        sent.remove(0)
    }

    fn referred(&mut self) -> ReferId {
        match self.end.poll_event() {
            Some(Event::Refer { refer, .. }) => refer,
            other => panic!("{other:?}"),
        }
    }

    /// `others` calls of each kind with everything under way, and one whose every step is counted.
    fn crowded(others: u16) -> Vec<(&'static str, usize)> {
        let mut house = House::new();
        for tcp in [false, true] {
            for number in 100..100 + others {
                let call = house.call(number, tcp);
                house.take(&call, &call.request("REFER", 2, REFER_TO));
                let refer = house.referred();
                house.end.accept_refer(house.now, refer).expect("accept");
                house.end.refer(house.now, call.dialog, carol()).expect("refer");
                house
                    .end
                    .reinvite(house.now, call.dialog, sdp("hold"))
                    .expect("reinvite");
            }
        }
        while house.end.poll_event().is_some() {}
        house.sent();
        let mut counts = Vec::new();
        for tcp in [false, true] {
            counts.extend(house.steps(1, tcp));
        }
        check(&house.end);
        counts
    }

    /// A whole call, step by step.
    fn steps(&mut self, number: u16, tcp: bool) -> Vec<(&'static str, usize)> {
        let call = self.call(number, tcp);
        let mut counts = Vec::new();
        let mut count = |what, house: &mut House, work: &mut dyn FnMut(&mut House)| {
            counts.push((what, visits(|| work(house))));
        };
        for (what, method, cseq, more) in [
            ("OPTIONS", "OPTIONS", 2, ""),
            ("a re-INVITE", "INVITE", 3, ""),
            ("REFER", "REFER", 4, REFER_TO),
            ("the same REFER", "REFER", 4, REFER_TO),
        ] {
            count(what, self, &mut |house| {
                house.take(&call, &call.request(method, cseq, more))
            });
        }
        assert!(matches!(self.end.poll_event(), Some(Event::Reinvite { .. })));
        let refer = self.referred();
        self.end.reject_reinvite(self.now, call.dialog, 488).expect("reject");
        count("202", self, &mut |house| {
            house.end.accept_refer(house.now, refer).expect("accept")
        });
        let notify = self.asked("NOTIFY");
        count("NOTIFY answered", self, &mut |house| {
            house.take(&call, &answered(&notify))
        });
        self.end.refer(self.now, call.dialog, carol()).expect("refer");
        let ours = self.asked("REFER");
        count("REFER answered", self, &mut |house| house.take(&call, &answered(&ours)));
        let told = "Event: refer\nSubscription-State: active\n";
        count("NOTIFY", self, &mut |house| {
            house.take(&call, &call.request("NOTIFY", 5, told))
        });
        // A probe that cannot be delivered, and errors about whoever else.
        self.end.probe(self.now, call.dialog).expect("probe");
        self.sent();
        let stranger = "203.0.113.1:5060".parse().expect("address");
        for (what, about) in [
            ("ICMP", call.peer),
            ("ICMP again", call.peer),
            ("ICMP of another", stranger),
        ] {
            count(what, self, &mut |house| house.end.handle_unreachable(house.now, about));
        }
        // A connection that nothing uses, and its end.
        count("a connection", self, &mut |house| {
            let flow = house.end.accept_flow(house.now, stranger).expect("room");
            house.end.handle_closed(house.now, flow);
        });
        if let Some(flow) = call.flow {
            self.end.reinvite(self.now, call.dialog, sdp("hold")).expect("reinvite");
            count("its connection closes", self, &mut |house| {
                house.end.handle_closed(house.now, flow)
            });
        }
        count("BYE", self, &mut |house| house.take(&call, &call.request("BYE", 6, "")));
        self.sent();
        while self.end.poll_event().is_some() {}
        counts
    }
}

impl Call {
    fn request(&self, method: &str, cseq: u32, more: &str) -> String {
        let (number, transport) = (self.number, if self.flow.is_some() { "TCP" } else { "UDP" });
        request(
            method,
            &format!("{method}{cseq}x{}", self.peer),
            &cseq.to_string(),
            &self.tag,
            more,
        )
        .replace("Call-ID: c1", &format!("Call-ID: c{number}{transport}"))
        .replace("192.0.2.9:5099", &self.peer.to_string())
        .replace("SIP/2.0/UDP", &format!("SIP/2.0/{transport}"))
    }
}

fn answered(request: &Message) -> String {
    answer_to(request, "200 OK", "pt", "")
}

#[test]
fn a_step_costs_the_same_in_a_full_house() {
    let (few, many) = (House::crowded(2), House::crowded(150));
    assert_eq!(few, many);
    assert!(few.iter().any(|(_, cost)| *cost > 0), "something is counted");
    for (what, cost) in few {
        assert!(cost <= 30, "{what}: {cost}");
    }
}

#[test]
fn an_icmp_error_costs_no_more_than_what_it_ends() {
    let mut house = House::new();
    let calls: Vec<_> = (1..=50).map(|number| house.call(number, false)).collect();
    let carrier = calls[0].peer;
    // Requests that the carrier has sent, as whoever borrows its address can; answered, they wait for repetitions.
    for cseq in 2..52 {
        house.take(&calls[0], &calls[0].request("INVITE", cseq, ""));
        while house.end.poll_event().is_some() {}
        let _ = house.end.reject_reinvite(house.now, calls[0].dialog, 488);
    }
    house.sent();
    let error = |house: &mut House| visits(|| house.end.handle_unreachable(house.now, carrier));
    assert_eq!(
        error(&mut house),
        0,
        "an answer that is not delivered is asked for again"
    );
    house.end.probe(house.now, calls[0].dialog).expect("probe");
    let probe = house.asked("OPTIONS");
    assert_eq!(error(&mut house), 1);
    assert_eq!(error(&mut house), 0, "it has failed already");
    // What has its answer waits for repetitions of that, and heeds no error.
    house.end.probe(house.now, calls[0].dialog).expect("the first is over");
    let second = house.asked("OPTIONS");
    assert_ne!(probe.to_bytes(), second.to_bytes());
    house.take(&calls[0], &answered(&second));
    assert_eq!(error(&mut house), 0);
    check(&house.end);
    house.now += Duration::from_secs(40);
    house.end.handle_timeout(house.now);
    assert_eq!(error(&mut house), 0);
}
