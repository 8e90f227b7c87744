//! The configurations for other platforms and carriers.

use std::collections::BTreeSet;
use std::path::Path;

use super::good;

#[test]
fn every_example_is_a_configuration_and_says_whether_it_was_tried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names = BTreeSet::new();
    let readme = std::fs::read_to_string(folder.join("../../README.md")).expect("the README");
    for file in std::fs::read_dir(&folder).expect("the folder") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        let config = good(&text);
        assert!(
            !config.trunks.is_empty() && !config.ai_agents.is_empty() && !config.targets.is_empty(),
            "{name}: somebody is missing"
        );
        let state = text.lines().find(|line| line.starts_with("# State: "));
        let state = state.unwrap_or_else(|| panic!("{name} does not say whether it was tried"));
        assert!(state.contains("tried"), "{name}: {state}");
        for part in ["Read on 20", "https://", "How a call gets ", "Known to break"] {
            assert!(text.contains(part), "{name} has no {part:?}");
        }
        assert!(
            readme.contains(&format!("(server/examples/{name})")),
            "{name} is not in the README"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 150),
            "{name} has a line that is too long"
        );
        names.insert(name);
    }
    assert_eq!(names.len(), readme.matches("(server/examples/").count(), "{names:?}");
}
