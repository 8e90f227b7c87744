//! The shell around the pure parts: the only crate that knows tokio, sockets, HTTP and files.
//!
//! A library beside the binary, so that tests and `baton demo` can run a server inside their own process.

pub mod cli;
pub mod config;
pub mod demo;
mod event;
mod http;
mod ids;
mod journal;
mod kpi;
mod metrics;
mod otlp;
pub mod prompts;
mod records;
mod report;
mod run;
pub mod serve;
pub mod server;
mod sip_transport;
pub mod store;
mod tap;
mod webhook;

pub use http::bodies;
