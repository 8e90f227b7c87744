//! SIP: one INVITE as a carrier sends it, read, checked and printed.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip::message::Message;
use sip::sdp::{Encoding, Local};

const INVITE: &str = "INVITE sip:+4930123456@192.0.2.1:5060;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK-524287-1---7f3a9c;rport\r\n\
Max-Forwards: 70\r\n\
Record-Route: <sip:198.51.100.1;lr;ftag=9fxced76sl>\r\n\
Contact: <sip:carrier@198.51.100.10:5060>\r\n\
To: <sip:+4930123456@192.0.2.1>\r\n\
From: \"Ada Lovelace\" <sip:+441632960123@198.51.100.10>;tag=9fxced76sl\r\n\
Call-ID: 3848276298220188511@198.51.100.10\r\n\
CSeq: 314159 INVITE\r\n\
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE, PRACK\r\n\
Supported: replaces, timer\r\n\
P-Asserted-Identity: <sip:+441632960123@198.51.100.10>\r\n\
User-Agent: carrier-sbc/7.4\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 265\r\n\r\n\
v=0\r\no=- 1732100000 1732100000 IN IP4 198.51.100.10\r\ns=call\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\n\
m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\na=rtcp:20001\r\n";

fn messages(criterion: &mut Criterion) {
    let (head, body) = INVITE.split_once("\r\n\r\n").expect("a body");
    let text =
        format!("{head}\r\n\r\n{body}").replace("Content-Length: 265", &format!("Content-Length: {}", body.len()));
    let datagram = Bytes::from(text);
    let mut group = criterion.benchmark_group("sip");
    group.throughput(Throughput::Bytes(datagram.len() as u64));
    group.bench_function("parse INVITE", |bencher| {
        bencher.iter(|| Message::parse(black_box(datagram.clone())).expect("valid"));
    });
    let message = Message::parse(datagram.clone()).expect("valid");
    group.bench_function("print INVITE", |bencher| {
        bencher.iter(|| black_box(&message).to_bytes())
    });
    group.bench_function("parse and print INVITE", |bencher| {
        bencher.iter(|| Message::parse(black_box(datagram.clone())).expect("valid").to_bytes());
    });
    group.bench_function("answer its offer", |bencher| {
        let address = "192.0.2.1".parse().expect("an address");
        bencher.iter(|| {
            let mut local = Local::new(address, 40_000, &[Encoding::Pcmu, Encoding::Pcma], 7);
            local.answer(black_box(message.body())).expect("an answer")
        });
    });
    group.finish();
}

/// The worst of each kind: what a hostile peer sends, at half and at full length. Twice the length may take twice the time.
fn worst(criterion: &mut Criterion) {
    let head = "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKw\r\nTo: <sip:b@h>\r\nCall-ID: w\r\nCSeq: 1 OPTIONS\r\n";
    let request = |from: &str, more: &str| {
        Bytes::from(format!(
            "OPTIONS sip:b@h SIP/2.0\r\n{head}From: {from};tag=1\r\n{more}\r\n"
        ))
    };
    let plain = |more: &str| request("<sip:a@h>", more);
    let mut group = criterion.benchmark_group("sip, worst");
    for size in [30_000, 60_000] {
        let line = size.min(8_000);
        let lines = |name: &str, item: &str| {
            format!("{name}: {}\r\n", item.repeat(7_900 / item.len())).repeat((size / 7_950).max(1))
        };
        for (what, datagram) in [
            ("tiny fields", plain(&"a:b\r\n".repeat(size / 8))),
            ("folds", plain(&lines("Subject", "\r\n x"))),
            ("commas in Via", plain(&lines("Via", ","))),
            (
                "Vias",
                plain(&lines("Via", "SIP/2.0/UDP h;branch=z9hG4bKw;rport,").replace(",\r\n", "\r\n")),
            ),
            (
                "quotes",
                request(&format!("\"{}\" <sip:a@h>", "\\\"".repeat(line / 2 - 50)), ""),
            ),
            ("URI", request(&format!("<sip:{}@h>", "%41".repeat(line / 3 - 50)), "")),
            (
                "body of commas",
                plain(&format!("Content-Type: application/sdp\r\n\r\n{}", ",".repeat(size))),
            ),
        ] {
            group.throughput(Throughput::Bytes(datagram.len() as u64));
            group.bench_function(format!("{what}, {size}"), |bencher| {
                bencher.iter(|| Message::parse(black_box(datagram.clone())).map(|message| message.check()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, messages, worst);
criterion_main!(benches);
