//! Everything that a packet can experience, without a system call, a clock or a thread.
#![forbid(unsafe_code)]

pub mod codec;
pub mod comfort;
pub mod command;
pub mod core;
pub mod dtmf;
pub mod evidence;
pub mod latch;
pub mod prompt;
pub mod rtcp;
pub mod rtp;
pub mod verdict;
