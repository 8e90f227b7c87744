//! What a party received: every packet with its arrival, the sound as its clock would play it, and the counts.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::codec::{Codec, Decoder};
use crate::events;
use crate::rtp::{Packet, TelephoneEvent};
use crate::sdp::Numbers;

/// Packets that are kept: 20 minutes. What comes later is counted only.
const LOG_MAX: usize = 60_000;

/// The recording's length at most, seconds.
const SECONDS_MAX: usize = 20 * 60;

/// A sound of at least this level is a voice or music: −40 dBm0, as mean square of 16 bit samples.
const VOICE_POWER: f64 = 32_768.0 * 32_768.0 / 2.0 * 4.85e-5;

/// One packet of the log.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload_type: u8,
    marker: bool,
    /// What was heard of it, at the codec's rate.
    samples: usize,
}

/// Where in the recording a line's timestamps are.
struct Clock {
    ssrc: u32,
    timestamp: u32,
    sample: i64,
}

/// Everything that was received on one port.
pub(crate) struct Heard {
    codec: Codec,
    /// Of the newest SSRC: each is a line of its own (RFC 3550 §3).
    decoder: (u32, Decoder),
    arrivals: Vec<Arrival>,
    beyond_log: u64,
    not_rtp: u64,
    unexpected_type: u64,
    undecodable: u64,
    clock: Option<Clock>,
    restarted_clocks: u64,
    recording: Vec<i16>,
    digit: Option<(u32, char)>,
    /// Reports of RTCP: sender reports and BYEs.
    pub(crate) sender_reports: u64,
    pub(crate) rtcp_byes: u64,
    voiced: Duration,
    last_voice: Option<Instant>,
}

impl Heard {
    /// Nothing yet, of this codec.
    pub(crate) fn new(codec: Codec) -> Heard {
        Heard {
            codec,
            decoder: (0, Decoder::new(codec)),
            arrivals: Vec::new(),
            beyond_log: 0,
            not_rtp: 0,
            unexpected_type: 0,
            undecodable: 0,
            clock: None,
            restarted_clocks: 0,
            recording: Vec::new(),
            digit: None,
            sender_reports: 0,
            rtcp_byes: 0,
            voiced: Duration::ZERO,
            last_voice: None,
        }
    }

    /// A datagram came on the RTP port, where we receive by these payload types.
    pub(crate) fn handle(&mut self, at: Instant, bytes: &[u8], numbers: Numbers) {
        let Some(packet) = Packet::parse(bytes) else {
            self.not_rtp += 1;
            return;
        };
        if self.arrivals.is_empty() {
            events::emit(at, "rtp_first", json!({ "ssrc": packet.ssrc }));
        } else if self.arrivals.last().is_some_and(|last| last.ssrc != packet.ssrc) {
            events::emit(at, "ssrc_change", json!({ "ssrc": packet.ssrc }));
        }
        let audio = packet.payload_type == numbers.audio;
        let samples = if audio { self.decode(&packet) } else { Vec::new() };
        if self.arrivals.len() < LOG_MAX {
            self.arrivals.push(Arrival {
                at,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                ssrc: packet.ssrc,
                payload_type: packet.payload_type,
                marker: packet.marker,
                samples: samples.len(),
            });
        } else {
            self.beyond_log += 1;
        }
        if audio {
            self.listen(at, &samples);
            self.place(at, &packet, &samples);
        } else if numbers.event == Some(packet.payload_type) {
            self.digit(at, &packet);
        } else if packet.payload_type != 13 {
            // 13: comfort noise (RFC 3389) is silence here.
            self.unexpected_type += 1;
        }
    }

    fn decode(&mut self, packet: &Packet) -> Vec<i16> {
        if self.decoder.0 != packet.ssrc {
            self.decoder = (packet.ssrc, Decoder::new(self.codec));
        }
        self.decoder.1.decode(&packet.payload).unwrap_or_else(|_| {
            self.undecodable += 1;
            Vec::new()
        })
    }

    fn listen(&mut self, at: Instant, samples: &[i16]) {
        let power = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
        if power >= VOICE_POWER {
            self.last_voice = Some(at);
            self.voiced += Duration::from_secs_f64(samples.len() as f64 / f64::from(self.codec.rate()));
        }
    }

