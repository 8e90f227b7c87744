//! Two endpoints on virtual time; only SIP bytes cross between them.

mod auth;
mod basics;
mod crossings;
mod flows;
mod foreign;
mod hostile;
mod info;
mod load;
mod network;
mod peer;
mod probe;
mod refer;
mod refer_end;
mod referee;
mod referrer;
mod reinvite;
mod routes;
mod script;
mod seeds;
mod share;
mod timers;
mod torture;
