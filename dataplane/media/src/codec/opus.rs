//! Opus (RFC 6716), by libopus: mono, at 8 or 16 kHz.
//!
//! libopus works at the rate of whoever is on the other side, so there is no resampler between Opus and a codec of 8 or
//! 16 kHz, whatever band the peer speaks; two channels of the peer are folded into one. In RTP the clock is 48,000 Hz at every
//! rate (RFC 7587, section 4.1).

use std::fmt;

/// The rate at which libopus works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// 8 kHz.
    Narrow,
    /// 16 kHz.
    Wide,
}

impl Band {
    /// Samples a second.
    pub const fn hz(self) -> u32 {
        match self {
            Band::Narrow => 8_000,
            Band::Wide => 16_000,
        }
    }
}

/// How encoders work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At 8 kHz, bit/s.
    pub narrow: Effort,
    /// At 16 kHz, bit/s.
    pub wide: Effort,
    /// Whether a packet brings a coarse copy of the one before (in-band FEC), as far as the bit rate allows.
    pub fec: bool,
    /// The loss that FEC is to be ready for, per cent, 0 to 100.
    pub expected_loss: u8,
    /// Whether a packet of silence has one byte only. It is sent all the same: a line has no holes.
    pub dtx: bool,
}

/// What an encoder spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Bit/s, 6,000 to 510,000.
    pub bitrate: u32,
    /// 0 to 10, as libopus has it.
    pub complexity: u8,
}

impl Settings {
    fn effort(&self, band: Band) -> Effort {
        match band {
            Band::Narrow => self.narrow,
            Band::Wide => self.wide,
        }
    }
}

impl Default for Settings {
    /// The cheapest that is good at each rate: narrowband gains more by bits than by complexity, wideband wants both.
    fn default() -> Self {
        Settings {
            narrow: Effort {
                bitrate: 28_000,
                complexity: 0,
            },
            wide: Effort {
                bitrate: 40_000,
                complexity: 5,
            },
            fec: false,
            expected_loss: 0,
            dtx: false,
        }
    }
}

/// What a peer says of the Opus that it wants to be sent (RFC 7587 §6.1). It bounds our settings, and never widens them. Two channels are
/// not among it: we have one to send, which every receiver takes (§3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// It makes use of in-band FEC (`useinbandfec`).
    pub fec: bool,
    /// It would rather have next to nothing in silence (`usedtx`).
    pub dtx: bool,
    /// It wants a constant bit rate (`cbr`).
    pub cbr: bool,
    /// The most, bit/s, 6,000 to 510,000 (`maxaveragebitrate`).
    pub bitrate_max: Option<u32>,
    /// Nothing of a higher sampling rate can be heard there, Hz, 8,000 to 48,000 (`maxplaybackrate`).
    pub playback_hz_max: u32,
}

impl Default for Wishes {
    /// Whatever we are set to.
    fn default() -> Self {
        Wishes {
            fec: true,
            dtx: true,
            cbr: false,
            bitrate_max: None,
            playback_hz_max: 48_000,
        }
    }
}

/// The longest packet (RFC 6716, section 3.1), ticks: 120 ms.
const PACKET_TICKS: u32 = 5_760;

/// Frames of a packet at the most.
const FRAMES_MAX: usize = 48;

/// How long a packet sounds, ticks of 48,000 Hz. `None` where it is none, by its first two bytes (RFC 6716, section 3.1).
pub fn duration(packet: &[u8]) -> Option<u32> {
    let (&toc, rest) = packet.split_first()?;
    let size = u32::from(toc >> 3 & 3);
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 if size == 3 => 2_880,
        0..=11 => 480 << size,
        // Hybrid: 10 or 20 ms.
        12..=15 => 480 << (size & 1),
        // CELT: 2.5 to 20 ms.
        _ => 120 << size,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    Some(frame * frames).filter(|ticks| (1..=PACKET_TICKS).contains(ticks))
}

/// Codes a signal; the state is that of one line.
pub struct Encoder {
    inner: opus::Encoder,
    band: Band,
    settings: Settings,
    wishes: Wishes,
}

