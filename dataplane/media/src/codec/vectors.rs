//! The vectors of ITU-T G.191, from the folder that `BATON_VECTORS` names, and what to compare with them.

use std::path::PathBuf;

/// The words of a vector: 16 bits, little-endian. Linear samples are left-justified; a code lies in the lower byte of
/// its word, where nothing else is said. None, and a line that says so, where there is no such vector.
pub(super) fn vector(name: &str) -> Option<Vec<i16>> {
    let Some(folder) = std::env::var_os("BATON_VECTORS") else {
        skip(name);
        return None;
    };
    let path = PathBuf::from(folder).join("itu-g191").join(name);
    let Ok(bytes) = std::fs::read(path) else {
        skip(name);
        return None;
    };
    Some(
        bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&word| i16::from_le_bytes(word))
            .collect(),
    )
}

#[expect(clippy::print_stderr, reason = "a check that is skipped must be seen")]
fn skip(name: &str) {
    eprintln!("skipped: no itu-g191/{name} in the folder that BATON_VECTORS names");
}

/// Where two runs differ first, and what stands there.
pub(super) fn first_difference<T: PartialEq + Copy>(ours: &[T], theirs: &[T]) -> Option<(usize, T, T)> {
    assert_eq!(ours.len(), theirs.len());
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b)?;
    Some((at, ours[at], theirs[at]))
}

/// FNV-1a, 64 bit.
pub(super) fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
