//! A new version takes over: nobody's call is dropped, and nobody is told that there is no such call.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal as Kill, kill_process};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::PATIENCE;
use crate::child::Program;
use crate::drain::{ask, ends, signal};
use crate::party::{Carrier, Manner, Party, Signal, Voice, Wish};
use crate::way::{FOUR, Way};
use crate::world::{Plan, World, assert_evidence, start_program, warm};

/// What the old version logs when the new one has its sockets.
const TAKEN: &str = "a new version has taken over";

async fn world(way: Way) -> World {
    let plan = Plan::all(way);
    let node = "drain_s = 3600\nlog = \"info,baton_server=debug\"";
    World::with_program(Plan { node, ..plan }).await
}

/// Waits until a program has logged this.
pub(crate) async fn says(program: &mut Program, text: &str) {
    let end = Instant::now() + PATIENCE;
    while !program.said().contains(text) {
        assert!(Instant::now() < end, "{text:?} is not in {}", program.said());
        sleep(Duration::from_millis(10)).await;
    }
}

/// Starts a new version; it has taken over.
pub(crate) async fn taken_over(world: &mut World) -> Program {
    let (old, folder) = world.program();
    let mut new = start_program("new", folder, &["--take-over"]);
    let end = Instant::now() + PATIENCE;
    while !old.said().contains(TAKEN) {
        new.assert_running();
        assert!(Instant::now() < end, "{}\n{}", old.said(), new.said());
        sleep(Duration::from_millis(10)).await;
    }
    new
}

/// Neither version has told anybody that there is no such call.
fn nobody_was_told_481(programs: &[&Program]) {
    for program in programs {
        assert!(!program.said().contains("SIP/2.0 481"), "{}", program.said());
    }
}

/// Another caller's call, which the AI answers.
async fn another_call(world: &mut World, way: Way) -> Party {
    let mut caller = Party::start(Voice::Caller, Manner::IsBusy, way).await;
    caller.wish(Wish::Call(world.sip, Carrier::Refuses));
    world.ai.until(&Signal::Up).await;
    caller.until(&Signal::Up).await;
    caller.hears(Voice::Ai).await;
    caller
}

async fn calls(world: &World) -> usize {
    world.document("/v1/calls").await["calls"]
        .as_array()
        .map_or(0, Vec::len)
}

