//! What is not to be kept is cut out of what is told: numbers of cards, patterns of the house, members of the context by class.
//!
//! A card's number is found where its digits stand in one text, as digits (of any script that people are recognised in), with at most
//! three blanks, dashes, dots or commas between two of them. One that is spoken in words, or told over two turns, is not found.

use std::borrow::Cow;
use std::{fmt, mem};

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::context::{LABEL_MAX, TEXT_MAX, Turn};

/// Patterns that there can be.
pub const PATTERNS_MAX: usize = 32;

/// Bytes of a pattern.
pub const PATTERN_MAX: usize = 1_000;

/// Bytes of a pattern's name.
pub const NAME_MAX: usize = 32;

/// Paths of each class that there can be.
pub const PATHS_MAX: usize = 64;

/// Bytes of memory that one pattern's automaton may take.
const SIZE_MAX: usize = 1 << 20;

/// Digits of a card's number (ISO/IEC 7812-1 has at most 19; issuers have at least 13).
const CARD: std::ops::RangeInclusive<usize> = 13..=19;

/// Digits of a number that can be shown (PCI DSS 3.4.1 allows the last four).
const SHOWN: usize = 4;

/// Characters between two digits of a number.
const GAP: usize = 3;

/// What stands for a value that is never kept.
const SECRET: &str = "[secret]";

/// What is cut out. By its [`Default`]: cards.
#[derive(Clone)]
pub struct Redact {
    cards: bool,
    patterns: Vec<Pattern>,
    secret: Vec<Vec<String>>,
    masked: Vec<Vec<String>>,
}

#[derive(Clone)]
struct Pattern {
    /// `[name]`.
    stands: String,
    regex: Regex,
}

/// Why something cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRedact(String);

impl fmt::Display for NoRedact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRedact {}

impl Default for Redact {
    fn default() -> Redact {
        Redact {
            cards: true,
            patterns: Vec::new(),
            secret: Vec::new(),
            masked: Vec::new(),
        }
    }
}

impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.parts().collect();
        write!(
            f,
            "Redact(cards: {}, {patterns:?}, secret: {:?}, masked: {:?})",
            self.cards, self.secret, self.masked
        )
    }
}

/// By what they were made of.
impl PartialEq for Redact {
    fn eq(&self, other: &Redact) -> bool {
        (self.cards, &self.secret, &self.masked) == (other.cards, &other.secret, &other.masked)
            && self.parts().eq(other.parts())
    }
}

/// How a member of the context is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Masked,
    Secret,
}

impl Redact {
    /// Cards or none, and nothing else yet.
    pub fn cards(cards: bool) -> Redact {
        Redact {
            cards,
            ..Redact::default()
        }
    }

