//! What is said on a line that promises a callback, and what a key leads to. Pure: time is passed in, and there is no socket, and no store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::PACKET;
use crate::prompts::words::Word;

/// Silence before the first word: the caller may hear nothing of the first packets, as the join waits for them.
const BEFORE: usize = 15 * PACKET;

/// … and after the last one, which is on its way when the line ends.
const AFTER: usize = 15 * PACKET;

/// Of a caller who has heard it all and presses no key; after the second time it has agreed.
pub(super) const THINKS: Duration = Duration::from_secs(5);

/// Every word, µ-law.
pub(super) type Voice = HashMap<Word, Arc<[u8]>>;

/// What the caller wants by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Another time, later.
    Later,
    /// No call.
    Nothing,
}

/// What became of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is called then, as [`when`](super::when::when) says it.
    Then(Vec<Word>),
    /// There is no later time.
    NoLater,
    /// It will not be called.
    NoCall,
    /// It cannot be changed now: the promise stands.
    Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A key counts.
    Offers {
        /// For the second time.
        again: bool,
        /// Since when all is said.
        since: Option<Duration>,
    },
    /// Its key is being seen to.
    Asks,
    /// The last words.
    Parts,
}

/// One call of it.
pub(super) struct Line {
    voice: Arc<Voice>,
    /// The time that is promised.
    when: Vec<Word>,
    /// How it is introduced.
    intro: Word,
    says: Vec<u8>,
    /// How much of it was said.
    said: usize,
    state: State,
}

impl Line {
    pub(super) fn new(voice: Arc<Voice>, when: Vec<Word>) -> Line {
        let mut line = Line {
            voice,
            when,
            intro: Word::Offer,
            says: Vec::new(),
            said: 0,
            state: State::Parts,
        };
        line.offer(false);
        line.says.splice(..0, [SILENCE; BEFORE]);
        line
    }

    /// The next 20 ms, µ-law. `true`: nothing follows. `now`: since the answer.
    pub(super) fn tick(&mut self, now: Duration, payload: &mut [u8; PACKET]) -> bool {
        let says = self.says.get(self.said..self.said + PACKET);
        match says {
            Some(says) => payload.copy_from_slice(says),
            // The caller's line goes on.
            None => payload.fill(SILENCE),
        }
        if says.is_some() {
            self.said += PACKET;
            return false;
        }
        match &mut self.state {
            State::Parts => return true,
            State::Asks => {}
            State::Offers { again, since } => {
                if now.saturating_sub(*since.get_or_insert(now)) >= THINKS {
                    match *again {
                        false => self.offer(true),
                        true => self.part(Word::Agreed),
                    }
                }
            }
        }
        false
    }

    /// A key, which interrupts what is being said; what is to be done, and then told by [`Line::answer`].
    pub(super) fn press(&mut self, key: char) -> Option<Asks> {
        if !matches!(self.state, State::Offers { .. }) {
            return None;
        }
        let asks = match key {
            '1' => {
                self.part(Word::Agreed);
                return None;
            }
            '2' => Asks::Later,
            '3' => Asks::Nothing,
            _ => return None,
        };
        self.state = State::Asks;
        self.say(&[]);
        Some(asks)
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Then(when) => {
                (self.when, self.intro) = (when, Word::Instead);
                self.offer(false);
            }
            Answer::NoLater => {
                self.intro = Word::NoLater;
                self.offer(false);
            }
            Answer::Stands => self.offer(false),
            Answer::NoCall => self.part(Word::Declined),
        }
    }

    fn offer(&mut self, again: bool) {
        let words = [&[self.intro][..], &self.when, &[Word::Choices]].concat();
        self.say(&words);
        self.state = State::Offers { again, since: None };
    }

    fn part(&mut self, word: Word) {
        self.say(&[word]);
        self.says.extend([SILENCE; AFTER]);
        self.state = State::Parts;
    }

    fn say(&mut self, words: &[Word]) {
        self.says = spoken(&self.voice, words);
        self.said = 0;
    }
}

/// µ-law of no sound.
const SILENCE: u8 = 0xff;

