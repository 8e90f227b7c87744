//! Two endpoints on virtual time; only SIP bytes cross between them.

mod auth;
mod basics;
mod crossings;
mod hostile;
mod network;
mod refer;
mod referee;
mod referrer;
mod reinvite;
mod script;
mod seeds;
mod timers;
