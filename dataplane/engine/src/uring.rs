//! The ring of one worker.
pub(crate) mod probe;
