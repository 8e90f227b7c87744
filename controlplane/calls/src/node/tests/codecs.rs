//! Which codec each leg is offered and answered with, and what is said of it.

use media::coders::Sizes;
use media::command::Refusal;

use super::*;
use crate::config::Prefer;
use crate::notice::Party;

const ALL: [Encoding; 4] = [Encoding::Pcmu, Encoding::Pcma, Encoding::G722, Encoding::Opus];

/// A node that speaks all, and parties that speak these, best first.
fn world(prefer: Prefer, parties: [&[Encoding]; 3]) -> World {
    world_of(
        Config {
            codecs: ALL.to_vec(),
            prefer,
            ..config()
        },
        parties,
    )
}

fn world_of(config: Config, parties: [&[Encoding]; 3]) -> World {
    let mut world = World::new(config);
    for (host, encodings) in [CALLER, AI, SALES].into_iter().zip(parties) {
        world.peers[host].local.encodings = encodings.to_vec();
    }
    world
}

/// The `m=` line that this party was offered with its INVITE, behind the port.
fn offered(world: &World, host: usize) -> String {
    let offer = world.peers[host].request.as_ref().unwrap().sdp().unwrap();
    formats(&offer)
}

fn formats(sdp: &[u8]) -> String {
    let text = String::from_utf8_lossy(sdp);
    let (_, formats) = text.split_once(" RTP/AVP ").unwrap();
    formats.lines().next().unwrap().to_owned()
}

/// What each leg speaks, and why.
fn spoken(world: &World) -> Vec<(String, String, String)> {
    let (_, live) = world.node.registry.calls().next().expect("a call");
    let legs = world.node.view(live).legs.into_iter();
    legs.filter_map(|leg| Some((leg.party, leg.codec?, leg.codec_reason?)))
        .collect()
}

fn said(rows: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    rows.iter()
        .map(|(party, codec, why)| ((*party).to_owned(), (*codec).to_owned(), (*why).to_owned()))
        .collect()
}

fn end(mut world: World) {
    world.hang_up(CALLER);
    world.conserve();
}

#[test]
fn whoever_is_called_is_offered_first_what_the_caller_speaks() {
    use Encoding::*;
    let mut world = world(Prefer::NoTranscode, [&[G722, Pcma], &ALL, &[Opus, Pcma]]);
    world.call(CALLER);
    assert_eq!(offered(&world, AI), "9 0 8 96 13 101 102");
    world.answer(AI);
    world.ask(Mode::Warm);
    assert_eq!(offered(&world, SALES), "9 0 8 96 13 101 102");
    world.answer(SALES);
    assert_eq!(
        spoken(&world),
        said(&[
            ("caller", "G722", "the peer's first choice"),
            ("ai", "G722", "same as the caller"),
            ("human", "PCMA", "the peer's first choice"),
        ])
    );
    // The caller speaks something else from now on; what the others have said meanwhile is measured by that.
    world.reinvite(CALLER, Local::new(address(CALLER).ip(), 41_000, &[Pcma], 77).offer());
    let human = spoken(&world).remove(2);
    assert_eq!(human, said(&[("human", "PCMA", "same as the caller")]).remove(0));
    end(world);
}

/// Who speaks Opus to a caller in G.711 need not spend bits on what the caller cannot hear; the caller's own voice is for whoever comes.
#[test]
fn whoever_is_called_is_asked_for_the_callers_band() {
    use Encoding::*;
    for (caller, asked) in [
        (Pcma, Some("maxplaybackrate=8000")),
        (G722, Some("maxplaybackrate=16000")),
        (Opus, None),
    ] {
        let mut world = world(Prefer::NoTranscode, [&[caller], &ALL, &ALL]);
        world.call(CALLER);
        world.answer(AI);
        world.ask(Mode::Warm);
        for host in [AI, SALES] {
            let offer = world.peers[host].request.as_ref().unwrap().sdp().unwrap();
            let offer = String::from_utf8_lossy(&offer).into_owned();
            let rate = offer
                .lines()
                .find_map(|line| line.split("; ").find(|word| word.starts_with("maxplaybackrate")));
            assert_eq!(rate, asked, "{caller:?}: {offer}");
        }
        world.hang_up(CALLER);
        world.conserve();
    }
}

