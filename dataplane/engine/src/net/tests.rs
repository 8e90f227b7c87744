use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use media::command::{Command, SessionId};

use super::*;
use crate::buffers::PACKET_BYTES;
use crate::channel::{self, Wake, WorkerSide};
use crate::clock;
use crate::socket::{self, Queues};

const QUEUES: Queues = Queues {
    receive: 256 * 1024,
    send: 256 * 1024,
};

type Way = (Backend, TaskRun);

const URING: Way = (Backend::Uring, TaskRun::Auto);
const DEFER: Way = (Backend::Uring, TaskRun::Defer);
const COOP: Way = (Backend::Uring, TaskRun::Coop);
const EPOLL: Way = (Backend::Epoll, TaskRun::Auto);
const BOTH: [Way; 2] = [URING, EPOLL];

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket on some port that was asked for by its number, as those of a worker are: it outlives that the socket is connected.
fn bound(address: IpAddr, queues: Queues, stamped: bool) -> OwnedFd {
    let free = || Some(UdpSocket::bind((address, 0)).ok()?.local_addr().ok()?.port());
    let mut found = (0..100).filter_map(|_| socket::bind(address, free()?, queues, stamped).ok());
    found.next().expect("a port for us")
}

/// A ring with two sockets, and a peer for each.
struct Rig {
    net: Net,
    channel: WorkerSide,
    peers: [UdpSocket; 2],
    ours: [SocketAddr; 2],
    /// The same sockets once more.
    copies: [UdpSocket; 2],
    received: usize,
    lost: u32,
    failed: usize,
}

impl Rig {
    fn new(address: IpAddr, entries: u16, way: Way, queues: Queues) -> Rig {
        let wake = Arc::new(Wake::new(false).expect("an eventfd"));
        let (channel, _) = channel::channel(1, 1, wake).expect("an eventfd");
        let peer = || {
            let peer = UdpSocket::bind((address, 0)).expect("a port for the peer");
            peer.set_read_timeout(Some(PATIENCE)).expect("a time-out");
            peer
        };
        let bound: [OwnedFd; 2] = std::array::from_fn(|at| bound(address, queues, at == 0));
        let copies = bound
            .each_ref()
            .map(|fd| UdpSocket::from(fd.try_clone().expect("a descriptor")));
        let ours = copies.each_ref().map(|socket| socket.local_addr().expect("a name"));
        Rig {
            net: Net::new(bound.into(), 2, way.0, entries, way.1, channel.shared()).expect("a way"),
            channel,
            peers: [peer(), peer()],
            ours,
            copies,
            received: 0,
            lost: 0,
            failed: 0,
        }
    }

    fn v4(entries: u16, way: Way) -> Rig {
        Rig::new(Ipv4Addr::LOCALHOST.into(), entries, way, QUEUES)
    }

    fn say(&self, peer: usize, packet: &[u8]) {
        let sent = self.peers[peer].send_to(packet, self.ours[peer]).expect("sent");
        assert_eq!(sent, packet.len());
    }

    fn hear(&self, peer: usize) -> (Vec<u8>, SocketAddr) {
        let mut packet = vec![0; 2048];
        let (len, from) = loop {
            match self.peers[peer].recv_from(&mut packet) {
                // A thread that has closed a ring is interrupted once.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.expect("a packet in time"),
            }
        };
        packet.truncate(len);
        (packet, from)
    }

    /// Relays between the two sockets until this many packets have come.
    fn relay(&mut self, until: usize) {
        self.work(|rig| rig.received >= until);
    }

