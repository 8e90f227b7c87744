//! Two endpoints on virtual time; only SIP bytes cross between them.

mod basics;
mod network;
mod timers;
