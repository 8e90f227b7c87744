//! A simulator of whole calls: SIP *bytes* through the node, RTP *bytes* through the core, on virtual time, over a
//! network that loses, delays, doubles and reorders, all from one seed.
//!
//! Every party and every prompt has a tone of its own, so each packet that a party hears says where it came from.
#![forbid(unsafe_code)]

pub mod check;
pub mod coverage;
pub mod draw;
pub mod net;
pub mod random;
pub mod rare;
pub mod rtp;
pub mod scenario;
pub mod soak;
mod steer;
pub mod tcp;
pub mod tone;
pub mod ua;
pub mod world;

pub use scenario::{Behaviour, Scenario};
pub use tone::Sound;
pub use world::World;
