//! Which way into the kernel a worker takes.
//!
//! There is one: io_uring. Where it is forbidden, [`Engine::start`](crate::Engine::start) says so with its remedy.

pub(crate) use crate::uring::{Completion, Received, Setup, Uring as Net};
