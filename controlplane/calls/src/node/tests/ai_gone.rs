//! Callers whose AI is gone: to a human, where the playbook says so.

use playbook::AiGone;

use super::*;

fn to_a_human() -> Config {
    let mut config = config();
    config.playbook.ai_gone = AiGone::Human;
    config
}

impl World {
    /// The AI's process dies, and another one at its place knows nothing of the call; its silence is noticed.
    fn lose_the_ai(&mut self) {
        self.peers[AI].endpoint = Endpoint::new(endpoint(address(AI)));
        let silent = Media::Silent {
            session: SessionId(self.id().0),
            leg: LegId(1),
            at: self.now,
        };
        self.node.handle_media(self.now, silent);
        self.pass(Duration::from_secs(31));
    }

    fn because(&self) -> Option<(String, String)> {
        self.notices.iter().find_map(|what| match what {
            What::Handoff(_, Step::Requested { trigger, .. }) => {
                trigger.clone().map(|trigger| (trigger.rule, trigger.because))
            }
            _ => None,
        })
    }
}

#[test]
fn a_caller_whom_no_ai_answers_is_answered_and_handed_to_a_human() {
    for rings in [false, true] {
        let mut world = World::new(to_a_human());
        world.call(CALLER);
        match rings {
            true => {
                world.ring(AI);
                world.pass(Duration::from_secs(16));
                assert_eq!(world.peers[AI].log, ["invite", "cancelled"]);
            }
            false => world.reject(AI, 503),
        }
        assert_eq!(world.peers[CALLER].log.last(), Some(&"answered"));
        assert_eq!(world.hears("caller"), "play(announcement)");
        let because = world.because().expect("a rule");
        assert_eq!(because, ("ai-gone".to_owned(), "no AI agent answered".to_owned()));
        world.answer(SALES);
        world.played(2, 0);
        assert_eq!(world.hears("caller"), "relay(human)");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn a_caller_whose_ai_dies_in_the_conversation_is_handed_to_a_human() {
    let mut world = World::new(to_a_human());
    world.talk();
    world.lose_the_ai();
    assert_eq!(world.hears("caller"), "play(announcement)");
    assert_eq!(world.because().expect("a rule").0, "ai-gone");
    world.answer(SALES);
    world.played(2, 0);
    assert_eq!(world.hears("caller"), "relay(human)");
    world.hang_up(SALES);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

#[test]
fn where_no_human_is_reached_either_the_caller_is_told_goodbye() {
    let mut world = World::new(to_a_human());
    world.talk();
    world.lose_the_ai();
    world.reject(SALES, 486);
    world.reject(SUPPORT, 486);
    assert_eq!(world.hears("caller"), "play(goodbye)");
    world.played(0, 0);
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::Failed, Some(Reason::AiGone)))
    );
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    world.conserve();
}

/// An AI that hangs up has ended the call, and without the setting nobody is called.
#[test]
fn an_ai_that_hangs_up_ends_the_call_and_so_does_a_lost_one_by_default() {
    let mut world = World::new(to_a_human());
    world.talk();
    world.hang_up(AI);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert!(world.peers[SALES].log.is_empty());
    world.conserve();
    let mut world = World::new(config());
    world.talk();
    world.lose_the_ai();
    assert_eq!(world.peers[CALLER].log.last(), Some(&"bye"));
    assert!(world.peers[SALES].log.is_empty());
    let mut world = World::new(config());
    world.call(CALLER);
    world.reject(AI, 503);
    assert_eq!(world.peers[CALLER].log, ["503"]);
    assert!(world.peers[SALES].log.is_empty());
}

/// All are closed: whom nobody can be called for is not left in silence, nor told to wait.
#[test]
fn without_an_ai_and_with_all_targets_closed_the_caller_is_told_goodbye() {
    let mut config = to_a_human();
    let mut never = playbook::hours::Calendar::new("UTC").expect("a zone");
    never.open("Mon 00:00-00:01").expect("hours");
    let never = Arc::new(never);
    config
        .targets
        .iter_mut()
        .for_each(|target| target.hours = Arc::clone(&never));
    let mut world = World::new(config);
    // A Monday at noon.
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200);
    world.node.handle_wall(world.now, noon);
    world.call(CALLER);
    world.reject(AI, 503);
    assert_eq!(world.hears("caller"), "play(goodbye)");
    world.hang_up(CALLER);
    world.conserve();
}
