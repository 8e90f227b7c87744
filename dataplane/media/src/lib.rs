//! Everything that a packet can experience, without a system call, a clock or a thread.
#![forbid(unsafe_code)]

pub mod command;
pub mod core;
pub mod evidence;
pub mod prompt;
pub mod verdict;