    fn work(&mut self, done: impl Fn(&Rig) -> bool) {
        let start = clock::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "it takes too long");
            self.turn(Duration::from_millis(20));
        }
    }

    fn turn(&mut self, timeout: Duration) {
        self.net.enter(clock::now(), Some(timeout)).expect("entered");
        let now = clock::now();
        while let Some(completion) = self.net.next(now) {
            match completion {
                Completion::Received(packet) => {
                    self.received += 1;
                    self.lost += packet.lost;
                    let to = 1 - packet.socket;
                    let address = self.peers[usize::from(to)].local_addr().expect("a name");
                    self.net.packet_mut(&packet.buffer)[0] ^= 0xff;
                    self.failed += usize::from(!self.net.send(to, address, packet.buffer, packet.len));
                }
                Completion::SendFailed { .. } => self.failed += 1,
                Completion::Done => {}
            }
        }
    }

    /// Nothing is under way: every buffer must be where it was at the start.
    fn assert_at_rest(&mut self, entries: u16) {
        // What has come is looked at, too.
        let mut before = None;
        while before != Some(self.received) {
            before = Some(self.received);
            self.turn(Duration::ZERO);
            self.work(|rig| rig.net.is_at_rest());
        }
        let receive = match self.net.backend() {
            Backend::Epoll => SPARES,
            _ => entries,
        };
        assert_eq!(self.net.buffers_free(), usize::from(receive));
        assert_eq!(self.net.spares_free(), usize::from(SPARES));
        assert_eq!(self.net.overflows(), 0);
    }
}

#[test]
fn packets_are_relayed_both_ways_by_each_way() {
    for way in [URING, DEFER, COOP, EPOLL] {
        let mut rig = Rig::v4(8, way);
        for round in 0..20u8 {
            rig.say(0, &[round, 1, 2, 3]);
            rig.say(1, &[round, 9]);
            rig.relay(2 * usize::from(round) + 2);
            rig.assert_at_rest(8);
            assert_eq!(rig.hear(1), (vec![!round, 1, 2, 3], rig.ours[1]));
            assert_eq!(rig.hear(0), (vec![!round, 9], rig.ours[0]));
        }
        assert_eq!(rig.net.totals().sent, 40);
        assert_eq!(rig.failed, 0);
    }
}

#[test]
fn ipv6_is_relayed() {
    for way in BOTH {
        let mut rig = Rig::new(Ipv6Addr::LOCALHOST.into(), 8, way, QUEUES);
        rig.say(0, b"six");
        rig.relay(1);
        rig.assert_at_rest(8);
        assert_eq!(rig.hear(1), (vec![!b's', b'i', b'x'], rig.ours[1]));
    }
}

#[test]
fn the_sent_buffer_is_the_received_one() {
    for way in BOTH {
        let mut rig = Rig::v4(4, way);
        for packet in 0..50u8 {
            rig.say(usize::from(packet % 2), &[packet; 172]);
            rig.relay(usize::from(packet) + 1);
        }
        rig.assert_at_rest(4);
        let trace = std::mem::take(rig.net.trace());
        assert_eq!(trace.len(), 100);
        for pair in trace.chunks(2) {
            let [(Traced::Received, received, from), (Traced::Sent, sent, to)] = pair else {
                panic!("a send follows each receive: {pair:?}");
            };
            assert_eq!(received, sent, "the same buffer");
            assert_eq!(from, to, "the same bytes of it");
        }
        let mut used: Vec<u16> = trace.iter().map(|(_, id, _)| *id).collect();
        used.sort_unstable();
        used.dedup();
        match way.0 {
            Backend::Epoll => assert_eq!(used, [0], "the one that the cache knows"),
            _ => assert_eq!(used, [0, 1, 2, 3], "the kernel goes round the ring"),
        }
    }
}

#[test]
fn a_burst_beyond_the_buffers_loses_nothing() {
    for way in [URING, COOP] {
        let mut rig = Rig::v4(2, way);
        for packet in 0..100 {
            rig.say(0, &[packet; 20]);
        }
        rig.relay(100);
        rig.assert_at_rest(2);
        assert!(rig.net.totals().receive_rearms > 0, "the ring ran dry");
        for packet in 0..100 {
            assert_eq!(rig.hear(1).0[1..], [packet; 19]);
        }
        rig.say(1, b"afterwards");
        rig.relay(101);
        rig.assert_at_rest(2);
        assert_eq!(rig.hear(0).0[1..], b"fterwards"[..]);
        assert_eq!(rig.net.totals().receive_errors, 0);
    }
}

