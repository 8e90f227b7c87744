use std::path::Path;

use super::*;
use crate::call::Call;

/// Where the text stands.
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const BEGIN: &str = "<!-- table: made by `BATON_WRITE=1 cargo test -p baton-calls the_readme_has_the_table` -->\n";
const END: &str = "<!-- end of the table -->";

#[test]
fn the_readme_has_the_table() {
    let readme = std::fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the table's place");
    let (written, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("BATON_WRITE").is_some() {
        std::fs::write(README, format!("{before}{BEGIN}{}{END}{after}", text())).unwrap();
        return;
    }
    assert_eq!(written, text(), "run it with BATON_WRITE=1");
}

/// Each pair acts, or says why it does not, or why it cannot come; and only one of these is true.
#[test]
fn every_pair_is_decided() {
    let mut samples_of: BTreeMap<&str, Vec<Call>> = BTreeMap::new();
    for (_, call) in samples() {
        samples_of.entry(call.state_name()).or_default().push(call);
    }
    assert_eq!(samples_of.len(), STATES.len(), "{:?}", samples_of.keys());
    let mut wrong = Vec::new();
    for state in STATES {
        let mut acts: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for call in &samples_of[state] {
            for (_, input) in inputs() {
                let follows = !call.clone().handle(input.clone()).is_empty();
                let (some, none) = acts.entry(input.name()).or_default();
                *some |= follows;
                *none |= !follows;
            }
        }
        for (input, (some, _)) in acts {
            let (comes, idle) = (
                cannot_come(state, input).is_none(),
                does_nothing(state, input).is_some(),
            );
            if comes && !some && !idle {
                wrong.push(format!("{state} | {input}: nothing follows, and no word why"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_names_are_those_of_the_machines() {
    let samples: BTreeSet<_> = samples().iter().map(|(_, call)| call.state_name()).collect();
    assert_eq!(samples, STATES.into_iter().collect());
    let timers = crate::timer::Timer::ALL.map(crate::timer::Timer::name);
    let names: BTreeSet<_> = inputs().iter().map(|(_, input)| input.name()).collect();
    assert!(timers.iter().all(|timer| names.contains(timer)));
    assert!(names.iter().all(|input| {
        STATES
            .iter()
            .all(|state| cannot_come(state, input) != Some("there is no such input"))
    }));
}

/// A table of the README that names tests is true: each of them is there.
#[test]
fn the_readme_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut files, mut tests) = (BTreeSet::new(), BTreeSet::new());
    for folder in ["controlplane", "dataplane", "tests", "tools"] {
        read_tests(&root.join(folder), &mut files, &mut tests);
    }
    let readme = std::fs::read_to_string(README).unwrap();
    let (mut in_table, mut named, mut missing) = (false, 0, Vec::new());
    for line in readme.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            in_table = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        in_table |= last == "test";
        // Every second piece stands between back quotes.
        for name in last.split('`').skip(1).step_by(2).filter(|_| in_table) {
            let part = name.rsplit(['/', ':']).next().unwrap_or_default();
            let is_crate = last.contains(&format!("`{name}`: `")) || last.contains(&format!("`{name}`: all"));
            let is_there = match name {
                _ if is_crate || name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => true,
                _ if part.ends_with(".rs") => files.contains(part),
                _ if name.contains("::") => files.contains(&format!("{part}.rs")),
                _ => tests.contains(name),
            };
            named += usize::from(!is_crate);
            if !is_there {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "no such test: {missing:#?}");
    assert!(named > 100, "{named}");
}

/// The names of the files in a folder, and of the tests in them.
fn read_tests(folder: &Path, files: &mut BTreeSet<String>, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" {
            read_tests(&path, files, tests);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // `#[test]` or `#[tokio::test(…)]`, then the function.
            for after in text.split("test").skip(1) {
                let after = after.trim_start_matches(|c| c != ']' && c != '\n');
                let function = after
                    .strip_prefix("]")
                    .and_then(|rest| rest.trim_start().split_once("fn "));
                if let Some((before, rest)) = function
                    && before.len() < 200
                {
                    let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                    tests.insert(rest[..end.unwrap_or(rest.len())].to_owned());
                }
            }
            // Tests that run once for each database are listed by name.
            for listed in text.split("on_both! {").skip(1) {
                let names = listed.split('}').next().unwrap_or_default().split_whitespace();
                tests.extend(names.map(str::to_owned));
            }
            files.insert(name);
        }
    }
}
