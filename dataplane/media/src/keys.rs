//! Keys in the sound of a leg that has no telephone-event, and are not for those who hear it.

use std::fmt;

use crate::codec::opus::Band;
use crate::coders::{Coders, Lent};
use crate::command::{Codec, Dtmf};
use crate::dtmf::detect::{Detector, Key};
use crate::voice::{Needs, SAMPLES_MAX, Standing, Voice};

/// What listens to a leg for keys.
pub(crate) struct Keys {
    codec: Codec,
    detector: Lent<Detector>,
    voice: Voice,
    /// What becomes of the key that is down: that it was to become when it began.
    down: Option<Dtmf>,
}

impl Keys {
    /// `None` where there is no detector to spare, or nothing that decodes.
    pub(crate) fn lend(codec: Codec, coders: &Coders) -> Option<Keys> {
        Some(Keys {
            codec,
            voice: Voice::default().lacking(Needs::to_hear(codec, Band::Narrow), coders.listeners())?,
            detector: coders.key()?,
            down: None,
        })
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether what is said now is not to be heard. The first 40 ms of a key are: until then nobody knows that it is one.
    pub(crate) fn mutes(&self) -> bool {
        self.down.is_some_and(|dtmf| !dtmf.relays())
    }

    /// Another source follows.
    pub(crate) fn reset(&mut self) {
        *self.detector = Detector::new();
        self.down = None;
    }

    /// The next packet of the leg: tells which keys began in it. Whether it is not to be heard.
    pub(crate) fn heard(&mut self, standing: Standing, payload: &[u8], dtmf: Dtmf, mut tell: impl FnMut(char)) -> bool {
        let mut samples = [0; SAMPLES_MAX];
        let mut mutes = self.mutes();
        let heard = self
            .voice
            .hear(self.codec, standing, payload, Band::Narrow, &mut samples);
        let Ok((count, _)) = heard else {
            return mutes;
        };
        let down = &mut self.down;
        self.detector.heard(&samples[..count], |key| match key {
            Key::Began(digit) => {
                *down = Some(dtmf);
                mutes |= !dtmf.relays();
                tell(digit);
            }
            Key::Ended { .. } => *down = None,
        });
        mutes
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keys { codec, down, .. } = self;
        f.debug_struct("Keys")
            .field("codec", codec)
            .field("down", down)
            .finish_non_exhaustive()
    }
}
