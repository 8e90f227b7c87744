//! Every section and key of the file, in the order in which people read them (`keys/sections.rs`): what `baton.example.toml` is made
//! from ([`example`]), and what a reload goes by ([`fixed`]). That it names what the readers ask for, and the defaults that they
//! take, is tested.

mod playbook;
mod sections;

use std::fmt::Write as _;

use sections::sections;

/// A section of the file.
struct Section {
    /// Dotted, as in the file.
    name: &'static str,
    kind: Kind,
    /// What stands above it; empty where there is nothing to say.
    about: &'static str,
    keys: &'static [Key],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[sip]`: always there.
    Table,
    /// `[http.tls]`: being there means something.
    Optional,
    /// `[[trunks]]`: any number of them.
    List,
}

/// A key of a section.
struct Key {
    name: &'static str,
    /// In TOML.
    value: &'static str,
    /// Whether that is what is so without the key; else it is an example.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare it with what the readers take"))]
    is_default: bool,
    /// Why a reload leaves it as it is; `None`: the next call, request or stop goes by it.
    fixed: Option<&'static str>,
    /// What stands above it; empty where it shares that of the key before.
    about: &'static str,
}

const fn key(name: &'static str, value: &'static str, about: &'static str) -> Key {
    Key {
        name,
        value,
        is_default: true,
        fixed: None,
        about,
    }
}

impl Key {
    /// There is no default, or none that a file could have.
    const fn example(self) -> Key {
        Key {
            is_default: false,
            ..self
        }
    }

    const fn fixed(self, why: &'static str) -> Key {
        Key {
            fixed: Some(why),
            ..self
        }
    }
}

/// Why a key stays as it is when the file is read anew; `None`: it changes.
pub(super) fn fixed(dotted: &str) -> Option<&'static str> {
    let (section, name) = dotted.rsplit_once('.').unwrap_or(("", dotted));
    let section = sections().find(|known| known.name == section);
    let key = section.and_then(|section| section.keys.iter().find(|key| key.name == name));
    key.map_or(Some("it is in no table of keys"), |key| key.fixed)
}

/// What begins the example.
const PREFACE: &str = "Every key of Baton with its default, or with an example where there is none. A key begins \
                       with a bare #, text with # and a blank: remove the # of what you change. An empty file is a \
                       working configuration on loopback (that answers no call yet: it has no trunk). Relative paths \
                       start from the folder of this file. A secret is a string, { env = \"NAME\" } or { file = \
                       \"PATH\" }. A reload (SIGHUP, or POST /v1/reload) changes the whole of a section, where \
                       nothing else is said of it; what it leaves as it is needs a restart or a take-over.";

/// The text of `baton.example.toml`.
pub fn example() -> String {
    let mut text = comment(PREFACE);
    for section in sections() {
        text.push('\n');
        text += &comment(section.about);
        text += &comment(&section.reload());
        text += &section.header();
        for key in section.keys {
            text += &comment(key.about);
            let _ = writeln!(text, "#{} = {}", key.name, key.value);
        }
    }
    text
}

impl Section {
    fn header(&self) -> String {
        let name = self.name;
        match self.kind {
            Kind::Table => format!("[{name}]\n"),
            Kind::Optional => format!("#[{name}]\n"),
            Kind::List => format!("#[[{name}]]\n"),
        }
    }

    /// What a reload changes of it; empty: all.
    fn reload(&self) -> String {
        let changed = self.keys.iter().filter(|key| key.fixed.is_none());
        let changed: Vec<_> = changed.map(|key| key.name).collect();
        match changed.len() {
            0 => "A reload changes none of it.".to_owned(),
            all if all == self.keys.len() => String::new(),
            _ => format!("A reload changes {}.", changed.join(", ")),
        }
    }
}

/// As lines of a comment; nothing of an empty text.
fn comment(text: &str) -> String {
    /// Columns.
    const WIDTH: usize = 120;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests;