/// What a peer's fmtp says of the Opus that it wants is what the data plane is told; of who says nothing, what RFC 7587 has for that.
#[test]
fn opus_is_encoded_as_its_peer_says() {
    use media::codec::opus::Wishes;
    let silent = Wishes {
        fec: false,
        dtx: false,
        ..Wishes::default()
    };
    for (fmtp, wishes) in [
        ("", silent),
        (
            "a=fmtp:96 useinbandfec=1; usedtx=1; cbr=1; stereo=1; maxaveragebitrate=20000; maxplaybackrate=16000\r\n",
            Wishes {
                fec: true,
                dtx: true,
                cbr: true,
                bitrate_max: Some(20_000),
                playback_hz_max: 16_000,
            },
        ),
    ] {
        let mut world = world(Prefer::NoTranscode, [&[Encoding::Pcmu], &ALL, &[Encoding::Opus]]);
        world.call(CALLER);
        world.answer(AI);
        world.ask(Mode::Warm);
        let peer = &mut world.peers[SALES];
        let offer = peer.request.as_ref().unwrap().sdp().unwrap();
        let (answer, _) = peer.local.answer(&offer).unwrap();
        let own = answer.lines().find(|line| line.starts_with("a=fmtp:96")).unwrap();
        let answer = answer.replace(&format!("{own}\r\n"), fmtp);
        let dialog = peer.dialog.unwrap();
        peer.endpoint.answer(world.now, dialog, answer.into(), &[]).unwrap();
        world.settle();
        assert_eq!(world.leg(2).unwrap().opus, wishes, "{fmtp}");
        assert_eq!(
            world.leg(0).unwrap().opus,
            Wishes::default(),
            "it speaks something else"
        );
        end(world);
    }
}

#[test]
fn quality_takes_the_widest_and_cost_the_cheapest() {
    use Encoding::*;
    let parties: [&[Encoding]; 3] = [&[Pcma, G722, Opus], &[Pcmu, Opus], &[Pcmu, G722]];
    // What the AI and the human are offered, and what is said.
    for (prefer, ai, human, rows) in [
        (
            Prefer::Quality,
            "96 9 0 8 102 101 13",
            "96 9 0 8 102 101 13",
            said(&[
                ("caller", "opus", "first of prefer = quality"),
                ("ai", "opus", "same as the caller"),
                ("human", "G722", "the peer's first choice"),
            ]),
        ),
        (
            Prefer::Cost,
            "8 0 9 96 13 101 102",
            "8 0 9 96 13 101 102",
            said(&[
                ("caller", "PCMA", "first of prefer = cost"),
                ("ai", "PCMU", "the peer's first choice"),
                ("human", "PCMU", "the peer's first choice"),
            ]),
        ),
        (
            Prefer::NoTranscode,
            "8 0 9 96 13 101 102",
            "8 0 9 96 13 101 102",
            said(&[
                ("caller", "PCMA", "the peer's first choice"),
                ("ai", "PCMU", "the peer's first choice"),
                ("human", "PCMU", "the peer's first choice"),
            ]),
        ),
    ] {
        let mut world = world(prefer, parties);
        world.call(CALLER);
        let sorted = |line: &str| line.split(' ').take(4).collect::<Vec<_>>().join(" ");
        assert_eq!(sorted(&offered(&world, AI)), sorted(ai), "{prefer:?}");
        world.answer(AI);
        world.ask(Mode::Warm);
        assert_eq!(sorted(&offered(&world, SALES)), sorted(human), "{prefer:?}");
        world.answer(SALES);
        assert_eq!(spoken(&world), rows, "{prefer:?}");
        end(world);
    }
}

