//! L16 (RFC 3551, section 4.5.11): linear samples of 16 bits, most significant byte first.

/// Writes as many samples as both slices have room for; returns the bytes.
pub fn encode(samples: &[i16], payload: &mut [u8]) -> usize {
    let words = payload.as_chunks_mut::<2>().0;
    for (word, sample) in words.iter_mut().zip(samples) {
        *word = sample.to_be_bytes();
    }
    2 * samples.len().min(payload.len() / 2)
}

/// Reads as many samples as both slices have room for; returns how many. An odd last byte is none.
pub fn decode(payload: &[u8], samples: &mut [i16]) -> usize {
    let words = payload.as_chunks::<2>().0;
    for (sample, word) in samples.iter_mut().zip(words) {
        *sample = i16::from_be_bytes(*word);
    }
    words.len().min(samples.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_is_the_most_significant() {
        let mut payload = [0; 5];
        assert_eq!(encode(&[0x0102, -2, 7], &mut payload), 4);
        assert_eq!(payload, [1, 2, 0xff, 0xfe, 0]);
        let mut samples = [9; 3];
        assert_eq!(decode(&payload, &mut samples), 2);
        assert_eq!(samples, [0x0102, -2, 9]);
    }
}
