//! A party's log of the packets that it received.

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Packet {
    /// Arrival on the demo's clock.
    pub(super) t_ms: f64,
    pub(super) ssrc: u32,
    pub(super) marker: bool,
    /// Of sound; none where it was an event, or not understood.
    pub(super) samples: u32,
}

/// Reads a log; a line that is none is skipped (the first is the header).
pub(super) fn parse(log: &str) -> Vec<Packet> {
    log.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [t_ms, ssrc, _, _, _, marker, samples] = words[..] else {
                return None;
            };
            Some(Packet {
                t_ms: t_ms.parse().ok()?,
                ssrc: ssrc.parse().ok()?,
                marker: marker == "1",
                samples: samples.parse().ok()?,
            })
        })
        .collect()
}

/// Whether there was any sound.
pub(super) fn are_heard(packets: &[Packet]) -> bool {
    packets.iter().any(|packet| packet.samples > 0)
}

/// The longest time between two packets that follow each other, of which at least the later came within the span, ms.
pub(super) fn longest_gap_ms(packets: &[Packet], from_ms: f64, to_ms: f64) -> Option<f64> {
    packets
        .windows(2)
        .filter(|two| two[1].t_ms >= from_ms && two[1].t_ms <= to_ms)
        .map(|two| two[1].t_ms - two[0].t_ms)
        .max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_of_a_span() {
        let log = "t_ms ssrc sequence timestamp payload_type marker samples\n\
                   0.5 7 1 0 0 1 160\n100.5 7 2 160 0 0 160\n120 7 3 320 0 0 160\n145 7 4 480 0 1 160\n";
        let packets = parse(log);
        assert_eq!(packets.len(), 4);
        assert_eq!(
            (packets[3].ssrc, packets[3].marker, packets[2].marker),
            (7, true, false)
        );
        assert!(are_heard(&packets) && !are_heard(&[]));
        assert!(!are_heard(&parse("1 7 1 0 101 1 0\n")));
        assert_eq!(longest_gap_ms(&packets, 0.0, 200.0), Some(100.0));
        assert_eq!(longest_gap_ms(&packets, 101.0, 200.0), Some(25.0));
        assert_eq!(longest_gap_ms(&packets, 101.0, 119.0), None);
    }
}
