//! Re-INVITEs that spare a transcode.

use media::coders::Sizes;
use media::command::Codec;

use super::*;
use crate::config::Prefer;
use crate::notice::Party;
use crate::request::Whom;

const BOTH: [Encoding; 2] = [Encoding::Pcma, Encoding::Pcmu];
const WHY: &str = "re-INVITEd to spare a transcode";

/// Caller and AI talk; the caller has offered these.
fn talking(config: Config, caller: &[Encoding]) -> World {
    let mut world = World::new(config);
    world.peers[CALLER].local.encodings = caller.to_vec();
    world.talk();
    world
}

fn description(host: usize, encodings: &[Encoding]) -> String {
    Local::new(address(host).ip(), 40_000, encodings, 90).offer()
}

/// The human answers with all of these, and speaks the first.
fn answer(world: &mut World, encodings: &[Encoding]) {
    let peer = &mut world.peers[SALES];
    let body = description(SALES, encodings);
    let dialog = peer.dialog.unwrap();
    peer.endpoint.answer(world.now, dialog, body.into(), &[]).unwrap();
    world.settle();
}

/// The human of a warm handoff, who accepts by key, has answered with all of these.
fn briefed(mut config: Config, caller: &[Encoding], human: &[Encoding]) -> World {
    config.playbook.usual.accept = Accept::Key;
    config.playbook.usual.targets = vec!["sales".to_owned()];
    let mut world = talking(config, caller);
    world.ask(Mode::Warm);
    answer(&mut world, human);
    world
}

/// The formats of the re-INVITE that came to this peer last and was not answered; `None`: none came.
fn asked(world: &World, host: usize) -> Option<String> {
    let peer = &world.peers[host];
    let came = peer.log.last() == Some(&"reinvite");
    let text = String::from_utf8_lossy(peer.bodies.last().filter(|_| came)?).into_owned();
    let (_, formats) = text.split_once(" RTP/AVP ").unwrap();
    Some(formats.lines().next().unwrap().to_owned())
}

/// This peer answers the re-INVITE that came, with these.
fn agree(world: &mut World, host: usize, encodings: &[Encoding]) {
    let body = description(host, encodings);
    agree_with(world, host, body);
}

fn agree_with(world: &mut World, host: usize, body: String) {
    let peer = &mut world.peers[host];
    let dialog = peer.dialog.unwrap();
    peer.endpoint.answer_reinvite(world.now, dialog, body.into()).unwrap();
    world.settle();
}

fn refuse(world: &mut World, host: usize, status: u16) {
    let peer = &mut world.peers[host];
    let dialog = peer.dialog.unwrap();
    peer.endpoint.reject_reinvite(world.now, dialog, status).unwrap();
    world.settle();
}

/// What a party speaks and why, by the last word that a record gets of it.
fn record(world: &World, party: Party) -> (&'static str, &'static str) {
    let codecs = world.notices.iter().rev().find_map(|what| match what {
        What::Spoken { codecs, .. } | What::Handoff(_, Step::Joined { codecs }) => Some(codecs),
        _ => None,
    });
    let spoken = codecs.expect("joined").iter().find(|spoken| spoken.party == party);
    spoken.map(|spoken| (spoken.codec, spoken.why)).expect("it is there")
}

