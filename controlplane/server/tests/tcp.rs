//! SIP over TCP through a whole server, over real sockets.

mod folder;
mod ports;

use std::net::SocketAddr;
use std::time::Duration;

use baton_server::config::Config;
use baton_server::server::Server;
use ports::Ports;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// A wait that is not over by then fails the test; nothing depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn server(ports: &mut Ports, sip: &str, more: &str) -> Server {
    let first_port = ports.take(16);
    let text = format!(
        "[node]\ndrain_s = 0\n[sip]\nlisten = \"127.0.0.1:0\"\n{sip}\n[media]\nfirst_port = {first_port}\nports_per_worker = 8\n\
         [http]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    let config = Config::from_toml(&text, &folder::of(first_port)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Server::start(config).await.expect("started")
}

fn request(method: &str, number: u32, version: &str) -> String {
    format!(
        "{method} sip:us@127.0.0.1 {version}\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:p@p.example>;tag=1\r\nTo: <sip:us@127.0.0.1>\r\nCall-ID: c{number}\r\nCSeq: {number} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn options(number: u32) -> String {
    request("OPTIONS", number, "SIP/2.0")
}

/// One side of a connection that reads message by message.
struct Peer {
    stream: TcpStream,
    read: String,
}

impl Peer {
    async fn connect(to: SocketAddr) -> Peer {
        let stream = TcpStream::connect(to).await.expect("connected");
        let read = String::new();
        Peer { stream, read }
    }

    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("written");
    }

    /// More bytes; `false` at the end.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let len = read.expect("something came").unwrap_or(0);
        self.read.push_str(std::str::from_utf8(&buffer[..len]).expect("text"));
        len > 0
    }

    /// The next message, which has no body, or whose body has this length.
    async fn message(&mut self) -> String {
        loop {
            if let Some(end) = self.read.find("\r\n\r\n").map(|at| at + 4) {
                let head = &self.read[..end];
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length: usize = length.expect("a length").parse().expect("a number");
                if self.read.len() >= end + length {
                    return self.read.drain(..end + length).collect();
                }
            }
            assert!(self.more().await, "closed after {:?}", self.read);
        }
    }

    /// Status and CSeq number of the next answer.
    async fn answer(&mut self) -> (u16, u32) {
        let message = self.message().await;
        let status = message[8..11].parse().expect("a status");
        let cseq = message
            .lines()
            .find_map(|line| line.strip_prefix("CSeq: "))
            .expect("a CSeq");
        (
            status,
            cseq.split(' ').next().expect("a number").parse().expect("a number"),
        )
    }

    async fn closed(&mut self) {
        while self.more().await {}
    }
}

