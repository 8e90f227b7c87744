//! The coder states of a line: what is heard of a leg with another codec goes through them, and what we make ourselves.

use crate::clock::Clock;
use crate::codec::g722::Mode;
use crate::codec::opus::{Band, Decoder, Wishes};
use crate::codec::{l16, mean_square};
use crate::coders::{Lent, LineEncoder, States, Wide};
use crate::command::Codec;

/// The longest that is put into another codec, samples: 120 ms of 16 kHz.
pub(crate) const SAMPLES_MAX: usize = 1_920;

/// Packets that are made up for at the most, so that a decoder goes on in the right place: what is older it has forgotten anyway.
const CONCEAL_MAX: u16 = 5;

/// What coder states a line needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    /// G.722, or a change between 8 and 16 kHz.
    wide: bool,
    encoder: Option<Band>,
    decoder: Option<Band>,
}

impl Needs {
    /// What a line needs to hear a leg, or prompts and noise alone.
    pub(crate) fn of(line: Codec, source: Option<Codec>) -> Needs {
        match source.filter(|&source| source != line) {
            Some(source) => {
                let band = line.band().or(source.band()).unwrap_or(Band::Wide);
                Needs::to_hear(source, band).and(Needs::to_say(line, band))
            }
            // Prompts and noise are coded as the line goes on, so that its codec's memory has no seam. In Opus they are coded already.
            None => Needs {
                wide: line == Codec::G722,
                ..Needs::default()
            },
        }
    }

    /// What it needs to have a codec's sound as samples of a band.
    pub(crate) fn to_hear(codec: Codec, band: Band) -> Needs {
        Needs {
            wide: codec == Codec::G722 || codec.band().is_some_and(|own| own != band),
            decoder: codec.band().is_none().then_some(band),
            encoder: None,
        }
    }

    /// What it needs to code samples of a band.
    pub(crate) fn to_say(codec: Codec, band: Band) -> Needs {
        Needs {
            wide: codec == Codec::G722 || codec.band().is_some_and(|own| own != band),
            encoder: codec.band().is_none().then_some(band),
            decoder: None,
        }
    }

    pub(crate) fn is_wide(&self) -> bool {
        self.wide
    }

    /// Whether Opus of this band is in it.
    pub(crate) fn has(&self, band: Band) -> bool {
        [self.encoder, self.decoder].contains(&Some(band))
    }

    /// What is needed to hear either: the old source goes on until the new one comes.
    pub(crate) fn and(self, other: Needs) -> Needs {
        let both = |one: Option<Band>, other: Option<Band>| match (one, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        let differ = |one: Option<Band>, other: Option<Band>| one.zip(other).is_some_and(|(one, other)| one != other);
        Needs {
            wide: self.wide || other.wide || differ(self.encoder, other.encoder) || differ(self.decoder, other.decoder),
            encoder: both(self.encoder, other.encoder),
            decoder: both(self.decoder, other.decoder),
        }
    }
}

/// The coder states of one line.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    wide: Option<Lent<Wide>>,
    encoder: Option<Lent<LineEncoder>>,
    decoder: Option<Lent<Decoder>>,
}

/// Where a packet stands among those of its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// It is the first that the line hears of it.
    pub(crate) first: bool,
    /// Packets that were lost before it.
    pub(crate) lost: u16,
}

/// Why a payload is not put into another codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untranscodable {
    /// It is none of its codec.
    Theirs,
    /// We cannot: it is longer than we carry, of a length that the other codec has not, or too long for a packet there.
    Ours,
}

/// A payload in the line's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    pub(crate) len: usize,
    /// Mean square of its samples.
    pub(crate) level: u32,
}

impl Voice {
    /// The band of what it codes in Opus.
    pub(crate) fn encoder_band(&self) -> Option<Band> {
        self.encoder.as_ref().map(|encoder| encoder.band())
    }

    /// What it codes in Opus is for a peer with these wishes.
    pub(crate) fn heed(&mut self, wishes: Wishes) {
        if let Some(encoder) = &mut self.encoder {
            encoder.heed(wishes);
        }
    }

