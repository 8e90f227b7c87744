//! The tables of deadlines in `controlplane/README.md` name every key, timer and constant by which something waits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::check;

/// Above `server`.
fn controlplane() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every word between back quotes in the section.
fn named() -> BTreeSet<String> {
    let readme = read(&controlplane().join("README.md"));
    let (_, section) = readme.split_once("\n## Deadlines\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let rows = section
        .lines()
        .filter(|line| line.starts_with('|') || line.starts_with("In "));
    let words = rows.flat_map(|line| line.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

fn is_time(key: &str) -> bool {
    key.ends_with("_s") || key.ends_with("_ms")
}

#[test]
fn the_readme_names_every_key_that_is_a_time_and_only_those() {
    let (_, problems, known) = check("", Path::new(""));
    assert!(problems.is_empty(), "{problems:?}");
    // Keys of lists are asked for where there is an entry.
    let (_, _, of_entries) = check(
        "[router]\n[[targets]]\n[[webhooks]]\n[[playbook.rules]]\n",
        Path::new(""),
    );
    let times: BTreeSet<_> = known.into_iter().chain(of_entries).filter(|key| is_time(key)).collect();
    let named: BTreeSet<_> = named().into_iter().filter(|word| is_time(word)).collect();
    assert_eq!(named, times);
}

/// The sources of a crate without its tests, and those of the demo, which waits for nobody but its own parties.
fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name == "tests" || name == "demo" {
            continue;
        }
        if path.is_dir() {
            sources(&path, texts);
        } else {
            let text = read(&path);
            texts.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
        }
    }
}

#[test]
fn the_readme_names_every_constant_that_is_a_time_and_only_those() {
    let mut texts = Vec::new();
    for name in ["calls", "sip", "server"] {
        sources(&controlplane().join(name).join("src"), &mut texts);
    }
    let lines = texts.iter().flat_map(|text| text.lines());
    let constants: BTreeSet<_> = lines
        .filter_map(|line| line.split_once("const ")?.1.split_once(": Duration ="))
        .map(|(name, _)| name.to_owned())
        .collect();
    let is_constant = |word: &String| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let others = ["INVITE", "REFER"];
    let named: BTreeSet<_> = named()
        .into_iter()
        .filter(|word| is_constant(word) && !others.contains(&word.as_str()))
        .collect();
    assert_eq!(named, constants);
}

#[test]
fn the_readme_names_every_timer() {
    let named = named();
    for name in ["calls", "sip"] {
        let text = read(&controlplane().join(name).join("src/timer.rs"));
        let (_, timers) = text.split_once("enum Timer {\n").expect("the timers");
        let (timers, _) = timers.split_once("\n}").expect("their end");
        let timers = timers.lines().map(str::trim).filter(|line| !line.starts_with("///"));
        let timers: Vec<_> = timers.map(|line| line.trim_end_matches(',')).collect();
        assert!(timers.len() > 5, "{timers:?}");
        for timer in timers {
            assert!(named.contains(timer), "{name}: {timer} is in no table of deadlines");
        }
    }
}
