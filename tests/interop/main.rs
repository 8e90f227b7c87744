//! Baton against programs that others wrote: the real `baton`, real sipp, real baresip, on loopback.
//!
//! sipp signals as our scenarios (`scenarios/*.xml`) say; the media of its call is the test's own: a tone in G.711 for
//! each party, so that every packet that arrives says who is heard. baresip signals and speaks by itself. The verdict is
//! about what each party heard; messages are asserted only where they are what the case is about.
//!
//! Nothing here sleeps and hopes: a test waits for what it needs (a line in sipp's log, a sound, the API, the end of a
//! process), and fails where that does not come.

mod baresip;
mod baton;
mod caller;
mod carrier;
mod child;
mod handoff;
mod human;
mod keys;
mod party;
mod phone;
#[path = "../../controlplane/server/tests/ports/mod.rs"]
mod ports;
mod proxy;
mod refer;
mod reinvite;
mod sipp;
mod world;

use std::time::Duration;

/// A wait that is not over by then fails the test; nothing depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(30);
