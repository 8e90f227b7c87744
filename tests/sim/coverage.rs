//! Which pairs of a call's state and an input came up, against the table that the machines give.

use std::collections::BTreeMap;

use calls::node::Pair;
use calls::table::{cannot_come, reachable};

/// What is wrong with what came up in a run that is to visit every pair: each pair that the table calls reachable and that
/// never came, and each that came although the table says that it cannot.
pub fn faults(visited: &BTreeMap<Pair, u64>) -> Vec<String> {
    let never = reachable().into_iter().filter(|pair| !visited.contains_key(pair));
    let never = never.map(|(state, input)| format!("never visited: {state}, {input}"));
    never.chain(impossible(visited)).collect()
}

/// Pairs that came up although the table says that they cannot.
pub fn impossible(visited: &BTreeMap<Pair, u64>) -> impl Iterator<Item = String> {
    visited.keys().filter_map(|(state, input)| {
        let why = cannot_come(state, input)?;
        Some(format!("visited, though it cannot come ({why}): {state}, {input}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_never_came_is_named_and_one_that_cannot_come_too() {
        let mut visited: BTreeMap<Pair, u64> = reachable().into_iter().map(|pair| (pair, 1)).collect();
        assert_eq!(faults(&visited), Vec::<String>::new());
        visited.remove(&("talking", "caller gone"));
        assert_eq!(faults(&visited), ["never visited: talking, caller gone"]);
        visited.insert(("talking", "caller gone"), 1);
        visited.insert(("connecting", "peer gone"), 1);
        let faults = faults(&visited);
        assert!(
            faults.len() == 1 && faults[0].starts_with("visited, though it cannot come ("),
            "{faults:?}"
        );
    }
}
