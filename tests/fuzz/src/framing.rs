//! The framer of streams: however the bytes are cut into pieces, the same frames come.

use std::time::Duration;

use sip::framing::{Frame, Framer};
use sip::message::Limits;

use crate::rtp::START;

/// Small enough for the mutations to go beyond.
fn limits() -> Limits {
    Limits {
        message: 2000,
        ..Limits::default()
    }
}

pub(crate) fn target(data: &[u8]) {
    // The pieces depend on the bytes alone.
    let hash = data
        .iter()
        .fold(7u32, |hash, c| hash.wrapping_mul(31).wrapping_add(u32::from(*c)));
    let whole = frames(data, |_| usize::MAX);
    judge(data, &whole);
    assert_eq!(frames(data, |_| 1 + hash as usize % 97), whole, "pieces of one length");
    assert_eq!(
        frames(data, |n| 1 + (hash.rotate_left(n as u32 * 5) % 300) as usize),
        whole,
        "pieces of any length"
    );
    if data.len() <= 4000 {
        assert_eq!(frames(data, |_| 1), whole, "byte by byte");
    }
}

/// The stream in pieces: `length` of the first, of the second, …
fn frames(mut data: &[u8], length: impl Fn(usize) -> usize) -> Vec<Frame> {
    let mut framer = Framer::new(limits());
    let mut out = Vec::new();
    let mut now = *START;
    let mut number = 0;
    while !data.is_empty() {
        let (piece, rest) = data.split_at(length(number).min(data.len()));
        now += Duration::from_millis(1);
        framer.handle_bytes(now, piece);
        out.extend(std::iter::from_fn(|| framer.poll_frame()));
        assert!(framer.unfinished_since().is_none_or(|since| since <= now));
        data = rest;
        number += 1;
    }
    out
}

fn judge(data: &[u8], frames: &[Frame]) {
    let mut held = 0;
    for (n, frame) in frames.iter().enumerate() {
        held += match frame {
            Frame::Message(message) => {
                assert!(message.len() <= limits().message);
                message.len()
            }
            Frame::Ping => 4,
            Frame::Refused { head, fault } => {
                assert!((400..600).contains(&fault.answer().0));
                head.len()
            }
            Frame::Lost { head, fault } => {
                assert!((400..600).contains(&fault.answer().0));
                assert_eq!(n + 1, frames.len(), "nothing follows what is lost");
                head.len()
            }
        };
    }
    assert!(held <= data.len(), "{held} bytes of {}", data.len());
}
