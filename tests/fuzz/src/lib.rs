//! Hostile input: one plain function for each door that bytes from outside come in by, and a loop that mutates a corpus.
//!
//! A target panics where something is wrong, whatever else it is given: the loop below, libFuzzer (`cargo xtask fuzz`) and the
//! tests of past failures call the same functions. Nothing here reads a clock or draws a number that does not come from the seed.

#![forbid(unsafe_code)]

mod config;
mod core;
pub mod corpus;
mod digest;
mod endpoint;
mod flows;
mod framing;
mod headers;
mod http;
pub mod mutate;
mod peer;
mod random;
mod rtp;
pub mod run;
mod sdp;
mod sip;
mod user;

/// One door.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: of its corpus folder too, and of its libFuzzer program.
    pub name: &'static str,
    /// Takes any bytes; panics where a promise is broken.
    pub run: fn(&[u8]),
    /// How many messages an input holds.
    pub messages: fn(&[u8]) -> u64,
    /// How many inputs of a thousand are its.
    pub share: u64,
    /// What one input may make us allocate: bytes, and bytes for each byte of it. Work that grows faster than its input shows here.
    pub allowance: (u64, u64),
    /// Words that the mutations put in.
    pub words: &'static [&'static str],
}

/// All doors.
pub const TARGETS: &[Target] = &[
    Target {
        name: "sip",
        run: sip::target,
        messages: one,
        share: 240,
        allowance: (256 << 10, 600),
        words: sip::WORDS,
    },
    Target {
        name: "headers",
        run: headers::target,
        messages: one,
        share: 110,
        allowance: (64 << 10, 600),
        words: sip::WORDS,
    },
    Target {
        name: "framing",
        run: framing::target,
        messages: one,
        share: 60,
        // It is framed four times.
        allowance: (64 << 10, 200),
        words: sip::WORDS,
    },
    Target {
        name: "digest",
        run: digest::target,
        messages: one,
        share: 40,
        allowance: (64 << 10, 600),
        words: digest::WORDS,
    },
    Target {
        name: "endpoint",
        run: endpoint::target,
        messages: peer::messages,
        share: 60,
        allowance: (2 << 20, 2000),
        words: sip::WORDS,
    },
    Target {
        name: "flows",
        run: flows::target,
        messages: peer::messages,
        share: 30,
        allowance: (8 << 20, 6000),
        words: sip::WORDS,
    },
    Target {
        name: "sdp",
        run: sdp::target,
        messages: one,
        share: 120,
        allowance: (64 << 10, 400),
        words: sdp::WORDS,
    },
    Target {
        name: "rtp",
        run: rtp::target,
        messages: one,
        share: 140,
        allowance: (16 << 10, 8),
        words: &[],
    },
    Target {
        name: "core",
        run: core::target,
        messages: core::messages,
        share: 90,
        allowance: (4 << 20, 16),
        words: &[],
    },
    Target {
        name: "http",
        run: http::target,
        messages: one,
        share: 80,
        allowance: (128 << 10, 400),
        words: http::WORDS,
    },
    Target {
        name: "config",
        run: config::target,
        messages: one,
        share: 30,
        allowance: (2 << 20, 2000),
        words: config::WORDS,
    },
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// One input of a target, for libFuzzer.
///
/// # Panics
/// Where a promise is broken, or there is no such target.
pub fn fuzz(name: &str, data: &[u8]) {
    let target = find(name).unwrap_or_else(|| panic!("there is no target {name}"));
    (target.run)(data);
}

fn one(_: &[u8]) -> u64 {
    1
}