    /// Looks for a pattern as well, in the syntax of the crate `regex`; `[name]` stands for what it finds.
    ///
    /// # Errors
    /// Where it is none, finds nothing at all everywhere, or is too large.
    pub fn pattern(&mut self, name: &str, pattern: &str) -> Result<(), NoRedact> {
        let wrong = |why: &str| Err(NoRedact(why.to_owned()));
        if self.patterns.len() >= PATTERNS_MAX {
            return Err(NoRedact(format!("there can be {PATTERNS_MAX} patterns")));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(plain) {
            return Err(NoRedact(format!(
                "a name has 1 to {NAME_MAX} letters, digits, dashes and underscores"
            )));
        }
        if pattern.len() > PATTERN_MAX {
            return Err(NoRedact(format!("a pattern has at most {PATTERN_MAX} bytes")));
        }
        let regex = RegexBuilder::new(pattern).size_limit(SIZE_MAX).build();
        let regex = match regex {
            Ok(regex) => regex,
            Err(regex::Error::CompiledTooBig(_)) => return wrong("the pattern is too large"),
            // Its own words have several lines; the last one says what is wrong.
            Err(error) => {
                let text = error.to_string();
                return wrong(text.lines().last().unwrap_or_default().trim_start_matches("error: "));
            }
        };
        if regex.is_match("") {
            return wrong("it is found where nothing is");
        }
        self.patterns.push(Pattern {
            stands: format!("[{name}]"),
            regex,
        });
        Ok(())
    }

    /// What is at this path is never kept, only that it was told.
    ///
    /// # Errors
    /// Where it is no path.
    pub fn secret(&mut self, path: &str) -> Result<(), NoRedact> {
        add(&mut self.secret, path)
    }

    /// What is at this path is kept by its last four letters and digits.
    ///
    /// # Errors
    /// Where it is no path.
    pub fn masked(&mut self, path: &str) -> Result<(), NoRedact> {
        add(&mut self.masked, path)
    }

    /// A text as it is kept.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let hidden = match self.cards {
            true => card_digits(text),
            false => Vec::new(),
        };
        let found = self.found(text);
        if hidden.is_empty() && found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let (mut hidden, mut found) = (hidden.into_iter().peekable(), found.into_iter().peekable());
        let mut done = 0;
        for (at, c) in text.char_indices() {
            // A pattern's place is one, whatever else is in it.
            if let Some((start, end, stands)) = found.peek().copied()
                && at >= start
            {
                if at == start {
                    out.push_str(stands);
                    done = end;
                }
                if at + c.len_utf8() >= end {
                    found.next();
                }
            }
            let hide = hidden.next_if_eq(&at).is_some();
            match (at < done, hide) {
                (true, _) => {}
                (false, true) => out.push('*'),
                (false, false) => out.push(c),
            }
        }
        Cow::Owned(out)
    }

    /// A turn as it is kept. A text that has grown beyond its bound loses its end.
    pub fn turn(&self, turn: &mut Turn) {
        let one = |text: &mut String, most| {
            if let Cow::Owned(mut new) = self.text(text) {
                new.truncate(new.floor_char_boundary(most));
                *text = new;
            }
        };
        one(&mut turn.text, TEXT_MAX);
        let labels = [&mut turn.intent, &mut turn.topic];
        labels.into_iter().flatten().for_each(|label| one(label, LABEL_MAX));
        turn.flags.iter_mut().for_each(|flag| one(flag, LABEL_MAX));
        // What is cut out of a tag is none any more.
        turn.language
            .take_if(|language| matches!(self.text(language), Cow::Owned(_)));
        if let Some(sentiment) = &mut turn.sentiment {
            one(&mut sentiment.label, LABEL_MAX);
        }
    }

    /// A context, or a merge patch of one, as it is kept: members by their class, then the words in all of it.
    pub fn members(&self, members: &mut Value) {
        let paths = |paths, class| <[Vec<String>]>::iter(paths).map(move |path| (&path[..], class));
        let open: Vec<_> = paths(&self.secret, Class::Secret)
            .chain(paths(&self.masked, Class::Masked))
            .collect();
        if !open.is_empty() {
            by_class(members, &open);
        }
        self.words(members);
    }

    /// The words in all of a value: texts, names of members, and numbers, which become texts where a card's is cut out.
    pub fn words(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(new) = self.text(&text) {
                    *value = Value::String(new);
                }
            }
            Value::String(text) => {
                if let Cow::Owned(new) = self.text(text) {
                    *text = new;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.words(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.words(member));
                if members.keys().any(|name| matches!(self.text(name), Cow::Owned(_))) {
                    let named = |(name, value): (String, Value)| (self.text(&name).into_owned(), value);
                    *members = mem::take(members).into_iter().map(named).collect::<Map<_, _>>();
                }
            }
        }
    }

    fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.patterns
            .iter()
            .map(|pattern| (&*pattern.stands, pattern.regex.as_str()))
    }

    /// Where patterns are: from, to, and what stands there. Places that overlap are one.
    fn found(&self, text: &str) -> Vec<(usize, usize, &str)> {
        let mut found: Vec<(usize, usize, &str)> = Vec::new();
        for pattern in &self.patterns {
            let places = pattern.regex.find_iter(text).filter(|place| !place.is_empty());
            found.extend(places.map(|place| (place.start(), place.end(), &*pattern.stands)));
        }
        found.sort_by_key(|(start, ..)| *start);
        found.dedup_by(|next, last| {
            let overlap = next.0 < last.1;
            if overlap {
                last.1 = last.1.max(next.1);
            }
            overlap
        });
        found
    }
}

fn add(paths: &mut Vec<Vec<String>>, path: &str) -> Result<(), NoRedact> {
    if paths.len() >= PATHS_MAX {
        return Err(NoRedact(format!("there can be {PATHS_MAX} paths")));
    }
    let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    if parts.iter().any(|part| part.trim().is_empty()) {
        return Err(NoRedact(format!(
            "{path:?} is no path, as fields.account or fields.*.pin"
        )));
    }
    paths.push(parts);
    Ok(())
}

/// Members at the open paths. `*` is any member; a list is its elements. Names are compared without case: they are an AI's words.
fn by_class(value: &mut Value, open: &[(&[String], Class)]) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let inner: Vec<_> = open
                    .iter()
                    .filter_map(|(path, class)| {
                        let (first, rest) = path.split_first()?;
                        (first == "*" || first.eq_ignore_ascii_case(name)).then_some((rest, *class))
                    })
                    .collect();
                match inner
                    .iter()
                    .filter(|(rest, _)| rest.is_empty())
                    .map(|(_, class)| *class)
                    .max()
                {
                    Some(class @ Class::Secret) => leaves(member, class),
                    Some(class) => {
                        // What is secret in it is not masked alone.
                        by_class(member, &inner);
                        leaves(member, class);
                    }
                    None if inner.is_empty() => {}
                    None => by_class(member, &inner),
                }
            }
        }
        Value::Array(items) => {
            let past = open.iter().filter_map(|(path, class)| {
                let (first, rest) = path.split_first()?;
                (first == "*").then_some((rest, *class))
            });
            let inner: Vec<_> = open.iter().copied().chain(past).collect();
            for item in items {
                match inner
                    .iter()
                    .filter(|(rest, _)| rest.is_empty())
                    .map(|(_, class)| *class)
                    .max()
                {
                    Some(class) => leaves(item, class),
                    None => by_class(item, &inner),
                }
            }
        }
        _ => {}
    }
}