impl Encoder {
    /// An encoder that has heard silence.
    ///
    /// # Errors
    /// A setting that libopus refuses, or no memory.
    pub fn new(band: Band, settings: &Settings) -> Result<Self, opus::Error> {
        Encoder::made(band, settings, opus::Application::Voip)
    }

    /// One for what is recorded: it leaves alone what is low, which the other one filters by what it has heard in the last seconds.
    pub(crate) fn for_recordings(band: Band, settings: &Settings) -> Result<Self, opus::Error> {
        Encoder::made(band, settings, opus::Application::Audio)
    }

    fn made(band: Band, settings: &Settings, application: opus::Application) -> Result<Self, opus::Error> {
        let mut inner = opus::Encoder::new(band.hz(), opus::Channels::Mono, application)?;
        let effort = settings.effort(band);
        inner.set_bitrate(opus::Bitrate::Bits(effort.bitrate as i32))?;
        inner.set_complexity(effort.complexity.into())?;
        inner.set_signal(opus::Signal::Voice)?;
        inner.set_inband_fec(settings.fec)?;
        inner.set_packet_loss_perc(settings.expected_loss.into())?;
        inner.set_dtx(settings.dtx)?;
        Ok(Encoder {
            inner,
            band,
            settings: *settings,
            wishes: Wishes::default(),
        })
    }

    /// Its rate.
    pub fn band(&self) -> Band {
        self.band
    }

    /// From the next packet on, 0 to 10, as libopus has it.
    pub fn set_complexity(&mut self, complexity: u8) {
        // Cannot fail: it is one that libopus has.
        let _ = self.inner.set_complexity(complexity.min(10).into());
    }

    /// Forgets what it has heard, and for whom.
    pub fn reset(&mut self) {
        // Cannot fail: the state is there.
        let _ = self.inner.reset_state();
        self.heed(Wishes::default());
    }

    /// From the next packet on it codes for a peer with these wishes.
    pub fn heed(&mut self, wishes: Wishes) {
        if wishes == self.wishes {
            return;
        }
        self.wishes = wishes;
        let own = self.settings.effort(self.band).bitrate;
        let bitrate = wishes.bitrate_max.map_or(own, |most| own.min(most));
        let bandwidth = match wishes.playback_hz_max {
            ..12_000 => opus::Bandwidth::Narrowband,
            12_000..16_000 => opus::Bandwidth::Mediumband,
            16_000..24_000 => opus::Bandwidth::Wideband,
            24_000..48_000 => opus::Bandwidth::Superwideband,
            _ => opus::Bandwidth::Fullband,
        };
        // None can fail: all are values that libopus has.
        let _ = self.inner.set_bitrate(opus::Bitrate::Bits(bitrate as i32));
        let _ = self.inner.set_max_bandwidth(bandwidth);
        let _ = self.inner.set_vbr(!wishes.cbr);
        let _ = self.inner.set_inband_fec(self.settings.fec && wishes.fec);
        let _ = self.inner.set_dtx(self.settings.dtx && wishes.dtx);
    }

    /// Encodes all samples into one packet; returns its length. `None` where they are not a multiple of 2.5 ms up to 120 ms, or
    /// there is no room.
    pub fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Option<usize> {
        let unit = self.band.hz() as usize / 400;
        let units = samples.len() / unit;
        if !samples.len().is_multiple_of(unit) || samples.is_empty() {
            return None;
        }
        match units {
            1 | 2 | 4 | 8 | 16 | 24 => self.inner.encode(samples, packet).ok(),
            _ => self.encode_frames(
                samples,
                unit * [8, 4, 2, 1].into_iter().find(|size| units.is_multiple_of(*size))?,
                packet,
            ),
        }
    }

