//! Messages: the bytes as received, and views into them.

/// A SIP message.
#[derive(Clone, Debug)]
pub struct Message {}
