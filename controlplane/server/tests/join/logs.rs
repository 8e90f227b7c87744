//! The log of a call, as it is written.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use crate::PATIENCE;
use crate::way::{FOUR, Way};
use crate::world::{Plan, World, warm};

/// What was logged, by all tests of the process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

impl Log {
    /// The fields of the lines that name the call.
    fn of(&self, call: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("the log").clone()).expect("text");
        let lines = text.lines().filter(|line| line.contains(call));
        let fields = lines.map(|line| {
            let line: Value = serde_json::from_str(line).expect("one object a line");
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            line["fields"].clone()
        });
        fields.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_call_names_it_and_its_handoff_and_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter("baton_server=debug")
        .with_writer(log.clone());
    // No other test of this program sets one; tasks of the server have no other way to it.
    tracing::subscriber::set_global_default(subscriber.finish()).expect("the only one");
    let plan = Plan::all(Way::udp(FOUR));
    let mut world = World::with(plan).await;
    let handoff = world.ask_for_a_human(warm()).await;
    world.is_taken(&handoff).await;
    world.events(&handoff, "baton.handoff.completed").await;
    let call = world.call.clone();
    world.hang_up().await;
    let ended = async {
        while !log.of(&call).iter().any(|fields| fields["message"] == "call ended") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ended).await.expect("the end is logged");
    let lines = log.of(&call);
    for fields in &lines {
        assert_eq!(fields["call"], json!(call), "{fields}");
    }
    for step in [
        "handoff requested",
        "human invited",
        "human answered",
        "joined",
        "handoff closed",
    ] {
        let found = lines.iter().find(|fields| fields["message"] == step);
        assert_eq!(
            found.unwrap_or_else(|| panic!("no {step}"))["handoff"],
            json!(handoff),
            "{step}"
        );
    }
    for (party, title, message) in [
        ("caller", "INVITE", "SIP received"),
        ("caller", "200 INVITE", "SIP sent"),
        ("ai", "INVITE", "SIP sent"),
        ("human", "INVITE", "SIP sent"),
        ("human", "ACK", "SIP sent"),
        ("ai", "BYE", "SIP sent"),
    ] {
        let told =
            |fields: &&Value| fields["party"] == party && fields["title"] == title && fields["message"] == message;
        let line = lines
            .iter()
            .find(told)
            .unwrap_or_else(|| panic!("no {message} of the {party}: {title}"));
        let sip = line["sip"].as_str().expect("the message");
        assert!(sip.contains("Call-ID: ") && line["sip_call_id"].is_string(), "{line}");
        if (party, title) == ("human", "INVITE") {
            assert!(
                sip.contains("call-info: (cut out)") && sip.contains("user-to-user: (cut out)"),
                "{sip}"
            );
        }
    }
    let all = serde_json::to_string(&lines).expect("JSON");
    assert!(!all.contains("token="), "{all}");
    world.nothing_is_left().await;
}
