//! What the endpoint keeps: found by its name, or by what it belongs to. There is no way to go over all of it, so that a message, an
//! error or a closed connection costs the same with a thousand calls as with one.

use std::collections::{BTreeMap, BTreeSet};

use crate::work::visited;

/// Values by their names.
#[derive(Debug)]
pub(super) struct Table<K, V>(BTreeMap<K, V>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table(BTreeMap::new())
    }
}

impl<K: Ord, V> Table<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }
}

/// Names of what belongs to something, in order.
#[derive(Debug)]
pub(super) struct Index<A, B> {
    sets: BTreeMap<A, BTreeSet<B>>,
    len: usize,
}

impl<A, B> Default for Index<A, B> {
    fn default() -> Index<A, B> {
        Index {
            sets: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<A: Ord, B: Ord + Copy> Index<A, B> {
    pub(super) fn insert(&mut self, owner: A, name: B) {
        self.len += usize::from(self.sets.entry(owner).or_default().insert(name));
    }

    pub(super) fn remove(&mut self, owner: &A, name: &B) {
        if let Some(set) = self.sets.get_mut(owner) {
            self.len -= usize::from(set.remove(name));
            if set.is_empty() {
                self.sets.remove(owner);
            }
        }
    }

    /// Moves a name from one owner to another, or to none.
    pub(super) fn change(&mut self, from: Option<A>, to: Option<A>, name: B) {
        if from != to {
            if let Some(from) = from {
                self.remove(&from, &name);
            }
            if let Some(to) = to {
                self.insert(to, name);
            }
        }
    }

    /// What belongs to `owner`. Each is counted as work.
    pub(super) fn of(&self, owner: &A) -> impl Iterator<Item = B> + use<'_, A, B> {
        self.sets
            .get(owner)
            .into_iter()
            .flatten()
            .copied()
            .inspect(|_| visited(1))
    }

    /// How much belongs to `owner`.
    pub(super) fn count(&self, owner: &A) -> usize {
        self.sets.get(owner).map_or(0, BTreeSet::len)
    }

    /// All names of all owners.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}
