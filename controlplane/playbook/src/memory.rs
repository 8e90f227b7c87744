//! What a playbook remembers of a call: as much as its rules look back, however long the call is.

use serde_json::{Map, Value};

use crate::context::{Role, Sentiment, Turn};
use crate::rules::Fired;
use crate::words::Gist;

/// Turns that a rule can look back.
pub const WINDOW: usize = 16;

/// Of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// All of them.
    pub(crate) turns: u32,
    pub(crate) confidences: Window<f64>,
    /// Of the caller: label and score.
    pub(crate) moods: Window<(String, Option<f64>)>,
    /// The last of `moods` came just now.
    pub(crate) felt: bool,
    /// What the caller wants, and for how many of its turns.
    pub(crate) intent: Option<(String, u32)>,
    /// The last that was told.
    pub(crate) sentiment: Option<Sentiment>,
    /// The last that the context had.
    of_context: Option<Sentiment>,
    /// What the caller and the AI said.
    gists: [Window<Gist>; 2],
    /// How often what was just said was said, itself included.
    pub(crate) repeats: usize,
    /// Rules that have handed off, by their places.
    fired: Vec<u64>,
}

impl Memory {
    /// What was just told. What the context says speaks before what turns say.
    pub(crate) fn take(&mut self, turn: Option<(&Turn, &str)>, members: &Map<String, Value>) {
        (self.repeats, self.felt) = (0, false);
        let of_caller = turn.is_some_and(|(turn, _)| turn.role == Role::Caller);
        if let Some((turn, said)) = turn {
            self.turns = self.turns.saturating_add(1);
            if let Some(confidence) = turn.confidence {
                self.confidences.push(confidence);
            }
            if let Some(gist) = Gist::of(said) {
                let gists = &mut self.gists[turn.role as usize];
                gists.push(gist);
                self.repeats = gists.like_last();
            }
        }
        let turn = turn.map(|(turn, _)| turn);
        let news = self.news(members);
        self.of_context = mood(members);
        let of_turn = turn.and_then(|turn| turn.sentiment.clone());
        // That of the AI is not what the caller feels.
        let felt = of_turn.clone().filter(|_| of_caller).or(news);
        if let Some(Sentiment { label, score }) = felt.clone() {
            self.moods.push((label, score));
            self.felt = true;
        }
        self.sentiment = felt.or(of_turn).or(self.sentiment.take());
        let known = members.get("intent").and_then(Value::as_str);
        let intent = known.or(turn.and_then(|turn| turn.intent.as_deref()));
        match (intent, &mut self.intent) {
            (Some(new), Some((intent, turns))) if intent == new => *turns += u32::from(of_caller),
            (Some(new), known) => *known = Some((new.to_owned(), of_caller.into())),
            (None, Some((_, turns))) => *turns += u32::from(of_caller),
            (None, None) => {}
        }
    }

    /// The last that was told, the context as it is now included.
    pub(crate) fn sentiment_with(&self, members: &Map<String, Value>) -> Option<Sentiment> {
        self.news(members).or_else(|| self.sentiment.clone())
    }

    /// What the context says of how the caller feels, where it said something else before.
    fn news(&self, members: &Map<String, Value>) -> Option<Sentiment> {
        mood(members).filter(|mood| self.of_context.as_ref() != Some(mood))
    }

    /// The rule handed off.
    pub fn handed_off(&mut self, fired: &Fired) {
        if let Some(rule) = fired.at {
            if self.fired.len() <= rule / 64 {
                self.fired.resize(rule / 64 + 1, 0);
            }
            self.fired[rule / 64] |= 1 << (rule % 64);
        }
    }

    pub(crate) fn has_fired(&self, rule: usize) -> bool {
        self.fired
            .get(rule / 64)
            .is_some_and(|bits| bits >> (rule % 64) & 1 == 1)
    }
}

/// What the context says of how the caller feels.
fn mood(members: &Map<String, Value>) -> Option<Sentiment> {
    let told = members.get("sentiment")?;
    let label = told.get("label").unwrap_or(told).as_str()?.to_owned();
    let score = told.get("score").and_then(Value::as_f64);
    Some(Sentiment { label, score })
}

/// The last [`WINDOW`], the oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window<T>(Vec<T>);

impl<T> Default for Window<T> {
    fn default() -> Window<T> {
        Window(Vec::new())
    }
}

impl<T> Window<T> {
    fn push(&mut self, item: T) {
        if self.0.len() == WINDOW {
            self.0.remove(0);
        }
        self.0.push(item);
    }

    pub(crate) fn all(&self) -> &[T] {
        &self.0
    }

    /// The last so many, where there are so many.
    pub(crate) fn last(&self, count: usize) -> Option<&[T]> {
        self.0.get(self.0.len().checked_sub(count)?..)
    }
}

impl Window<Gist> {
    /// How many are like the last, itself included.
    fn like_last(&self) -> usize {
        let last = self.0.last();
        last.map_or(0, |last| self.0.iter().filter(|gist| gist.repeats(last)).count())
    }
}
