//! SIP without a socket, a clock or a thread: bytes and `now` go in, bytes and events come out.
#![forbid(unsafe_code)]

pub mod endpoint;
pub mod guard;
pub mod header;
pub mod message;
pub mod method;
pub mod sdp;
pub mod uri;
