//! Each key does something: `every_key_changes_the_configuration` shows that it reaches a field, and here is shown that a field of
//! the configuration is used by something that is neither the configuration nor a test.
//!
//! By the text: the compiler does not miss the use of a public field. What it cannot see is a field whose name another struct has,
//! too, and that alone is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// All sources below, but tests and what is excluded.
fn sources(folder: &Path, but: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name.contains("tests") || but.contains(&&*name) {
            continue;
        }
        match path.is_dir() {
            true => sources(&path, but, found),
            false => found.push(path),
        }
    }
}

/// Public fields of the structs of a text.
fn fields(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("    pub "));
    let named = lines.filter_map(|line| line.split_once(": "));
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    named
        .map(|(name, _)| name.trim_start_matches("(crate) ").to_owned())
        .filter(|name| is_name(name))
        .collect()
}

/// Whether the text reads a field of this name.
fn uses(text: &str, field: &str) -> bool {
    let wanted = format!(".{field}");
    // A longer name, and a method, are something else.
    text.match_indices(&wanted).any(|(at, _)| {
        let rest = &text[at + wanted.len()..];
        !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '(')
    })
}

fn unused(configuration: &[PathBuf], users: &[PathBuf]) -> Vec<String> {
    let wanted: BTreeSet<String> = configuration.iter().flat_map(|path| fields(&read(path))).collect();
    assert!(wanted.len() > 5, "{wanted:?}");
    let text: String = users.iter().map(|path| read(path)).collect();
    wanted.into_iter().filter(|field| !uses(&text, field)).collect()
}

#[test]
fn every_field_of_the_configuration_is_used() {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut configuration, mut users) = (vec![server.join("src/config.rs")], Vec::new());
    sources(
        &server.join("src/config"),
        &["reader", "values", "used", "deadlines"],
        &mut configuration,
    );
    sources(&server.join("src"), &["config", "demo"], &mut users);
    assert_eq!(unused(&configuration, &users), Vec::<String>::new());

    // What the server hands on.
    for (krate, config) in [("calls", "src/config.rs"), ("sip", "src/endpoint/config.rs")] {
        let folder = server.join("..").join(krate);
        let mut users = Vec::new();
        sources(&folder.join("src"), &["config"], &mut users);
        assert_eq!(unused(&[folder.join(config)], &users), Vec::<String>::new(), "{krate}");
    }
}

#[test]
fn a_use_that_is_missing_is_found() {
    let text = "pub struct A {\n    /// x\n    pub retry_max: Duration,\n    pub retry: Duration,\n    other: u8,\n}\n";
    assert_eq!(fields(text).into_iter().collect::<Vec<_>>(), ["retry", "retry_max"]);
    assert!(uses("pause(config.retry, 1)", "retry") && uses("(it.retry)", "retry"));
    assert!(!uses("config.retry_max, it.retry(1), retry", "retry"));
}