    /// A length that no frame has goes as several frames (RFC 6716, section 3.2.5).
    fn encode_frames(&mut self, samples: &[i16], frame: usize, packet: &mut [u8]) -> Option<usize> {
        let count = samples.len() / frame;
        if count > FRAMES_MAX || samples.len() * 1000 > 120 * self.band.hz() as usize {
            return None;
        }
        let (mut coded, mut lengths) = ([0; 1_400], [0; FRAMES_MAX]);
        // What libopus fills up to a constant length is a packet of another kind, which is no frame of ours.
        let _ = self.inner.set_vbr(true);
        let mut toc = None;
        let (mut end, mut made) = (0, 0);
        for samples in samples.chunks_exact(frame) {
            let room = &mut coded[end..];
            let Ok(length) = self.inner.encode(samples, room) else {
                break;
            };
            // Each frame's packet begins with the same byte, which is wanted once. Where libopus goes over to another mode within the packet,
            // what follows is left out: a short gap, which the far end conceals.
            if *toc.get_or_insert(room[0]) != room[0] || room[0] & 3 != 0 {
                break;
            }
            room.copy_within(1..length, 0);
            end += length - 1;
            lengths[made] = length - 1;
            made += 1;
        }
        let _ = self.inner.set_vbr(!self.wishes.cbr);
        *packet.get_mut(0)? = toc? | 3;
        *packet.get_mut(1)? = 0x80 | made as u8;
        let mut head = 2;
        for &length in lengths[..made].split_last()?.1 {
            match length {
                0..252 => {
                    *packet.get_mut(head)? = length as u8;
                    head += 1;
                }
                _ => {
                    let word = [252 + (length & 3), (length - 252) >> 2].map(|byte| byte as u8);
                    packet.get_mut(head..head + 2)?.copy_from_slice(&word);
                    head += 2;
                }
            }
        }
        packet.get_mut(head..head + end)?.copy_from_slice(&coded[..end]);
        Some(head + end)
    }
}

/// Decodes a signal; the state is that of one source.
pub struct Decoder {
    inner: opus::Decoder,
    band: Band,
}

impl Decoder {
    /// A decoder that has heard silence.
    ///
    /// # Errors
    /// No memory.
    pub fn new(band: Band) -> Result<Self, opus::Error> {
        let inner = opus::Decoder::new(band.hz(), opus::Channels::Mono)?;
        Ok(Decoder { inner, band })
    }

    /// Its rate.
    pub fn band(&self) -> Band {
        self.band
    }

    /// Forgets what it has heard.
    pub fn reset(&mut self) {
        // Cannot fail: the state is there.
        let _ = self.inner.reset_state();
    }

    /// Decodes a packet; returns how many samples it has. `None` where it is broken, or longer than there is room.
    pub fn decode(&mut self, packet: &[u8], samples: &mut [i16]) -> Option<usize> {
        if packet.is_empty() {
            return None;
        }
        self.inner.decode(packet, samples, false).ok()
    }

    /// Makes up for what was lost, as long as `samples`, a multiple of 2.5 ms; by what the packet `after` it says of it, if anything. `false`
    /// where that cannot be.
    pub fn make_up(&mut self, after: Option<&[u8]>, samples: &mut [i16]) -> bool {
        let (packet, fec) = (after.unwrap_or_default(), after.is_some());
        self.inner
            .decode(packet, samples, fec)
            .is_ok_and(|made| made == samples.len())
    }

    /// Makes up for `lost` packets as long as `next`, the one that came after them: the last by what `next` says of it, if anything.
    /// The decoder goes on as if it had heard them; what they may have sounded like lies in `samples` one after the other, as far as
    /// there is room.
    pub fn conceal(&mut self, lost: usize, next: &[u8], samples: &mut [i16]) -> usize {
        let Some(ticks) = duration(next) else {
            return 0;
        };
        let length = (ticks * (self.band.hz() / 1000) / 48) as usize;
        let lost = lost.min(samples.len() / length);
        let mut made = 0;
        for (n, samples) in samples.chunks_exact_mut(length).take(lost).enumerate() {
            let decoded = match n + 1 == lost {
                true => self.inner.decode(next, samples, true),
                false => self.inner.decode(&[], samples, false),
            };
            made += decoded.unwrap_or(0);
        }
        made
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("band", &self.band)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("band", &self.band)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
