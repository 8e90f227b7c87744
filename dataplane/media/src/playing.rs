//! Prompts in a row: what is played, and how far it has got.

use arrayvec::ArrayVec;

use crate::codec::opus::Band;
use crate::command::{Play, PlayId, PromptId, QUEUE_MAX};
use crate::prompt::{Cue, Frame, Progress, Prompts, risen};
use crate::voice::SAMPLES_MAX;

/// An act of playing, and how far it has got.
#[derive(Clone, Debug)]
pub(crate) struct Playing {
    pub(crate) id: PlayId,
    queue: ArrayVec<PromptId, QUEUE_MAX>,
    repeat_last: bool,
    item: usize,
    /// Samples of 8 kHz.
    offset: usize,
    /// The last item has been played to its end, and is repeated.
    again: bool,
    /// Bit n: that the item was played to its end has been said.
    said: u8,
    /// The spec does not have it any more; it goes on until the new source comes.
    pub(crate) leaving: bool,
}

impl Playing {
    pub(crate) fn new(play: &Play) -> Playing {
        Playing {
            id: play.id,
            queue: play.queue.clone(),
            repeat_last: play.repeat_last,
            item: 0,
            offset: 0,
            again: false,
            said: 0,
            leaving: false,
        }
    }

    /// Whether its queue is at its end.
    pub(crate) fn is_done(&self) -> bool {
        self.item >= self.queue.len()
    }

    /// What would come next in linear samples, fading out, is added to them.
    pub(crate) fn fade_out(&mut self, prompts: &Prompts, band: Band, samples: &mut [i16]) {
        let mut rest = [0; SAMPLES_MAX];
        let rest = &mut rest[..samples.len().min(SAMPLES_MAX)];
        self.fill(rest, |id, cue, to| prompts.linear(id, band, cue, to));
        let length = rest.len() as f32;
        for (at, (sample, rest)) in samples.iter_mut().zip(rest).enumerate() {
            let gain = 1.0 - risen(at as f32 / length);
            *sample = sample.saturating_add((f32::from(*rest) * gain) as i16);
        }
    }

    /// Fills a payload or a run of samples; one item follows the other without a gap, and what the queue does not fill stays as it is.
    /// `fill` is one of those of [`Prompts`]. Returns the items that ended, bit n for the nth, each once.
    pub(crate) fn fill<T>(&mut self, to: &mut [T], fill: impl Fn(PromptId, Cue, &mut [T]) -> Option<Progress>) -> u8 {
        let mut ended = 0;
        let mut filled = 0;
        while filled < to.len() {
            let Some(&prompt) = self.queue.get(self.item) else {
                break;
            };
            let repeat = self.repeats();
            let progress = fill(prompt, self.cue(), &mut to[filled..]);
            // Prompts of a spec are checked when it comes; one that is not there has ended.
            let (more, offset, end) = progress.map_or((0, 0, true), |now| (now.filled, now.offset, now.ended));
            filled += more;
            self.offset = offset;
            if end {
                ended |= 1 << self.item;
                if !repeat {
                    self.item += 1;
                    self.offset = 0;
                } else if more == 0 {
                    break;
                }
                self.again = repeat;
            }
        }
        self.say(ended)
    }

    /// The next packet of Opus, and the items that ended with it. Each item begins with a packet.
    pub(crate) fn opus<'a>(&mut self, prompts: &'a Prompts) -> (Option<Frame<'a>>, u8) {
        let mut ended = 0;
        let mut made = None;
        while let Some(&prompt) = self.queue.get(self.item)
            && made.is_none()
        {
            let repeat = self.repeats();
            made = prompts.opus(prompt, self.cue());
            self.offset = made.map_or(0, |frame| frame.offset);
            if made.is_none_or(|frame| frame.ended) {
                ended |= 1 << self.item;
                self.offset = 0;
                if !repeat {
                    self.item += 1;
                } else if made.is_none() {
                    break;
                }
                self.again = repeat;
            }
        }
        (made, self.say(ended))
    }

    fn cue(&self) -> Cue {
        Cue {
            offset: self.offset,
            repeat: self.repeats(),
            again: self.again,
        }
    }

    fn repeats(&self) -> bool {
        self.repeat_last && self.item + 1 == self.queue.len()
    }

    fn say(&mut self, ended: u8) -> u8 {
        let new = ended & !self.said;
        self.said |= ended;
        new
    }
}
