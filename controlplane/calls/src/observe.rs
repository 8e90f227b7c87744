//! Which pairs of (state, input) came up: for tests that want to have seen them all.

use std::collections::BTreeSet;

use crate::call::{Call, Input};

/// A call's state and an input that came in it, by [`Call::state_name`] and [`Input::name`].
pub type Pair = (&'static str, &'static str);

/// What was seen; nothing unless it was started. Bounded: there are only so many pairs.
#[derive(Debug, Default)]
pub(crate) struct Observed(Option<BTreeSet<Pair>>);

impl Observed {
    pub(crate) fn start(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn see(&mut self, call: &Call, input: &Input) {
        if let Some(seen) = &mut self.0 {
            seen.insert((call.state_name(), input.name()));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Pair> {
        self.0
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
            .into_iter()
            .collect()
    }
}