/// One after the other, in whole packets.
fn spoken(voice: &Voice, words: &[Word]) -> Vec<u8> {
    let known = words.iter().filter_map(|word| voice.get(word));
    let mut all: Vec<u8> = known.flat_map(|codes| codes.iter().copied()).collect();
    all.resize(all.len().next_multiple_of(PACKET), SILENCE);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE: [Word; 2] = [Word::Today, Word::Number(9)];
    const TEN: [Word; 2] = [Word::Tomorrow, Word::Number(10)];

    /// Each word is so many packets of its own code.
    fn voice() -> Arc<Voice> {
        let words = [
            (Word::Offer, 10),
            (Word::Instead, 5),
            (Word::NoLater, 6),
            (Word::Choices, 20),
            (Word::Agreed, 4),
            (Word::Declined, 7),
            (Word::Today, 1),
            (Word::Tomorrow, 2),
            (Word::Number(9), 1),
            (Word::Number(10), 1),
        ];
        let codes = (1..).zip(words);
        codes
            .map(|(code, (word, packets))| (word, vec![code; packets * PACKET].into()))
            .collect::<Voice>()
            .into()
    }

    struct Call {
        line: Line,
        ticks: u64,
        /// What was said to its end or not, pauses left out.
        said: Vec<Word>,
    }

    impl Call {
        fn new() -> Call {
            let (line, said) = (Line::new(voice(), NINE.to_vec()), Vec::new());
            Call { line, ticks: 0, said }
        }

        /// For so many packets, or until its end, which it says.
        fn goes_on(&mut self, packets: u64) -> bool {
            for _ in 0..packets {
                let mut payload = [0; PACKET];
                let over = self.line.tick(Duration::from_millis(20 * self.ticks), &mut payload);
                let is_of = |codes: &Arc<[u8]>| codes.starts_with(&payload);
                let word = voice().iter().find(|(_, codes)| is_of(codes)).map(|(word, _)| *word);
                if let Some(word) = word.filter(|word| self.said.last() != Some(word)) {
                    self.said.push(word);
                }
                self.ticks += 1;
                if over {
                    return true;
                }
            }
            false
        }

        /// What was said since it was asked last.
        fn hears(&mut self, packets: u64) -> Vec<Word> {
            self.said.clear();
            self.goes_on(packets);
            std::mem::take(&mut self.said)
        }
    }

    fn offered(intro: Word, when: [Word; 2]) -> Vec<Word> {
        vec![intro, when[0], when[1], Word::Choices]
    }

    #[test]
    fn who_says_nothing_is_told_twice_and_then_goodbye() {
        let mut call = Call::new();
        // Fifteen packets of silence, thirty-two of words, five seconds to think.
        assert_eq!(call.hears(15), []);
        assert_eq!(call.hears(32), offered(Word::Offer, NINE));
        assert_eq!(call.hears(251), []);
        assert_eq!(call.hears(32), offered(Word::Offer, NINE));
        assert_eq!(call.hears(251), []);
        assert!(call.goes_on(100));
        assert_eq!(call.said, [Word::Agreed]);
    }

    #[test]
    fn who_agrees_hears_goodbye_at_once_and_no_key_counts_after_it() {
        let mut call = Call::new();
        assert_eq!(call.hears(20), [Word::Offer]);
        assert_eq!(call.line.press('1'), None);
        assert_eq!(call.hears(2), [Word::Agreed]);
        assert_eq!((call.line.press('3'), call.line.press('2')), (None, None));
        assert!(!call.goes_on(2 + 15), "the last word is heard");
        assert!(call.goes_on(1));
    }

    #[test]
    fn another_time_interrupts_waits_for_it_and_is_offered_as_the_first_was() {
        let mut call = Call::new();
        assert_eq!(call.hears(30), offered(Word::Offer, NINE));
        assert_eq!(call.line.press('5'), None, "it is no choice, and interrupts nothing");
        assert_eq!(call.hears(1), [Word::Choices]);
        assert_eq!(call.line.press('2'), Some(Asks::Later));
        assert_eq!(call.hears(1_000), [], "the store takes its time");
        assert_eq!(call.line.press('3'), None, "one after the other");
        call.line.answer(Answer::Then(TEN.to_vec()));
        assert_eq!(call.hears(28), offered(Word::Instead, TEN));
        assert_eq!(call.hears(251), []);
        assert_eq!(
            call.hears(28),
            offered(Word::Instead, TEN),
            "once more, and it is the new one"
        );
        assert_eq!(call.line.press('2'), Some(Asks::Later));
        call.line.answer(Answer::NoLater);
        assert_eq!(call.hears(29), offered(Word::NoLater, TEN));
    }

    #[test]
    fn who_wants_no_call_is_told_so_only_where_it_is_so() {
        let mut call = Call::new();
        assert_eq!(call.hears(16), [Word::Offer]);
        assert_eq!(call.line.press('3'), Some(Asks::Nothing));
        assert_eq!(call.hears(10), []);
        call.line.answer(Answer::Stands);
        assert_eq!(call.hears(32), offered(Word::Offer, NINE));
        assert_eq!(call.line.press('3'), Some(Asks::Nothing));
        call.line.answer(Answer::NoCall);
        assert_eq!(call.hears(7), [Word::Declined]);
        assert!(!call.goes_on(15));
        assert!(call.goes_on(1));
    }
}
