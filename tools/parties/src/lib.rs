//! SIP, SDP, RTP and codecs of the parties and of the load tools: nothing in it is of the product, so that a fault of the product is
//! not repeated by who checks it.
#![forbid(unsafe_code)]

pub mod codec;
pub mod events;
pub mod g711;
pub mod g722;
pub mod rng;
pub mod rtp;
pub mod sdp;
pub mod sip;
