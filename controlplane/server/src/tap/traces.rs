//! The messages of each call, for some minutes after its end. Bounded for each call and in all; credentials were cut out before.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use calls::notice::{CallId, Party};

use super::{Direction, Transport};

/// Messages of one call that are kept from its beginning on; of the others the newest.
const FIRST: usize = 100;
const NEWEST: usize = 200;

/// Bytes of messages of one call.
const BYTES: usize = 256 << 10;

/// Legs of one call that are known: a call that hands on again and again has more, and nobody looks at that.
const LEGS: usize = 64;

/// Calls that are looked at in one sweep.
const SWEPT: usize = 64;

/// A call of which nothing was heard for so long is asked about, seconds.
const QUIET_S: u64 = 30;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) direction: Direction,
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    pub(crate) party: Party,
    /// `INVITE`, `180 INVITE`.
    pub(crate) title: String,
    pub(crate) sip_call_id: String,
    /// Without credentials.
    pub(crate) text: Box<str>,
}

impl Entry {
    fn size(&self) -> usize {
        size_of::<Entry>() + self.title.len() + self.sip_call_id.len() + self.text.len()
    }
}

/// The messages of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    first: Vec<Entry>,
    newest: VecDeque<Entry>,
    /// Between these and those.
    pub(crate) omitted: u64,
    bytes: usize,
}

impl Trace {
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(&self.newest)
    }

    /// How many bytes more it has by that.
    fn push(&mut self, entry: Entry) -> isize {
        let before = self.bytes;
        self.bytes += entry.size();
        match self.first.len() < FIRST && self.newest.is_empty() && self.bytes <= BYTES / 2 {
            true => self.first.push(entry),
            false => self.newest.push_back(entry),
        }
        while self.newest.len() > NEWEST || (self.bytes > BYTES && self.newest.len() > 1) {
            if let Some(oldest) = self.newest.pop_front() {
                self.bytes -= oldest.size();
                self.omitted += 1;
            }
        }
        self.bytes.cast_signed() - before.cast_signed()
    }
}

/// Of all calls.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Bytes of messages at the most; 0: none are kept, but whose leg is whose is known.
    most: usize,
    keep: Duration,
    bytes: usize,
    calls: BTreeMap<CallId, Kept>,
    /// By the Call-ID of a leg.
    legs: HashMap<String, (CallId, Party)>,
    /// Those that are over, and then those that were not heard of for longest.
    order: BTreeSet<(bool, Instant, CallId)>,
}

#[derive(Debug)]
struct Kept {
    trace: Trace,
    legs: Vec<String>,
    alive: bool,
    /// When it was heard of last, or ended.
    at: Instant,
}

impl Traces {
    /// `most`: bytes in all.
    pub(crate) fn new(most: usize, keep: Duration) -> Traces {
        Traces {
            most,
            keep,
            ..Traces::default()
        }
    }