#[test]
fn a_trunk_an_agent_and_a_target_have_lists_of_their_own() {
    use Encoding::*;
    let mut own = Config {
        codecs: ALL.to_vec(),
        ..config()
    };
    own.trunks[0].codecs = Some(vec![Pcma, G722]);
    own.ai_agents[0].codecs = Some(vec![Opus]);
    own.targets[0].codecs = Some(vec![Pcmu, G722]);
    let mut world = world_of(own, [&[Pcmu, Opus, G722], &ALL, &ALL]);
    world.call(CALLER);
    assert_eq!(offered(&world, AI), "96 102");
    world.answer(AI);
    world.ask(Mode::Warm);
    assert_eq!(offered(&world, SALES), "9 0 13 101");
    world.answer(SALES);
    assert_eq!(
        spoken(&world),
        said(&[
            ("caller", "G722", "the peer's first choice"),
            ("ai", "opus", "the peer's first choice"),
            ("human", "G722", "same as the caller"),
        ])
    );
    world.hang_up(CALLER);
    // A caller without any of the trunk's is told which those are.
    world.peers[CALLER].local = Local::new(address(CALLER).ip(), 40_000, &[Opus], 1);
    world.call(CALLER);
    assert_eq!(world.peers[CALLER].log.last(), Some(&"488"));
    let told = world.node.warning(sip::sdp::Incompatible::NoCodec, &[Pcma, G722]);
    assert_eq!(told[0].1, "305 10.0.0.1:5060 \"PCMA or G722 is wanted\"");
    world.conserve();
}

#[test]
fn a_human_who_offers_anew_is_answered_with_what_the_caller_speaks() {
    use Encoding::*;
    let mut world = world(Prefer::NoTranscode, [&[Pcmu], &[Pcmu], &[Pcma]]);
    world.call(CALLER);
    world.answer(AI);
    world.ask(Mode::Warm);
    world.answer(SALES);
    let offer = |encodings: &[Encoding]| Local::new(address(SALES).ip(), 41_000, encodings, 77).offer();
    world.reinvite(SALES, offer(&[Opus, Pcma, Pcmu]));
    let answer = world.peers[SALES].bodies.last().unwrap();
    assert_eq!(formats(answer), "0 13 101");
    assert_eq!(
        spoken(&world).remove(2),
        said(&[("human", "PCMU", "same as the caller")]).remove(0)
    );
    // The clock of the line goes before the human's order.
    world.reinvite(SALES, offer(&[Opus, Pcma]));
    assert_eq!(formats(world.peers[SALES].bodies.last().unwrap()), "8 13 101");
    assert_eq!(
        spoken(&world).remove(2),
        said(&[("human", "PCMA", "the RTP clock of its line stays")]).remove(0)
    );
    // A caller keeps its order.
    world.reinvite(
        CALLER,
        Local::new(address(CALLER).ip(), 41_000, &[Pcma, Pcmu], 78).offer(),
    );
    assert_eq!(formats(world.peers[CALLER].bodies.last().unwrap()), "8 13 101");
    end(world);
}

#[test]
fn a_caller_without_an_offer_is_offered_first_what_the_ai_speaks() {
    let mut world = world(Prefer::NoTranscode, [&ALL, &[Encoding::Pcma], &ALL]);
    world.call_offering(CALLER, None);
    assert_eq!(offered(&world, AI), "0 8 9 96 13 101 102");
    world.answer(AI);
    let sent = world.peers[CALLER].answers.last().unwrap();
    assert_eq!(formats(sent), "8 0 9 96 13 101 102");
}