#[tokio::test]
async fn messages_come_together_and_in_pieces_and_each_is_answered_on_its_connection() {
    let mut ports = Ports::claim();
    let server = server(&mut ports, "", "").await;
    let mut peer = Peer::connect(server.sip()).await;
    peer.write(&[options(1), options(2), options(3)].concat()).await;
    for number in 1..=3 {
        assert_eq!(peer.answer().await, (200, number));
    }
    peer.stream.set_nodelay(true).expect("set");
    for byte in options(4).bytes() {
        peer.stream.write_all(&[byte]).await.expect("written");
    }
    assert_eq!(peer.answer().await, (200, 4));
    // RFC 5626 §3.5.1.
    peer.write("\r\n\r\n").await;
    while peer.read.is_empty() {
        assert!(peer.more().await);
    }
    assert_eq!(std::mem::take(&mut peer.read), "\r\n");
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_answered_and_the_connection_lives() {
    let mut ports = Ports::claim();
    let server = server(&mut ports, "", "").await;
    let mut peer = Peer::connect(server.sip()).await;
    let bare = options(3).replace("Content-Length: 0\r\n", "");
    let wrong = [
        request("FROBNICATE", 1, "SIP/2.0"),
        request("OPTIONS", 2, "SIP/7.0"),
        bare,
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n\0\u{7f}\r\n".to_owned(),
        options(4).replace("Content-Length: 0", "Content-Length : 0"),
    ];
    peer.write(&wrong.concat()).await;
    for expected in [(405, 1), (505, 2), (400, 3), (200, 4)] {
        assert_eq!(peer.answer().await, expected);
    }
    // Where the next message would begin, nobody knows: the answer, and the end.
    let lengths = options(5).replace("Content-Length: 0", "Content-Length: 0\r\nl: 5");
    peer.write(&(lengths + &options(6))).await;
    assert_eq!(peer.answer().await, (400, 5));
    peer.closed().await;
    assert_eq!(peer.read, "");
    let mut other = Peer::connect(server.sip()).await;
    other.write(&options(7)).await;
    assert_eq!(other.answer().await, (200, 7), "the listener lives");
    server.stop().await;
}

#[tokio::test]
async fn who_closes_sends_nothing_whole_or_does_not_read_harms_nobody_else() {
    let mut ports = Ports::claim();
    let server = server(&mut ports, "tcp_message_s = 1\ntcp_stall_s = 1\ntcp_queue_kib = 64", "").await;
    // Gone before its answer.
    for number in 0..20 {
        let mut peer = Peer::connect(server.sip()).await;
        peer.write(&options(number)).await;
    }
    // Never says anything whole.
    let mut slow = Peer::connect(server.sip()).await;
    slow.write("OPTIONS sip:us@127.0.0.1 SIP/2.0\r\nX: ").await;
    // Never reads.
    let mut deaf = Peer::connect(server.sip()).await;
    let many = options(1).repeat(100);
    let deafness = async { while deaf.stream.write_all(many.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, deafness).await.expect("it is disconnected");
    slow.closed().await;
    let mut peer = Peer::connect(server.sip()).await;
    peer.write(&options(2)).await;
    assert_eq!(peer.answer().await, (200, 2));
    server.stop().await;
}

#[tokio::test]
async fn connections_are_bounded_per_peer() {
    let mut ports = Ports::claim();
    let server = server(&mut ports, "tcp_connections_per_peer = 2", "").await;
    let mut first = Peer::connect(server.sip()).await;
    let mut second = Peer::connect(server.sip()).await;
    for (number, peer) in [&mut first, &mut second].into_iter().enumerate() {
        peer.write(&options(number as u32)).await;
        assert_eq!(peer.answer().await.0, 200);
    }
    Peer::connect(server.sip()).await.closed().await;
    first.write(&options(5)).await;
    assert_eq!(first.answer().await, (200, 5));
    server.stop().await;
}

/// A caller's INVITE, whose AI has a name so long that its own INVITE is longer than 1,300 bytes.
async fn call_with_a_long_invite(ports: &mut Ports, ai: SocketAddr) -> (Server, UdpSocket) {
    let more = format!(
        "[[trunks]]\nname = \"carrier\"\n[[ai_agents]]\nname = \"assistant\"\nuri = \"sip:{}@{ai}\"\n",
        "a".repeat(700)
    );
    let server = server(ports, "", &more).await;
    let caller = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let at = caller.local_addr().expect("bound");
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let invite = format!(
        "INVITE sip:us@{} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKcall\r\nMax-Forwards: 70\r\n\
         From: <sip:caller@127.0.0.1>;tag=c\r\nTo: <sip:us@127.0.0.1>\r\nCall-ID: long\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:caller@{at}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        server.sip(),
        sdp.len()
    );
    caller.send_to(invite.as_bytes(), server.sip()).await.expect("sent");
    (server, caller)
}

#[tokio::test]
async fn a_request_over_1300_bytes_goes_by_tcp() {
    let mut ports = Ports::claim();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (server, _caller) = call_with_a_long_invite(&mut ports, listener.local_addr().expect("bound")).await;
    let accepted = timeout(PATIENCE, listener.accept()).await.expect("a connection");
    let (stream, _) = accepted.expect("accepted");
    let read = String::new();
    let mut ai = Peer { stream, read };
    let invite = ai.message().await;
    assert!(invite.len() > 1300, "{}", invite.len());
    let via = format!("Via: SIP/2.0/TCP {};branch=", server.sip());
    let contact = format!("Contact: <sip:{};transport=tcp>\r\n", server.sip());
    assert!(
        invite.starts_with("INVITE ") && invite.contains(&via) && invite.contains(&contact),
        "{invite}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_request_over_1300_bytes_goes_by_udp_where_tcp_is_refused() {
    let mut ports = Ports::claim();
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (server, _caller) = call_with_a_long_invite(&mut ports, ai.local_addr().expect("bound")).await;
    let mut buffer = vec![0; 65_535];
    let len = timeout(PATIENCE, ai.recv(&mut buffer))
        .await
        .expect("a datagram")
        .expect("received");
    let invite = std::str::from_utf8(&buffer[..len]).expect("text");
    assert!(len > 1300, "{len}");
    let via = format!("Via: SIP/2.0/UDP {};branch=", server.sip());
    let contact = format!("Contact: <sip:{}>\r\n", server.sip());
    assert!(
        invite.starts_with("INVITE ") && invite.contains(&via) && invite.contains(&contact),
        "{invite}"
    );
    server.stop().await;
}
