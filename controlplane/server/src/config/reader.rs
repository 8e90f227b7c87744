//! Reads a TOML document key by key and collects every problem with its line, instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::secret::Secret;

/// Something wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 where it concerns the file as a whole.
    pub line: usize,
    /// The dotted key, `sip.listen`; empty where there is none.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// What all tables of one document share.
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) folder: &'t Path,
    problems: RefCell<Vec<Problem>>,
    /// Every key that was asked for, dotted and without indices: what the example file must name.
    known: RefCell<Vec<String>>,
    /// What each of them has, in its entries, as text: by it a reload sees what has changed.
    values: RefCell<Values>,
}

/// By the dotted key without indices.
pub(super) type Values = BTreeMap<String, Vec<String>>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, folder: &'t Path) -> Reader<'t> {
        Reader {
            text,
            folder,
            problems: RefCell::default(),
            known: RefCell::default(),
            values: RefCell::default(),
        }
    }

    /// What a file or the environment has for a key.
    pub(super) fn note(&self, key: String, value: impl Hash) {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let value = format!("{:016x}", hasher.finish());
        self.values.borrow_mut().entry(key).or_default().push(value);
    }

    /// What was read until now.
    pub(super) fn values(&self) -> Values {
        self.values.borrow().clone()
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        self.text.as_bytes()[..end]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1
    }

    pub(super) fn problem(&self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            line,
            key: key.into(),
            message: message.into(),
        });
    }

    /// The problems in the order of the file, and the keys that are known.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        (problems, self.known.into_inner())
    }
}

/// One table of the document; a missing one reads as an empty one.
pub(super) struct Table<'r, 't> {
    pub(super) reader: &'r Reader<'t>,
    path: String,
    /// Without indices.
    schema_path: String,
    pub(super) line: usize,
    entries: Option<&'r DeTable<'t>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r, 't> Table<'r, 't> {
    pub(super) fn root(reader: &'r Reader<'t>, entries: &'r DeTable<'t>) -> Table<'r, 't> {
        Table {
            reader,
            path: String::new(),
            schema_path: String::new(),
            line: 0,
            entries: Some(entries),
            asked: RefCell::default(),
        }
    }

    fn child(
        &self,
        key: &'static str,
        index: Option<usize>,
        line: usize,
        entries: Option<&'r DeTable<'t>>,
    ) -> Table<'r, 't> {
        let path = match index {
            Some(index) => format!("{}[{index}]", self.key(key)),
            None => self.key(key),
        };
        Table {
            reader: self.reader,
            path,
            schema_path: join(&self.schema_path, key),
            line,
            entries,
            asked: RefCell::default(),
        }
    }

    /// The dotted name of a key of this table.
    pub(super) fn key(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// A path as the file has it: relative ones start from its folder.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.reader.folder.join(path)
    }

