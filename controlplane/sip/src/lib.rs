//! SIP without a socket, a clock or a thread: bytes and `now` go in, bytes and events come out.
#![forbid(unsafe_code)]

pub mod endpoint;
pub mod message;
pub mod sdp;
