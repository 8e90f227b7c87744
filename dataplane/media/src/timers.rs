//! When whom: one deadline for each leg and each session, in a heap that knows where everybody stands.
//!
//! Setting a deadline costs O(log n), asking for the next one O(1). Nothing is allocated after [`Timers::new`].

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Deadlines, ns since the core's start, of a fixed number of owners.
#[derive(Debug)]
pub(crate) struct Timers {
    due: Vec<u64>,
    /// Owners with a deadline, a binary heap by `due`.
    heap: Vec<u32>,
    /// Where each owner stands in the heap; `ABSENT` without a deadline.
    place: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

impl Timers {
    pub(crate) fn new(owners: usize) -> Timers {
        Timers {
            due: vec![NEVER; owners],
            heap: Vec::with_capacity(owners),
            place: vec![ABSENT; owners],
        }
    }

    /// The earliest deadline and its owner.
    pub(crate) fn next(&self) -> Option<(u64, usize)> {
        let &owner = self.heap.first()?;
        Some((self.due[owner as usize], owner as usize))
    }

    /// How many owners have a deadline.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Sets or, with [`NEVER`], clears the owner's deadline.
    pub(crate) fn set(&mut self, owner: usize, due: u64) {
        let before = std::mem::replace(&mut self.due[owner], due);
        let place = self.place[owner];
        match (place, due) {
            (ABSENT, NEVER) => {}
            (ABSENT, _) => {
                self.heap.push(owner as u32);
                self.place[owner] = self.heap.len() as u32 - 1;
                self.rise(self.heap.len() - 1);
            }
            (_, NEVER) => {
                let place = place as usize;
                self.place[owner] = ABSENT;
                self.heap.swap_remove(place);
                if let Some(&moved) = self.heap.get(place) {
                    self.place[moved as usize] = place as u32;
                    self.rise(place);
                    self.sink(self.place[moved as usize] as usize);
                }
            }
            (_, _) if due < before => self.rise(place as usize),
            (_, _) => self.sink(place as usize),
        }
    }

    fn key(&self, place: usize) -> u64 {
        self.due[self.heap[place] as usize]
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place[self.heap[a] as usize] = a as u32;
        self.place[self.heap[b] as usize] = b as u32;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.key(place) < self.key((place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.key(child) < self.key(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn the_earliest_comes_first_whatever_was_set_moved_or_cleared() {
        let mut seed = Seed::new(7);
        let mut timers = Timers::new(50);
        let mut model = [NEVER; 50];
        for _ in 0..5_000 {
            let owner = (seed.next() % 50) as usize;
            let due = if seed.next().is_multiple_of(4) {
                NEVER
            } else {
                seed.next() % 1_000
            };
            timers.set(owner, due);
            model[owner] = due;
            let earliest = model.iter().copied().min().filter(|&due| due != NEVER);
            assert_eq!(timers.next().map(|(due, _)| due), earliest);
            if let Some((due, owner)) = timers.next() {
                assert_eq!(model[owner], due);
            }
            assert_eq!(timers.len(), model.iter().filter(|&&due| due != NEVER).count());
        }
    }
}