/// A call of the old version is handed off and ends while another one is the new version's. `cut`: every connection of the parties
/// breaks once the new version has taken over.
async fn both_versions_have_calls(way: Way, cut: bool) {
    let mut world = world(way).await;
    let mut new = taken_over(&mut world).await;
    if cut {
        for party in [&world.caller, &world.ai, &world.human] {
            party.cut().await;
        }
    }
    world.caller.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    assert_eq!(world.without_a_key("/readyz").await.status(), StatusCode::OK);

    // The API of the old version's call is found at the new one.
    let turn = json!({ "role": "caller", "text": "hello" });
    let turns = format!("/v1/calls/{}/turns", world.call);
    let (status, decided) = world.post(crate::world::OWN, &turns, turn).await;
    assert_eq!((status, &decided["decision"]), (StatusCode::OK, &json!("continue")));
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    let record = world.record(&handoff).await;
    assert_eq!(record["result"], "joined");
    assert_evidence(&record, "caller");
    assert_evidence(&record, "human");

    let mut second = another_call(&mut world, way).await;
    assert_eq!(calls(&world).await, 2);
    world.caller.hears(Voice::Human).await;
    world.human.hears(Voice::Caller).await;

    // The old version ends with its last call; the new one goes on.
    world.hang_up().await;
    ends(world.program().0);
    new.assert_running();
    second.hears(Voice::Ai).await;
    world.ai.hears(Voice::Caller).await;
    assert_eq!(calls(&world).await, 1);
    second.wish(Wish::HangUp);
    second.until(&Signal::Over).await;
    world.ai.until(&Signal::Bye).await;
    new.terminate();
    ends(&mut new);
    nobody_was_told_481(&[world.program().0, &new]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_the_next_call_while_the_old_one_hands_off_its_own() {
    both_versions_have_calls(Way::udp(FOUR), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_tcp_with_every_connection_cut_after_the_take_over() {
    both_versions_have_calls(Way::tcp(FOUR), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_cannot_start_leaves_the_old_one_as_it_was() {
    let mut world = world(Way::udp(FOUR)).await;
    let (_, folder) = world.program();
    let file = folder.join("baton.toml");
    let good = std::fs::read_to_string(&file).expect("the file");
    // The first is found before it knocks, the second after that.
    for (bad, why) in [
        ("[spi]\n", "there is no such key"),
        ("[store]\nurl = \"sqlite:nowhere/baton.db\"\n", "store.url"),
    ] {
        let (_, folder) = world.program();
        std::fs::write(&file, format!("{good}{bad}")).expect("written");
        let mut new = start_program("new", folder, &["--take-over"]);
        let status = new.wait(PATIENCE);
        assert!(
            !status.success() && new.said().contains(why),
            "{status}: {}",
            new.said()
        );
        world.program().0.assert_running();
        assert!(ask(world.sip, "OPTIONS").await.starts_with("SIP/2.0 200 "));
        assert_eq!(world.without_a_key("/readyz").await.status(), StatusCode::OK);
        world.caller.hears(Voice::Ai).await;
    }
    assert!(!world.program().0.said().contains(TAKEN));
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.hang_up().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_new_version_dies_the_old_one_takes_calls_again() {
    let mut world = world(Way::udp(FOUR)).await;
    let new = taken_over(&mut world).await;
    let handoff = world.ask_for_a_human(warm()).await;
    assert!(matches!(world.human.next().await, Signal::Invited(..)));
    signal(&new, Kill::KILL);
    says(world.program().0, "what comes is ours again").await;
    world.is_taken(&handoff).await;
    assert!(ask(world.sip, "OPTIONS").await.starts_with("SIP/2.0 200 "));
    assert_eq!(world.without_a_key("/readyz").await.status(), StatusCode::OK);
    let second = another_call(&mut world, Way::tcp(FOUR)).await;
    second.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    world.hang_up().await;
    // The next one may come.
    let mut newer = start_program("newer", world.program().1, &["--take-over"]);
    ends(world.program().0);
    newer.terminate();
    ends(&mut newer);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_old_version_dies_the_new_one_ends_its_calls_and_says_so() {
    let mut world = world(Way::udp(FOUR)).await;
    let mut new = taken_over(&mut world).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_briefed(&handoff).await;
    // Once it is answered, all that was before it is on the disk.
    let turns = format!("/v1/calls/{}/turns", world.call);
    let turn = json!({ "role": "caller", "text": "hello" });
    assert_eq!(world.post(crate::world::OWN, &turns, turn).await.0, StatusCode::OK);
    signal(world.program().0, Kill::KILL);
    for party in [&mut world.caller, &mut world.ai, &mut world.human] {
        party.until(&Signal::Bye).await;
    }
    world.events(&handoff, "baton.handoff.failed").await;
    assert_eq!(world.data["reason"], "node_restarted");
    let record = world.record(&handoff).await;
    assert_eq!(
        (&record["state"], &record["reason"]),
        (&json!("failed"), &json!("node_restarted"))
    );
    let second = another_call(&mut world, Way::udp(FOUR)).await;
    assert_eq!(calls(&world).await, 1);
    second.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    new.terminate();
    ends(&mut new);
}

/// A process that ends with the test.
struct Ended(Pid);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Kill::KILL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_makes_the_server_start_its_successor() {
    let mut world = world(Way::udp(FOUR)).await;
    signal(world.program().0, Kill::USR2);
    says(world.program().0, TAKEN).await;
    let said = world.program().0.said();
    let pid = said
        .lines()
        .find(|line| line.contains("a new version is started"))
        .expect("said");
    let (_, pid) = pid.rsplit_once("pid=").expect("its process");
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a number");
    let new = Ended(pid);
    world.caller.hears(Voice::Ai).await;
    world.caller.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
    assert!(ask(world.sip, "OPTIONS").await.starts_with("SIP/2.0 200 "));
    kill_process(new.0, Kill::TERM).expect("it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_the_new_version_stops_the_old_one_with_it() {
    let mut world = world(Way::udp(FOUR)).await;
    let mut new = taken_over(&mut world).await;
    new.terminate();
    says(&mut new, "draining: calls are left").await;
    let answer = ask(world.sip, "INVITE").await;
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    world.caller.hears(Voice::Ai).await;
    // A second signal: the old version's calls are hung up, too.
    new.terminate();
    world.caller.until(&Signal::Bye).await;
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
    ends(&mut new);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_the_old_version_drains_it_like_any_other() {
    let mut world = world(Way::udp(FOUR)).await;
    let mut new = taken_over(&mut world).await;
    signal(world.program().0, Kill::TERM);
    says(world.program().0, "draining: calls are left").await;
    world.caller.hears(Voice::Ai).await;
    assert!(ask(world.sip, "OPTIONS").await.starts_with("SIP/2.0 200 "));
    world.caller.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
    new.terminate();
    ends(&mut new);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_new_version_dies_as_it_is_stopped_the_old_one_stops_in_its_place() {
    let mut world = world(Way::udp(FOUR)).await;
    let mut new = taken_over(&mut world).await;
    new.terminate();
    says(&mut new, "draining: calls are left").await;
    signal(&new, Kill::KILL);
    says(world.program().0, "what comes is ours again").await;
    let answer = ask(world.sip, "INVITE").await;
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    assert_eq!(
        world.without_a_key("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    world.caller.hears(Voice::Ai).await;
    world.caller.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_new_version_has_no_place_to_knock_at_the_old_one_keeps_its_own() {
    let plan = Plan::all(Way::udp(FOUR));
    let node = "drain_s = 3600\nlog = \"info,baton_server=debug\"\ncontrol = \"control\"";
    let mut world = World::with_program(Plan { node, ..plan }).await;
    let (old, folder) = world.program();
    let (control, aside) = (folder.join("control"), folder.join("aside"));
    let mut new = start_program("new", folder, &["--take-over"]);
    says(old, "a new version would take over").await;
    // Before it is ready, which takes it far longer: nothing can be put into this place.
    std::fs::rename(&control, &aside).expect("the old one's");
    std::fs::create_dir(&control).expect("a folder");
    says(&mut new, "no new version can take over from this one").await;
    std::fs::remove_dir(&control).expect("an empty folder");
    std::fs::rename(&aside, &control).expect("as it was");
    says(world.program().0, TAKEN).await;
    signal(&new, Kill::KILL);
    says(world.program().0, "what comes is ours again").await;

    // Though the killed one may still have the ports that this one is to have.
    let mut newer = start_program("newer", world.program().1, &["--take-over"]);
    says(&mut newer, "listening").await;
    world.caller.hears(Voice::Ai).await;
    world.caller.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
    newer.terminate();
    ends(&mut newer);
}

/// A peer with one connection for all of its calls.
struct Trunk(TcpStream, SocketAddr);

impl Trunk {
    async fn open(to: SocketAddr) -> Trunk {
        let stream = TcpStream::connect(to).await.expect("connected");
        let at = stream.local_addr().expect("bound");
        Trunk(stream, at)
    }

    async fn send(&mut self, method: &str, branch: &str, cseq: u32, to_tag: &str) {
        let at = self.1;
        let body = match method {
            "INVITE" => {
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
            }
            _ => "",
        };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let request = format!(
            "{method} sip:baton@{at} SIP/2.0\r\nVia: SIP/2.0/TCP {at};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:x@{at}>;tag=x\r\nTo: <sip:baton@{at}>{to_tag}\r\nCall-ID: one-{at}\r\nCSeq: {cseq} {}\r\n\
             Contact: <sip:x@{at};transport=tcp>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            method,
            body.len()
        );
        self.0.write_all(request.as_bytes()).await.expect("written");
    }

    /// Reads until an answer with this status to this method.
    async fn answer(&mut self, status: u16, method: &str) -> String {
        let mut text = String::new();
        let mut buffer = vec![0; 65_535];
        let read = async {
            loop {
                let wanted = format!("SIP/2.0 {status} ");
                let found = text.split("SIP/2.0 ").skip(1).map(|one| format!("SIP/2.0 {one}"));
                if let Some(found) = found.into_iter().find(|one| {
                    one.starts_with(&wanted) && one.contains(&format!(" {method}\r\n")) && one.contains("\r\n\r\n")
                }) {
                    return found;
                }
                let len = self.0.read(&mut buffer).await.expect("read");
                assert!(len > 0, "closed after {text}");
                text += &String::from_utf8_lossy(&buffer[..len]);
            }
        };
        timeout(PATIENCE, read).await.expect("an answer")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_by_a_connection_of_the_old_version_is_the_new_ones() {
    let mut world = world(Way::udp(FOUR)).await;
    let mut carrier = Trunk::open(world.sip).await;
    carrier.send("OPTIONS", "a", 1, "").await;
    carrier.answer(200, "OPTIONS").await;
    let mut new = taken_over(&mut world).await;
    // The AI has room for another call when the human has the first one.
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;

    carrier.send("INVITE", "b", 2, "").await;
    let ok = carrier.answer(200, "INVITE").await;
    let to = ok.lines().find(|line| line.starts_with("To: ")).expect("a To");
    let tag = &to[to.find(";tag=").expect("a tag")..];
    carrier.send("ACK", "c", 2, tag).await;
    world.ai.until(&Signal::Up).await;
    assert_eq!(calls(&world).await, 2);
    carrier.send("BYE", "d", 3, tag).await;
    carrier.answer(200, "BYE").await;
    world.ai.until(&Signal::Bye).await;
    says(&mut new, "call ended").await;

    world.hang_up().await;
    ends(world.program().0);
    new.terminate();
    ends(&mut new);
    nobody_was_told_481(&[world.program().0, &new]);
}
