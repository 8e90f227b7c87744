//! Which format each payload type number stands for in one dialog.

use super::encoding::Encoding;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An encoding.
    Audio(Encoding),
    /// telephone-event at this clock, Hz.
    Events(u32),
    /// Something that we do not speak.
    Other,
}

/// The numbers of one dialog: "the mapping from a particular dynamic payload type number to a particular codec within that media
/// stream MUST NOT change for the duration of a session" (RFC 3264 §8.3.2). A peer that changes it all the same is followed: its last
/// word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Each number at most once, the latest last: so never more than 128.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    number: u8,
    meaning: Meaning,
    /// It stood in a description of ours.
    ours: bool,
}

impl Numbers {
    /// A description of ours has it.
    pub(super) fn bind(&mut self, number: u8, meaning: Meaning) {
        self.entries.retain(|entry| entry.number != number);
        self.entries.push(Entry {
            number,
            meaning,
            ours: true,
        });
    }

    /// A peer's offer has it.
    pub(super) fn offered(&mut self, number: u8, meaning: Meaning) {
        if !self
            .entries
            .iter()
            .any(|entry| (entry.number, entry.meaning) == (number, meaning))
        {
            self.entries.retain(|entry| entry.number != number);
            self.entries.push(Entry {
                number,
                meaning,
                ours: false,
            });
        }
    }

    /// A peer's answer has it: what it receives under this number. It need not be what we do (RFC 3264 §5.1), whose word it is.
    pub(super) fn answered(&mut self, number: u8, meaning: Meaning) {
        if !self.entries.iter().any(|entry| entry.number == number) {
            self.offered(number, meaning);
        }
    }

    /// The number under which our last description that had this format has it; `None` where none had.
    pub(super) fn ours(&self, meaning: Meaning) -> Option<u8> {
        let mut entries = self.entries.iter().rev();
        let found = entries.find(|entry| entry.ours && entry.meaning == meaning);
        found.map(|entry| entry.number)
    }

    /// The number for this format in an offer of ours: the one that it has, or else this one, or else one that nothing has had. `None`
    /// where all are taken.
    pub(super) fn choose(&mut self, meaning: Meaning, wanted: u8) -> Option<u8> {
        let known = self.ours(meaning).or_else(|| {
            let mut entries = self.entries.iter().rev();
            entries.find(|entry| entry.meaning == meaning).map(|entry| entry.number)
        });
        let free = |number: &u8| !self.entries.iter().any(|entry| entry.number == *number);
        let number = known.or_else(|| std::iter::once(wanted).chain(96..=127).find(free))?;
        self.bind(number, meaning);
        Some(number)
    }
}