    /// Bytes of all.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether messages are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.most > 0
    }

    /// Whose leg has this Call-ID.
    pub(crate) fn leg(&self, sip_call_id: &str) -> Option<(CallId, Party)> {
        self.legs.get(sip_call_id).copied()
    }

    /// From now on this Call-ID is a leg of the call.
    pub(crate) fn bind(&mut self, now: Instant, sip_call_id: &str, call: CallId, party: Party) {
        self.touch(now, call);
        let Some(kept) = self.calls.get_mut(&call) else { return };
        if kept.legs.len() < LEGS && self.legs.insert(sip_call_id.to_owned(), (call, party)).is_none() {
            kept.legs.push(sip_call_id.to_owned());
        }
    }

    /// A message of a call.
    pub(crate) fn add(&mut self, now: Instant, call: CallId, entry: Entry) {
        if !self.keeps() {
            return;
        }
        self.touch(now, call);
        if let Some(kept) = self.calls.get_mut(&call) {
            self.bytes = self.bytes.saturating_add_signed(kept.trace.push(entry));
        }
        while self.bytes > self.most {
            let Some((_, _, oldest)) = self.order.first().copied() else {
                return;
            };
            self.forget(oldest);
        }
    }

    /// The call is over: what is kept of it is kept for some time more.
    pub(crate) fn end(&mut self, now: Instant, call: CallId) {
        self.set(now, call, false);
    }

    /// What is kept of a call.
    pub(crate) fn trace(&self, call: CallId) -> Option<Trace> {
        let kept = self.calls.get(&call)?;
        self.keeps().then(|| kept.trace.clone())
    }

    /// Forgets what is over for long enough. A call that was refused before it began is never told to be over: of those
    /// that were not heard of for some time, `lives` says whether they are.
    pub(crate) fn sweep(&mut self, now: Instant, mut lives: impl FnMut(CallId) -> bool) {
        while let Some((false, at, call)) = self.order.first().copied() {
            if now.saturating_duration_since(at) < self.keep {
                break;
            }
            self.forget(call);
        }
        let quiet = self
            .order
            .iter()
            .filter(|(alive, at, _)| *alive && now.saturating_duration_since(*at).as_secs() >= QUIET_S);
        let quiet: Vec<_> = quiet.take(SWEPT).map(|(_, _, call)| *call).collect();
        for call in quiet {
            let alive = lives(call);
            self.set(now, call, alive);
        }
    }

    /// A message of a call that is over does not make it live again.
    fn touch(&mut self, now: Instant, call: CallId) {
        match self.calls.get(&call) {
            Some(Kept { alive: false, .. }) => {}
            _ => self.set(now, call, true),
        }
    }

    fn set(&mut self, now: Instant, call: CallId, alive: bool) {
        let kept = self.calls.entry(call).or_insert_with(|| Kept {
            trace: Trace::default(),
            legs: Vec::new(),
            alive,
            at: now,
        });
        self.order.remove(&(kept.alive, kept.at, call));
        (kept.alive, kept.at) = (alive, now);
        self.order.insert((alive, now, call));
    }

    fn forget(&mut self, call: CallId) {
        let Some(kept) = self.calls.remove(&call) else { return };
        self.order.remove(&(kept.alive, kept.at, call));
        self.bytes -= kept.trace.bytes;
        for leg in kept.legs {
            self.legs.remove(&leg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: Instant, number: usize, len: usize) -> Entry {
        Entry {
            at,
            direction: Direction::In,
            transport: Transport::Udp,
            peer: "192.0.2.1:5060".parse().expect("an address"),
            party: Party::Caller,
            title: number.to_string(),
            sip_call_id: "leg".to_owned(),
            text: "x".repeat(len).into(),
        }
    }

    fn titles(trace: &Trace) -> Vec<usize> {
        trace
            .entries()
            .map(|entry| entry.title.parse().expect("a number"))
            .collect()
    }

    #[test]
    fn of_a_long_call_the_beginning_and_the_end_are_kept() {
        let start = Instant::now();
        let mut traces = Traces::new(64 << 20, Duration::from_secs(60));
        for number in 0..1000 {
            traces.add(start, CallId(1), entry(start, number, 10));
        }
        let trace = traces.trace(CallId(1)).expect("kept");
        let expected: Vec<_> = (0..FIRST).chain(1000 - NEWEST..1000).collect();
        assert_eq!(titles(&trace), expected);
        assert_eq!(trace.omitted, 700);
        // Long ones count by their bytes.
        for number in 0..100 {
            traces.add(start, CallId(2), entry(start, number, 60_000));
        }
        let trace = traces.trace(CallId(2)).expect("kept");
        assert!(trace.bytes <= BYTES && trace.omitted >= 95, "{}", trace.bytes);
        assert_eq!(titles(&trace)[..2], [0, 1]);
    }

    #[test]
    fn all_calls_share_one_bound_and_those_that_are_over_go_first() {
        let start = Instant::now();
        let mut traces = Traces::new(40_000, Duration::from_secs(60));
        let at = |ms| start + Duration::from_millis(ms);
        for call in 1..=3 {
            traces.bind(at(call), &format!("leg-{call}"), CallId(call), Party::Caller);
            traces.add(at(call), CallId(call), entry(start, 0, 10_000));
        }
        traces.end(at(4), CallId(2));
        traces.add(at(5), CallId(4), entry(start, 0, 10_000));
        let kept = |traces: &Traces| {
            (1..=6)
                .filter(|call| traces.trace(CallId(*call)).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&traces), [1, 3, 4]);
        assert_eq!(
            (traces.leg("leg-2"), traces.leg("leg-3")),
            (None, Some((CallId(3), Party::Caller)))
        );
        traces.add(at(6), CallId(5), entry(start, 0, 10_000));
        assert_eq!(kept(&traces), [3, 4, 5]);
        // One that alone is too much is not kept, and nothing grows.
        traces.add(at(7), CallId(6), entry(start, 0, 50_000));
        assert_eq!((kept(&traces), traces.bytes, traces.legs.len()), (vec![], 0, 0));
    }

    #[test]
    fn what_is_over_is_forgotten_in_time_also_where_nobody_said_so() {
        let start = Instant::now();
        let mut traces = Traces::new(1 << 20, Duration::from_secs(60));
        let at = |s| start + Duration::from_secs(s);
        for call in 1..=3 {
            traces.add(start, CallId(call), entry(start, 0, 10));
        }
        traces.end(at(1), CallId(1));
        // What comes after the end is a part of it, and does not make it last.
        traces.add(at(20), CallId(1), entry(start, 1, 10));
        traces.sweep(at(40), |call| call == CallId(2));
        assert_eq!(traces.trace(CallId(1)).map(|trace| titles(&trace)), Some(vec![0, 1]));
        traces.sweep(at(61), |call| call == CallId(2));
        assert!(traces.trace(CallId(1)).is_none() && traces.trace(CallId(3)).is_some());
        traces.sweep(at(100), |call| call == CallId(2));
        assert!(traces.trace(CallId(3)).is_none() && traces.trace(CallId(2)).is_some());
    }

    #[test]
    fn without_room_nothing_is_kept_but_whose_leg_it_is() {
        let start = Instant::now();
        let mut traces = Traces::new(0, Duration::from_secs(60));
        traces.bind(start, "leg", CallId(1), Party::Ai);
        traces.add(start, CallId(1), entry(start, 0, 10));
        assert!(traces.trace(CallId(1)).is_none());
        assert_eq!(traces.leg("leg"), Some((CallId(1), Party::Ai)));
    }
}