    pub(super) fn problem(&self, line: usize, key: &str, message: impl Into<String>) {
        self.reader.problem(line, self.key(key), message);
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.iter().any(|(name, _)| name.get_ref() == key))
    }

    /// Whether the key is there and holds `[]`.
    pub(super) fn is_empty_list(&self, key: &'static str) -> bool {
        matches!(self.get(key), Some(At { value: DeValue::Array(items), .. }) if items.is_empty())
    }

    fn get(&self, key: &'static str) -> Option<At<&'r DeValue<'t>>> {
        self.asked.borrow_mut().push(key);
        let (name, value) = self.entries?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(At {
            line: self.reader.line(name.span().start),
            value: value.get_ref(),
        })
    }

    /// Like [`Table::get`], for a key that holds a value and not a table.
    fn value(&self, key: &'static str) -> Option<At<&'r DeValue<'t>>> {
        let mut known = self.reader.known.borrow_mut();
        let schema = join(&self.schema_path, key);
        if !known.contains(&schema) {
            known.push(schema.clone());
        }
        let found = self.get(key);
        if let Some(found) = &found {
            self.reader.note(schema, (self.key(key), plain(found.value)));
        }
        found
    }

    /// Something else that a key stands for: a secret, or what is in a file.
    pub(super) fn note(&self, key: &str, value: impl Hash) {
        self.reader.note(join(&self.schema_path, key), value);
    }

    fn wrong_type(&self, line: usize, key: &str, wanted: &str, found: &DeValue<'_>) {
        self.problem(line, key, format!("must be {wanted}, not {}", type_name(found)));
    }

    pub(super) fn string(&self, key: &'static str) -> Option<At<String>> {
        let found = self.value(key)?;
        match found.value {
            DeValue::String(text) => Some(At {
                line: found.line,
                value: text.to_string(),
            }),
            other => {
                self.wrong_type(found.line, key, "a string", other);
                None
            }
        }
    }

    /// A string that is not empty; its absence is a problem.
    pub(super) fn required(&self, key: &'static str) -> Option<At<String>> {
        let found = self.string(key);
        match &found {
            None if !self.has(key) => self.problem(self.line, key, "is missing: it has no default"),
            Some(text) if text.value.trim().is_empty() => {
                self.problem(text.line, key, "must not be empty");
                return None;
            }
            _ => {}
        }
        found
    }

    pub(super) fn parsed<T: FromStr>(&self, key: &'static str, wanted: &str) -> Option<At<T>> {
        let text = self.string(key)?;
        match text.value.parse() {
            Ok(value) => Some(At { line: text.line, value }),
            Err(_) => {
                self.problem(text.line, key, format!("must be {wanted}, not {:?}", text.value));
                None
            }
        }
    }

    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = choices.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            let hint = nearest(&text.value, choices.iter().map(|(name, _)| *name));
            let message = format!("must be {}, not {:?}{hint}", names.join(" or "), text.value);
            self.problem(text.line, key, message);
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<At<u64>> {
        let found = self.value(key)?;
        let value = match found.value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            other => {
                self.wrong_type(found.line, key, "an integer", other);
                return None;
            }
        };
        match value {
            Some(value) if range.contains(&value) => Some(At {
                line: found.line,
                value,
            }),
            _ => {
                let message = format!("must be from {} to {}", range.start(), range.end());
                self.problem(found.line, key, message);
                None
            }
        }
    }

    /// An integer, or a word in its place: `Some(None)`.
    pub(super) fn integer_or(&self, key: &'static str, word: &str, range: RangeInclusive<u64>) -> Option<Option<u64>> {
        let DeValue::String(text) = self.get(key)?.value else {
            return Some(Some(self.integer(key, range)?.value));
        };
        let line = self.value(key)?.line;
        if text != word {
            let (from, to) = (range.start(), range.end());
            self.problem(line, key, format!("must be {word:?}, or from {from} to {to}"));
            return None;
        }
        Some(None)
    }

    /// A number, with or without a fraction.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<f64>) -> Option<At<f64>> {
        let found = self.value(key)?;
        let value = match found.value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(|number| number as f64),
            DeValue::Float(number) => number.as_str().parse().ok(),
            other => {
                self.wrong_type(found.line, key, "a number", other);
                return None;
            }
        };
        match value {
            Some(value) if range.contains(&value) => Some(At {
                line: found.line,
                value,
            }),
            _ => {
                let message = format!("must be from {} to {}", range.start(), range.end());
                self.problem(found.line, key, message);
                None
            }
        }
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        let found = self.value(key)?;
        match found.value {
            DeValue::Boolean(value) => Some(*value),
            other => {
                self.wrong_type(found.line, key, "true or false", other);
                None
            }
        }
    }

    fn array(&self, key: &'static str, wanted: &str) -> Option<At<Vec<At<&'r DeValue<'t>>>>> {
        let found = self.value(key)?;
        match found.value {
            DeValue::Array(items) => Some(At {
                line: found.line,
                value: items
                    .iter()
                    .map(|item| At {
                        line: self.reader.line(item.span().start),
                        value: item.get_ref(),
                    })
                    .collect(),
            }),
            other => {
                self.wrong_type(found.line, key, wanted, other);
                None
            }
        }
    }

    pub(super) fn strings(&self, key: &'static str) -> Option<At<Vec<At<String>>>> {
        let found = self.array(key, "a list of strings")?;
        let mut strings = Vec::new();
        for item in found.value {
            match item.value {
                DeValue::String(text) => strings.push(At {
                    line: item.line,
                    value: text.to_string(),
                }),
                other => self.wrong_type(item.line, key, "a list of strings", other),
            }
        }
        Some(At {
            line: found.line,
            value: strings,
        })
    }

    /// One string, or a list of them.
    pub(super) fn one_or_more(&self, key: &'static str) -> Vec<At<String>> {
        match self.value(key) {
            None => Vec::new(),
            Some(At {
                line,
                value: DeValue::String(text),
            }) => vec![At {
                line,
                value: text.to_string(),
            }],
            Some(_) => self.strings(key).map(|found| found.value).unwrap_or_default(),
        }
    }

    pub(super) fn integers(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<At<Vec<u64>>> {
        let found = self.array(key, "a list of integers")?;
        let mut integers = Vec::new();
        for item in found.value {
            let number = match item.value {
                DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
                _ => None,
            };
            match number.filter(|number| range.contains(number)) {
                Some(number) => integers.push(number),
                None => {
                    let message = format!("must be a list of integers from {} to {}", range.start(), range.end());
                    self.problem(item.line, key, message);
                }
            }
        }
        Some(At {
            line: found.line,
            value: integers,
        })
    }

    /// A secret: a string, `{ env = "NAME" }` or `{ file = "PATH" }`.
    pub(super) fn secret(&self, key: &'static str) -> Option<At<Secret>> {
        let found = self.value(key)?;
        let value = self.read_secret(key, &found)?;
        Some(At {
            line: found.line,
            value,
        })
    }

    /// A path, or `{ uploaded = "NAME" }`.
    pub(super) fn file_or_uploaded(&self, key: &'static str) -> Option<At<Result<String, String>>> {
        let At { line, value } = self.value(key)?;
        let value = self.read_file_or_uploaded(line, key, value)?;
        Some(At { line, value })
    }

    /// A table of them, each with its key; `None` in place of what is neither.
    #[expect(clippy::type_complexity, reason = "names, each with one of these")]
    pub(super) fn files_or_uploaded(
        &self,
        key: &'static str,
    ) -> Option<Vec<(String, At<Option<Result<String, String>>>)>> {
        let found = self.value(key)?;
        let DeValue::Table(entries) = found.value else {
            let wanted = "a table, { 2 = \"two-minutes.wav\", … }";
            self.wrong_type(found.line, key, wanted, found.value);
            return None;
        };
        let entries = entries.iter().map(|(name, value)| {
            let line = self.reader.line(name.span().start);
            let at = join(key, name.get_ref());
            let value = self.read_file_or_uploaded(line, &at, value.get_ref());
            (name.get_ref().to_string(), At { line, value })
        });
        Some(entries.collect())
    }

    fn read_file_or_uploaded(&self, line: usize, key: &str, value: &DeValue<'_>) -> Option<Result<String, String>> {
        const WANTED: &str = "the path of a WAV file, or { uploaded = \"NAME\" }";
        Some(match value {
            DeValue::String(path) => Ok(path.to_string()),
            DeValue::Table(table) => {
                let mut entries = table.iter().map(|(name, value)| (name.get_ref(), value.get_ref()));
                match (entries.next(), entries.next()) {
                    (Some((word, DeValue::String(name))), None) if word == "uploaded" => Err(name.to_string()),
                    _ => {
                        self.problem(line, key, format!("must be {WANTED}"));
                        return None;
                    }
                }
            }
            other => {
                self.wrong_type(line, key, WANTED, other);
                return None;
            }
        })
    }

    /// A table of integers by names.
    pub(super) fn levels(&self, key: &'static str, range: RangeInclusive<u8>) -> Vec<(At<String>, u8)> {
        let Some(found) = self.value(key) else {
            return Vec::new();
        };
        let wanted = "a table of integers, { billing = 5, de = 1 }";
        let DeValue::Table(entries) = found.value else {
            self.wrong_type(found.line, key, wanted, found.value);
            return Vec::new();
        };
        let mut levels = Vec::new();
        for (name, value) in entries {
            let line = self.reader.line(name.span().start);
            let at = join(key, name.get_ref());
            let DeValue::Integer(number) = value.get_ref() else {
                self.wrong_type(line, &at, "an integer", value.get_ref());
                continue;
            };
            let number = u8::from_str_radix(number.as_str(), number.radix()).ok();
            match number.filter(|number| range.contains(number)) {
                Some(level) => levels.push((
                    At {
                        line,
                        value: name.get_ref().to_string(),
                    },
                    level,
                )),
                None => {
                    let message = format!("must be from {} to {}", range.start(), range.end());
                    self.problem(line, &at, message);
                }
            }
        }
        levels
    }

    /// A list of secrets, or one.
    pub(super) fn secrets(&self, key: &'static str) -> Option<At<Vec<At<Secret>>>> {
        let found = self.value(key)?;
        let items: Vec<_> = match found.value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| At {
                    line: self.reader.line(item.span().start),
                    value: item.get_ref(),
                })
                .collect(),
            _ => vec![found.clone()],
        };
        let value = items
            .iter()
            .filter_map(|item| {
                let value = self.read_secret(key, item)?;
                Some(At { line: item.line, value })
            })
            .collect();
        Some(At {
            line: found.line,
            value,
        })
    }

    fn read_secret(&self, key: &'static str, found: &At<&'r DeValue<'t>>) -> Option<Secret> {
        const WANTED: &str = "a string, { env = \"NAME\" } or { file = \"PATH\" }";
        let text = match found.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Table(table) => {
                let mut entries = table.iter();
                let (Some((name, DeValue::String(from))), None) = (
                    entries.next().map(|(name, value)| (name.get_ref(), value.get_ref())),
                    entries.next(),
                ) else {
                    self.problem(found.line, key, format!("must be {WANTED}"));
                    return None;
                };
                let read = match name.as_ref() {
                    "env" => std::env::var(from.as_ref())
                        .map_err(|_| format!("the environment has no variable {from:?}, or it is not UTF-8")),
                    "file" => {
                        let path = self.reader.folder.join(from.as_ref());
                        std::fs::read_to_string(&path)
                            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                            .map_err(|error| format!("{} cannot be read: {error}", path.display()))
                    }
                    _ => Err(format!("must be {WANTED}")),
                };
                match read {
                    Ok(text) => text,
                    Err(message) => {
                        self.problem(found.line, key, message);
                        return None;
                    }
                }
            }
            other => {
                self.wrong_type(found.line, key, WANTED, other);
                return None;
            }
        };
        if text.is_empty() {
            self.problem(found.line, key, "the secret is empty");
            return None;
        }
        self.note(key, &text);
        Some(Secret::new(text))
    }

    /// A table below this one; empty where it is missing.
    pub(super) fn table(&self, key: &'static str) -> Table<'r, 't> {
        let Some(found) = self.get(key) else {
            return self.child(key, None, self.line, None);
        };
        match found.value {
            DeValue::Table(entries) => self.child(key, None, found.line, Some(entries)),
            other => {
                let wanted = format!("a section: [{}]", self.key(key));
                self.wrong_type(found.line, key, &wanted, other);
                self.child(key, None, found.line, None)
            }
        }
    }

    /// All tables of a list below this one.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'r, 't>> {
        let Some(found) = self.get(key) else {
            return Vec::new();
        };
        let wanted = format!("a list of sections: [[{}]]", self.key(key));
        let DeValue::Array(items) = found.value else {
            self.wrong_type(found.line, key, &wanted, found.value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let line = self.reader.line(item.span().start);
            match item.get_ref() {
                DeValue::Table(entries) => tables.push(self.child(key, Some(index), line, Some(entries))),
                other => self.wrong_type(line, key, &wanted, other),
            }
        }
        tables
    }

    /// A section of the contract that this version does not have.
    pub(super) fn not_built(&self, key: &'static str) {
        if let Some(found) = self.get(key) {
            self.problem(found.line, key, "is not built yet: remove it");
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (name, _) in self.entries.into_iter().flat_map(|entries| entries.iter()) {
            let key: &str = name.get_ref();
            if !asked.contains(&key) {
                let hint = nearest(key, asked.iter().copied());
                let line = self.reader.line(name.span().start);
                self.problem(line, key, format!("there is no such key{hint}"));
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// `; did you mean "…"?`, or nothing where nothing is near.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let best = names
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min_by_key(|(edits, _)| *edits);
    match best {
        Some((edits, candidate)) if edits <= (name.chars().count() / 3).max(1) => {
            format!("; did you mean {candidate:?}?")
        }
        _ => String::new(),
    }
}

/// A value without its place in the text.
fn plain(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| plain(item.get_ref())).collect();
            format!("[{}]", items.join(","))
        }
        DeValue::Table(entries) => {
            let entries = entries.iter();
            let entries: Vec<_> = entries
                .map(|(name, value)| format!("{:?}={}", name.get_ref(), plain(value.get_ref())))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => format!("{}/{}", number.as_str(), number.radix()),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
