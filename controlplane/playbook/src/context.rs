//! The context of a call: what reaches the human with it.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::caller::{Caller, CallerId};

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The caller.
    Caller,
    /// The AI.
    Ai,
}

/// One turn of the conversation, as the AI reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// When, RFC 3339; the server fills it in where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Of the recognition, 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// What the caller wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// How the caller feels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<Sentiment>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// In which it was said, a tag of BCP 47: `de-CH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What the law or the house wants a human for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

impl Turn {
    /// Somebody says something, of which nothing more is known.
    pub fn new(role: Role, text: impl Into<String>) -> Turn {
        Turn {
            role,
            text: text.into(),
            at: None,
            confidence: None,
            intent: None,
            sentiment: None,
            topic: None,
            language: None,
            flags: Vec::new(),
        }
    }

    /// Whether it is within its bounds.
    ///
    /// # Errors
    /// What of it is not.
    pub fn check(&self) -> Result<(), ContextError> {
        let label = |text: Option<&str>, what| match text {
            Some(text) if text.len() > LABEL_MAX => Err(ContextError::TooLong(what)),
            _ => Ok(()),
        };
        if self.text.len() > TEXT_MAX {
            return Err(ContextError::TooLong("text"));
        }
        label(self.at.as_deref(), "at")?;
        label(self.intent.as_deref(), "intent")?;
        label(self.topic.as_deref(), "topic")?;
        self.flags.iter().try_for_each(|flag| label(Some(flag), "flag"))?;
        if self.language.as_deref().is_some_and(|language| !is_language(language)) {
            return Err(ContextError::OutOfRange("language"));
        }
        if self.flags.len() > FLAGS_MAX {
            return Err(ContextError::TooManyFlags);
        }
        label(
            self.sentiment.as_ref().map(|sentiment| sentiment.label.as_str()),
            "sentiment",
        )?;
        if self
            .confidence
            .is_some_and(|confidence| !(0.0..=1.0).contains(&confidence))
        {
            return Err(ContextError::OutOfRange("confidence"));
        }
        let score = self.sentiment.as_ref().and_then(|sentiment| sentiment.score);
        if score.is_some_and(|score| !(-1.0..=1.0).contains(&score)) {
            return Err(ContextError::OutOfRange("sentiment score"));
        }
        Ok(())
    }
}

/// How the caller feels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentiment {
    /// `positive`, `neutral`, `negative`, or the platform's own word.
    pub label: String,
    /// −1 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// What the playbook decided on a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnDecision {
    /// Go on.
    Continue,
    /// Hand off, because of this rule.
    Handoff {
        /// The rule's name: `explicit-request`.
        rule: String,
        /// Why, in words: `topic billing, turn 6`.
        because: String,
    },
}

/// The context package: three tiers and what is missing of what the playbook demands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Package {
    /// Version of this schema.
    pub schema: String,
    /// Two or three sentences: goal, what was tried, what is likely needed next.
    pub brief: String,
    /// Structured, for a CRM.
    pub fields: Value,
    /// In which the caller speaks, a tag of BCP 47: the context's `language`, else that of the latest turn that has one.
    pub language: Option<String>,
    /// The caller's number, and what speaks for it.
    pub caller_id: CallerId,
    /// Whether the caller was told that it speaks with a machine, and when; `null` where nobody said so.
    pub disclosure: Option<Disclosure>,
    /// All turns.
    pub transcript: Vec<Turn>,
    /// Which of the demanded elements are there.
    pub completeness: Completeness,
}

/// Whether the caller was told that it speaks with a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disclosure {
    /// It was.
    pub told: bool,
    /// When, RFC 3339.
    pub at: Option<String>,
}

/// Which of the demanded elements are there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completeness {
    /// All of them.
    pub complete: bool,
    /// There.
    pub present: Vec<String>,
    /// Not there.
    pub missing: Vec<String>,
}

/// The version of the package's schema.
pub const SCHEMA: &str = "baton.context/1";

/// Turns that a call can have.
pub const TURNS_MAX: usize = 2_000;

/// Bytes of one turn's text.
pub const TEXT_MAX: usize = 4_096;

/// Bytes of every other text of a turn: time, intent, sentiment label, topic, flag.
pub const LABEL_MAX: usize = 256;