    fn place(&mut self, at: Instant, packet: &Packet, samples: &[i16]) {
        let passed = self.first().map_or(0.0, |first| (at - first).as_secs_f64());
        let (rate, clock_rate) = (i64::from(self.codec.rate()), i64::from(self.codec.clock()));
        let expected = (passed * rate as f64) as i64;
        let by_clock = self
            .clock
            .as_ref()
            .filter(|clock| clock.ssrc == packet.ssrc)
            .map(|clock| {
                let ticks = i64::from(packet.timestamp.wrapping_sub(clock.timestamp) as i32);
                clock.sample + ticks * rate / clock_rate
            })
            // A timestamp that differs by more than a second from the passed time starts the recording's clock anew.
            .filter(|sample| (sample - expected).abs() <= rate);
        let sample = by_clock.unwrap_or_else(|| {
            self.restarted_clocks += u64::from(self.clock.is_some());
            self.clock = Some(Clock {
                ssrc: packet.ssrc,
                timestamp: packet.timestamp,
                sample: expected,
            });
            expected
        });
        let Ok(start) = usize::try_from(sample) else { return };
        let end = start + samples.len();
        if end > SECONDS_MAX * rate as usize {
            return;
        }
        if self.recording.len() < end {
            self.recording.resize(end, 0);
        }
        self.recording[start..end].copy_from_slice(samples);
    }

    fn digit(&mut self, at: Instant, packet: &Packet) {
        let Some(event) = TelephoneEvent::parse(&packet.payload) else {
            return;
        };
        // RFC 4733 §2.5.1.1: all packets of an event have its timestamp.
        if self.digit != Some((packet.timestamp, event.digit)) {
            self.digit = Some((packet.timestamp, event.digit));
            events::emit(at, "digit", json!({ "digit": event.digit.to_string() }));
        }
    }

    /// When the first packet came.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.arrivals.first().map(|arrival| arrival.at)
    }

    /// How much voice or music was heard in all.
    pub(crate) fn voiced(&self) -> Duration {
        self.voiced
    }

    /// When voice or music was heard last.
    pub(crate) fn last_voice(&self) -> Option<Instant> {
        self.last_voice
    }

    /// The sound, at the codec's rate: sample 0 is the first packet's.
    pub(crate) fn recording(&self) -> &[i16] {
        &self.recording
    }

    /// One line a packet: arrival ms, SSRC, sequence, timestamp, payload type, marker, samples.
    pub(crate) fn log(&self) -> String {
        let mut log = String::from("t_ms ssrc sequence timestamp payload_type marker samples\n");
        for a in &self.arrivals {
            use std::fmt::Write as _;
            let _ = writeln!(
                log,
                "{:.3} {} {} {} {} {} {}",
                events::ms(a.at),
                a.ssrc,
                a.sequence,
                a.timestamp,
                a.payload_type,
                u8::from(a.marker),
                a.samples
            );
        }
        log
    }

    /// The counts of the whole time.
    pub(crate) fn summary(&self) -> Value {
        let mut ssrcs: Vec<u32> = Vec::new();
        for arrival in &self.arrivals {
            if !ssrcs.contains(&arrival.ssrc) && ssrcs.len() < 64 {
                ssrcs.push(arrival.ssrc);
            }
        }
        let mut counts = Counts::of(self.codec);
        for ssrc in &ssrcs {
            counts.add(self.arrivals.iter().filter(|arrival| arrival.ssrc == *ssrc));
        }
        let gap = self
            .arrivals
            .windows(2)
            .map(|two| (two[1].at - two[0].at, two[1].at))
            .max();
        json!({
            "received": self.arrivals.len() as u64 + self.beyond_log,
            "ssrcs": ssrcs,
            "lost": counts.lost,
            "duplicated": counts.duplicated,
            "reordered": counts.reordered,
            "sequence_breaks": counts.sequence_breaks,
            "timestamp_breaks": counts.timestamp_breaks,
            "restarted_clocks": self.restarted_clocks,
            "not_rtp": self.not_rtp,
            "unexpected_type": self.unexpected_type,
            "undecodable": self.undecodable,
            "longest_gap_ms": gap.map(|(gap, _)| events::millis(gap)),
            "longest_gap_at_ms": gap.map(|(_, at)| events::ms(at)),
            "first_ms": self.first().map(events::ms),
            "sender_reports": self.sender_reports,
            "rtcp_byes": self.rtcp_byes,
            "samples": self.recording.len(),
        })
    }
}

/// Counts of one SSRC.
struct Counts {
    /// Of RTP's timestamps and of the sound, Hz.
    clock: u32,
    rate: u32,
    /// Sequence numbers between the first and the last that never came.
    lost: u64,
    duplicated: u64,
    /// Came after one with a higher number.
    reordered: u64,
    /// Packets whose number is not the one after that of the packet before them.
    sequence_breaks: u64,
    /// Audio whose timestamp did not advance as far as the sequence or, at a talkspurt's start, as the time did.
    timestamp_breaks: u64,
}

/// How far the timestamp of a new talkspurt may be from the time that passed, ms: a packet time, and an arrival's jitter.
const TALKSPURT_OFF_MAX_MS: i64 = 60;

