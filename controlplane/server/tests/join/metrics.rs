//! Each metric moves while a server does what it is for.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};

use crate::way::{FOUR, Way};
use crate::world::{Plan, World, warm};

/// What a healthy run cannot move, and where it is moved by a fault.
const UNMOVED: [(&str, &str); 45] = [
    (
        "baton_voicemails_total",
        "somebody is there: the tests of the answering machine",
    ),
    ("baton_routes_total", "nobody is asked: the test of the router"),
    (
        "baton_callbacks_total",
        "nobody is called back: the tests of the callbacks",
    ),
    ("baton_callbacks_missed_total", "likewise"),
    ("baton_callbacks_open", "likewise"),
    ("baton_callbacks_late_seconds_total", "likewise"),
    (
        "baton_rule_handoffs_requested_total",
        "no rule here: the tests of the judgement",
    ),
    ("baton_rule_handoffs_total", "likewise"),
    (
        "baton_calls_refused_total",
        "needs a server that refuses: the tests of the budget",
    ),
    ("baton_queue_open", "no queue here: the tests of the agents"),
    ("baton_queue_waiting", "likewise"),
    ("baton_queue_longest_wait_seconds", "likewise"),
    ("baton_queue_agents", "likewise"),
    ("baton_queue_wait_seconds", "likewise"),
    ("baton_queue_left_total", "likewise"),
    ("baton_worker_full", "the test of the budget sees it"),
    (
        "baton_draining",
        "a stop ends the scrapes soon: the tests of the stop see it",
    ),
    ("baton_calls_moved_total", "one worker here: its own test"),
    (
        "baton_worker_mixed_packets_total",
        "needs a supervisor: the core's tests",
    ),
    ("baton_takeover_byes_total", "needs a server that died: its own tests"),
    ("baton_handoff_lost_packets_total", "loopback loses nothing"),
    ("baton_hep_messages_total", "off by default: the tests of the traces"),
    ("baton_otlp_spans_total", "off by default: the tests of the traces"),
    ("baton_sip_send_errors_total", "the kernel takes everything on loopback"),
    (
        "baton_node_queued",
        "nothing waits in a quiet server at the moment of a scrape",
    ),
    ("baton_store_waiting", "nothing waits at the moment of a scrape"),
    ("baton_store_given_up_total", "needs a full queue: the store's tests"),
    (
        "baton_store_trouble_seconds",
        "needs a database that is gone: the store's tests",
    ),
    ("baton_store_pruned_total", "nothing is old here: the store's tests"),
    (
        "baton_worker_queued",
        "nothing waits in a quiet server at the moment of a scrape",
    ),
    (
        "baton_worker_transcoded_packets_total",
        "the parties here have one codec",
    ),
    ("baton_worker_comfort_packets_total", "nobody here is silent"),
    (
        "baton_worker_rtcp_packets_total",
        "the first report is due after seconds",
    ),
    ("baton_worker_lost_packets_total", "loopback loses nothing"),
    (
        "baton_worker_kernel_dropped_packets_total",
        "needs a worker that is late",
    ),
    (
        "baton_worker_truncated_packets_total",
        "needs a packet that no buffer holds",
    ),
    ("baton_worker_send_errors_total", "needs a network that refuses"),
    ("baton_worker_receive_errors_total", "needs a socket that breaks"),
    ("baton_worker_receive_rests_total", "needs a flood"),
    ("baton_worker_receive_rearms_total", "needs all buffers in use"),
    (
        "baton_worker_completion_overflows_total",
        "needs a completion queue that is full",
    ),
    ("baton_worker_transmit_waits_total", "needs all transmit buffers in use"),
    (
        "baton_worker_event_waits_total",
        "needs a control plane that stands still",
    ),
    (
        "baton_worker_mailbox_overflows_total",
        "needs more keys than anybody presses",
    ),
    ("baton_worker_dropped_packets_total", "every packet here has a listener"),
];

/// Families of a scrape that have a sample that is not 0; and all of them.
fn moved(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut moved, mut all) = (BTreeSet::new(), BTreeSet::new());
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name").to_owned();
            all.insert(family.clone());
        } else if !line.starts_with('#') {
            let (_, value) = line.rsplit_once(' ').expect("a sample");
            if value.parse::<f64>().expect("a number") != 0.0 {
                moved.insert(family.clone());
            }
        }
    }
    (moved, all)
}

fn options(from: SocketAddr, number: u32) -> String {
    format!(
        "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@b>;tag={number}\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: options-{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn answered(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    socket.recv(&mut buffer).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must see what it does not show"
)]
async fn every_metric_moves_or_says_why_it_cannot() {
    // An endpoint that is not there, so that an event waits.
    let more = "[[webhooks]]\nname = \"gone\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n";
    let plan = Plan::all(Way::udp(FOUR));
    let mut world = World::with(Plan { more, ..plan }).await;
    let to = world.sip;

    // Said twice, no message at all, from a stranger, and a connection.
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let here = socket.local_addr().expect("bound");
    for _ in 0..2 {
        socket.send_to(options(here, 1).as_bytes(), to).await.expect("sent");
        answered(&socket).await;
    }
    socket.send_to(b"\x80\x00 no SIP", to).await.expect("sent");
    let stranger = UdpSocket::bind("127.0.0.2:0").await.expect("a socket");
    let there = stranger.local_addr().expect("bound");
    let invite = options(there, 2).replace("OPTIONS", "INVITE");
    stranger.send_to(invite.as_bytes(), to).await.expect("sent");
    answered(&stranger).await;
    let _connection = TcpStream::connect(to).await.expect("connected");

    let handoff = world.ask_for_a_human(warm()).await;
    let (mut moving, all) = moved(&world.get("/metrics").await);
    world.is_taken(&handoff).await;
    // The human hands on to somebody who is busy.
    let on = serde_json::json!({ "mode": "warm", "reason": "a matter of sales", "target": "sales" });
    let second = world.ask_for_a_human(on).await;
    world.events(&second, "baton.handoff.failed").await;
    moving.extend(moved(&world.get("/metrics").await).0);
    // A first look at the workers takes half a second.
    while !moving.contains("baton_worker_busy_ratio") {
        moving.extend(moved(&world.get("/metrics").await).0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.hang_up().await;
    // The end is told when everything of the call is over.
    while !moving.contains("baton_calls_ended_total") {
        moving.extend(moved(&world.get("/metrics").await).0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    for (name, why) in UNMOVED {
        assert!(all.contains(name), "{name} is not a metric");
        eprintln!("not moved here: {name}: {why}");
    }
    let unmoved: BTreeSet<_> = UNMOVED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let still: Vec<_> = all
        .iter()
        .filter(|name| !moving.contains(*name) && !unmoved.contains(*name))
        .collect();
    assert!(still.is_empty(), "these never move: {still:#?}");
    world.stop().await;
}
