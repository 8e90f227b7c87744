//! ITU-T G.711, by its definition: segments and steps, no tables.

/// One of its two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum G711 {
    /// µ-law.
    Pcmu,
    /// A-law.
    Pcma,
}

impl G711 {
    /// One sample of 16 bit.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            G711::Pcmu => encode_mu(sample),
            G711::Pcma => encode_a(sample),
        }
    }

    /// To a sample of 16 bit.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            G711::Pcmu => decode_mu(byte),
            G711::Pcma => decode_a(byte),
        }
    }
}

/// µ-law: 14 bit with a bias of 33, eight segments that double in step.
fn encode_mu(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 {
        (0x80, -i32::from(sample))
    } else {
        (0, i32::from(sample))
    };
    let biased = (magnitude.min(32_635)) + 132;
    let segment = (31 - biased.leading_zeros() as i32) - 7;
    let step = (biased >> (segment + 3)) & 0x0f;
    !((sign | (segment << 4) | step) as u8)
}

fn decode_mu(byte: u8) -> i16 {
    let byte = !byte;
    let segment = i32::from(byte >> 4 & 7);
    let step = i32::from(byte & 0x0f);
    let magnitude = (((step << 3) + 132) << segment) - 132;
    (if byte & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// A-law: 13 bit, the first two segments with the same step, even bits inverted.
fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 {
        (0, (-i32::from(sample) - 1) >> 4)
    } else {
        (0x80, i32::from(sample) >> 4)
    };
    let code = if magnitude < 16 {
        magnitude
    } else {
        let segment = (31 - (magnitude as u32).leading_zeros() as i32) - 3;
        (segment << 4) | ((magnitude >> (segment - 1)) & 0x0f)
    };
    ((sign | code) as u8) ^ 0x55
}

fn decode_a(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let segment = i32::from(byte >> 4 & 7);
    let step = i32::from(byte & 0x0f);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 264) << (segment - 1),
    };
    (if byte & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        // G.711 tables 1a to 2b: the ends, and the smallest values around zero.
        assert_eq!(decode_mu(0x80), 32_124);
        assert_eq!(decode_mu(0x00), -32_124);
        assert_eq!(decode_mu(0xff), 0);
        assert_eq!(decode_a(0xaa), 32_256);
        assert_eq!(decode_a(0x2a), -32_256);
        assert_eq!(decode_a(0xd5), 8);
        assert_eq!(encode_mu(0), 0xff);
        assert_eq!(encode_a(0), 0xd5);
        assert_eq!(encode_mu(i16::MAX), 0x80);
        assert_eq!(encode_mu(i16::MIN), 0x00);
        assert_eq!(encode_a(i16::MAX), 0xaa);
        assert_eq!(encode_a(i16::MIN), 0x2a);
    }

    #[test]
    fn every_code_survives_the_round_trip() {
        for byte in 0..=255u8 {
            assert_eq!(encode_a(decode_a(byte)), byte);
            // µ-law has two zeros.
            if byte != 0x7f {
                assert_eq!(encode_mu(decode_mu(byte)), byte);
            }
        }
    }

    #[test]
    fn the_error_is_below_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            for codec in [G711::Pcmu, G711::Pcma] {
                let back = i32::from(codec.decode(codec.encode(sample)));
                let error = (back - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 16, "{codec:?} {sample} {back}");
            }
        }
    }
}
