//! What any thread hands to one worker: a stack that is taken whole (R. K. Treiber, "Systems programming: coping with parallelism", 1986).
//! Who is interrupted while it hands something over holds up nobody, and nothing is allocated for it.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use arrayvec::ArrayVec;

use crate::moving::{MOVES_MAX, Move};

/// Moves, by the last one: each knows the one below it.
#[derive(Debug, Default)]
pub(super) struct Handed {
    top: AtomicPtr<Move>,
}

impl Handed {
    pub(super) fn push(&self, step: Box<Move>) {
        let step = Box::into_raw(step);
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: it came from a box, and nobody else has it before the exchange below.
            unsafe { &*step }.below.store(top, Ordering::Relaxed);
            // Whoever takes the stack sees what each of its moves was when it was put there.
            match self
                .top
                .compare_exchange_weak(top, step, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed).is_null()
    }

    /// All of them, the first one first.
    pub(super) fn take(&self) -> ArrayVec<Box<Move>, MOVES_MAX> {
        let mut all = ArrayVec::new();
        if self.is_empty() {
            return all;
        }
        let mut top = self.top.swap(ptr::null_mut(), Ordering::Acquire);
        while !top.is_null() {
            // SAFETY: `push` made it from a box, and who has taken the stack has each of its moves for itself. (A `below` that was read while another
            // move lay at the same address is that of the one that lies there now: what is compared is what is there.)
            let step = unsafe { Box::from_raw(top) };
            top = step.below.swap(ptr::null_mut(), Ordering::Relaxed);
            all.push(step);
        }
        all.reverse();
        all
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use media::command::SessionId;

    use super::*;

    fn step(session: u64) -> Box<Move> {
        Box::new(Move::new(SessionId(session), 0, 1))
    }

    fn sessions(steps: ArrayVec<Box<Move>, MOVES_MAX>) -> Vec<u64> {
        steps.iter().map(|step| step.session.0).collect()
    }

    #[test]
    fn they_come_in_their_order_and_once() {
        let handed = Handed::default();
        assert!(handed.is_empty() && handed.take().is_empty());
        (1..=3).for_each(|session| handed.push(step(session)));
        assert!(!handed.is_empty());
        assert_eq!(sessions(handed.take()), [1, 2, 3]);
        assert!(handed.is_empty());
        handed.push(step(4));
        assert_eq!(sessions(handed.take()), [4]);
        // What nobody takes goes with it.
        handed.push(step(5));
    }

    #[test]
    fn each_that_several_threads_hand_over_comes_once_and_those_of_one_in_order() {
        const EACH: u64 = 20_000;
        let handed = Handed::default();
        let under_way = AtomicUsize::new(0);
        let mut came = [Vec::new(), Vec::new()];
        thread::scope(|scope| {
            for thread in 0..2 {
                let (handed, under_way) = (&handed, &under_way);
                scope.spawn(move || {
                    for number in 0..EACH {
                        // As the engine bounds them.
                        while under_way.load(Ordering::Relaxed) >= MOVES_MAX / 2 {
                            thread::yield_now();
                        }
                        under_way.fetch_add(1, Ordering::Relaxed);
                        handed.push(step(2 * number + thread));
                    }
                });
            }
            while came.iter().map(Vec::len).sum::<usize>() < 2 * EACH as usize {
                let steps = sessions(handed.take());
                under_way.fetch_sub(steps.len(), Ordering::Relaxed);
                for session in steps {
                    came[(session % 2) as usize].push(session / 2);
                }
                thread::yield_now();
            }
        });
        for one in came {
            assert!(one.into_iter().eq(0..EACH));
        }
    }
}
