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

    /// Everything that this host had is gone with its process.
    pub fn die(&mut self, now: Instant, host: IpAddr) {
        for pipe in 0..self.pipes.len() {
            for side in [0, 1] {
                let end = &mut self.pipes[pipe].ends[side];
                if end.address.ip() == host && end.flow.take().is_some() {
                    self.fly(now, pipe, 1 - side, Flight::Closed);
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

    fn host(n: usize) -> IpAddr {
        IpAddr::from(HOSTS[n])
    }

    /// One connection from the first host to the second, or one that is refused; what has arrived at either since.
    fn open(seed: u64, breaks: u32, takes: bool) -> (Tcp, Instant, [Vec<Arrival>; 2]) {
        let start = Instant::now();
        let mut tcp = Tcp::new(seed, Profile::BAD, breaks);
        let to = SocketAddr::new(host(1), 5060);
        tcp.handle(start, host(0), Stream::Connect { flow: FlowId(7), to });
        let mut arrived = [Vec::new(), Vec::new()];
        let now = run(&mut tcp, start, takes, &mut arrived);
        (tcp, now, arrived)
    }

    fn run(tcp: &mut Tcp, mut now: Instant, takes: bool, arrived: &mut [Vec<Arrival>; 2]) -> Instant {
        while let Some(at) = tcp.next_at() {
            now = now.max(at);
            while let Some((ip, arrival)) = tcp.arrived(now) {
                if let Arrival::Connect { pipe, .. } = arrival {
                    tcp.accept(now, pipe, takes.then_some(FlowId(1)));
                }
                arrived[usize::from(ip == host(1))].push(arrival);
            }
        }
        now
    }

    fn send(tcp: &mut Tcp, now: Instant, from: usize, text: &str) {
        let flow = FlowId(if from == 0 { 7 } else { 1 });
        let bytes = text.to_owned().into();
        tcp.handle(now, host(from), Stream::Send { flow, bytes });
    }

    fn bytes(arrived: &[Arrival]) -> (String, Vec<String>) {
        let (mut all, mut messages) = (String::new(), Vec::new());
        for arrival in arrived {
            if let Arrival::Bytes(_, bytes, whole) = arrival {
                all.push_str(std::str::from_utf8(bytes).expect("text"));
                messages.extend(whole.iter().map(|it| String::from_utf8_lossy(it).into_owned()));
            }
        }
        (all, messages)
    }

    #[test]
    fn bytes_come_in_order_and_whole_however_they_are_cut_and_joined() {
        let (mut cut, mut joined) = (0, 0);
        for seed in 0..200 {
            let (mut tcp, now, mut arrived) = open(seed, 0, true);
            assert_eq!(arrived[0], [Arrival::Connected(FlowId(7))]);
            let texts = ["alpha", "beta", "gamma", "delta"];
            for text in texts {
                send(&mut tcp, now, 0, text);
                send(&mut tcp, now, 1, text);
            }
            let now = run(&mut tcp, now, true, &mut arrived);
            for side in [0, 1] {
                assert_eq!(bytes(&arrived[side]), (texts.concat(), texts.map(str::to_owned).into()));
            }
            (cut, joined) = (cut + tcp.cut, joined + tcp.joined);
            assert_eq!((tcp.open(&[]), tcp.open(&[host(0)])), (2, 1));
            tcp.handle(now, host(1), Stream::Close { flow: FlowId(1) });
            run(&mut tcp, now, true, &mut arrived);
            assert_eq!(arrived[0].last(), Some(&Arrival::Closed(FlowId(7))));
            assert_eq!(tcp.open(&[]), 0);
        }
        assert!(cut > 100 && joined > 100, "cut {cut}, joined {joined}");
    }

    #[test]
    fn one_that_is_refused_is_closed_and_was_never_there() {
        let (tcp, _, arrived) = open(1, 1000, false);
        assert_eq!(arrived[0], [Arrival::Closed(FlowId(7))]);
        assert_eq!((tcp.open(&[]), tcp.broken), (0, 0));
    }

    #[test]
    fn one_that_breaks_was_there_and_gives_a_beginning_of_what_was_sent() {
        let text = "x".repeat(50);
        for seed in 0..200 {
            let (mut tcp, mut now, mut arrived) = open(seed, 1000, true);
            for _ in 0..=MESSAGES {
                send(&mut tcp, now, 0, &text);
                now = run(&mut tcp, now, true, &mut arrived);
            }
            assert_eq!(tcp.broken, 1, "{seed}");
            assert_eq!(arrived[0].first(), Some(&Arrival::Connected(FlowId(7))), "{seed}");
            for (side, flow) in [(0, FlowId(7)), (1, FlowId(1))] {
                assert_eq!(arrived[side].last(), Some(&Arrival::Closed(flow)), "{seed}");
            }
            let (all, messages) = bytes(&arrived[1]);
            assert!(all.len() >= messages.concat().len(), "{seed}");
            assert!(messages.len() <= MESSAGES as usize, "{seed}");
            assert_eq!(tcp.open(&[]), 0, "{seed}");
        }
    }
}
