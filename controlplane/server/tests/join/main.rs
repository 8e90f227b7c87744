//! Handoffs to a human who is there: a whole server in process, three parties with sockets of their own, real audio.

mod agents;
mod budget;
mod callback_line;
mod callbacks;
mod carrier;
#[path = "../../../../tests/interop/child.rs"]
mod child;
mod codecs;
mod drain;
mod families;
mod flood;
#[path = "../folder/mod.rs"]
mod folder;
mod handoff;
mod judgement;
mod killed;
mod logs;
mod manager;
mod metrics;
mod moving;
mod party;
mod pbx;
mod phone;
#[path = "../ports/mod.rs"]
mod ports;
#[path = "../../src/store/tests/postgres.rs"]
mod postgres;
mod prompts;
mod reload;
mod ring_all;
mod router;
mod speech;
mod stalled;
mod streams;
mod traces;
mod upgrade;
mod voicemail;
mod way;
mod world;

use std::time::Duration;

// As the PostgreSQL of the store's own tests knows it.
use baton_server::store;

/// A wait that is not over by then fails the test; nothing depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(60);
