//! Prompts in a row: what is played, and how far it has got.

use arrayvec::ArrayVec;

use crate::command::{Codec, Play, PlayId, PromptId, QUEUE_MAX};
use crate::prompt::Prompts;

/// An act of playing, and how far it has got.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) id: PlayId,
    queue: ArrayVec<PromptId, QUEUE_MAX>,
    repeat_last: bool,
    item: usize,
    offset: usize,
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
            said: 0,
            leaving: false,
        }
    }

    /// Whether its queue is at its end.
    pub(crate) fn is_done(&self) -> bool {
        self.item >= self.queue.len()
    }

    /// Fills a payload; one item follows the other without a gap, and what the queue does not fill stays as it is.
    /// Returns the items that ended, bit n for the nth, each once.
    pub(crate) fn fill(&mut self, prompts: &Prompts, codec: Codec, payload: &mut [u8]) -> u8 {
        let mut ended = 0;
        let mut filled = 0;
        while filled < payload.len() {
            let Some(&prompt) = self.queue.get(self.item) else {
                break;
            };
            let repeat = self.repeat_last && self.item + 1 == self.queue.len();
            let progress = prompts.fill(prompt, codec, self.offset, repeat, &mut payload[filled..]);
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
            }
        }
        let new = ended & !self.said;
        self.said |= ended;
        new
    }
}