    /// What this one lacks of the needs, from the pools; `None` where one of them is empty. Where there is no coder of the right band,
    /// that of the other goes on.
    pub(crate) fn lacking(&self, needs: Needs, states: &States) -> Option<Voice> {
        let mut lacking = Voice::default();
        let mut wide = needs.wide;
        let encoder = self.encoder.as_ref().map(|encoder| encoder.band());
        if let Some(band) = needs.encoder.filter(|&band| encoder != Some(band)) {
            lacking.encoder = states.encoder(band);
            wide |= lacking.encoder.is_none();
            if lacking.encoder.is_none() && encoder.is_none() {
                return None;
            }
        }
        let decoder = self.decoder.as_ref().map(|decoder| decoder.band());
        if let Some(band) = needs.decoder.filter(|&band| decoder != Some(band)) {
            lacking.decoder = states.decoder(band);
            wide |= lacking.decoder.is_none();
            if lacking.decoder.is_none() && decoder.is_none() {
                return None;
            }
        }
        if wide && self.wide.is_none() {
            lacking.wide = Some(states.wide()?);
        }
        Some(lacking)
    }

    /// A decoder to listen with, where neither the line `has` one nor this brings one, and there is one to spare.
    pub(crate) fn listen(&mut self, has: &Voice, states: &States) {
        if self.decoder.is_none() && has.decoder.is_none() {
            self.decoder = states.decoder(Band::Narrow);
        }
    }

    /// Takes over what it lacked.
    pub(crate) fn take(&mut self, lacking: Voice) {
        self.wide = lacking.wide.or(self.wide.take());
        self.encoder = lacking.encoder.or(self.encoder.take());
        self.decoder = lacking.decoder.or(self.decoder.take());
    }

    /// Gives back what is not needed any more. A coder of the other band is changed for one of the right band, if there is one.
    pub(crate) fn settle(&mut self, needs: Needs, listens: bool, states: &States) {
        // Without one the line goes on between the bands by what it has for that.
        if let Some(lacking) = self.lacking(needs, states) {
            self.take(lacking);
            let bands = |has: Option<Band>, wanted: Option<Band>| wanted.is_none() || has == wanted;
            let fits = bands(self.encoder.as_ref().map(|encoder| encoder.band()), needs.encoder)
                && bands(self.decoder.as_ref().map(|decoder| decoder.band()), needs.decoder);
            self.wide.take_if(|_| !needs.wide && fits);
        }
        self.encoder.take_if(|_| needs.encoder.is_none());
        self.decoder.take_if(|_| needs.decoder.is_none() && !listens);
    }

    /// Puts the first `len` bytes of a payload into another codec, in their place. The samples on the way are told.
    pub(crate) fn transcode(
        &mut self,
        from: Codec,
        to: Codec,
        standing: Standing,
        payload: &mut [u8],
        len: usize,
        tell: impl FnOnce(&[i16], Band),
    ) -> Result<Coded, Untranscodable> {
        let mut samples = [0; SAMPLES_MAX];
        let said = payload.get(..len).ok_or(Untranscodable::Ours)?;
        let band = match to.band() {
            Some(band) => band,
            None => self.encoder.as_ref().ok_or(Untranscodable::Ours)?.band(),
        };
        let (count, level) = self.hear(from, standing, said, band, &mut samples)?;
        tell(&samples[..count], band);
        let len = self.encode(to, &samples[..count], payload);
        let len = len.ok_or(Untranscodable::Ours)?;
        Ok(Coded { len, level })
    }

    /// A payload's sound in a band: how many samples, and their mean square.
    pub(crate) fn hear(
        &mut self,
        from: Codec,
        standing: Standing,
        said: &[u8],
        target: Band,
        samples: &mut [i16; SAMPLES_MAX],
    ) -> Result<(usize, u32), Untranscodable> {
        let ms = Clock::of(from).ns(from.duration(said).ok_or(Untranscodable::Theirs)?.into()) / 1_000_000;
        let mut decoded = [0; SAMPLES_MAX];
        let (count, band) = self.decode(from, standing, said, &mut decoded).ok_or(match ms {
            0..=120 => Untranscodable::Theirs,
            _ => Untranscodable::Ours,
        })?;
        let decoded = &decoded[..count];
        let level = mean_square(decoded);
        if band == target {
            samples[..count].copy_from_slice(decoded);
            return Ok((count, level));
        }
        let wide = self.wide.as_mut().ok_or(Untranscodable::Ours)?;
        let count = match target {
            Band::Wide if 2 * count > SAMPLES_MAX => return Err(Untranscodable::Ours),
            Band::Wide => wide.up.process(decoded, samples),
            Band::Narrow => wide.down.process(decoded, samples),
        };
        Ok((count, level))
    }

