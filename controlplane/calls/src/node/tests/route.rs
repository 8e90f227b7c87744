//! Handoffs whose way somebody outside is asked for.

use super::*;
use crate::handoff::Unrouted;

const BOUND: Duration = Duration::from_millis(800);

fn asked() -> Config {
    let mut config = config();
    config.router = Some(BOUND);
    config
}

fn talking(config: Config) -> World {
    let mut world = World::new(config);
    world.talk();
    world
}

impl World {
    fn route(&mut self, id: HandoffId, names: &[&str]) -> Result<Response, RequestError> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        self.request(Request::Route(id, Ok(names)))
    }

    /// Where the caller went, and why nothing was changed.
    fn routed(&self) -> Option<(Vec<String>, Option<Unrouted>)> {
        self.notices.iter().find_map(|what| match what {
            What::Handoff(_, Step::Routed { targets, unchanged }) => Some((targets.clone(), *unchanged)),
            _ => None,
        })
    }

    fn asks(&self) -> usize {
        self.story().into_iter().filter(|name| *name == "asked").count()
    }
}

#[test]
fn the_caller_goes_where_it_is_said_and_waits_with_a_word_until_then() {
    let mut world = talking(asked());
    let id = world.ask(Mode::Warm);
    assert_eq!(world.hears("caller"), "play(announcement)");
    assert!(world.peers[SALES].log.is_empty() && world.peers[SUPPORT].log.is_empty());
    let package = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Asked { package, targets, .. }) => Some((package.clone(), targets.clone())),
        _ => None,
    });
    let (package, targets) = package.expect("what it needs to know");
    assert_eq!(targets, ["sales", "support"]);
    assert_eq!(package.caller_id.number.as_deref(), Some("+4930123"));
    assert!(world.route(id, &["support", "nowhere", "sales"]).is_ok());
    assert_eq!(
        world.routed(),
        Some((vec!["support".to_owned(), "sales".to_owned()], None))
    );
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    assert!(world.peers[SALES].log.is_empty());
    world.reject(SUPPORT, 486);
    assert_eq!(world.peers[SALES].log, ["invite"], "in its order");
    world.answer(SALES);
    world.played(3, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    let late = world.route(id, &["support"]);
    assert!(matches!(late, Err(RequestError::WrongState(_))), "{late:?}");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn without_an_answer_in_time_or_of_use_it_goes_as_the_playbook_says() {
    for why in [Unrouted::Late, Unrouted::Useless, Unrouted::Said] {
        let mut world = talking(asked());
        let id = world.ask(Mode::Warm);
        match why {
            Unrouted::Late => {
                world.pass(BOUND - Duration::from_millis(1));
                assert_eq!(world.routed(), None);
                world.pass(Duration::from_millis(1));
            }
            Unrouted::Useless => assert!(world.route(id, &["nowhere"]).is_ok()),
            Unrouted::Said => assert!(world.request(Request::Route(id, Err(why))).is_ok()),
        }
        let playbook = vec!["sales".to_owned(), "support".to_owned()];
        assert_eq!(world.routed(), Some((playbook, Some(why))));
        assert_eq!(world.peers[SALES].log, ["invite"]);
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn who_says_where_to_is_not_asked_again_nor_where_all_is_closed() {
    let mut world = talking(asked());
    let wish = HandoffRequest {
        mode: None,
        target: Some("support".to_owned()),
        reason: String::new(),
        context: None,
        by_ai: true,
    };
    let call = world.id();
    assert!(world.request(Request::Handoff(call, wish)).is_ok());
    assert_eq!((world.asks(), world.peers[SUPPORT].log.len()), (0, 1));
    world.hang_up(CALLER);

    let mut world = talking(asked());
    world.refer(AI, &format!("sip:sales@{}", address(SALES)), &[]);
    assert_eq!((world.asks(), world.peers[SALES].log.len()), (0, 1));
    world.hang_up(CALLER);

    let mut closed = asked();
    let mut never = playbook::hours::Calendar::new("UTC").expect("a zone");
    never.open("Mon 00:00-00:01").expect("hours");
    let never = Arc::new(never);
    let targets = closed.targets.iter_mut();
    targets.for_each(|target| target.hours = Arc::clone(&never));
    let mut world = World::new(closed);
    // A Monday at noon.
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200);
    world.node.handle_wall(world.now, noon);
    world.talk();
    world.ask(Mode::Warm);
    assert_eq!(world.asks(), 0);
    assert_eq!(world.hears("caller"), "play(after_hours)");
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_carrier_is_asked_to_connect_only_with_whom_it_can_reach() {
    for (machine, refers) in [(false, true), (true, false)] {
        let mut config = asked();
        config.trunks[0].refer = true;
        config.targets[1].machine = machine.then_some(crate::config::Machine::Voicemail);
        let mut world = talking(config);
        let id = world.ask(Mode::Cold);
        assert!(world.peers[CALLER].asked.is_none(), "not before it is known where to");
        assert!(world.route(id, &["support"]).is_ok());
        assert_eq!(world.peers[CALLER].asked.is_some(), refers);
        assert_eq!(world.peers[SUPPORT].log.len(), usize::from(!refers));
        world.hang_up(CALLER);
        world.conserve();
    }
}

/// The playbook would have led to a machine, which says itself what it is: a human does not.
#[test]
fn whoever_is_asked_the_caller_is_told_what_it_is_told_before_a_human() {
    let mut config = asked();
    config.targets[0].machine = Some(crate::config::Machine::Callback);
    config.prompts.disclosure = Some(PromptId(12));
    let mut world = talking(config);
    let id = world.ask(Mode::Warm);
    assert_eq!(world.hears("caller"), "play(disclosure)");
    assert!(world.route(id, &["support"]).is_ok());
    assert_eq!(world.hears("caller"), "play(disclosure)");
    assert_eq!(world.peers[SUPPORT].log, ["invite"]);
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn while_it_is_asked_the_caller_or_the_request_may_go() {
    for how in ["caller", "ai", "cancel", "api"] {
        let mut world = talking(asked());
        let id = world.ask(Mode::Warm);
        let call = world.id();
        match how {
            "caller" => world.hang_up(CALLER),
            "ai" => world.hang_up(AI),
            "cancel" => assert!(world.request(Request::Cancel(id)).is_ok()),
            _ => assert!(world.request(Request::HangUp(call)).is_ok()),
        }
        let answer = world.route(id, &["support"]);
        assert_eq!(answer.is_ok(), how == "ai", "{how}: {answer:?}");
        assert_eq!(world.peers[SUPPORT].log.is_empty(), how != "ai", "{how}");
        if ["ai", "cancel"].contains(&how) {
            world.hang_up(CALLER);
        }
        world.conserve();
    }
}

/// The AI talks on until a human is heard, also while somebody is asked.
#[test]
fn an_ai_that_talks_on_talks_on_while_it_is_asked() {
    let mut config = asked();
    config.playbook.cold_hears = playbook::ColdHears::Ai;
    let mut world = talking(config);
    let id = world.ask(Mode::Cold);
    assert_eq!(world.hears("caller"), "relay(ai)");
    assert!(world.route(id, &["support"]).is_ok());
    world.answer(SUPPORT);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(CALLER);
    world.conserve();
}