/// Every value in it that is no object or list; `null` takes a member away (RFC 7396), and an empty text says nothing.
fn leaves(value: &mut Value, class: Class) {
    let text = match value {
        Value::Null => return,
        Value::Array(items) => return items.iter_mut().for_each(|item| leaves(item, class)),
        Value::Object(members) => return members.values_mut().for_each(|member| leaves(member, class)),
        Value::String(text) if text.is_empty() || text == SECRET => return,
        Value::String(text) => mem::take(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    *value = Value::String(match class {
        Class::Secret => SECRET.to_owned(),
        Class::Masked => masked(&text),
    });
}

/// The last four letters and digits, where at least as many are hidden.
fn masked(text: &str) -> String {
    let signs = text.chars().filter(|c| c.is_alphanumeric()).count();
    let mut hide = if signs >= 2 * SHOWN { signs - SHOWN } else { signs };
    let one = |c: char| {
        let hidden = c.is_alphanumeric() && hide > 0;
        hide -= usize::from(hidden);
        if hidden { '*' } else { c }
    };
    text.chars().map(one).collect()
}

/// A digit of a number that is being read.
#[derive(Clone, Copy)]
struct Digit {
    /// Byte of the text.
    at: usize,
    value: u8,
    /// Nothing stands between it and the one before.
    joined: bool,
}

/// Where the digits of cards are that are not shown, in bytes, rising.
fn card_digits(text: &str) -> Vec<usize> {
    let mut hidden = Vec::new();
    if text.chars().filter_map(digit).take(*CARD.start()).count() < *CARD.start() {
        return hidden;
    }
    let mut run: Vec<Digit> = Vec::new();
    let (mut gap, mut plus, mut before) = (0, false, ' ');
    for (at, c) in text.char_indices() {
        if let Some(value) = digit(c) {
            if run.is_empty() {
                plus = before == '+';
            }
            let joined = gap == 0 && !run.is_empty();
            run.push(Digit { at, value, joined });
            gap = 0;
        } else if !run.is_empty() {
            gap += 1;
            if gap > GAP || !separates(c) {
                hide(&run, plus, &mut hidden);
                run.clear();
                gap = 0;
            }
        }
        before = c;
    }
    hide(&run, plus, &mut hidden);
    hidden
}

/// The digits of one run. Windows of whole groups that pass the check are cards, which may share digits by chance: of all that hang
/// together only the last four are shown, and those not where more follows that could make a card with them.
fn hide(run: &[Digit], plus: bool, hidden: &mut Vec<usize>) {
    // E.164: a telephone number has at most 15 digits, and this one says that it is one.
    if run.len() < *CARD.start() || plus && run.len() <= 15 {
        return;
    }
    let begins = |at: usize| !run[at].joined;
    let sums = Sums::new(run);
    let mut cards: Vec<(usize, usize)> = Vec::new();
    for start in (0..run.len()).filter(|at| begins(*at)) {
        let ends = CARD.map(|digits| start + digits).filter(|end| *end <= run.len());
        let mut ends = ends.filter(|end| *end == run.len() || begins(*end));
        // The longest one has all digits of the others.
        let Some(end) = ends.rfind(|end| sums.pass(start, *end)) else {
            continue;
        };
        match cards.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => cards.push((start, end)),
        }
    }
    for (place, (start, end)) in cards.iter().enumerate() {
        let next = cards.get(place + 1).map_or(run.len(), |next| next.0);
        let shown = if SHOWN + next - end < *CARD.start() { SHOWN } else { 0 };
        hidden.extend(run[*start..end - shown].iter().map(|digit| digit.at));
    }
}

/// For the check of ISO/IEC 7812-1 Annex B of any window at once: up to each digit, with those doubled that stand at even places, or at odd ones.
struct Sums(Vec<[u32; 2]>);

impl Sums {
    fn new(run: &[Digit]) -> Sums {
        let mut sums = Vec::with_capacity(run.len() + 1);
        let mut sum = [0, 0];
        sums.push(sum);
        for (at, digit) in run.iter().enumerate() {
            let value = u32::from(digit.value);
            let doubled = if value > 4 { 2 * value - 9 } else { 2 * value };
            sum[at % 2] += doubled;
            sum[1 - at % 2] += value;
            sums.push(sum);
        }
        Sums(sums)
    }

    /// The last digit counts once, the one before it twice, and so on.
    fn pass(&self, start: usize, end: usize) -> bool {
        let doubled = end % 2;
        (self.0[end][doubled] - self.0[start][doubled]).is_multiple_of(10)
    }
}

/// ASCII, Arabic-Indic, its Persian form, Devanagari, and the wide ones of East Asia.
fn digit(c: char) -> Option<u8> {
    let zero = match u32::from(c) {
        0x30..=0x39 => 0x30,
        0x660..=0x669 => 0x660,
        0x6f0..=0x6f9 => 0x6f0,
        0x966..=0x96f => 0x966,
        0xff10..=0xff19 => 0xff10,
        _ => return None,
    };
    u8::try_from(u32::from(c) - zero).ok()
}

fn separates(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '.' | ',' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ad}' | '\u{200b}'
        )
}

#[cfg(test)]
mod tests;
