//! A queue that calls several agents at a time, each at a phone of its own.

use serde_json::{Value, json};

use crate::agents::put;
use crate::party::{Manner, Party, Signal, Voice, Wish};
use crate::pbx::Pbx;
use crate::prompts::handing_off;
use crate::way::{FOUR, Way};
use crate::world::{ADMIN, Plan, World};

const ALL: [&str; 3] = ["anna", "berta", "carla"];

/// A call of three at a time.
struct Floor {
    world: World,
    pbx: Pbx,
    /// The phones of all agents, in their order. None answers until it is told to.
    phones: [Party; 3],
}

impl Floor {
    /// With these of them at work. A phone rings for longer than a test is patient.
    async fn open(there: &[&str]) -> Floor {
        let way = Way::udp(FOUR);
        let ring = || Party::start(Voice::Human, Manner::Rings, way);
        let phones = [ring().await, ring().await, ring().await];
        let pbx = Pbx::of(ALL.into_iter().zip(phones.iter().map(|phone| phone.at)).collect()).await;
        let more = format!(
            "[[targets]]\nname = \"floor\"\nnext_hop = \"{}\"\npatterns = [\"sip:*@127.0.0.1\"]\nring_s = 120\n\
             [targets.queue]\nat_once = 3\n",
            pbx.at
        );
        let plan = Plan {
            more: more.leak(),
            pairs: 16,
            ..Plan::all(way)
        };
        let world = World::with(plan).await;
        for id in there {
            let said = json!({ "uri": format!("sip:{id}@127.0.0.1"), "presence": "available" });
            put(&world, ADMIN, id, said).await;
        }
        Floor { world, pbx, phones }
    }

    /// Another caller is handed off to the queue, and all these phones ring for it.
    async fn calls(&mut self, ringing: &[usize]) -> (Party, String) {
        let wish = json!({ "mode": "cold", "target": "floor", "reason": "asked for a human" });
        let (caller, handoff) = handing_off(&mut self.world, wish).await;
        for n in ringing {
            let invited = Signal::Invited(Some(self.world.call.clone()), Some(handoff.clone()));
            assert_eq!(self.phones[*n].next().await, invited, "{}", ALL[*n]);
        }
        (caller, handoff)
    }

    /// What each agent does, by the API.
    async fn states(&self) -> Vec<Value> {
        let list = self.world.document("/v1/agents").await;
        let agents = list["agents"].as_array().expect("a list").iter();
        agents.map(|agent| agent["state"].clone()).collect()
    }

    /// Both hear each other, and the record says that this agent has the caller and that nobody has failed.
    async fn has(&mut self, n: usize, caller: &mut Party, handoff: &str) {
        self.phones[n].until(&Signal::Up).await;
        caller.hears(Voice::Human).await;
        self.phones[n].hears(Voice::Caller).await;
        self.world.events(handoff, "baton.handoff.joined").await;
        let record = self.world.record(handoff).await;
        assert_eq!(
            (&record["agent"], &record["failed_targets"]),
            (&json!(ALL[n]), &json!([])),
            "{record}"
        );
    }
}

async fn over(mut caller: Party) {
    caller.wish(Wish::HangUp);
    caller.until(&Signal::Over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ring_who_answers_has_the_caller_and_the_others_fall_silent_and_are_free() {
    let mut floor = Floor::open(&ALL).await;
    let (mut first, handoff) = floor.calls(&[0, 1, 2]).await;
    assert_eq!(floor.states().await, ["ringing"; 3]);

    floor.phones[1].wish(Wish::Answer);
    floor.has(1, &mut first, &handoff).await;
    for n in [0, 2] {
        assert_eq!(floor.phones[n].next().await, Signal::Over, "{}", ALL[n]);
        floor.phones[n].has_heard_nothing();
    }
    // RFC 3326: a phone shows no missed call then.
    let mut silenced = Vec::new();
    while silenced.len() < 2 {
        let (who, why) = floor.pbx.cancelled().await;
        assert_eq!(why, "SIP;cause=200;text=\"Call completed elsewhere\"", "{who}");
        if !silenced.contains(&who) {
            silenced.push(who);
        }
    }
    silenced.sort();
    assert_eq!(silenced, ["anna", "carla"]);
    assert_eq!(floor.states().await, ["available", "talking", "available"]);

    // Nothing is held against those who were not the first: they are called for the next one.
    let (mut second, handoff) = floor.calls(&[0, 2]).await;
    assert_eq!(floor.states().await, ["ringing", "talking", "ringing"]);
    floor.phones[2].wish(Wish::Answer);
    floor.has(2, &mut second, &handoff).await;
    assert_eq!(floor.phones[0].next().await, Signal::Over);
    assert_eq!(floor.states().await, ["available", "talking", "talking"]);
    floor.phones[0].has_heard_nothing();
    let says = [
        "baton_queue_agents{queue=\"floor\",state=\"available\"} 1",
        "baton_queue_agents{queue=\"floor\",state=\"talking\"} 2",
    ];
    floor.world.metrics_say(&says).await;
    over(first).await;
    over(second).await;
    floor.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_busy_is_nobody_s_failure_as_long_as_another_phone_rings() {
    let mut floor = Floor::open(&ALL[..2]).await;
    let (mut caller, handoff) = floor.calls(&[0, 1]).await;
    floor.phones[0].wish(Wish::Refuse(486));
    floor.phones[0].until(&Signal::Over).await;
    assert_eq!(floor.states().await, ["set_aside", "ringing"]);
    // Berta's phone rings on, and was not called a second time.
    floor.phones[1].wish(Wish::Answer);
    floor.has(1, &mut caller, &handoff).await;
    assert_eq!(floor.pbx.cancels(), []);
    assert_eq!(floor.states().await, ["set_aside", "talking"]);
    over(caller).await;
    floor.world.stop().await;
}
