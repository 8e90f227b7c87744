//! Everything that a packet can experience, without a system call, a clock or a thread.
#![forbid(unsafe_code)]

mod clock;
pub mod codec;
pub mod coders;
pub mod comfort;
pub mod command;
pub mod conceal;
pub mod core;
pub mod dtmf;
mod events;
pub mod evidence;
mod fir;
mod jitter;
pub(crate) mod keys;
pub mod latch;
mod leg;
mod line;
mod listening;
mod mix;
mod pending;
mod pitch;
mod playing;
mod presses;
pub mod prompt;
pub mod resample;
mod route;
pub mod rtcp;
pub mod rtp;
mod seed;
mod session;
#[cfg(test)]
mod speech;
pub mod stretch;
mod table;
mod timers;
pub mod vad;
pub mod verdict;
mod voice;