#[test]
fn the_join_tells_what_all_speak_and_why() {
    let mut world = world(Prefer::NoTranscode, [&ALL, &ALL, &[Encoding::Pcma]]);
    world.call(CALLER);
    world.answer(AI);
    world.ask(Mode::Warm);
    world.answer(SALES);
    world.played(2, 0);
    let told = world.notices.iter().find_map(|what| match what {
        What::Handoff(_, Step::Joined { codecs }) => Some(codecs.clone()),
        _ => None,
    });
    let told: Vec<_> = told
        .expect("joined")
        .into_iter()
        .map(|spoken| (spoken.party, spoken.codec, spoken.why))
        .collect();
    assert!(
        told.contains(&(Party::Caller, "PCMU", "the peer's first choice")),
        "{told:?}"
    );
    assert!(
        told.contains(&(Party::Human, "PCMA", "the peer's first choice")),
        "{told:?}"
    );
    end(world);
}

/// Nobody's phone rings for a codec that could not be carried; what is promised to one is not offered to the next.
#[test]
fn what_no_coder_is_free_for_is_not_offered() {
    use Encoding::*;
    let narrow = |opus_narrow| Sizes {
        opus_narrow,
        ..Sizes::default()
    };
    let mut world = world(Prefer::NoTranscode, [&[Pcmu], &[Pcmu], &ALL]);
    world.node.handle_coders(narrow(1));
    world.call(CALLER);
    world.answer(AI);
    world.ask(Mode::Warm);
    // Opus can be carried, and G.722 not.
    assert_eq!(offered(&world, SALES), "0 8 96 13 101 102");
    let mut offered_now = ALL.to_vec();
    drop(world.node.coders.promise(Some(Pcmu), &mut offered_now));
    assert_eq!(
        offered_now,
        [Pcmu, Pcma],
        "the only one is promised to whose phone rings"
    );
    world.answer(SALES);
    let mut offered_now = ALL.to_vec();
    drop(world.node.coders.promise(Some(Pcmu), &mut offered_now));
    assert_eq!(
        offered_now,
        [Pcmu, Pcma, Opus],
        "who has answered speaks something else"
    );
    end(world);

    // A target of whose codecs none can be carried.
    let mut config = Config {
        codecs: ALL.to_vec(),
        ..config()
    };
    for target in &mut config.targets {
        target.codecs = Some(vec![Opus]);
    }
    let mut world = world_of(config, [&[Pcmu], &[Pcmu], &ALL]);
    world.node.handle_coders(narrow(0));
    world.talk();
    world.ask(Mode::Warm);
    assert!(world.peers[SALES].log.is_empty(), "its phone does not ring");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoCapacity)))
    );
    assert_eq!(world.hears("caller"), "play(failed)");
    world.hang_up(CALLER);
    world.conserve();
}

/// The data plane has lent its last one meanwhile: the handoff fails, and the caller is back with the AI.
#[test]
fn a_coder_that_is_gone_when_the_human_answers_fails_the_handoff_in_words() {
    let mut world = World::new(config());
    world.talk();
    world.ask(Mode::Warm);
    world.answers = false;
    world.answer(SALES);
    world.answers = true;
    world.refuse_media(Refusal::Coders);
    assert_eq!(world.hears("caller"), "play(failed)");
    assert_eq!(
        world.closed(),
        Some((End::Failed, Outcome::ReturnedToAi, Some(Reason::NoCapacity)))
    );
    world.hang_up(CALLER);
    world.conserve();
}

/// A caller is answered with what can be carried, not with its first choice at any price.
#[test]
fn a_caller_is_not_answered_with_what_no_coder_is_free_for() {
    use Encoding::*;
    let mut world = world(Prefer::NoTranscode, [&[G722, Pcma], &ALL, &ALL]);
    world.node.handle_coders(Sizes::default());
    world.call(CALLER);
    world.answer(AI);
    assert_eq!(spoken(&world)[0].1, "PCMA");
    assert_eq!(offered(&world, AI), "8 0 13 101");
    end(world);
}
