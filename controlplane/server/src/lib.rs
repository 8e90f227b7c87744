//! The shell around the pure parts: the only crate that knows tokio, sockets, HTTP and files.
//!
//! A library beside the binary, so that tests and `baton demo` can run a server inside their own process.

mod agents;
mod callbacks;
mod check;
pub mod cli;
mod coders;
pub mod config;
pub mod demo;
mod event;
mod http;
mod ids;
mod journal;
mod kpi;
mod library;
pub mod listeners;
mod machine;
mod metrics;
mod otlp;
mod privileges;
pub mod prompts;
mod records;
pub mod reload;
mod replay;
mod report;
mod router;
mod run;
pub mod serve;
pub mod server;
mod sibling;
mod sip_transport;
pub mod store;
mod systemd;
mod tap;
mod tune;
mod uploads;
mod vitals;
mod webhook;

pub use http::bodies;
