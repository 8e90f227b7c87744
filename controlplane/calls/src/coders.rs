//! Whether the data plane has the coder states for who is called: nobody's phone rings for a codec that could not be carried.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use media::coders::Sizes;
use sip::sdp::Encoding;

use crate::leg::codec;

/// What is free of the data plane's pools, and what of it is promised to those who were called and have not answered.
#[derive(Debug, Default)]
pub(crate) struct Coders {
    /// `None`: nobody has said; then there is enough.
    free: Option<Sizes>,
    promised: Arc<Promised>,
}

#[derive(Debug, Default)]
struct Promised([AtomicUsize; 3]);

/// What is kept for a leg until it answers, or is gone.
#[derive(Debug)]
pub(crate) struct Promise {
    of: Arc<Promised>,
    needs: Sizes,
}

impl Coders {
    /// What is free now.
    pub(crate) fn set_free(&mut self, free: Sizes) {
        self.free = Some(free);
    }

    /// Leaves of what may be spoken with a leg what can be carried where the caller speaks `caller` (`None`: it is the caller), and keeps what
    /// the costliest of it needs.
    pub(crate) fn promise(&self, caller: Option<Encoding>, offered: &mut Vec<Encoding>) -> Promise {
        let needs = needs(caller);
        if let Some(free) = self.free {
            let left = free.map(self.promised.sum(), usize::saturating_sub);
            offered.retain(|&encoding| left.covers(needs(encoding)));
        }
        self.keep(caller, offered)
    }

    /// The same of what is spoken already, whether there is enough or not.
    pub(crate) fn keep(&self, caller: Option<Encoding>, spoken: &[Encoding]) -> Promise {
        let needs = needs(caller);
        let each = spoken.iter().map(|&encoding| needs(encoding));
        let most = each.fold(Sizes::default(), |most, needs| most.map(needs, usize::max));
        Promise::new(&self.promised, most)
    }
}

fn needs(caller: Option<Encoding>) -> impl Fn(Encoding) -> Sizes {
    move |encoding| match caller {
        Some(caller) => Sizes::for_another(codec(caller), codec(encoding)),
        None => Sizes::for_one(codec(encoding)),
    }
}

impl Promised {
    fn sum(&self) -> Sizes {
        let [wide, opus_narrow, opus_wide] = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        Sizes {
            wide,
            opus_narrow,
            opus_wide,
            // Who is called is mixed with nobody yet, and nobody's word is waited for.
            ..Sizes::default()
        }
    }

    fn each(&self, needs: Sizes, change: impl Fn(&AtomicUsize, usize)) {
        for (count, by) in self.0.iter().zip([needs.wide, needs.opus_narrow, needs.opus_wide]) {
            change(count, by);
        }
    }
}

impl Promise {
    fn new(of: &Arc<Promised>, needs: Sizes) -> Promise {
        of.each(needs, |count, by| _ = count.fetch_add(by, Ordering::Relaxed));
        Promise {
            of: Arc::clone(of),
            needs,
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.of
            .each(self.needs, |count, by| _ = count.fetch_sub(by, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use Encoding::*;

    use super::*;

    fn offered(coders: &Coders, caller: Encoding) -> (Vec<Encoding>, Promise) {
        let mut offered = vec![Pcmu, Pcma, G722, Opus];
        let promise = coders.promise(Some(caller), &mut offered);
        (offered, promise)
    }

    #[test]
    fn what_is_promised_is_not_offered_to_the_next_until_it_comes_back() {
        let mut coders = Coders::default();
        assert_eq!(offered(&coders, Pcmu).0, [Pcmu, Pcma, G722, Opus], "nobody has said");
        coders.set_free(Sizes {
            wide: 3,
            opus_narrow: 1,
            ..Sizes::default()
        });
        let (first, promise) = offered(&coders, Pcma);
        assert_eq!(first, [Pcmu, Pcma, G722, Opus]);
        // G.722 needs two, of which one is left; Opus one, of which none is.
        assert_eq!(offered(&coders, Pcmu).0, [Pcmu, Pcma]);
        drop(promise);
        assert_eq!(offered(&coders, Pcmu).0, [Pcmu, Pcma, G722, Opus]);
        // Between G.722 and Opus none can be carried; the line of G.722 has its own already.
        assert_eq!(offered(&coders, G722).0, [Pcmu, Pcma, G722]);
        let mut caller = vec![G722, Opus];
        drop(coders.promise(None, &mut caller));
        assert_eq!(caller, [G722, Opus]);
        assert_eq!(offered(&coders, Opus).0, [Pcmu, Pcma, Opus]);
        coders.set_free(Sizes::default());
        assert_eq!(offered(&coders, Opus).0, [Opus]);
        assert_eq!(offered(&coders, Pcmu).0, [Pcmu, Pcma]);
        // A line of G.722 needs one of its own, also of who calls.
        assert_eq!(offered(&coders, G722).0, []);
        drop(coders.promise(None, &mut caller));
        assert_eq!(caller, [Opus]);
    }
}
