//! TCP connections between hosts: bytes in order, cut and joined as chance has it, and gone in the middle of anything.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip::endpoint::{FlowId, Stream};

use crate::net::Profile;
use crate::random::Random;

/// Longest time that a sender waits for more to send with it.
const JOINED: Duration = Duration::from_millis(30);
/// Life of a connection that breaks by itself.
const LIFE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(15)];
/// By then a connection is there, or will not be.
const OPENS: Duration = Duration::from_millis(500);
/// Messages after which one breaks at the latest.
const MESSAGES: u64 = 10;
/// A connection that is opened so soon after one that broke holds: three in a row are another fault than this.
const HOLDS: Duration = Duration::from_secs(10);

/// What reaches a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Somebody opens a connection; to be answered with [`Tcp::accept`] or not at all.
    Connect {
        /// Which.
        pipe: usize,
        /// From where.
        from: SocketAddr,
        /// To where.
        to: SocketAddr,
    },
    /// A connection of its own is there.
    Connected(FlowId),
    /// Bytes, with the messages whose last byte is among them.
    Bytes(FlowId, Vec<u8>, Vec<Vec<u8>>),
    /// A connection is gone, or could not be opened.
    Closed(FlowId),
}

/// What is under way to one end of a connection.
#[derive(Clone, Debug)]
enum Flight {
    Connect,
    Connected,
    Bytes(Vec<u8>, Option<Vec<u8>>),
    Closed,
}

/// One end of a connection.
#[derive(Clone, Debug)]
struct End {
    address: SocketAddr,
    /// Its name there, as long as that end has it.
    flow: Option<FlowId>,
    /// When the last of what is under way to it arrives.
    last: Instant,
}

#[derive(Clone, Debug)]
struct Pipe {
    ends: [End; 2],
    /// Messages until it breaks.
    messages: Option<u64>,
    /// It was accepted.
    opened: bool,
    broken: bool,
}

/// All connections.
#[derive(Debug)]
pub struct Tcp {
    random: Random,
    profile: Profile,
    /// Connections that break, in thousandths.
    breaks: u32,
    pipes: Vec<Pipe>,
    flights: Vec<Option<(usize, usize, Flight)>>,
    under_way: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Those that break by time.
    breaking: BinaryHeap<Reverse<(Instant, usize)>>,
    broke: Option<Instant>,
    /// How many broke.
    pub broken: usize,
    /// Pieces in which several messages ended.
    pub joined: usize,
    /// Pieces in which none did.
    pub cut: usize,
}

impl Tcp {
    /// No connection. `breaks`: those that break, in thousandths; of the profile the delays count.
    pub fn new(seed: u64, profile: Profile, breaks: u32) -> Tcp {
        Tcp {
            random: Random::new(seed),
            profile,
            breaks,
            pipes: Vec::new(),
            flights: Vec::new(),
            under_way: BinaryHeap::new(),
            breaking: BinaryHeap::new(),
            broke: None,
            broken: 0,
            joined: 0,
            cut: 0,
        }
    }

    /// What an endpoint at this host wants.
    pub fn handle(&mut self, now: Instant, host: IpAddr, stream: Stream) {
        match stream {
            Stream::Connect { flow, to } => self.connect(now, host, flow, to),
            Stream::Send { flow, bytes } => self.send(now, host, flow, &bytes),
            Stream::Close { flow } => {
                if let Some((pipe, side)) = self.find(host, flow) {
                    self.pipes[pipe].ends[side].flow = None;
                    self.fly(now, pipe, 1 - side, Flight::Closed);
                }
            }
        }
    }