/// Flags of one turn.
pub const FLAGS_MAX: usize = 16;

/// Bytes of the whole context but the turns, as compact JSON.
pub const FIELDS_MAX: usize = 65_536;

/// Levels of objects and lists in the context.
pub const DEPTH_MAX: usize = 32;

/// Why a turn or a patch is not taken. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextError {
    /// The call has [`TURNS_MAX`] turns, or would get more.
    TooManyTurns,
    /// A turn has more than [`FLAGS_MAX`] flags.
    TooManyFlags,
    /// A turn's text is longer than [`TEXT_MAX`], or another text of it than [`LABEL_MAX`]; says which.
    TooLong(&'static str),
    /// The context would be larger than [`FIELDS_MAX`].
    TooLarge,
    /// The context would be nested more than [`DEPTH_MAX`] deep.
    TooDeep,
    /// A number is out of its range; says which.
    OutOfRange(&'static str),
    /// The patch is not an object: it would replace the whole context (RFC 7396 §2).
    NotAnObject,
    /// A member that the contract names has another type than there.
    WrongType {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyTurns => write!(f, "a call can have {TURNS_MAX} turns"),
            Self::TooManyFlags => write!(f, "a turn can have {FLAGS_MAX} flags"),
            Self::TooLong("text") => write!(f, "a turn's text can have {TEXT_MAX} bytes"),
            Self::TooLong(what) => write!(f, "a turn's {what} can have {LABEL_MAX} bytes"),
            Self::TooLarge => write!(f, "the context can have {FIELDS_MAX} bytes"),
            Self::TooDeep => write!(f, "the context can be nested {DEPTH_MAX} deep"),
            Self::OutOfRange(what) => write!(f, "{what} is out of range"),
            Self::NotAnObject => f.write_str("the patch must be a JSON object"),
            Self::WrongType { member, expected } => write!(f, "{member} must be {expected}"),
        }
    }
}

impl std::error::Error for ContextError {}

/// What is known about one call: turns, and a JSON object that merge patches grow.
///
/// Members that the contract names: `summary`, `intent`, `goal`, `sentiment`, `fields`, `actions_tried`, `unresolved`,
/// `authentication`, `next_actions`, `disclosure`. Others are carried along as they come: an agent's own words are
/// worth more to the human than a refusal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    turns: Vec<Turn>,
    members: Map<String, Value>,
}

impl Context {
    /// Nothing known.
    pub fn new() -> Context {
        Context::default()
    }

