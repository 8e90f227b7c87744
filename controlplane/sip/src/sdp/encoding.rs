//! Encodings: their names, clocks and parameters, as `a=rtpmap` and `a=fmtp` say them.

/// An encoding that we can offer or answer, one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// PCMU/8000, static payload type 0.
    Pcmu,
    /// PCMA/8000, static payload type 8.
    Pcma,
    /// G722/8000, static payload type 9. It samples at 16 kHz; the clock of its timestamps is said to be 8000, and is, since a first
    /// mistake was kept (RFC 3551 §4.5.2).
    G722,
    /// L16/8000, linear PCM in network byte order (RFC 3551 §4.5.11). The static types 10 and 11 are 44,100 Hz, and not ours.
    L16,
    /// L16/16000.
    L16Wide,
    /// opus/48000/2, whatever it carries (RFC 7587 §7).
    Opus,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 6] = [
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::G722,
        Encoding::L16,
        Encoding::L16Wide,
        Encoding::Opus,
    ];

    /// What stands in our `a=rtpmap`: name, clock, and channels where there are two.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Encoding::Pcmu => "PCMU/8000",
            Encoding::Pcma => "PCMA/8000",
            Encoding::G722 => "G722/8000",
            Encoding::L16 => "L16/8000",
            Encoding::L16Wide => "L16/16000",
            Encoding::Opus => "opus/48000/2",
        }
    }

    /// The clock of its RTP timestamps, Hz.
    pub fn clock_hz(self) -> u32 {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::G722 | Encoding::L16 => 8_000,
            Encoding::L16Wide => 16_000,
            Encoding::Opus => 48_000,
        }
    }

    /// The highest sampling rate that it carries, Hz: twice the band that is heard.
    pub fn sampling_hz(self) -> u32 {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::L16 => 8_000,
            Encoding::G722 | Encoding::L16Wide => 16_000,
            Encoding::Opus => 48_000,
        }
    }

    /// Its payload type in our first offer: the static one (RFC 3551 §6), or a dynamic one.
    pub fn payload_type(self) -> u8 {
        match self {
            Encoding::Pcmu => 0,
            Encoding::Pcma => 8,
            Encoding::G722 => 9,
            Encoding::Opus => 96,
            Encoding::L16Wide => 97,
            Encoding::L16 => 98,
        }
    }

    /// Whether its payload type is the same everywhere.
    pub(super) fn is_static(self) -> bool {
        self.payload_type() < 96
    }

    /// What we say of what we want to receive, in `a=fmtp`. `heard_hz`: the sampling rate of whoever hears it.
    pub(super) fn fmtp(self, heard_hz: Option<u32>) -> Option<String> {
        if self != Encoding::Opus {
            return None;
        }
        // Loss is concealed from the next packet; a second channel would be folded, and what is above the listener's band thrown away: the
        // peer need not spend bits on it, nor we time (RFC 7587 §6.1).
        let mut parameters = "useinbandfec=1; stereo=0; sprop-stereo=0".to_owned();
        if let Some(hz) = heard_hz.filter(|&hz| hz < Encoding::Opus.sampling_hz()) {
            parameters.push_str(&format!("; maxplaybackrate={hz}"));
        }
        Some(parameters)
    }

    /// The one of this name, clock and number of channels.
    pub(super) fn of(map: &Map<'_>) -> Option<Encoding> {
        let mono = matches!(map.channels, "" | "1");
        let is = |name: &str| map.name.eq_ignore_ascii_case(name);
        match map.clock {
            "8000" if is("PCMU") && mono => Some(Encoding::Pcmu),
            "8000" if is("PCMA") && mono => Some(Encoding::Pcma),
            "8000" if is("G722") && mono => Some(Encoding::G722),
            "8000" if is("L16") && mono => Some(Encoding::L16),
            "16000" if is("L16") && mono => Some(Encoding::L16Wide),
            // "The number of channels MUST be 2" (RFC 7587 §7); who forgets it means the same.
            "48000" if is("opus") => Some(Encoding::Opus),
            _ => None,
        }
    }
}

/// What a peer says of the Opus that it wants to receive (RFC 7587 §6.1). What it leaves out is as the RFC says; what cannot be read
/// is as if left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opus {
    /// `useinbandfec`: it makes use of in-band FEC.
    pub fec: bool,
    /// `usedtx`: it would rather have nothing sent in silence.
    pub dtx: bool,
    /// `maxaveragebitrate`, 6,000 to 510,000 bit/s.
    pub bitrate_max: Option<u32>,
    /// `maxplaybackrate`, Hz, at most 48,000: more than that cannot be heard there.
    pub playback_hz_max: u32,
    /// `cbr`: a constant bit rate.
    pub cbr: bool,
    /// `stereo`: it would rather have two channels.
    pub stereo: bool,
}

impl Default for Opus {
    fn default() -> Opus {
        Opus {
            fec: false,
            dtx: false,
            bitrate_max: None,
            playback_hz_max: 48_000,
            cbr: false,
            stereo: false,
        }
    }
}

impl Opus {
    /// From the parameters of `a=fmtp`, without the payload type.
    pub(super) fn read(parameters: &str) -> Opus {
        let mut opus = Opus::default();
        let flag = |value: &str, flag: &mut bool| match value {
            "0" => *flag = false,
            "1" => *flag = true,
            _ => {}
        };
        for parameter in parameters.split(';') {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let value = value.trim();
            let number = || value.parse::<u32>().ok();
            match name.trim().to_ascii_lowercase().as_str() {
                "useinbandfec" => flag(value, &mut opus.fec),
                "usedtx" => flag(value, &mut opus.dtx),
                "cbr" => flag(value, &mut opus.cbr),
                "stereo" => flag(value, &mut opus.stereo),
                // "values outside the range … SHOULD be ignored"
                "maxaveragebitrate" => {
                    let bitrate = number().filter(|bitrate| (6_000..=510_000).contains(bitrate));
                    opus.bitrate_max = bitrate.or(opus.bitrate_max);
                }
                "maxplaybackrate" => {
                    let rate = number().filter(|rate| *rate >= 8_000);
                    opus.playback_hz_max = rate.map_or(opus.playback_hz_max, |rate| rate.min(48_000));
                }
                _ => {}
            }
        }
        opus
    }
}

/// The value of an `a=rtpmap` behind its payload type, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Map<'a> {
    pub(super) name: &'a str,
    pub(super) clock: &'a str,
    /// Empty where it says nothing.
    pub(super) channels: &'a str,
}

impl<'a> Map<'a> {
    pub(super) fn read(map: &'a str) -> Map<'a> {
        let mut parts = map.trim().split('/').map(str::trim);
        let mut next = || parts.next().unwrap_or("");
        Map {
            name: next(),
            clock: next(),
            channels: next(),
        }
    }

    /// That of a payload type without a line of its own (RFC 3551 §6).
    pub(super) fn of_static(payload: u8) -> Map<'static> {
        Map::read(match payload {
            0 => "PCMU/8000",
            8 => "PCMA/8000",
            9 => "G722/8000",
            13 => "CN/8000",
            _ => "",
        })
    }
}