fn end(mut world: World) {
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn a_human_is_asked_at_its_answer_to_speak_what_the_caller_does() {
    for mode in [Mode::Warm, Mode::Cold] {
        let mut world = talking(config(), &[Encoding::Pcmu]);
        world.ask(mode);
        // Cold, the join waits for the human's first packet.
        (world.answers, world.waits) = (mode == Mode::Warm, mode == Mode::Cold);
        answer(&mut world, &BOTH);
        assert_eq!(asked(&world, SALES).as_deref(), Some("0 13 101"), "{mode:?}");
        assert_eq!(asked(&world, CALLER), None);
        let Some(Command::Set { spec, .. }) = &world.last else {
            panic!("no set")
        };
        let human = spec.legs.last().unwrap();
        assert_eq!(human.format.codec, Codec::Pcma);
        let also = human.also.map(|also| (also.codec, also.receive));
        assert_eq!(
            also,
            Some((Codec::Pcmu, 0)),
            "it may change before we know that it will"
        );
        agree(&mut world, SALES, &[Encoding::Pcmu]);
        let Some(Command::Set { spec, .. }) = &world.last else {
            panic!("no set")
        };
        let human = spec.legs.last().unwrap();
        assert_eq!((human.format.codec, human.also), (Codec::Pcmu, None), "{mode:?}");
        (world.answers, world.waits) = (true, false);
        match mode {
            Mode::Warm => world.played(2, 0),
            Mode::Cold => {
                let last = world.last.clone().unwrap();
                world.answer_media(last);
                world.settle();
            }
        }
        assert_eq!(world.hears("caller"), "relay(human)", "{mode:?}");
        assert_eq!(world.hears("human"), "relay(caller)", "{mode:?}");
        assert_eq!(record(&world, Party::Human), ("PCMU", WHY));
        assert_eq!(record(&world, Party::Caller).1, "the peer's first choice");
        assert!(!world.peers[CALLER].log.contains(&"reinvite"), "{mode:?}");
        end(world);
    }
}

#[test]
fn a_join_does_not_wait_for_the_answer_which_counts_when_it_comes() {
    let mut world = briefed(config(), &[Encoding::Pcmu], &BOTH);
    assert!(asked(&world, SALES).is_some());
    world.digit(2, '1');
    assert_eq!(world.hears("caller"), "transcode(human)");
    assert_eq!(record(&world, Party::Human), ("PCMA", "the peer's first choice"));
    assert!(world.leg(2).unwrap().also.is_some(), "still");
    agree(&mut world, SALES, &[Encoding::Pcmu]);
    assert_eq!(world.hears("caller"), "relay(human)");
    assert_eq!(record(&world, Party::Human), ("PCMU", WHY));
    end(world);
}

#[test]
fn who_refuses_or_does_not_answer_is_asked_once_and_the_join_is_transcoded() {
    // How it answers, and how long that takes.
    type Answers = (fn(&mut World), u64);
    let refuses: [Answers; 6] = [
        (|world| refuse(world, SALES, 488), 0),
        (|world| refuse(world, SALES, 408), 0),
        (|world| refuse(world, SALES, 603), 0),
        (|world| agree(world, SALES, &[Encoding::Pcma]), 0),
        (|world| agree_with(world, SALES, STRANGE.to_owned()), 0),
        // No word: 100 Trying alone, and then it is taken back.
        (|_| (), 40),
    ];
    for (n, (answers, seconds)) in refuses.into_iter().enumerate() {
        let mut config = config();
        config.deadlines.accept = Duration::from_secs(90);
        // The caller has the human's codec, too: it is not asked in the human's place.
        let mut world = briefed(config, &[Encoding::Pcmu, Encoding::Pcma], &BOTH);
        assert!(asked(&world, SALES).is_some(), "{n}");
        let before = world.peers[SALES].request.as_ref().unwrap().sdp().unwrap();
        let before = String::from_utf8_lossy(&before).into_owned();
        answers(&mut world);
        world.pass(Duration::from_secs(seconds));
        assert_eq!(world.leg(2).unwrap().also, None, "{n}");
        let asked_so_far = world.peers[SALES].bodies.len();
        world.digit(2, '1');
        assert_eq!(world.hears("caller"), "transcode(human)", "{n}");
        assert_eq!(record(&world, Party::Human), ("PCMA", "the peer's first choice"), "{n}");
        assert_eq!(record(&world, Party::Caller).0, "PCMU");
        // What we say of ourselves is what it was, under a version of its own.
        let (now, id) = (world.now, world.id());
        world.node.offer_again(now, id);
        world.settle();
        assert_eq!(
            world.peers[SALES].bodies.len(),
            asked_so_far + 1,
            "{n}: not asked again"
        );
        let again = String::from_utf8_lossy(world.peers[SALES].bodies.last().unwrap()).into_owned();
        if !matches!(n, 3) {
            let media = |text: &str| text[text.find("m=").unwrap()..].to_owned();
            assert_eq!(media(&again), media(&before), "{n}");
        }
        end(world);
    }
}

#[test]
fn a_caller_is_asked_where_the_human_cannot_and_only_once_the_join_is_in_force() {
    let mut world = briefed(config(), &[Encoding::Pcmu, Encoding::Pcma], &[Encoding::Pcma]);
    assert_eq!((asked(&world, SALES), asked(&world, CALLER)), (None, None));
    world.digit(2, '1');
    assert_eq!(world.hears("caller"), "transcode(human)");
    assert_eq!(asked(&world, CALLER).as_deref(), Some("8 13 101"));
    assert_eq!(world.leg(0).unwrap().also.map(|also| also.codec), Some(Codec::Pcma));
    agree(&mut world, CALLER, &[Encoding::Pcma]);
    assert_eq!(
        (world.hears("caller"), world.hears("human")),
        ("relay(human)".into(), "relay(caller)".into())
    );
    assert_eq!(record(&world, Party::Caller), ("PCMA", WHY));
    assert_eq!(record(&world, Party::Human), ("PCMA", "same as the caller"));
    // It may be asked again for the next human: it was offered one codec alone, and has not forgotten the others.
    let (_, live) = world.node.registry.calls().next().unwrap();
    let common = &live.legs.caller.agreed.as_ref().unwrap().common;
    assert_eq!(common[..], [Encoding::Pcmu, Encoding::Pcma]);
    end(world);

    // A handoff that fails disturbs no line.
    let mut world = briefed(config(), &[Encoding::Pcmu, Encoding::Pcma], &[Encoding::Pcma]);
    world.hang_up(SALES);
    assert!(!world.peers[CALLER].log.contains(&"reinvite"));
    end(world);
}

#[test]
fn a_caller_whose_rtp_clock_would_change_is_not_asked() {
    let own = Config {
        codecs: vec![Encoding::Pcmu, Encoding::G722, Encoding::Opus],
        ..config()
    };
    let offered = [Encoding::Pcmu, Encoding::G722, Encoding::Opus];
    for (human, codec) in [(Encoding::Opus, None), (Encoding::G722, Some(Codec::G722))] {
        let mut world = briefed(own.clone(), &offered, &[human]);
        world.digit(2, '1');
        assert_eq!(asked(&world, CALLER).is_some(), codec.is_some(), "{human:?}");
        let also = world.leg(0).unwrap().also.map(|also| also.codec);
        assert_eq!(also, codec);
        end(world);
    }
    // A human is, before anybody hears it.
    let mut world = briefed(own, &[Encoding::Pcmu], &[Encoding::Opus, Encoding::Pcmu]);
    assert_eq!(asked(&world, SALES).as_deref(), Some("0 13 101"));
    let also = world.leg(2).unwrap().also.expect("it may come");
    assert_eq!(also.events.map(|events| events.clock_hz), Some(8_000));
    agree(&mut world, SALES, &[Encoding::Pcmu]);
    world.digit(2, '1');
    assert_eq!(world.hears("human"), "relay(caller)");
    end(world);
}

#[test]
fn nobody_is_asked_where_that_is_forbidden_or_of_no_use() {
    let without = |trunk: bool, target: bool| {
        let mut config = config();
        config.trunks[0].reinvite = trunk;
        config.targets[0].reinvite = target;
        config
    };
    let lists: &[Encoding] = &BOTH;
    let caller = [Encoding::Pcmu, Encoding::Pcma];
    // Whether the human may be asked, and whether the caller is where the human has one codec only.
    for (config, human, by_caller) in [
        (without(true, true), true, true),
        (without(false, true), true, false),
        (without(true, false), false, true),
        (
            Config {
                prefer: Prefer::Cost,
                ..config()
            },
            false,
            false,
        ),
    ] {
        let world = briefed(config.clone(), &caller, lists);
        assert_eq!(asked(&world, SALES).is_some(), human);
        end(world);
        let mut world = briefed(config, &caller, &[Encoding::Pcma]);
        world.digit(2, '1');
        assert_eq!(asked(&world, CALLER).is_some(), by_caller);
        end(world);
    }

    // A human who holds us, and a caller who does.
    let mut world = talking(config(), &caller);
    world.ask(Mode::Cold);
    let body = description(SALES, lists).replace("sendrecv", "inactive");
    let peer = &mut world.peers[SALES];
    let dialog = peer.dialog.unwrap();
    peer.endpoint.answer(world.now, dialog, body.into(), &[]).unwrap();
    world.settle();
    assert_eq!(asked(&world, SALES), None);
    end(world);
    let mut world = talking(config(), &caller);
    world.ask(Mode::Warm);
    let hold = world.peers[CALLER].local.offer().replace("sendrecv", "sendonly");
    world.reinvite(CALLER, hold);
    answer(&mut world, lists);
    assert_eq!(asked(&world, SALES), None);
    world.hang_up(CALLER);
    world.commands.clear();
    world.conserve();

    // While somebody listens in.
    let mut own = config();
    own.playbook.usual.targets = vec!["sales".to_owned()];
    let mut world = talking(own, &caller);
    let id = world.id();
    let whom = Whom::Target("support".to_owned());
    world
        .request(Request::Supervise(id, whom, "desk-1".to_owned()))
        .unwrap();
    world.answer(SUPPORT);
    world.ask(Mode::Warm);
    answer(&mut world, lists);
    assert_eq!(asked(&world, SALES), None);
    end(world);
}

/// Each side refuses the other's (491); the human's comes first, and ours is what is still to be wished for after it.
#[test]
fn an_offer_of_the_humans_that_crosses_ours_decides_what_ours_is() {
    for (offers, again, codec) in [
        (&BOTH[..], "0 13 101", Codec::Pcmu),
        (&[Encoding::Pcmu], "0 13 101", Codec::Pcmu),
        (&[Encoding::Pcma], "8 13 101", Codec::Pcma),
    ] {
        let mut config = config();
        config.deadlines.accept = Duration::from_secs(90);
        config.playbook.usual.accept = Accept::Key;
        let mut world = talking(config, &[Encoding::Pcmu]);
        world.ask(Mode::Warm);
        let peer = &mut world.peers[SALES];
        let (dialog, body) = (peer.dialog.unwrap(), description(SALES, &BOTH));
        peer.endpoint.answer(world.now, dialog, body.into(), &[]).unwrap();
        // Its re-INVITE leaves as soon as it has our ACK, in the moment in which ours comes.
        let offer = description(SALES, offers).replace("40000", "41000");
        peer.endpoint.reinvite(world.now, dialog, offer.into()).unwrap();
        world.settle();
        world.pass(Duration::from_secs(5));
        let told = world.peers[SALES].log.clone();
        assert_eq!(
            told.iter().filter(|what| **what == "reinvite answered").count(),
            1,
            "{told:?}"
        );
        assert_eq!(world.leg(2).unwrap().remote.unwrap().port(), 41_000);
        assert_eq!(asked(&world, SALES).as_deref(), Some(again), "{told:?}");
        let answers = if codec == Codec::Pcmu {
            Encoding::Pcmu
        } else {
            Encoding::Pcma
        };
        agree(&mut world, SALES, &[answers]);
        let human = world.leg(2).unwrap();
        assert_eq!((human.format.codec, human.also), (codec, None));
        end(world);
    }
}

/// What the join will need is kept from the answer on, and given back as soon as nothing has to be transcoded.
#[test]
fn coder_states_are_kept_until_the_join_or_until_nobody_needs_them() {
    let own = Config {
        codecs: vec![Encoding::Pcmu, Encoding::Opus],
        ..config()
    };
    let narrow = Sizes {
        opus_narrow: 1,
        ..Sizes::default()
    };
    let free = |world: &World| {
        let mut offered = vec![Encoding::Opus];
        drop(world.node.coders.promise(Some(Encoding::Pcmu), &mut offered));
        !offered.is_empty()
    };
    for changes in [false, true] {
        let mut world = talking(own.clone(), &[Encoding::Pcmu]);
        world.node.handle_coders(narrow);
        world.ask(Mode::Warm);
        answer(&mut world, &[Encoding::Opus, Encoding::Pcmu]);
        assert!(!free(&world), "the join may have to be transcoded");
        if changes {
            agree(&mut world, SALES, &[Encoding::Pcmu]);
            assert!(free(&world), "it need not");
        } else {
            refuse(&mut world, SALES, 488);
            assert!(!free(&world), "it must");
            world.played(2, 0);
            assert!(free(&world), "the data plane has lent it");
        }
        end(world);
    }
}
