//! When whom: one deadline for each leg and each session, in a heap that knows where everybody stands.
//!
//! Setting a deadline costs O(log n), asking for the next one O(1). Nothing is allocated after [`Timers::new`].

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Children of each place of the heap: as many as a line of the processor's cache has entries. The heap is half as deep as one of two.
const CHILDREN: usize = 4;

/// Deadlines, ns since the core's start, of a fixed number of owners.
#[derive(Debug)]
pub(crate) struct Timers {
    /// Those that there are, the earliest first: no place is earlier than the one above it.
    heap: Vec<Entry>,
    /// Where each owner stands in the heap; `ABSENT` without a deadline.
    place: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: u64,
    owner: u32,
}

const ABSENT: u32 = u32::MAX;

impl Timers {
    pub(crate) fn new(owners: usize) -> Timers {
        Timers {
            heap: Vec::with_capacity(owners),
            place: vec![ABSENT; owners],
        }
    }

    /// The earliest deadline and its owner.
    pub(crate) fn next(&self) -> Option<(u64, usize)> {
        let first = self.heap.first()?;
        Some((first.due, first.owner as usize))
    }

    /// How many owners have a deadline.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Sets or, with [`NEVER`], clears the owner's deadline.
    pub(crate) fn set(&mut self, owner: usize, due: u64) {
        let entry = Entry {
            due,
            owner: owner as u32,
        };
        match (self.place[owner], due) {
            (ABSENT, NEVER) => {}
            (ABSENT, _) => {
                self.heap.push(entry);
                self.put(self.heap.len() - 1, entry);
            }
            (place, NEVER) => {
                self.place[owner] = ABSENT;
                self.heap.swap_remove(place as usize);
                if let Some(&moved) = self.heap.get(place as usize) {
                    self.put(place as usize, moved);
                }
            }
            (place, _) => self.put(place as usize, entry),
        }
    }

    /// Puts an entry where it belongs, from a place that is free.
    fn put(&mut self, mut place: usize, entry: Entry) {
        while place > 0 && entry.due < self.heap[(place - 1) / CHILDREN].due {
            place = self.shift((place - 1) / CHILDREN, place);
        }
        loop {
            let first = CHILDREN * place + 1;
            let children = first..(first + CHILDREN).min(self.heap.len());
            match children.min_by_key(|&child| self.heap[child].due) {
                Some(least) if self.heap[least].due < entry.due => place = self.shift(least, place),
                _ => break,
            }
        }
        self.heap[place] = entry;
        self.place[entry.owner as usize] = place as u32;
    }

    /// Whoever stands at `from` stands at `to`, which was free; now `from` is.
    fn shift(&mut self, from: usize, to: usize) -> usize {
        self.heap[to] = self.heap[from];
        self.place[self.heap[to].owner as usize] = to as u32;
        from
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
