//! Sends the packets of all calls at their pace, and takes what comes back.

use std::io;
use std::time::{Duration, Instant};

use baton_lab::cpu::{Spent, Watched};
use baton_lab::lab::Lab;
use baton_lab::wire::Wire;

use crate::frame::Stream;
use crate::judge::Judge;
use crate::lines::Lines;

/// Packets that a stream sends in a second, unless another rate is asked for.
pub(crate) const RATE: u32 = 50;

/// Packets that are queued before the kernel is asked to send them: it takes 32 at one time.
const BATCH: usize = 32;

/// Packets that are taken before the next ones are sent.
const TAKE: usize = 64;

/// After the last packet.
const LINGER: Duration = Duration::from_millis(300);

/// A packet that goes out so much after it was due was late.
const LATE: Duration = Duration::from_millis(2);

/// More late ones than this share, and the load was no load of equal distances.
const LATE_SHARE: f64 = 0.005;

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Plan<'p> {
    pub(crate) streams: &'p mut [Stream],
    /// What they come to.
    pub(crate) lines: Lines,
    /// So many of the last streams are only relayed: their latency is told apart.
    pub(crate) relayed: usize,
    /// Packets a second of all of them.
    pub(crate) rate: u32,
    /// The first stream's peer floods: packets of this one, so many times the rate of the others. Neither of the two is judged.
    pub(crate) flood: Option<(Stream, u32)>,
    /// Sent, but not judged.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What one run found.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Of the time that is judged.
    pub(crate) sent: u64,
    pub(crate) judge: Judge,
    /// Packets that were sent late.
    pub(crate) late: u64,
    pub(crate) spent: Spent,
    /// Packets that did not get into the queues of the load's own end.
    pub(crate) our_overruns: u64,
    /// … of the other end.
    pub(crate) their_overruns: u64,
}

impl Outcome {
    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.judge.received)
    }

    /// The load itself was at its limit: what it says of others is not to be believed.
    pub(crate) fn is_ours(&self) -> bool {
        self.our_overruns > 0 || self.late as f64 > self.sent as f64 * LATE_SHARE
    }
}

/// All streams send for so long, one packet after the other at equal distances.
pub(crate) fn run(wire: &mut Wire, lab: &Lab, watched: &Watched, plan: Plan<'_>) -> io::Result<Outcome> {
    let Plan {
        streams,
        mut lines,
        relayed,
        rate,
        mut flood,
        warm_up,
        time,
    } = plan;
    let mut judge = Judge::new(streams.len(), relayed, flood.is_some());
    let interval = 1e9 / f64::from(rate);
    let flood_interval = flood
        .as_ref()
        .map_or(f64::MAX, |(_, times)| 1e9 / f64::from(RATE * times));
    let begin = Instant::now();
    let now_ns = || begin.elapsed().as_nanos() as u64;
    let end = (warm_up + time).as_nanos() as u64;
    let all = (end as f64 / interval) as u64;
    let first = (warm_up.as_nanos() as f64 / interval) as u64;
    let (mut sent, mut flooded, mut late) = (0_u64, 0_u64, 0);
    let mut before = None;
    let mut after = None;
    loop {
        let now = now_ns();
        let due = ((now as f64 / interval) as u64 + 1).min(all);
        let mut queued = 0;
        while sent < due && queued < BATCH {
            if sent == first && before.is_none() {
                before = Some((watched.spent(), lab.overruns(), wire.overruns()));
                judge.begin(streams.iter().map(Stream::sent));
                break;
            }
            let stream = (sent % streams.len() as u64) as usize;
            if !wire.send(|frame| streams[stream].write(frame, now)) {
                break;
            }
            lines.sent(stream, now);
            if sent >= first {
                let due = (sent as f64 * interval) as u64;
                late += u64::from(now.saturating_sub(due) > LATE.as_nanos() as u64);
            }
            sent += 1;
            queued += 1;
        }
        if let Some((stream, _)) = &mut flood
            && now < end
        {
            let due = (now as f64 / flood_interval) as u64;
            while flooded < due && queued < BATCH && wire.send(|frame| stream.write(frame, now)) {
                flooded += 1;
                queued += 1;
            }
        }
        wire.flush()?;
        if sent == all && after.is_none() {
            after = Some(watched.spent());
            lines.end();
        }
        let now = now_ns();
        wire.receive(TAKE, |_, packet| match lines.read(packet) {
            Some(mark) => judge.came(&mark, now.saturating_sub(mark.sent_ns)),
            // Afterwards there may be noise of comfort where the load was.
            None => judge.strange += u64::from(now < end),
        });
        if now > end + LINGER.as_nanos() as u64 {
            break;
        }
    }
    let (spent, overruns, ours) = before.unwrap_or_default();
    let (our_queue, their_queue) = lab.overruns();
    // Of the first stream, whose peer floods, nobody expects anything.
    let judged = streams.len() as u64 - u64::from(flood.is_some());
    Ok(Outcome {
        sent: (sent - first) * judged / streams.len() as u64,
        judge,
        late,
        spent: after.unwrap_or_default().since(spent),
        our_overruns: our_queue - overruns.0 + wire.overruns() - ours,
        their_overruns: their_queue - overruns.1,
    })
}