#[test]
fn a_receive_waits_for_a_buffer() {
    let mut rig = Rig::v4(2, DEFER);
    for packet in 0..4 {
        rig.say(0, &[packet; 20]);
    }
    let mut held = Vec::new();
    let mut turn = |rig: &mut Rig| {
        let now = clock::now();
        rig.net.enter(now, Some(Duration::ZERO)).expect("entered");
        while let Some(completion) = rig.net.next(now) {
            if let Completion::Received(packet) = completion {
                held.push(packet.buffer);
            }
        }
    };
    for _ in 0..10 {
        turn(&mut rig);
    }
    assert_eq!(rig.net.buffers_free(), 0);
    assert_eq!(rig.net.totals().receive_rearms, 1, "not again and again");
    for buffer in held {
        rig.net.recycle(buffer);
    }
    rig.relay(2);
    rig.assert_at_rest(2);
    assert_eq!(rig.hear(1).0[1..], [2; 19]);
    assert_eq!(rig.hear(1).0[1..], [3; 19]);
}

#[test]
fn what_the_kernel_drops_is_told_with_the_next_packet() {
    for way in BOTH {
        let tiny = Queues {
            receive: 1,
            send: 256 * 1024,
        };
        let mut rig = Rig::new(Ipv4Addr::LOCALHOST.into(), 8, way, tiny);
        // Nobody fetches: the socket's queue overflows.
        for packet in 0..200u8 {
            rig.say(0, &[packet; 172]);
        }
        rig.relay(1);
        rig.assert_at_rest(8);
        let came = rig.received;
        assert!(came < 200, "the queue was too long for this test");
        rig.say(0, b"the next");
        rig.relay(came + 1);
        assert_eq!(rig.lost as usize, 200 - came);
        assert_eq!(rig.net.totals().kernel_drops as usize, 200 - came);
        rig.say(0, b"another");
        rig.relay(came + 2);
        assert_eq!(rig.lost as usize, 200 - came, "told once");
        rig.assert_at_rest(8);
    }
}

#[test]
fn a_refused_send_is_told_and_gives_its_buffer_back() {
    for way in BOTH {
        let mut rig = Rig::v4(4, way);
        let spare = rig.net.take_spare().expect("a transmit buffer");
        // An IPv4 socket cannot send there.
        if !rig.net.send(0, "[::1]:9".parse().expect("an address"), spare, 12) {
            rig.failed += 1;
        }
        rig.work(|rig| rig.failed == 1);
        rig.assert_at_rest(4);
        assert_eq!(rig.net.totals().send_errors, 1);
        assert_eq!(rig.net.totals().sent, 0);
    }
}

#[test]
fn a_peer_that_is_gone_ends_nothing() {
    for way in BOTH {
        let mut rig = Rig::v4(4, way);
        let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let nobody = gone.local_addr().expect("a name");
        drop(gone);
        for _ in 0..10 {
            let spare = rig.net.take_spare().expect("a transmit buffer");
            assert!(rig.net.send(0, nobody, spare, 12));
            rig.work(|rig| rig.net.is_at_rest());
        }
        rig.say(0, b"still there");
        rig.relay(1);
        rig.assert_at_rest(4);
        assert_eq!(rig.hear(1).0[1..], b"till there"[..]);
    }
}

#[test]
fn a_packet_that_is_too_long_is_counted() {
    for way in BOTH {
        let mut rig = Rig::v4(4, way);
        rig.say(0, &[1; PACKET_BYTES + 1]);
        rig.say(0, &[2; PACKET_BYTES]);
        rig.relay(1);
        rig.assert_at_rest(4);
        assert_eq!(rig.net.totals().truncated, 1);
        assert_eq!(rig.hear(1).0[1..], [2; PACKET_BYTES - 1]);
    }
}

#[test]
fn the_worker_is_woken_for_each_command() {
    for way in BOTH {
        let mut rig = Rig::v4(4, way);
        for round in 0..3 {
            assert!(rig.channel.may_sleep());
            let channel = rig.channel.shared();
            let command = Command::End {
                session: SessionId(round),
            };
            let thread = std::thread::spawn(move || channel.send(command).is_ok());
            rig.net.enter(clock::now(), Some(PATIENCE)).expect("entered");
            let woken = rig.net.next(clock::now());
            assert_eq!(
                woken,
                Some(Completion::Done),
                "it was not the time-out that ended the wait"
            );
            assert!(thread.join().expect("the thread ends"));
            assert!(!rig.channel.may_sleep(), "there is a command");
            rig.channel.awake();
            let session = SessionId(round);
            assert_eq!(rig.channel.command(), Some(Command::End { session }));
        }
    }
}

