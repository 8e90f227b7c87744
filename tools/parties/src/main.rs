//! The parties of a test call: a caller, an AI agent and a human, with SIP and RTP code of their own.
//!
//! `baton-party caller --to sip:… --via 127.0.0.1:5060`, `baton-party ai --api 127.0.0.1:8080`, `baton-party human`: each
//! says what happens as lines of JSON on standard output (`t_ms` from `--epoch-ms`, Unix time) and ends with a
//! `summary` of what it received. `--wav` is what it heard, `--packets` the log of every packet.
#![forbid(unsafe_code)]

mod ai;
mod args;
mod caller;
mod heard;
mod http;
mod human;
mod media;
mod party;
mod prompts;

use std::process::ExitCode;

use baton_parties::{codec, events, rng, rtp, sdp, sip};

const USAGE: &str = "\
baton-party caller --to URI --via ADDRESS [--hangup-after-ms N] [--hangup-heard-ms N]
baton-party ai [--api ADDRESS] [--mode warm|cold|auto] [--target NAME] [--reason TEXT]   (key in BATON_PARTY_KEY)
baton-party human [--answer-after MS] [--busy|--reject|--no-answer] [--accept key|none] [--no-briefing] [--press-after MS]
each: [--codec pcmu|pcma|g722|opus|l16|l16-16000] [--ptime 10|20|30|40|60] [--say PROMPT,…]
      [--wav FILE] [--packets FILE] [--epoch-ms T] [--limit-s N] [--watch-stdin]";

#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match words.next().as_deref() {
        Some("caller") => caller::run(words),
        Some("ai") => ai::run(words),
        Some("human") => human::run(words),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
