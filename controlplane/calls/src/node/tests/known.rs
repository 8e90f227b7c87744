//! Human agents that a node is told of by what was known before.

use playbook::routing::{Presence, Profile};

use super::*;
use crate::config::{Pattern, Queue, Strategy};
use crate::request::{AgentView, Request, Response};

fn agent(id: &str, uri: &str, presence: Presence) -> Profile {
    Profile {
        id: id.to_owned(),
        name: id.to_owned(),
        uri: uri.to_owned(),
        skills: Default::default(),
        languages: Default::default(),
        presence,
        calls: 1,
        order: 0,
    }
}

/// Sales is a queue of the agents at its host.
fn world() -> World {
    let mut config = config();
    config.targets[0].patterns = vec![Pattern::parse("sip:agent-*@pbx.example.com").expect("a pattern")];
    config.targets[0].queue = Some(Queue {
        skills: Vec::new(),
        strategy: Strategy::LongestIdle,
        at_once: 1,
        max_wait: Duration::from_secs(120),
        wrap_up: Duration::ZERO,
        set_aside: Duration::from_secs(60),
    });
    World::new(config)
}

impl World {
    fn agents_now(&mut self) -> Vec<AgentView> {
        match self.node.handle_request(
            self.now,
            Request::Agents {
                after: String::new(),
                most: 10,
            },
        ) {
            Ok(Response::Agents(agents)) => agents,
            other => panic!("{other:?}"),
        }
    }

    fn says(&mut self, id: &str, presence: Presence) -> AgentView {
        let said = self
            .node
            .handle_request(self.now, Request::Presence(id.to_owned(), presence));
        match said {
            Ok(Response::Agent(agent)) => *agent,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn agents_that_are_told_anew_are_as_they_were_and_who_is_not_told_is_gone() {
    let mut world = world();
    let [anna, berta] = [("anna", "agent-1"), ("berta", "agent-2")]
        .map(|(id, user)| agent(id, &format!("sip:{user}@pbx.example.com"), Presence::Available));
    let left = world.node.know_agents(world.now, vec![anna.clone(), berta.clone()]);
    assert_eq!(left, []);
    world.now += Duration::from_secs(60);
    let away = Profile {
        presence: Presence::Away,
        ..berta.clone()
    };
    world.node.know_agents(world.now, vec![anna.clone(), away]);
    let agents = world.agents_now();
    assert_eq!(agents[0].idle_s, Some(60), "of whom nothing new was said");
    assert_eq!((agents[1].profile.id.as_str(), agents[1].state), ("berta", "away"));
    world.node.know_agents(world.now, vec![anna]);
    assert_eq!(world.agents_now().len(), 1);
}

#[test]
fn who_may_be_called_by_no_queue_is_known_and_may_say_whether_it_is_there() {
    let mut world = world();
    let elsewhere = agent("carl", "sip:carl@elsewhere.example.com", Presence::Available);
    assert_eq!(world.node.know_agents(world.now, vec![elsewhere]), []);
    assert_eq!(world.agents_now()[0].queues, [""; 0]);
    let said = world.says("carl", Presence::Offline);
    assert_eq!((said.state, said.profile.presence), ("offline", Presence::Offline));
    assert_eq!(world.node.queues(world.now)[0].agents.len(), 0);
    let nobody = world
        .node
        .handle_request(world.now, Request::Presence("nobody".to_owned(), Presence::Busy));
    assert!(nobody.is_err());
}
