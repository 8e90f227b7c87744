use super::*;

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
