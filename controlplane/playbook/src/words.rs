//! What was said, as words: compared without case, without marks, and word for word.

use aho_corasick::AhoCorasick;

/// Appends words in lower case with a space on each side. An apostrophe belongs to its word, and the typographic one is the plain one; where
/// a script writes no spaces each of its characters is a word.
pub(crate) fn normal(text: &str, into: &mut String) {
    let mut word = false;
    // An apostrophe that is a quotation mark ends no word and begins none.
    let mut apostrophes = 0;
    into.push(' ');
    for c in text.chars() {
        if matches!(c, '\'' | '’') {
            apostrophes += usize::from(word);
        } else if c.is_alphanumeric() {
            if word && stands_alone(c) {
                into.push(' ');
            } else if word {
                into.extend(std::iter::repeat_n('\'', apostrophes));
            }
            apostrophes = 0;
            into.extend(c.to_lowercase());
            word = !stands_alone(c);
            if !word {
                into.push(' ');
            }
        } else if word {
            (word, apostrophes) = (false, 0);
            into.push(' ');
        }
    }
    if word {
        into.push(' ');
    }
}

/// Thai, Lao, Khmer, kana and ideographs.
fn stands_alone(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// Phrases in groups, all looked for at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phrases {
    /// In the order of the automaton's patterns.
    phrases: Vec<(usize, String)>,
    automaton: Option<AhoCorasick>,
}

impl Phrases {
    /// Phrases, each with its group. One without a word stands nowhere.
    pub(crate) fn new(phrases: impl IntoIterator<Item = (usize, String)>) -> Result<Phrases, aho_corasick::BuildError> {
        let mut patterns = Vec::new();
        let mut kept = Vec::new();
        for (group, phrase) in phrases {
            let mut pattern = String::new();
            normal(&phrase, &mut pattern);
            if pattern.len() > 1 {
                patterns.push(pattern);
                kept.push((group, phrase));
            }
        }
        let automaton = match patterns.is_empty() {
            true => None,
            false => Some(AhoCorasick::new(patterns)?),
        };
        Ok(Phrases {
            phrases: kept,
            automaton,
        })
    }

    /// The groups of which a phrase stands in what was said, each with that phrase, by [`normal`]'s words.
    pub(crate) fn heard<'a>(&'a self, normal: &str) -> impl Iterator<Item = (usize, &'a str)> {
        let found = self
            .automaton
            .iter()
            .flat_map(move |automaton| automaton.find_overlapping_iter(normal));
        found.filter_map(|found| {
            let (group, phrase) = self.phrases.get(found.pattern().as_usize())?;
            Some((*group, phrase.as_str()))
        })
    }
}

/// What was said, to be compared with what was said before: its words, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gist(Vec<u32>);

/// Fewer words than this are said again by everybody: "yes", "my order".
const GIST_MIN: usize = 3;

/// More words than this of a turn are not looked at.
const GIST_MAX: usize = 64;

impl Gist {
    /// Of [`normal`]'s words; `None` where they are too few.
    pub(crate) fn of(normal: &str) -> Option<Gist> {
        let mut words: Vec<u32> = normal
            .split(' ')
            .filter(|word| !word.is_empty())
            .take(GIST_MAX)
            .map(hash)
            .collect();
        words.sort_unstable();
        (words.len() >= GIST_MIN).then_some(Gist(words))
    }

    /// Whether at least four fifths of the words of both are the same (Dice 1945: twice what they share over what they have).
    pub(crate) fn repeats(&self, other: &Gist) -> bool {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut shared = 0;
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => _ = left.next(),
                std::cmp::Ordering::Greater => _ = right.next(),
                std::cmp::Ordering::Equal => {
                    shared += 1;
                    left.next();
                    right.next();
                }
            }
        }
        2 * shared * 5 >= (self.0.len() + other.0.len()) * 4
    }
}

/// FNV-1a, 32 bit: the same on every machine.
fn hash(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let mut normal = String::new();
        super::normal(text, &mut normal);
        normal
    }

    #[test]
    fn words_have_no_case_no_marks_and_a_space_around_them() {
        for (text, normal) in [
            ("Give me a HUMAN, now!", " give me a human now "),
            ("I don’t want 'a bot'.", " i don't want a bot "),
            ("dogs' 'n' ''cats''", " dogs n cats "),
            ("  ÜBER\teinen ", " über einen "),
            ("", " "),
            ("!? …", " "),
            ("人間と話したい", " 人 間 と 話 し た い "),
            ("ok 人間ok", " ok 人 間 ok "),
            ("사람과 통화", " 사람과 통화 "),
        ] {
            assert_eq!(words(text), normal, "{text}");
        }
    }

    #[test]
    fn phrases_are_found_as_whole_words_and_also_where_they_overlap() {
        let phrases = [
            (0, "a human"),
            (1, "human agent"),
            (1, "agent"),
            (2, ""),
            (2, "?!"),
            (3, "人間"),
        ];
        let phrases = Phrases::new(phrases.map(|(group, phrase)| (group, phrase.to_owned()))).expect("few");
        let heard = |text: &str| phrases.heard(&words(text)).collect::<Vec<_>>();
        assert_eq!(
            heard("A human agent!"),
            [(0, "a human"), (1, "human agent"), (1, "agent")]
        );
        assert_eq!(heard("an agent, a human"), [(1, "agent"), (0, "a human")]);
        assert_eq!(heard("agents of a humane kind"), []);
        assert_eq!(heard("あの人間です"), [(3, "人間")]);
        assert_eq!(Phrases::default().heard(" a human ").count(), 0);
    }

    #[test]
    fn who_says_the_same_again_may_change_a_word() {
        let gist = |text: &str| Gist::of(&words(text)).expect("words enough");
        let first = gist("my parcel has not arrived yet");
        assert!(first.repeats(&first));
        assert!(first.repeats(&gist("My parcel has NOT arrived.")));
        assert!(first.repeats(&gist("arrived has my parcel not")));
        assert!(!first.repeats(&gist("my parcel was the wrong one")));
        assert!(!first.repeats(&gist("the order number is four four one seven")));
        assert_eq!(Gist::of(&words("Yes, please.")), None);
    }
}
