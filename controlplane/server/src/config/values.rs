//! Kinds of values that several sections have.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ::sip::sdp::Encoding;

use super::reader::{self, At, Table};
use crate::prompts::{self, BuiltIn, Prompt};

pub(super) fn text(table: &Table<'_, '_>, key: &'static str, default: &str) -> String {
    match table.string(key) {
        Some(found) if found.value.is_empty() || found.value.contains(char::is_control) => {
            table.problem(found.line, key, "must be some text without control characters");
            default.to_owned()
        }
        Some(found) => found.value,
        None => default.to_owned(),
    }
}

pub(super) fn count(table: &Table<'_, '_>, key: &'static str, range: RangeInclusive<u64>, default: usize) -> usize {
    table.integer(key, range).map_or(default, |found| found.value as usize)
}

pub(super) fn seconds(table: &Table<'_, '_>, key: &'static str, range: RangeInclusive<u64>, default: u64) -> Duration {
    Duration::from_secs(table.integer(key, range).map_or(default, |found| found.value))
}

pub(super) fn milliseconds(
    table: &Table<'_, '_>,
    key: &'static str,
    range: RangeInclusive<u64>,
    default: u64,
) -> Duration {
    Duration::from_millis(table.integer(key, range).map_or(default, |found| found.value))
}

/// An address, or one of each family.
pub(super) fn addresses<T: Address>(table: &Table<'_, '_>, key: &'static str, wanted: &str) -> Vec<At<T>> {
    let mut addresses: Vec<At<T>> = Vec::new();
    for At { line, value } in table.one_or_more(key) {
        let Ok(value) = value.parse::<T>() else {
            table.problem(line, key, format!("must be {wanted}; {value:?} is none"));
            continue;
        };
        if addresses.iter().any(|other| other.value.is_v4() == value.is_v4()) {
            table.problem(
                line,
                key,
                "names two addresses of one family: one of each is what there can be",
            );
            continue;
        }
        addresses.push(At { line, value });
    }
    addresses
}

/// What has an address family.
pub(super) trait Address: FromStr {
    fn is_v4(&self) -> bool;
}

impl Address for SocketAddr {
    fn is_v4(&self) -> bool {
        self.is_ipv4()
    }
}

impl Address for IpAddr {
    fn is_v4(&self) -> bool {
        self.is_ipv4()
    }
}

/// What is spoken, by name.
const CODECS: [(&str, Encoding); 6] = [
    ("pcmu", Encoding::Pcmu),
    ("pcma", Encoding::Pcma),
    ("g722", Encoding::G722),
    ("opus", Encoding::Opus),
    ("l16", Encoding::L16),
    ("l16-16000", Encoding::L16Wide),
];

pub(super) fn codec_name(codec: Encoding) -> &'static str {
    let found = CODECS.iter().find(|(_, known)| *known == codec);
    found.map_or("", |(name, _)| name)
}

/// Codecs, each once; `None` where the key is not there.
pub(super) fn codecs(table: &Table<'_, '_>, key: &'static str) -> Option<Vec<At<Encoding>>> {
    let found = table.strings(key)?;
    if table.is_empty_list(key) {
        table.problem(found.line, key, "names no codec: leave it out for the default");
    }
    let mut codecs: Vec<At<Encoding>> = Vec::new();
    for At { line, value } in found.value {
        match CODECS.iter().find(|(name, _)| *name == value) {
            None => {
                let names: Vec<_> = CODECS.iter().map(|(name, _)| format!("{name:?}")).collect();
                let hint = reader::nearest(&value, CODECS.iter().map(|(name, _)| *name));
                let message = format!("must be of {}; {value:?} is none{hint}", names.join(", "));
                table.problem(line, key, message);
            }
            Some((name, codec)) if codecs.iter().any(|other| other.value == *codec) => {
                table.problem(line, key, format!("names {name:?} twice"));
            }
            Some((_, codec)) => codecs.push(At { line, value: *codec }),
        }
    }
    Some(codecs)
}

/// A WAV file, or one that is uploaded by the API; `built_in` stands in for that until it is.
pub(super) fn prompt(table: &Table<'_, '_>, key: &'static str, built_in: BuiltIn) -> Option<Prompt> {
    let found = table.file_or_uploaded(key)?;
    load(table, key, key, found, built_in)
}

/// A table of them by number; `None` where the key is not there. `built_in` stands in for nothing: a number that is not uploaded yet is
/// not there yet.
pub(super) fn numbered(
    table: &Table<'_, '_>,
    key: &'static str,
    range: RangeInclusive<u8>,
    built_in: BuiltIn,
) -> Option<BTreeMap<u8, Prompt>> {
    let mut prompts = BTreeMap::new();
    for (name, found) in table.files_or_uploaded(key)? {
        let number = name.parse::<u8>().ok().filter(|number| range.contains(number));
        let Some(number) = number.filter(|number| number.to_string() == name) else {
            let (from, to) = (range.start(), range.end());
            table.problem(found.line, key, format!("{name:?} is no number from {from} to {to}"));
            continue;
        };
        let Some(found) = found.value.map(|value| At {
            line: found.line,
            value,
        }) else {
            continue;
        };
        prompts.extend(load(table, key, &format!("{key}.{number}"), found, built_in).map(|prompt| (number, prompt)));
    }
    Some(prompts)
}

/// What `key` or an entry of it, `at`, names.
fn load(
    table: &Table<'_, '_>,
    key: &'static str,
    at: &str,
    found: At<Result<String, String>>,
    built_in: BuiltIn,
) -> Option<Prompt> {
    let path = match found.value {
        Ok(path) => path,
        Err(name) if prompts::is_name(&name) => {
            return Some(Prompt {
                uploaded: Some(name),
                ..built_in.prompt()
            });
        }
        Err(name) => {
            let message =
                format!("{name:?} is no name of an upload: 1 to 64 of a-z, 0-9, -, _ and ., the first no sign");
            table.problem(found.line, at, message);
            return None;
        }
    };
    match prompts::read(&table.reader.folder.join(&path)) {
        Ok(prompt) => {
            table.note(key, (at, prompt.band, &prompt.samples));
            Some(prompt)
        }
        Err(message) => {
            table.problem(found.line, at, message);
            None
        }
    }
}

/// A name that no other entry of the list has.
pub(super) fn unique(table: &Table<'_, '_>, key: &'static str, names: &mut BTreeMap<String, usize>) -> Option<String> {
    let name = table.required(key)?;
    if let Some(line) = names.insert(name.value.clone(), name.line) {
        table.problem(
            name.line,
            key,
            format!("{:?} is already the name in line {line}", name.value),
        );
    }
    Some(name.value)
}

pub(super) fn reference<'n>(
    table: &Table<'_, '_>,
    key: &'static str,
    name: &At<String>,
    list: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) {
    if !names.clone().any(|known| known == name.value) {
        let hint = reader::nearest(&name.value, names);
        table.problem(
            name.line,
            key,
            format!("no entry of [[{list}]] has the name {:?}{hint}", name.value),
        );
    }
}

pub(super) fn is_http_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
