//! SIP without a socket, a clock or a thread: bytes and `now` go in, bytes and events come out.
#![forbid(unsafe_code)]

mod dialog;
pub mod digest;
pub mod endpoint;
pub mod framing;
pub mod guard;
pub mod header;
pub mod message;
pub mod method;
mod random;
pub mod sdp;
mod timer;
mod transaction;
pub mod uri;
mod work;
