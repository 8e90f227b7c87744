//! How many bytes the parsers look at: what bounds their work in tests, where a clock would only say how busy the machine is.
//!
//! Every loop over what a peer sent reports its length here. Outside of this crate's own tests that costs nothing.

/// A loop goes over so many bytes of a peer's.
#[inline(always)]
pub(crate) fn looked_at(bytes: usize) {
    #[cfg(test)]
    tests::LOOKED_AT.set(tests::LOOKED_AT.get() + bytes);
    #[cfg(not(test))]
    let _ = bytes;
}

#[cfg(test)]
mod tests;