#[test]
fn a_dropped_ring_leaves_its_ports_at_once() {
    let address = Ipv4Addr::LOCALHOST.into();
    for way in [DEFER, COOP, EPOLL] {
        for _ in 0..10 {
            let rig = Rig::v4(4, way);
            rig.say(0, b"unread");
            let ours = rig.ours;
            drop(rig);
            for name in ours {
                socket::bind(address, name.port(), QUEUES, false).expect("the port is free");
            }
        }
    }
}

#[test]
fn an_unreachable_port_is_an_error_of_that_moment_and_ends_nothing() {
    for way in BOTH {
        let mut rig = Rig::v4(4, way);
        let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let there = gone.local_addr().expect("a name");
        drop(gone);
        // Only a connected socket is told of what ICMP says.
        rig.copies[0].connect(there).expect("connected");
        for round in 1..=3 {
            let spare = rig.net.take_spare().expect("a transmit buffer");
            rig.failed += usize::from(!rig.net.send(0, there, spare, 12));
            // With the next receive, or with the next send.
            rig.work(|rig| rig.net.totals().receive_errors + rig.failed as u64 >= round);
        }
        // Somebody is there again.
        let back = UdpSocket::bind(there).expect("the port is free");
        back.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        back.send_to(b"back", rig.ours[0]).expect("sent");
        rig.relay(1);
        rig.assert_at_rest(4);
        assert_eq!(rig.hear(1).0[1..], b"ack"[..]);
        // The other socket has noticed nothing.
        rig.peers[0] = back;
        rig.say(1, b"and forth");
        rig.relay(2);
        rig.assert_at_rest(4);
        assert_eq!(rig.hear(0).0[1..], b"nd forth"[..]);
        assert_eq!(rig.lost, 0);
    }
}

impl Rig {
    /// Says something to this socket, which goes to the other peer whole.
    fn goes_through(&mut self, peer: usize, packet: &[u8]) {
        let before = self.received;
        self.say(peer, packet);
        self.relay(before + 1);
        self.work(|rig| rig.net.is_at_rest());
        let (heard, from) = self.hear(1 - peer);
        assert_eq!(
            (heard[0], &heard[1..], from),
            (!packet[0], &packet[1..], self.ours[1 - peer])
        );
    }

    fn follow(&mut self, peer: usize) {
        let address = self.peers[peer].local_addr().expect("a name");
        self.net.follow(peer as u16, Some(address));
        assert_eq!(self.net.peer(peer as u16), Some(address));
        assert!(!self.net.is_open(peer as u16));
    }

    /// What is sent to this socket by somebody else, then by its peer.
    fn said_by_two(&mut self, peer: usize) -> usize {
        let before = self.received;
        let stranger = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        stranger.send_to(b"stranger", self.ours[peer]).expect("sent");
        self.say(peer, b"peer");
        // The last one comes last.
        self.work(|rig| rig.received > before);
        self.assert_at_rest(8);
        let heard = self.received - before;
        (0..heard).for_each(|_| assert!(matches!(&self.hear(1 - peer).0[1..], b"tranger" | b"eer")));
        heard
    }
}

#[test]
fn a_socket_that_follows_its_peer_hears_nobody_else_until_it_is_let_go() {
    for way in [DEFER, COOP, EPOLL] {
        let mut rig = Rig::v4(8, way);
        // One tells the time of each packet, the other tells nothing.
        for peer in [0, 1] {
            assert!(rig.net.is_open(peer as u16));
            assert_eq!(rig.said_by_two(peer), 2);
            rig.follow(peer);
            for round in 0..20 {
                rig.goes_through(0, &[round; 172]);
                rig.goes_through(1, &[round; 60]);
            }
            assert_eq!(rig.said_by_two(peer), 1, "{way:?}");
        }
        for peer in [0, 1] {
            rig.net.follow(peer as u16, None);
            rig.work(|rig| rig.net.peer(peer as u16).is_none());
            rig.work(|rig| rig.net.is_at_rest());
            assert_eq!(rig.said_by_two(peer), 2, "{way:?}");
            // And again.
            rig.follow(peer);
            rig.goes_through(peer, b"more");
            assert_eq!(rig.said_by_two(peer), 1);
        }
        assert_eq!((rig.failed, rig.lost, rig.net.totals().receive_errors), (0, 0, 0));
        assert_eq!(rig.net.totals().send_errors, 0);
    }
}

