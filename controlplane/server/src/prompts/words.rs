//! What the callback line is made of: each word or sentence with the recording that comes with the program.

use super::built_in;
use crate::prompts::Prompt;

/// What may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Nobody is free; we will call you back … The day and the time follow.
    Offer,
    /// The caller wants another time: it will be …
    Instead,
    /// There is none: it stays …
    NoLater,
    /// At which number, and which keys there are.
    Choices,
    /// Thank you: goodbye.
    Agreed,
    /// You will get no call: goodbye.
    Declined,
    /// The day.
    Today,
    /// The day.
    Tomorrow,
    /// A day within a week: 0 is Monday.
    Weekday(u8),
    /// A day of a month, from 1 to 31.
    Date(u8),
    /// Before the first time.
    Between,
    /// Before the second time.
    And,
    /// An hour from 1 to 12, or minutes from 1 to 59.
    Number(u8),
    /// In place of minutes: none.
    Oclock,
    /// Before minutes below ten.
    Oh,
    /// From 0 to 5 o'clock.
    Night,
    /// Until noon.
    Morning,
    /// From noon to 18 o'clock.
    Afternoon,
    /// Until midnight.
    Evening,
}

/// Those that have keys of their own in `[callback.prompts]`, each with its recording.
pub(crate) const WORDS: [(Word, &str, &[u8]); 23] = [
    (Word::Offer, "offer", include_bytes!("../../prompts/callback_offer.wav")),
    (
        Word::Instead,
        "instead",
        include_bytes!("../../prompts/callback_instead.wav"),
    ),
    (
        Word::NoLater,
        "no_later",
        include_bytes!("../../prompts/callback_no_later.wav"),
    ),
    (
        Word::Choices,
        "choices",
        include_bytes!("../../prompts/callback_choices.wav"),
    ),
    (
        Word::Agreed,
        "agreed",
        include_bytes!("../../prompts/callback_agreed.wav"),
    ),
    (
        Word::Declined,
        "declined",
        include_bytes!("../../prompts/callback_declined.wav"),
    ),
    (Word::Today, "today", include_bytes!("../../prompts/callback_today.wav")),
    (
        Word::Tomorrow,
        "tomorrow",
        include_bytes!("../../prompts/callback_tomorrow.wav"),
    ),
    (
        Word::Weekday(0),
        "monday",
        include_bytes!("../../prompts/callback_monday.wav"),
    ),
    (
        Word::Weekday(1),
        "tuesday",
        include_bytes!("../../prompts/callback_tuesday.wav"),
    ),
    (
        Word::Weekday(2),
        "wednesday",
        include_bytes!("../../prompts/callback_wednesday.wav"),
    ),
    (
        Word::Weekday(3),
        "thursday",
        include_bytes!("../../prompts/callback_thursday.wav"),
    ),
    (
        Word::Weekday(4),
        "friday",
        include_bytes!("../../prompts/callback_friday.wav"),
    ),
    (
        Word::Weekday(5),
        "saturday",
        include_bytes!("../../prompts/callback_saturday.wav"),
    ),
    (
        Word::Weekday(6),
        "sunday",
        include_bytes!("../../prompts/callback_sunday.wav"),
    ),
    (
        Word::Between,
        "between",
        include_bytes!("../../prompts/callback_between.wav"),
    ),
    (Word::And, "and", include_bytes!("../../prompts/callback_and.wav")),
    (
        Word::Oclock,
        "oclock",
        include_bytes!("../../prompts/callback_oclock.wav"),
    ),
    (Word::Oh, "oh", include_bytes!("../../prompts/callback_oh.wav")),
    (Word::Night, "night", include_bytes!("../../prompts/callback_night.wav")),
    (
        Word::Morning,
        "morning",
        include_bytes!("../../prompts/callback_morning.wav"),
    ),
    (
        Word::Afternoon,
        "afternoon",
        include_bytes!("../../prompts/callback_afternoon.wav"),
    ),
    (
        Word::Evening,
        "evening",
        include_bytes!("../../prompts/callback_evening.wav"),
    ),
];

macro_rules! numbered {
    ($folder:literal: $($number:literal)*) => {
        &[$(include_bytes!(concat!("../../prompts/", $folder, "_", $number, ".wav"))),*]
    };
}

/// From 1 on.
#[rustfmt::skip]
const NUMBERS: &[&[u8]] = numbered!("number":
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30
    31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);

/// From 1 on.
#[rustfmt::skip]
const DATES: &[&[u8]] = numbered!("day":
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);

/// The ones that come with the program.
pub(crate) fn recordings() -> impl Iterator<Item = (Word, Prompt)> {
    let words = WORDS.iter().map(|(word, _, wav)| (*word, *wav));
    let numbers = (1..).zip(NUMBERS).map(|(number, wav)| (Word::Number(number), *wav));
    let dates = (1..).zip(DATES).map(|(day, wav)| (Word::Date(day), *wav));
    words
        .chain(numbers)
        .chain(dates)
        .map(|(word, wav)| (word, built_in(wav)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use media::codec::g711::{BELOW_50_DBM0, Law};

    use super::*;

    #[test]
    fn every_word_of_the_callback_line_is_there_once_can_be_played_and_is_no_dead_air() {
        let all: Vec<_> = recordings().collect();
        let words: HashSet<_> = all.iter().map(|(word, _)| *word).collect();
        assert_eq!((words.len(), all.len()), (23 + 59 + 31, 23 + 59 + 31));
        let sounds: HashSet<_> = all.iter().map(|(_, prompt)| prompt.samples.to_vec()).collect();
        assert_eq!(sounds.len(), all.len(), "each says something else");
        for (word, prompt) in all {
            assert!(prompt.samples.len() > 1_600, "{word:?}: {prompt:?}");
            let mut codes = vec![0; prompt.samples.len()];
            Law::Mu.encode(&prompt.samples, &mut codes);
            // Of 10 ms each.
            let quiet: Vec<bool> = codes
                .chunks_exact(80)
                .map(|codes| Law::Mu.mean_square(codes) <= BELOW_50_DBM0)
                .collect();
            let longest = quiet.split(|quiet| !quiet).map(<[bool]>::len).max().unwrap_or_default();
            assert!(longest <= 14, "{word:?} is silent for {longest}0 ms");
        }
    }
}
