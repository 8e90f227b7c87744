//! What the load tools have in common: how they are asked, how they end, the server that they start and the cores that they leave to it.
#![forbid(unsafe_code)]

pub mod cores;
pub mod server;
pub mod tool;
pub mod words;
