//! What a call does: pure.
//!
//! [`Node`](node::Node) is the whole control plane of one host without its sockets: SIP datagrams, events of the data
//! plane, requests of users and time go in; datagrams, media commands and notices come out. The server and the
//! simulator drive the same node.
#![forbid(unsafe_code)]

pub mod config;
pub mod node;
pub mod notice;
pub mod request;