impl Counts {
    fn of(codec: Codec) -> Counts {
        Counts {
            clock: codec.clock(),
            rate: codec.rate(),
            lost: 0,
            duplicated: 0,
            reordered: 0,
            sequence_breaks: 0,
            timestamp_breaks: 0,
        }
    }

    fn add<'a>(&mut self, arrivals: impl Iterator<Item = &'a Arrival>) {
        let mut seen = HashSet::new();
        let mut highest: Option<i64> = None;
        let mut before: Option<u16> = None;
        let mut audio: Option<(&Arrival, i64)> = None;
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        for arrival in arrivals {
            let extended = highest.map_or(i64::from(arrival.sequence), |highest| {
                highest + i64::from(arrival.sequence.wrapping_sub(highest as u16) as i16)
            });
            if before.is_some_and(|before| arrival.sequence != before.wrapping_add(1)) {
                self.sequence_breaks += 1;
            }
            before = Some(arrival.sequence);
            (low, high) = (low.min(extended), high.max(extended));
            if !seen.insert(extended) {
                self.duplicated += 1;
                continue;
            }
            if highest.is_some_and(|highest| extended < highest) {
                self.reordered += 1;
                continue;
            }
            highest = Some(extended);
            if arrival.samples == 0 {
                continue;
            }
            if let Some((last, sequence)) = audio {
                let advanced = i64::from(arrival.timestamp.wrapping_sub(last.timestamp) as i32);
                let ticks = last.samples as i64 * i64::from(self.clock) / i64::from(self.rate);
                let by_sequence = (extended - sequence) * ticks;
                let by_time = ((arrival.at - last.at).as_secs_f64() * f64::from(self.clock)) as i64;
                let off_max = TALKSPURT_OFF_MAX_MS * i64::from(self.clock) / 1000;
                if advanced != by_sequence && (advanced - by_time).abs() > off_max {
                    self.timestamp_breaks += 1;
                }
            }
            audio = Some((arrival, extended));
        }
        if !seen.is_empty() {
            self.lost += (high - low + 1) as u64 - seen.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::codec::Encoder;
    use baton_parties::g711::G711;

    const NUMBERS: Numbers = Numbers {
        audio: 0,
        event: Some(101),
    };

    /// A tone of 160 samples in every packet, as (ms, sequence, timestamp, ssrc).
    fn hear(packets: &[(u64, u16, u32, u32)]) -> Heard {
        let start = Instant::now();
        let mut heard = Heard::new(Codec::Pcmu);
        for (ms, sequence, timestamp, ssrc) in packets {
            let packet = Packet {
                marker: false,
                payload_type: 0,
                sequence: *sequence,
                timestamp: *timestamp,
                ssrc: *ssrc,
                payload: vec![G711::Pcmu.encode(1000 + i16::try_from(sequence % 1000).unwrap()); 160],
            };
            heard.handle(start + Duration::from_millis(*ms), &packet.print(), NUMBERS);
        }
        heard
    }

    fn count(heard: &Heard, name: &str) -> u64 {
        heard.summary()[name].as_u64().unwrap()
    }

    const COUNTS: [&str; 6] = [
        "lost",
        "duplicated",
        "reordered",
        "sequence_breaks",
        "timestamp_breaks",
        "restarted_clocks",
    ];

    fn counts(heard: &Heard) -> [u64; 6] {
        COUNTS.map(|name| count(heard, name))
    }

    #[test]
    fn a_clean_line_over_both_wraps() {
        let start = u32::MAX - 200;
        let packets: Vec<_> = (0..5u16)
            .map(|n| {
                (
                    u64::from(n) * 20,
                    65_534u16.wrapping_add(n),
                    start.wrapping_add(u32::from(n) * 160),
                    7,
                )
            })
            .collect();
        let heard = hear(&packets);
        assert_eq!(counts(&heard), [0; 6]);
        assert_eq!(count(&heard, "received"), 5);
        assert_eq!(heard.recording().len(), 800);
        assert_eq!(heard.summary()["longest_gap_ms"], 20.0);
        assert_eq!(heard.voiced(), Duration::from_millis(100));
    }

    #[test]
    fn each_fault_moves_its_count() {
        let lost = hear(&[(0, 1, 0, 7), (20, 2, 160, 7), (60, 4, 480, 7)]);
        assert_eq!(counts(&lost), [1, 0, 0, 1, 0, 0]);
        assert_eq!(lost.summary()["longest_gap_ms"], 40.0);
        let doubled = hear(&[(0, 1, 0, 7), (20, 2, 160, 7), (21, 2, 160, 7), (40, 3, 320, 7)]);
        assert_eq!(counts(&doubled), [0, 1, 0, 1, 0, 0]);
        let swapped = hear(&[(0, 1, 0, 7), (20, 3, 320, 7), (21, 2, 160, 7), (40, 4, 480, 7)]);
        assert_eq!(counts(&swapped), [0, 0, 1, 3, 0, 0]);
        let jumped = hear(&[(0, 1, 0, 7), (20, 2, 160_000, 7), (40, 3, 160_160, 7)]);
        assert_eq!(counts(&jumped), [0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn a_pause_that_the_timestamp_tells_is_no_break() {
        let heard = hear(&[(0, 1, 0, 7), (520, 2, 4160, 7)]);
        assert_eq!(counts(&heard), [0; 6]);
        assert_eq!(heard.recording().len(), 4320);
        assert!(heard.recording()[160..4160].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_new_ssrc_is_placed_by_its_arrival() {
        let heard = hear(&[(0, 1, 0, 7), (20, 9000, 77_777, 8)]);
        assert_eq!(heard.summary()["ssrcs"], json!([7, 8]));
        assert_eq!(heard.recording().len(), 320);
        assert_eq!(counts(&heard), [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_recording_is_what_was_sent() {
        let heard = hear(&[(0, 1, 0, 7), (20, 3, 320, 7), (21, 2, 160, 7)]);
        for (n, sequence) in [1, 2, 3].into_iter().enumerate() {
            let sample = heard.recording()[n * 160];
            assert_eq!(sample, G711::Pcmu.decode(G711::Pcmu.encode(1000 + sequence)));
        }
    }

    #[test]
    fn a_digit_is_said_once_and_not_recorded() {
        let mut heard = Heard::new(Codec::Pcmu);
        let now = Instant::now();
        for sequence in 0..5 {
            let event = TelephoneEvent {
                digit: '1',
                end: sequence > 2,
                duration: 160,
            };
            let packet = Packet {
                marker: sequence == 0,
                payload_type: 101,
                sequence,
                timestamp: 3,
                ssrc: 4,
                payload: event.print().unwrap(),
            };
            heard.handle(now, &packet.print(), NUMBERS);
        }
        assert_eq!(heard.digit, Some((3, '1')));
        assert!(heard.recording().is_empty());
        assert_eq!(count(&heard, "unexpected_type"), 0);
        heard.handle(now, b"no", NUMBERS);
        assert_eq!(count(&heard, "not_rtp"), 1);
    }

    #[test]
    fn each_codec_is_placed_by_its_own_clock() {
        for codec in crate::codec::ALL {
            let numbers = Numbers { audio: 96, event: None };
            let (start, mut heard, mut encoder) = (Instant::now(), Heard::new(codec), Encoder::new(codec));
            let frame = vec![1000; codec.samples(20)];
            // The fourth is lost; the fifth is where its timestamp says.
            for n in [0, 1, 2, 4, 5] {
                let packet = Packet {
                    marker: n == 0,
                    payload_type: 96,
                    sequence: n,
                    timestamp: (u32::MAX - 100).wrapping_add(u32::from(n) * codec.ticks(20)),
                    ssrc: 9,
                    payload: encoder.encode(&frame),
                };
                // Late by 300 ms: the timestamp counts, not the arrival.
                let late = Duration::from_millis(u64::from(n) * 20 + if n > 2 { 300 } else { 0 });
                heard.handle(start + late, &packet.print(), numbers);
            }
            assert_eq!(counts(&heard), [1, 0, 0, 1, 0, 0], "{codec:?}");
            assert_eq!(heard.recording().len(), 6 * frame.len(), "{codec:?}");
            assert!(
                heard.recording()[3 * frame.len()..4 * frame.len()]
                    .iter()
                    .all(|sample| *sample == 0)
            );
        }
    }

    #[test]
    fn a_timestamp_of_another_clock_is_a_break() {
        // As of a sender that thinks that Opus has a clock of 16 kHz.
        let numbers = Numbers {
            audio: 111,
            event: None,
        };
        let (start, mut heard, mut encoder) = (Instant::now(), Heard::new(Codec::Opus), Encoder::new(Codec::Opus));
        for n in 0..20 {
            let packet = Packet {
                marker: n == 0,
                payload_type: 111,
                sequence: n,
                timestamp: u32::from(n) * 320,
                ssrc: 9,
                payload: encoder.encode(&[0; 320]),
            };
            heard.handle(
                start + Duration::from_millis(u64::from(n) * 80),
                &packet.print(),
                numbers,
            );
        }
        assert_eq!(count(&heard, "timestamp_breaks"), 19);
    }

    #[test]
    fn a_payload_that_is_none_is_counted() {
        let mut heard = Heard::new(Codec::L16);
        let packet = Packet {
            marker: true,
            payload_type: 0,
            sequence: 1,
            timestamp: 0,
            ssrc: 1,
            payload: vec![1, 2, 3],
        };
        heard.handle(Instant::now(), &packet.print(), NUMBERS);
        assert_eq!((count(&heard, "undecodable"), heard.recording().len()), (1, 0));
    }
}