    /// Makes up for what did not come of a source in Opus, by what its decoder remembers; `after`: by what the packet says of it that came
    /// after it, if anything. `false` where there is no decoder.
    pub(crate) fn make_up(&mut self, after: Option<&[u8]>, target: Band, samples: &mut [i16]) -> bool {
        let Some(decoder) = self.decoder.as_mut().filter(|decoder| decoder.band() == target) else {
            return false;
        };
        decoder.make_up(after, samples)
    }

    /// The level of a packet that passed as it was. `None` where nobody is there to decode it.
    pub(crate) fn level(&mut self, codec: Codec, payload: &[u8]) -> Option<u32> {
        if let Some(law) = codec.law() {
            return Some(law.mean_square(payload));
        }
        self.listen_to(codec, payload, |_, _| ())
    }

    /// The samples of a packet that passes as it is are told. Returns their level; `None` where nobody is there to decode it.
    pub(crate) fn listen_to(&mut self, codec: Codec, payload: &[u8], tell: impl FnOnce(&[i16], Band)) -> Option<u32> {
        let mut samples = [0; SAMPLES_MAX];
        let standing = Standing { first: false, lost: 0 };
        let (count, band) = self.decode(codec, standing, payload, &mut samples)?;
        tell(&samples[..count], band);
        Some(mean_square(&samples[..count]))
    }

    fn decode(
        &mut self,
        from: Codec,
        standing: Standing,
        payload: &[u8],
        samples: &mut [i16; SAMPLES_MAX],
    ) -> Option<(usize, Band)> {
        if standing.first
            && let Some(wide) = &mut self.wide
        {
            (wide.decoder, wide.down) = Default::default();
        }
        // In a band's samples: what is longer than there is room for is not cut.
        let count = match from {
            Codec::Pcmu | Codec::Pcma => payload.len(),
            Codec::L16 | Codec::L16Wide => payload.len() / 2,
            Codec::G722 => payload.len() * 2,
            Codec::Opus => 0,
        };
        if count > SAMPLES_MAX {
            return None;
        }
        Some(match from {
            Codec::Pcmu | Codec::Pcma => (from.law()?.decode(payload, samples), Band::Narrow),
            Codec::L16 => (l16::decode(payload, samples), Band::Narrow),
            Codec::L16Wide => (l16::decode(payload, samples), Band::Wide),
            Codec::G722 => {
                let decoder = &mut self.wide.as_mut()?.decoder;
                (decoder.decode(Mode::Kbit64, payload, samples), Band::Wide)
            }
            Codec::Opus => {
                let decoder = self.decoder.as_mut()?;
                if standing.first {
                    decoder.reset();
                } else if standing.lost != 0 {
                    decoder.conceal(standing.lost.min(CONCEAL_MAX).into(), payload, samples);
                }
                (decoder.decode(payload, samples)?, decoder.band())
            }
        })
    }

    /// Encodes samples of a band that may be another one than the codec's, as the line goes on.
    pub(crate) fn say(&mut self, to: Codec, band: Band, samples: &[i16], payload: &mut [u8]) -> Option<usize> {
        let own = match to.band() {
            Some(own) => own,
            None => self.encoder.as_ref()?.band(),
        };
        if own == band {
            return self.encode(to, samples, payload);
        }
        let mut changed = [0; SAMPLES_MAX];
        let wide = self.wide.as_mut()?;
        let count = match own {
            Band::Wide => wide.up.process(samples, changed.get_mut(..2 * samples.len())?),
            Band::Narrow => wide.down.process(samples, &mut changed),
        };
        self.encode(to, &changed[..count], payload)
    }

    /// Encodes samples of the codec's band, as the line goes on.
    pub(crate) fn encode(&mut self, to: Codec, samples: &[i16], payload: &mut [u8]) -> Option<usize> {
        let room = match to.band() {
            Some(Band::Narrow) => to.bytes_a_tick()? * samples.len(),
            Some(Band::Wide) => to.bytes_a_tick()? * samples.len() / 2,
            None => 0,
        };
        let payload = if to == Codec::Opus {
            payload
        } else {
            payload.get_mut(..room)?
        };
        match to {
            Codec::Pcmu | Codec::Pcma => Some(to.law()?.encode(samples, payload)),
            Codec::L16 | Codec::L16Wide => Some(l16::encode(samples, payload)),
            Codec::G722 => Some(self.wide.as_mut()?.encoder.encode(samples, payload)),
            Codec::Opus => self.encoder.as_mut()?.encode(samples, payload),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