    /// The answer to [`Arrival::Connect`]; `None`: it is refused.
    pub fn accept(&mut self, now: Instant, pipe: usize, flow: Option<FlowId>) {
        self.pipes[pipe].ends[1].flow = flow;
        self.pipes[pipe].opened = flow.is_some();
        let answer = match flow {
            Some(_) => Flight::Connected,
            None => Flight::Closed,
        };
        self.fly(now, pipe, 0, answer);
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<Instant> {
        let arrives = self.under_way.peek().map(|Reverse((at, _))| *at);
        let breaks = self.breaking.peek().map(|Reverse((at, _))| *at);
        [arrives, breaks].into_iter().flatten().min()
    }

    /// What has arrived by `now`, and at which host.
    pub fn arrived(&mut self, now: Instant) -> Option<(IpAddr, Arrival)> {
        while self.breaking.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, pipe))) = self.breaking.pop() {
                self.break_off(now, pipe);
            }
        }
        loop {
            let (pipe, side, flight) = self.take(now, |_, _, _| true)?;
            let host = self.pipes[pipe].ends[side].address.ip();
            if matches!(flight, Flight::Connect) {
                let [from, to] = [0, 1].map(|end: usize| self.pipes[pipe].ends[end].address);
                return Some((host, Arrival::Connect { pipe, from, to }));
            }
            // That end may have closed it meanwhile.
            let Some(flow) = self.pipes[pipe].ends[side].flow else {
                continue;
            };
            let arrival = match flight {
                Flight::Connect | Flight::Connected => Arrival::Connected(flow),
                Flight::Closed => {
                    self.pipes[pipe].ends[side].flow = None;
                    Arrival::Closed(flow)
                }
                Flight::Bytes(bytes, message) => self.read(now, pipe, side, flow, bytes, message),
            };
            return Some((host, arrival));
        }
    }

    /// Who is at the other end.
    pub fn peer(&self, host: IpAddr, flow: FlowId) -> Option<IpAddr> {
        let (pipe, side) = self.find(host, flow)?;
        Some(self.pipes[pipe].ends[1 - side].address.ip())
    }

    /// Ends of connections that somebody still has, but for those at these hosts, which are gone without a word.
    pub fn open(&self, gone: &[IpAddr]) -> usize {
        let ends = self.pipes.iter().flat_map(|pipe| &pipe.ends);
        ends.filter(|end| end.flow.is_some() && !gone.contains(&end.address.ip()))
            .count()
    }

    /// All that can be read at once: what came at the same time is one piece.
    fn read(
        &mut self,
        now: Instant,
        pipe: usize,
        side: usize,
        flow: FlowId,
        mut bytes: Vec<u8>,
        message: Option<Vec<u8>>,
    ) -> Arrival {
        let mut messages: Vec<Vec<u8>> = message.into_iter().collect();
        let same = |p: usize, s: usize, flight: &Flight| p == pipe && s == side && matches!(flight, Flight::Bytes(..));
        while let Some((_, _, Flight::Bytes(more, message))) = self.take(now, same) {
            bytes.extend(more);
            messages.extend(message);
        }
        self.joined += usize::from(messages.len() > 1);
        self.cut += usize::from(messages.is_empty());
        Arrival::Bytes(flow, bytes, messages)
    }

    /// The next flight that has landed, if it is so.
    fn take(&mut self, now: Instant, so: impl Fn(usize, usize, &Flight) -> bool) -> Option<(usize, usize, Flight)> {
        let Reverse((at, n)) = *self.under_way.peek()?;
        let (pipe, side, flight) = self.flights[n].as_ref()?;
        if at > now || !so(*pipe, *side, flight) {
            return None;
        }
        self.under_way.pop();
        self.flights[n].take()
    }

    fn connect(&mut self, now: Instant, host: IpAddr, flow: FlowId, to: SocketAddr) {
        let port = 49_152 + (self.pipes.len() % 16_000) as u16;
        let end = |address, flow| End {
            address,
            flow,
            last: now,
        };
        self.pipes.push(Pipe {
            ends: [end(SocketAddr::new(host, port), Some(flow)), end(to, None)],
            messages: None,
            opened: false,
            broken: false,
        });
        let pipe = self.pipes.len() - 1;
        let holds = self.broke.is_some_and(|broke| now < broke + HOLDS);
        if self.random.chance(self.breaks) && !holds {
            match self.random.chance(500) {
                true => self.pipes[pipe].messages = Some(1 + self.random.below(MESSAGES)),
                false => {
                    let at = now + self.random.between(LIFE[0], LIFE[1]);
                    self.breaking.push(Reverse((at, pipe)));
                }
            }
        }
        self.fly(now, pipe, 1, Flight::Connect);
    }

    fn send(&mut self, now: Instant, host: IpAddr, flow: FlowId, bytes: &[u8]) {
        let Some((pipe, side)) = self.find(host, flow).filter(|(pipe, _)| !self.pipes[*pipe].broken) else {
            return;
        };
        let breaks = match &mut self.pipes[pipe].messages {
            Some(left) => {
                *left -= 1;
                *left == 0
            }
            None => false,
        };
        let mut whole = Some(bytes.to_vec());
        let mut rest = bytes;
        if breaks {
            // Some of it gets through, and not the end.
            (rest, whole) = (&bytes[..self.random.below(bytes.len() as u64) as usize], None);
        }
        let mut later = now;
        if self.random.chance(300) {
            later += self.random.between(Duration::ZERO, JOINED);
        }
        while self.random.chance(400) && rest.len() > 1 {
            let (piece, after) = rest.split_at(1 + self.random.below(rest.len() as u64 - 1) as usize);
            self.fly(later, pipe, 1 - side, Flight::Bytes(piece.to_vec(), None));
            rest = after;
            later += self.random.between(Duration::ZERO, JOINED);
        }
        self.fly(later, pipe, 1 - side, Flight::Bytes(rest.to_vec(), whole));
        if breaks {
            self.break_off(now, pipe);
        }
    }

    /// It is gone; what is under way gets through, or not. One that is not there yet breaks once it is: to be refused is another thing.
    fn break_off(&mut self, now: Instant, pipe: usize) {
        let it = &mut self.pipes[pipe];
        if it.ends.iter().all(|end| end.flow.is_none()) {
            return;
        }
        it.broken = true;
        if !it.opened {
            return self.breaking.push(Reverse((now + OPENS, pipe)));
        }
        (self.broke, self.broken) = (Some(now), self.broken + 1);
        if self.random.chance(500) {
            let lost = |flight: &mut Option<(usize, usize, Flight)>| {
                flight.take_if(|(at, _, flight)| *at == pipe && matches!(flight, Flight::Bytes(..)));
            };
            self.flights.iter_mut().for_each(lost);
            self.forget_lost();
        }
        for side in [0, 1] {
            let late = self.random.between(Duration::ZERO, JOINED);
            self.fly(now + late, pipe, side, Flight::Closed);
        }
    }

    fn forget_lost(&mut self) {
        let flights = &self.flights;
        self.under_way.retain(|Reverse((_, n))| flights[*n].is_some());
    }

    /// Sends something on its way to one end, behind all that is under way to it.
    fn fly(&mut self, at: Instant, pipe: usize, side: usize, flight: Flight) {
        let at = at + self.profile.delay + self.random.between(Duration::ZERO, self.profile.jitter);
        let end = &mut self.pipes[pipe].ends[side];
        end.last = end.last.max(at);
        self.flights.push(Some((pipe, side, flight)));
        self.under_way.push(Reverse((end.last, self.flights.len() - 1)));
    }

    fn find(&self, host: IpAddr, flow: FlowId) -> Option<(usize, usize)> {
        let side = |pipe: &Pipe| {
            let is = |end: &End| end.address.ip() == host && end.flow == Some(flow);
            pipe.ends.iter().position(is)
        };
        let found = self.pipes.iter().enumerate().rev();
        found.filter_map(|(n, pipe)| Some((n, side(pipe)?))).next()
    }
}