    /// What was known when this [`Package`] was made, as JSON: to go on with it in another call. What a package says of the caller's line is
    /// not of the context.
    pub fn restored(package: &Value) -> Result<Context, ContextError> {
        let wrong = |member, expected| ContextError::WrongType { member, expected };
        let mut fields = package.get("fields").cloned().ok_or(wrong("fields", "an object"))?;
        if let Value::Object(members) = &mut fields {
            members.shift_remove("caller");
        }
        let turns = package
            .get("transcript")
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()));
        let turns = serde_json::from_value(turns).map_err(|_| wrong("transcript", "a list of turns"))?;
        let mut context = Context::new();
        context.merge(&fields)?;
        context.append(turns)?;
        Ok(context)
    }

    /// All turns, in the order in which they came.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// All but the turns.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// All but the turns.
    pub fn value(&self) -> Value {
        Value::Object(self.members.clone())
    }

    /// Whether the caller was told what is to be disclosed.
    pub fn disclosed(&self) -> bool {
        let told = |disclosure: &Value| disclosure.get("told").and_then(Value::as_bool);
        self.members.get("disclosure").and_then(told).unwrap_or_default()
    }

    /// Appends all turns, or none.
    pub fn append(&mut self, turns: Vec<Turn>) -> Result<(), ContextError> {
        if self.turns.len().saturating_add(turns.len()) > TURNS_MAX {
            return Err(ContextError::TooManyTurns);
        }
        turns.iter().try_for_each(Turn::check)?;
        self.turns.extend(turns);
        Ok(())
    }

    /// Merges a patch (RFC 7396): members replace, objects merge, `null` removes.
    pub fn merge(&mut self, patch: &Value) -> Result<(), ContextError> {
        let Value::Object(patch) = patch else {
            return Err(ContextError::NotAnObject);
        };
        if patch.values().any(|value| deeper(value, DEPTH_MAX - 1)) {
            return Err(ContextError::TooDeep);
        }
        let mut merged = self.members.clone();
        merge_members(&mut merged, patch);
        for (member, is, expected) in TYPES {
            if merged.get(*member).is_some_and(|value| !is(value)) {
                return Err(ContextError::WrongType { member, expected });
            }
        }
        let mut size = Size(0);
        if serde_json::to_writer(&mut size, &merged).is_err() {
            return Err(ContextError::TooLarge);
        }
        self.members = merged;
        Ok(())
    }

    /// What the human gets: the three tiers, and what is missing of what is `required`.
    ///
    /// A required element is a member's name or a path with dots (`fields.account`), `caller`, `caller_id`, `brief` or `transcript`.
    /// One that is `null` or empty is missing; `disclosure` is there where the caller was told, `caller_id` where the number is known,
    /// `caller_id.matches` and `caller_id.verified` where it is so.
    pub fn package(&self, caller: &Caller<'_>, required: &[String]) -> Package {
        let fields = self.fields(caller.uri);
        let brief = self.brief(&fields);
        let on_file = caller.on_file.and_then(|path| at_path(&self.members, path));
        let caller_id = CallerId::new(caller, on_file);
        let disclosure = self.disclosure();
        let (present, missing) = required
            .iter()
            .cloned()
            .partition(|element: &String| match element.as_str() {
                "transcript" | "turns" => !self.turns.is_empty(),
                "brief" => !brief.is_empty(),
                "caller_id" | "caller_id.number" => caller_id.number.is_some(),
                "caller_id.matches" => caller_id.matches == Some(true),
                "caller_id.verified" => caller_id.verified == Some(true),
                "disclosure" => disclosure.as_ref().is_some_and(|disclosure| disclosure.told),
                path => there(&fields, path),
            });
        let missing: Vec<String> = missing;
        let completeness = Completeness {
            complete: missing.is_empty(),
            present,
            missing,
        };
        Package {
            schema: SCHEMA.to_owned(),
            brief,
            language: fields.get("language").and_then(Value::as_str).map(str::to_owned),
            fields: Value::Object(fields),
            caller_id,
            disclosure,
            transcript: self.turns.clone(),
            completeness,
        }
    }

    fn disclosure(&self) -> Option<Disclosure> {
        let said = self.members.get("disclosure")?;
        Some(Disclosure {
            told: said.get("told")?.as_bool()?,
            at: said.get("at").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// The structured tier. Where the agent set no intent, language or sentiment, the latest turn that has one speaks.
    fn fields(&self, caller: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        if !caller.is_empty() {
            fields.insert("caller".to_owned(), Value::from(caller));
        }
        fields.extend(self.members.iter().map(|(name, value)| (name.clone(), value.clone())));
        if !fields.contains_key("intent")
            && let Some(intent) = self.turns.iter().rev().find_map(|turn| turn.intent.as_deref())
        {
            fields.insert("intent".to_owned(), Value::from(intent));
        }
        if !fields.contains_key("language")
            && let Some(language) = self.turns.iter().rev().find_map(|turn| turn.language.as_deref())
        {
            fields.insert("language".to_owned(), Value::from(language));
        }
        if !fields.contains_key("sentiment")
            && let Some(sentiment) = self.turns.iter().rev().find_map(|turn| turn.sentiment.as_ref())
        {
            fields.insert(
                "sentiment".to_owned(),
                json!({"label": sentiment.label, "score": sentiment.score}),
            );
        }
        fields
    }

    /// At most three sentences: the goal, what was tried, what is needed next. The agent's summary comes first where
    /// there is one; the rest is added while there is room.
    fn brief(&self, fields: &Map<String, Value>) -> String {
        let words = |name: &str| fields.get(name).map(text).filter(|text| !text.is_empty());
        let last = || {
            self.turns
                .iter()
                .rev()
                .find(|turn| turn.role == Role::Caller)
                .map(|turn| &turn.text)
        };
        let first = words("summary")
            .map(|summary| sentence(&summary))
            .or_else(|| {
                words("goal")
                    .or_else(|| words("intent"))
                    .map(|goal| format!("The caller wants: {}", sentence(&goal)))
            })
            .or_else(|| last().map(|said| format!("The caller last said: “{}”.", shorten(said))));
        let rest = [
            words("actions_tried").map(|tried| format!("Tried: {}", sentence(&tried))),
            words("next_actions")
                .or_else(|| words("unresolved"))
                .map(|next| format!("Needed next: {}", sentence(&next))),
        ];
        let mut brief = first.unwrap_or_default();
        for more in rest.into_iter().flatten() {
            if sentences(&brief) >= 3 {
                break;
            }
            if !brief.is_empty() {
                brief.push(' ');
            }
            brief.push_str(&more);
        }
        brief
    }
}

/// Types of the members that the contract names.
type Is = fn(&Value) -> bool;
const TYPES: &[(&str, Is, &str)] = &[
    ("summary", Value::is_string, "a string"),
    ("intent", Value::is_string, "a string"),
    ("goal", Value::is_string, "a string"),
    ("fields", Value::is_object, "an object"),
    ("actions_tried", Value::is_array, "a list"),
    ("authentication", Value::is_object, "an object"),
    ("next_actions", Value::is_array, "a list"),
    (
        "language",
        |value| value.as_str().is_some_and(is_language),
        "a tag of BCP 47",
    ),
    (
        "disclosure",
        is_disclosure,
        "an object: {\"told\": true or false, \"at\": a time of RFC 3339}",
    ),
];

/// Whether it has the form of a tag (RFC 5646 §2.1: subtags of 1 to 8 letters and digits, the first of 2 to 8 letters), whatever it means.
fn is_language(tag: &str) -> bool {
    let subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = tag.split('-').next().unwrap_or_default();
    tag.len() <= LABEL_MAX
        && first.len() >= 2
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && tag.split('-').all(subtag)
}

/// What it says of whether and when is readable; more may stand beside it.
fn is_disclosure(value: &Value) -> bool {
    let Value::Object(members) = value else {
        return false;
    };
    let when = members.get("at").is_none_or(|at| at.as_str().is_some_and(is_time));
    when && members.get("told").is_none_or(Value::is_boolean)
}

/// Whether it has the form of RFC 3339 §5.6: `2026-01-02T03:04:05Z`, with a fraction or an offset as it may be.
fn is_time(text: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        form => byte == form,
    };
    let rest = text.get(form.len()..).unwrap_or_default();
    let fraction = rest.strip_prefix('.').unwrap_or(rest);
    let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit() && fraction.len() != rest.len());
    let offset = |sign: &str| {
        let (hours, minutes) = sign.split_once(':').unwrap_or_default();
        [hours, minutes]
            .iter()
            .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    bytes.len() > form.len()
        && bytes.iter().zip(form).all(fits)
        && (zone.eq_ignore_ascii_case("z") || zone.strip_prefix(['+', '-']).is_some_and(offset))
}

/// RFC 7396 §2, MergePatch of an object into an object.
fn merge_members(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.shift_remove(name);
            }
            Value::Object(patch) => {
                // A target that is no object counts as an empty one; so nested nulls of the patch never get in.
                let slot = target.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(members) = slot {
                    merge_members(members, patch);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

/// Whether the value has more than `levels` levels of objects and lists.
fn deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| deeper(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| deeper(member, levels - 1)),
        _ => false,
    }
}

/// Counts what is written, and fails above [`FIELDS_MAX`].
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > FIELDS_MAX {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(bytes.len())
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is at a path with dots.
fn at_path<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|first| fields.get(first))?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Whether there is something at a path with dots.
fn there(fields: &Map<String, Value>, path: &str) -> bool {
    at_path(fields, path).is_some_and(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    })
}

/// A value in words: lists with commas, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Array(items) => items
            .iter()
            .map(text)
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', '…', '。']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Ends of sentences: a mark that something else than a letter or digit follows.
fn sentences(text: &str) -> usize {
    let next = text.chars().skip(1).map(Some).chain([None]);
    text.chars()
        .zip(next)
        .filter(|(c, next)| matches!(c, '.' | '!' | '?' | '。') && !next.is_some_and(char::is_alphanumeric))
        .count()
}

/// At most 200 characters of what was said.
fn shorten(said: &str) -> String {
    let said = said.trim();
    match said.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests;
