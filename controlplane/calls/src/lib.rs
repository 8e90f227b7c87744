//! What a call does: pure.
//!
//! [`Node`](node::Node) is the whole control plane of one host without its sockets: SIP datagrams, events of the data
//! plane, requests of users and time go in; datagrams, media commands and notices come out. The server and the
//! simulator drive the same node.
//!
//! Inside it, [`Call`](call::Call) and [`Handoff`](handoff::Handoff) are the two state machines: an input leads to actions,
//! and neither knows SIP. The node turns events into inputs and carries actions out. Records, webhooks and metrics are
//! nowhere in here: they listen to [`Notice`](notice::Notice)s.
#![forbid(unsafe_code)]

mod action;
pub mod call;
mod codecs;
mod coders;
pub mod config;
mod contacts;
mod desired;
pub mod estimate;
pub mod handoff;
mod hold;
mod input;
mod leg;
pub mod load;
pub mod node;
pub mod notice;
mod observe;
mod offer;
mod pattern;
mod ports;
mod random;
pub mod refusal;
mod registry;
mod reinvite;
pub mod request;
mod spare;
mod spec;
pub mod supervisor;
pub mod table;
pub mod timer;
mod watched;
