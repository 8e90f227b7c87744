//! How many bytes the parsers look at, and how many entries of its tables the endpoint: what bounds their work in tests, where a clock
//! would only say how busy the machine is.
//!
//! Every loop over what a peer sent, or over what is kept, reports its length here. Outside of this crate's own tests that costs nothing.

/// A loop goes over so many bytes of a peer's.
#[inline(always)]
pub(crate) fn looked_at(bytes: usize) {
    #[cfg(test)]
    tests::LOOKED_AT.set(tests::LOOKED_AT.get() + bytes);
    #[cfg(not(test))]
    let _ = bytes;
}

/// So many entries of the endpoint's tables are gone over.
#[inline(always)]
pub(crate) fn visited(entries: usize) {
    #[cfg(test)]
    tests::VISITED.set(tests::VISITED.get() + entries);
    #[cfg(not(test))]
    let _ = entries;
}

#[cfg(test)]
pub(crate) mod tests;
