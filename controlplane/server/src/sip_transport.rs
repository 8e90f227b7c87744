//! The sockets that SIP comes and goes by.

pub(crate) mod tcp;
pub(crate) mod udp;