#[test]
fn what_another_has_sent_before_is_not_taken_for_the_peer_s() {
    for way in [DEFER, COOP, EPOLL] {
        let mut rig = Rig::v4(8, way);
        let stranger = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let peer = rig.peers[1].local_addr().expect("a name");
        let mut by_whom = Vec::new();
        for round in 0..10 {
            // They wait in the queue while the socket is connected; then it has another peer, or none.
            stranger.send_to(b"stranger", rig.ours[1]).expect("sent");
            rig.say(1, b"peer");
            let follow = [Some(peer), None, Some(stranger.local_addr().expect("a name"))][round % 3];
            rig.net.follow(1, follow);
            let start = clock::now();
            let mut before = None;
            while before != Some(by_whom.len()) || by_whom.len() < 2 {
                before = Some(by_whom.len());
                rig.net
                    .enter(clock::now(), Some(Duration::from_millis(5)))
                    .expect("entered");
                while let Some(completion) = rig.net.next(clock::now()) {
                    if let Completion::Received(packet) = completion {
                        let says = rig.net.packet_mut(&packet.buffer)[..packet.len].to_vec();
                        by_whom.push((says, packet.from));
                        rig.net.recycle(packet.buffer);
                    }
                }
                assert!(start.elapsed() < PATIENCE, "it takes too long");
            }
        }
        for (says, from) in by_whom {
            assert_eq!(says == b"peer", from == peer, "{way:?}");
        }
    }
}

#[test]
fn a_peer_that_refuses_is_let_go_and_all_are_heard_again() {
    for way in BOTH {
        for peer in [0, 1] {
            let mut rig = Rig::v4(8, way);
            rig.follow(peer);
            rig.goes_through(peer, b"here");
            rig.goes_through(peer, b"still");
            // It goes; the other one still speaks to it.
            let there = rig.peers[peer].local_addr().expect("a name");
            let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            other.set_read_timeout(Some(PATIENCE)).expect("a time-out");
            rig.peers[peer] = other;
            while rig.net.peer(peer as u16).is_some() {
                let spare = rig.net.take_spare().expect("a transmit buffer");
                rig.net.send(peer as u16, there, spare, 12);
                rig.turn(Duration::from_millis(5));
            }
            assert!(!rig.net.is_open(peer as u16), "it is not asked for again at once");
            rig.work(|rig| rig.net.is_at_rest());
            assert_eq!(rig.said_by_two(peer), 2);
            // Its leg's latch has opened.
            rig.net.follow(peer as u16, None);
            assert!(rig.net.is_open(peer as u16));
            rig.follow(peer);
            rig.goes_through(peer, b"there");
        }
    }
}

#[test]
fn a_socket_on_a_wildcard_is_open_to_all() {
    for way in BOTH {
        let mut rig = Rig::new(Ipv4Addr::UNSPECIFIED.into(), 8, way, QUEUES);
        assert!(!rig.net.is_open(0));
        rig.net.follow(0, Some("127.0.0.1:9".parse().expect("an address")));
        assert_eq!(rig.net.peer(0), None);
    }
}

#[test]
fn a_burst_beyond_a_socket_s_share_waits_and_loses_nothing() {
    for way in [DEFER, COOP, EPOLL] {
        let mut rig = Rig::v4(256, way);
        for packet in 0..250 {
            rig.say(0, &[packet; 20]);
        }
        rig.say(1, b"the other");
        rig.relay(251);
        rig.assert_at_rest(256);
        assert_eq!(rig.net.totals().receive_rests > 0, way.0 == Backend::Uring);
        for packet in 0..250 {
            assert_eq!(rig.hear(1).0[1..], [packet; 19], "in their order");
        }
        assert_eq!(rig.hear(0).0[1..], b"he other"[..]);
        assert_eq!((rig.lost, rig.net.totals().receive_errors), (0, 0));
    }
}
