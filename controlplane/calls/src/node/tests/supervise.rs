//! Supervisors, and rows that are wished to be otherwise.

use super::*;
use crate::notice::{Party, Supervised};
use crate::request::Whom;
use crate::supervisor::{Mode as Does, Row, Wish};

const EVERYBODY: [&str; 4] = ["caller", "ai", "human", "supervisor"];

/// A wish for a row: whom a party hears, and how much louder.
fn row(listener: Party, heard: &[(Party, i8)]) -> Wish {
    Wish {
        mode: None,
        rows: vec![(listener, heard.to_vec())],
    }
}

fn does(mode: Does) -> Wish {
    Wish {
        mode: Some(mode),
        rows: Vec::new(),
    }
}

fn ask(world: &mut World, wish: Wish) -> Result<Response, RequestError> {
    let id = world.id();
    world.request(Request::Hears(id, wish, "desk-1".to_owned()))
}

/// The same; the table, as it is answered once it is in force.
fn hears(world: &mut World, wish: Wish) -> Result<Vec<Row>, RequestError> {
    match ask(world, wish)? {
        Response::Hears(table) => Ok(table),
        Response::Later(ticket) => {
            let (of, answer) = world.late.pop().expect("an answer");
            assert_eq!((of, world.late.len()), (ticket, 0));
            match answer? {
                Response::Hears(table) => Ok(table),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn supervise(world: &mut World, whom: Whom) -> Result<Response, RequestError> {
    let id = world.id();
    world.request(Request::Supervise(id, whom, "desk-1".to_owned()))
}

/// A supervisor listens to caller and AI.
fn supervised() -> World {
    let mut world = World::with_one_target(Accept::Key);
    supervise(&mut world, Whom::Target("support".to_owned())).expect("invited");
    world.answer(SUPPORT);
    assert_eq!(world.hears("supervisor"), "mix(caller, ai)");
    world
}

/// What everybody hears.
fn rows_of(world: &World) -> [String; 4] {
    EVERYBODY.map(|party| world.hears(party))
}

fn tells(world: &World) -> Vec<Supervised> {
    let of = |what: &What| match what {
        What::Supervisor { how, .. } => Some(*how),
        _ => None,
    };
    world.notices.iter().filter_map(of).collect()
}

#[test]
fn a_supervisor_listens_and_nobody_hears_it() {
    let mut world = World::talking();
    let before = [world.hears("caller"), world.hears("ai")];
    supervise(&mut world, Whom::Target("support".to_owned())).expect("invited");
    let invite = world.peers[SUPPORT].request.clone().unwrap();
    assert_eq!(invite.header("X-Baton-Call").unwrap(), world.id().to_string());
    assert_eq!(invite.header("X-Baton-Role").unwrap(), "supervisor");
    assert_eq!(invite.header("X-Baton-Handoff"), None);
    world.ring(SUPPORT);
    assert_eq!(world.hears("supervisor"), "nothing");
    world.answer(SUPPORT);
    assert_eq!(world.hears("supervisor"), "mix(caller, ai)");
    assert_eq!([world.hears("caller"), world.hears("ai")], before);
    assert_eq!(world.leg(2).unwrap().dtmf, Dtmf::Drop);
    world.hang_up(CALLER);
    assert_eq!(world.peers[SUPPORT].log.last(), Some(&"bye"));
    assert_eq!(world.story(), ["started", "invited", "joined", "left", "ended"]);
    world.conserve();
}

#[test]
fn it_is_one_of_the_targets_or_whom_their_patterns_allow_and_one_at_a_time() {
    for (whom, to) in [
        (Whom::Uri("sip:+493012@10.0.0.12:5060".into()), Some(SALES)),
        (Whom::Uri(format!("sip:support@{}", address(SUPPORT))), Some(SUPPORT)),
        (Whom::Uri("sip:+4930123@10.0.0.99".into()), None),
        (Whom::Uri("sip:mallory@10.0.0.12".into()), None),
        (Whom::Uri("tel:+4930".into()), None),
        (Whom::Target("nobody".into()), None),
    ] {
        let mut world = World::talking();
        let answer = supervise(&mut world, whom.clone());
        assert_eq!(answer.is_ok(), to.is_some(), "{whom:?}: {answer:?}");
        let invited = [SALES, SUPPORT]
            .into_iter()
            .find(|host| world.peers[*host].request.is_some());
        assert_eq!(invited, to, "{whom:?}");
    }
    let mut world = supervised();
    let again = supervise(&mut world, Whom::Target("sales".to_owned()));
    assert!(matches!(again, Err(RequestError::WrongState(_))), "{again:?}");
}

#[test]
fn whatever_becomes_of_a_supervisor_the_call_goes_on() {
    type Leave = fn(&mut World);
    let ways: [(&str, Leave, Supervised); 6] = [
        (
            "refuses",
            |world| world.reject(SUPPORT, 486),
            Supervised::Unreached(486),
        ),
        (
            "rings on",
            |world| world.pass(Duration::from_secs(21)),
            Supervised::Unreached(408),
        ),
        (
            "speaks strangely",
            |world| world.answer_strangely(SUPPORT),
            Supervised::Unreached(488),
        ),
        (
            "hangs up",
            |world| {
                world.answer(SUPPORT);
                world.hang_up(SUPPORT);
            },
            Supervised::HungUp,
        ),
        (
            "is let go",
            |world| {
                world.answer(SUPPORT);
                let id = world.id();
                world
                    .request(Request::Dismiss(id, "desk-1".to_owned()))
                    .expect("it is there");
            },
            Supervised::Dismissed,
        ),
        (
            "cannot be heard by",
            |world| {
                world.answers = false;
                world.answer(SUPPORT);
                world.answers = true;
                world.refuse_media(Refusal::Coders);
            },
            Supervised::Refused(Refusal::Coders),
        ),
    ];
    for (name, leave, told) in ways {
        let mut world = World::talking();
        supervise(&mut world, Whom::Target("support".to_owned())).expect("invited");
        leave(&mut world);
        assert_eq!(tells(&world).last(), Some(&told), "{name}");
        assert_eq!(rows_of(&world), ["relay(ai)", "relay(caller)", "", ""], "{name}");
        assert_eq!(world.spec.legs.len(), 2, "{name}");
        let id = world.id();
        let gone = world.request(Request::Dismiss(id, String::new()));
        assert_eq!(gone.unwrap_err(), RequestError::NoSupervisor, "{name}");
        // There is room for another one, once its port has rested.
        world.pass(Duration::from_secs(3));
        supervise(&mut world, Whom::Target("support".to_owned())).expect("invited");
        world.hang_up(CALLER);
        world.conserve();
    }
}

#[test]
fn modes_of_a_supervisor_are_rows() {
    let mut world = supervised();
    for (mode, rows) in [
        (
            Does::Whisper,
            ["relay(ai)", "mix(caller, supervisor)", "", "mix(caller, ai)"],
        ),
        (
            Does::Barge,
            ["mix(ai, supervisor)", "mix(caller, supervisor)", "", "mix(caller, ai)"],
        ),
        (Does::Mute, ["relay(ai)", "relay(caller)", "", "mix(caller, ai)"]),
        (Does::Listen, ["relay(ai)", "relay(caller)", "", "mix(caller, ai)"]),
    ] {
        let table = hears(&mut world, does(mode)).expect("in force");
        assert_eq!(rows_of(&world), rows, "{mode:?}");
        assert_eq!(table.len(), 3);
    }
    // Who is muted hears what it heard, and who listens hears both.
    hears(&mut world, row(Party::Supervisor, &[(Party::Caller, 0)])).expect("in force");
    hears(&mut world, does(Does::Mute)).expect("in force");
    assert_eq!(world.hears("supervisor"), "relay(caller)");
    hears(&mut world, does(Does::Listen)).expect("in force");
    assert_eq!(world.hears("supervisor"), "mix(caller, ai)");
    let modes = Wish {
        mode: Some(Does::Barge),
        rows: Vec::new(),
    };
    let mut alone = World::talking();
    assert!(
        matches!(hears(&mut alone, modes), Err(RequestError::Invalid(_))),
        "nobody supervises"
    );
}

#[test]
fn a_row_that_is_wished_is_in_force_with_its_gains_and_the_others_stay() {
    use Party::{Ai, Caller, Supervisor};
    let mut world = supervised();
    let table = hears(&mut world, row(Caller, &[(Ai, -3), (Supervisor, -6)])).expect("in force");
    let usual = |heard: &[Party]| heard.iter().map(|party| (*party, 0)).collect::<Vec<_>>();
    assert_eq!(
        table,
        [
            (Caller, vec![(Ai, -3), (Supervisor, -6)]),
            (Ai, usual(&[Caller])),
            (Supervisor, usual(&[Caller, Ai])),
        ]
    );
    assert_eq!(world.hears("caller"), "mix(ai -3 dB, supervisor -6 dB)");
    assert_eq!(world.leg(0).unwrap().hears.legs[1].gain_db, -6);
    // Nobody at all: comfort noise.
    hears(&mut world, row(Ai, &[])).expect("in force");
    assert_eq!(
        rows_of(&world),
        ["mix(ai -3 dB, supervisor -6 dB)", "comfort", "", "mix(caller, ai)"]
    );
    let told: Vec<_> = world
        .notices
        .iter()
        .filter(|what| matches!(what, What::Hears { .. }))
        .collect();
    assert!(
        matches!(told[..], [_, What::Hears { by, .. }] if by == "desk-1"),
        "{told:?}"
    );

    // What the supervisor was part of goes with it, what it was not stays.
    world.hang_up(SUPPORT);
    assert_eq!(rows_of(&world), ["relay(ai)", "comfort", "", ""]);
    hears(&mut world, row(Ai, &[(Caller, 0)])).expect("in force");
    assert_eq!(world.hears("ai"), "relay(caller)");
}

#[test]
fn what_cannot_be_wished_is_refused_and_changes_nothing() {
    use Party::{Ai, Caller, Human, Supervisor};
    let mut world = supervised();
    let sets = world.sets;
    for (wish, says) in [
        (row(Caller, &[(Human, 0)]), "no leg of human is up"),
        (row(Human, &[]), "no leg of human is up"),
        (row(Caller, &[(Caller, 0)]), "caller cannot hear itself"),
        (row(Caller, &[(Ai, 0), (Ai, -3)]), "ai is twice in the row of caller"),
        (row(Caller, &[(Ai, 13)]), "a gain is -40 to 12 dB, not 13"),
        (row(Supervisor, &[(Ai, -41)]), "a gain is -40 to 12 dB, not -41"),
    ] {
        assert_eq!(hears(&mut world, wish), Err(RequestError::Invalid(says.to_owned())));
    }
    assert_eq!(world.sets, sets);
    let unknown = Request::Hears(CallId(1), does(Does::Barge), String::new());
    assert_eq!(world.request(unknown).unwrap_err(), RequestError::NoCall);
}

#[test]
fn a_row_that_the_data_plane_refuses_leaves_all_as_it_was() {
    let mut world = supervised();
    hears(&mut world, does(Does::Whisper)).expect("in force");
    let before = rows_of(&world);
    for refusal in [Refusal::Mix, Refusal::Coders] {
        world.answers = false;
        let Ok(Response::Later(ticket)) = ask(&mut world, does(Does::Barge)) else {
            panic!("at once");
        };
        assert_eq!(
            ask(&mut world, does(Does::Listen)).unwrap_err(),
            RequestError::WrongState("the last change is not in force yet".to_owned())
        );
        world.answers = true;
        world.refuse_media(refusal);
        assert_eq!(world.late.len(), 1);
        let (of, answer) = world.late.pop().unwrap();
        assert_eq!((of, answer.unwrap_err()), (ticket, RequestError::Refused(refusal)));
        assert_eq!(rows_of(&world), before);
    }
    hears(&mut world, does(Does::Barge)).expect("in force");
}

#[test]
fn a_wish_outlives_re_invites_and_no_handoff() {
    let mut world = supervised();
    hears(&mut world, does(Does::Whisper)).expect("in force");
    let wished = rows_of(&world);
    for host in [CALLER, AI, SUPPORT] {
        let moved = Local::new(address(host).ip(), 41_000, &[Encoding::Pcmu], 77).offer();
        world.reinvite(host, moved);
        assert_eq!(rows_of(&world), wished, "{host}");
    }
    world.ask(Mode::Warm);
    // Nobody listens in while a handoff says who hears whom.
    assert_eq!(rows_of(&world), ["play(announcement)", "comfort", "nothing", "comfort"]);
    world.reject(SALES, 486);
    assert_eq!(world.hears("caller"), "play(busy)");
    assert_eq!(
        world.hears("supervisor"),
        "mix(caller, ai)",
        "it listens again, and whispers no more"
    );
    assert_eq!(world.hears("ai"), "relay(caller)");
    // The reason is said to its end, whoever barges in.
    hears(&mut world, does(Does::Barge)).expect("in force");
    assert_eq!(world.hears("caller"), "play(busy)");
    world.played(0, 0);
    assert_eq!(world.hears("caller"), "mix(ai, supervisor)");
}

#[test]
fn no_wish_lets_the_caller_hear_a_human_who_has_not_accepted() {
    use Party::{Caller, Human};
    let mut world = supervised();
    world.ask(Mode::Warm);
    let refused = |world: &mut World| {
        for wish in [
            row(Caller, &[(Human, 0)]),
            does(Does::Barge),
            row(Human, &[(Caller, 0)]),
        ] {
            let why = "a handoff says who hears whom until it is over".to_owned();
            assert_eq!(hears(world, wish), Err(RequestError::WrongState(why)));
        }
    };
    refused(&mut world);
    world.answer(SALES);
    refused(&mut world);
    assert_eq!(
        rows_of(&world),
        ["play(announcement)", "comfort", "play(briefing)", "comfort"]
    );
    world.answers = false;
    world.digit(3, '1');
    refused(&mut world);
    world.answers = true;
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    // Now the human is the caller's, and the supervisor listens to the two.
    assert_eq!(
        rows_of(&world),
        ["relay(human)", "", "relay(caller)", "mix(caller, human)"]
    );
    hears(&mut world, does(Does::Whisper)).expect("in force");
    assert_eq!(
        rows_of(&world),
        ["relay(human)", "", "mix(caller, supervisor)", "mix(caller, human)"]
    );
}

#[test]
fn a_wish_that_a_handoff_overtakes_is_refused() {
    let mut world = supervised();
    world.answers = false;
    let Ok(Response::Later(ticket)) = ask(&mut world, does(Does::Barge)) else {
        panic!("at once");
    };
    world.answers = true;
    world.ask(Mode::Warm);
    let why = RequestError::WrongState("a handoff has begun".to_owned());
    assert!(
        matches!(&world.late[..], [(of, Err(told))] if *of == ticket && *told == why),
        "{:?}",
        world.late
    );
    assert_eq!(world.hears("caller"), "play(announcement)");
}

#[test]
fn where_the_data_plane_cannot_do_a_join_with_a_supervisor_it_does_it_without() {
    let mut world = supervised();
    world.ask(Mode::Cold);
    world.answers = false;
    world.answer(SALES);
    let join = world.last.clone().unwrap();
    world.answer_media(join);
    world.settle();
    // In the table after the join it would listen again.
    assert_eq!(world.hears("supervisor"), "mix(caller, human)");
    world.answers = true;
    world.refuse_media(Refusal::Coders);
    assert_eq!(rows_of(&world), ["relay(human)", "", "relay(caller)", ""]);
    assert_eq!(world.peers[SUPPORT].log.last(), Some(&"bye"));
    assert_eq!(tells(&world).last(), Some(&Supervised::Refused(Refusal::Coders)));
    world.hang_up(CALLER);
    assert_eq!(world.closed().map(|(_, result, _)| result), Some(Outcome::Joined));
}

#[test]
fn a_supervisor_has_no_keys_and_no_transfer() {
    let mut world = supervised();
    hears(&mut world, does(Does::Barge)).expect("in force");
    world.press(SUPPORT, '1');
    world.refer(SUPPORT, "sip:sales@10.0.0.12:5060", &[]);
    assert_eq!(world.told(SUPPORT), ["403"]);
    world.ask(Mode::Warm);
    world.answer(SALES);
    world.press(SUPPORT, '1');
    assert_eq!(world.hears("human"), "play(briefing)");
}
