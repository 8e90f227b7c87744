//! A server that is told to stop: what still begins, what goes on, and what ends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal as Kill, kill_process};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::child::Program;
use crate::party::{Manner, Signal, Voice};
use crate::way::{FOUR, Way};
use crate::world::{Plan, World, assert_evidence, warm};

/// One request outside of any dialog, and the first answer to it.
pub(crate) async fn ask(to: SocketAddr, method: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let at = socket.local_addr().expect("bound");
    let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
    let (kind, body) = if method == "INVITE" {
        ("Content-Type: application/sdp\r\n", body)
    } else {
        ("", "")
    };
    let request = format!(
        "{method} sip:baton@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{at};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:x@{at}>;tag=x\r\nTo: <sip:baton@{to}>\r\nCall-ID: {method}-{at}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{at}>\r\n\
         {kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut buffer = vec![0; 65_535];
    let answered = async {
        loop {
            socket.send_to(request.as_bytes(), to).await.expect("sent");
            if let Ok(Ok((len, _))) = timeout(Duration::from_millis(500), socket.recv_from(&mut buffer)).await {
                return String::from_utf8_lossy(&buffer[..len]).into_owned();
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer")
}

pub(crate) fn signal(program: &Program, signal: Kill) {
    let pid = Pid::from_raw(program.id().cast_signed()).expect("a process");
    kill_process(pid, signal).expect("our child");
}

async fn refuses_new_calls(world: &World) {
    for method in ["INVITE", "OPTIONS"] {
        let answer = ask(world.sip, method).await;
        assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    }
    assert_eq!(
        world.without_a_key("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(world.without_a_key("/healthz").await.status(), StatusCode::OK);
    world.metrics_say(&["baton_draining 1", "baton_calls 1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_the_running_call_goes_on_and_may_be_handed_off() {
    let mut world = World::start(Manner::Answers).await;
    world.metrics_say(&["baton_draining 0"]).await;
    world.server().drain().await;
    refuses_new_calls(&world).await;
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    let record = world.record(&handoff).await;
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");
    world.end().await;
}

/// The call of a program that drains for an hour at the most.
async fn in_a_program() -> World {
    let plan = Plan::all(Way::udp(FOUR));
    let node = "drain_s = 3600";
    World::with_program(Plan { node, ..plan }).await
}

/// The program ends by itself within the time that a step of its stop has, and as it should.
pub(crate) fn ends(program: &mut Program) {
    let began = Instant::now();
    let status = program.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", program.said());
    assert!(began.elapsed() < Duration::from_secs(30), "{}", program.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_waits_for_its_last_call_and_ends_with_it() {
    let mut world = in_a_program().await;
    signal(world.program().0, Kill::TERM);
    while world.without_a_key("/readyz").await.status() == StatusCode::OK {}
    refuses_new_calls(&world).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    world.program().0.assert_running();
    world.hang_up().await;
    let (program, _) = world.program();
    ends(program);
    assert!(
        program.said().contains("draining: calls are left"),
        "{}",
        program.said()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_hangs_up() {
    let mut world = in_a_program().await;
    signal(world.program().0, Kill::INT);
    while world.without_a_key("/readyz").await.status() == StatusCode::OK {}
    world.caller.hears(Voice::Ai).await;
    signal(world.program().0, Kill::TERM);
    world.caller.until(&Signal::Bye).await;
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
}
