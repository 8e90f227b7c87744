//! What the machines do that no endpoint shows: a reliable transport, and inputs out of place.

use std::time::{Duration, Instant};

use super::{Act, ClientInput, ClientInvite, ClientOther, Machine, ServerInput, ServerInvite, ServerOther};
use crate::timer::{Timer, Times};

fn times(reliable: bool) -> Times {
    Times {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        reliable,
    }
}

/// Runs a machine's timers until none is set; what it did, and after how many milliseconds.
fn run(machine: &mut Machine, start: Instant, times: &Times) -> Vec<(u128, Act)> {
    let mut log = Vec::new();
    while let Some(now) = machine.timers().next_timeout() {
        let timer = machine.timers().expired(now).expect("due");
        log.push(((now - start).as_millis(), machine.timer(now, times, timer)));
    }
    log
}

fn sends(at: &[u128], last: (u128, Act)) -> Vec<(u128, Act)> {
    at.iter().map(|&ms| (ms, Act::Send)).chain([last]).collect()
}

#[test]
fn unanswered_invite() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    let expected = sends(&[500, 1500, 3500, 7500, 15500, 31500], (32000, Act::TimedOut));
    assert_eq!(run(&mut machine, now, &times), expected);
    assert!(machine.is_terminated());
}

#[test]
fn unanswered_bye() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientOther(ClientOther::new(now, &times));
    let at = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(run(&mut machine, now, &times), sends(&at, (32000, Act::TimedOut)));
    assert!(machine.is_terminated());
}

#[test]
fn a_provisional_answer_slows_a_bye_to_t2() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientOther(ClientOther::new(now, &times));
    assert_eq!(machine.client(now, &times, ClientInput::Status(100)), Act::Pass);
    let at = [500, 4500, 8500, 12500, 16500, 20500, 24500, 28500];
    assert_eq!(run(&mut machine, now, &times), sends(&at, (32000, Act::TimedOut)));
}

#[test]
fn unacknowledged_refusal() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ServerInvite(ServerInvite::new(&times));
    assert_eq!(machine.server(now, &times, ServerInput::Respond(486)), Act::Send);
    let at = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(run(&mut machine, now, &times), sends(&at, (32000, Act::TimedOut)));
    assert!(machine.is_terminated());
}

#[test]
fn acknowledged_refusal_absorbs_acks_for_t4() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ServerInvite(ServerInvite::new(&times));
    machine.server(now, &times, ServerInput::Respond(486));
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Ack), Act::Pass);
    assert_eq!(machine.server(now, &times, ServerInput::Ack), Act::Nothing);
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Nothing);
    assert_eq!(run(&mut machine, now, &times), [(5000, Act::Nothing)]);
    assert!(machine.is_terminated());
}

#[test]
fn refused_invite_is_acknowledged_again_until_timer_d() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    assert_eq!(machine.client(now, &times, ClientInput::Status(486)), Act::AckAndPass);
    assert_eq!(machine.client(now, &times, ClientInput::Status(486)), Act::Ack);
    assert_eq!(machine.client(now, &times, ClientInput::Status(180)), Act::Nothing);
    assert_eq!(machine.client(now, &times, ClientInput::Status(200)), Act::Nothing);
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::Nothing)]);
    assert!(machine.is_terminated());
}

#[test]
fn accepted_invite_hands_every_2xx_on_until_timer_m() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    assert_eq!(machine.client(now, &times, ClientInput::Status(180)), Act::Pass);
    assert_eq!(
        machine.timers().next_timeout(),
        None,
        "A and B stop at the first answer"
    );
    assert_eq!(machine.client(now, &times, ClientInput::Status(200)), Act::Pass);
    assert_eq!(machine.client(now, &times, ClientInput::Status(200)), Act::Pass);
    assert_eq!(machine.client(now, &times, ClientInput::Status(486)), Act::Nothing);
    assert_eq!(machine.client(now, &times, ClientInput::Status(180)), Act::Nothing);
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::Nothing)]);
    assert!(machine.is_terminated());
}

#[test]
fn answered_invite_absorbs_its_retransmissions_until_timer_l() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ServerInvite(ServerInvite::new(&times));
    assert_eq!(machine.server(now, &times, ServerInput::Respond(180)), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Respond(200)), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Nothing);
    assert_eq!(machine.server(now, &times, ServerInput::Ack), Act::Pass);
    assert_eq!(machine.server(now, &times, ServerInput::Ack), Act::Pass);
    assert_eq!(machine.server(now, &times, ServerInput::Respond(486)), Act::Nothing);
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::Nothing)]);
    assert!(machine.is_terminated());
}

#[test]
fn answered_bye_answers_its_retransmissions_until_timer_j() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ServerOther(ServerOther::new());
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Nothing);
    assert_eq!(machine.server(now, &times, ServerInput::Respond(100)), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Respond(200)), Act::Send);
    assert_eq!(machine.server(now, &times, ServerInput::Respond(500)), Act::Nothing);
    assert_eq!(machine.server(now, &times, ServerInput::Request), Act::Send);
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::Nothing)]);
    assert!(machine.is_terminated());
}

#[test]
fn a_cancelled_invite_dies_64_t1_later() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    machine.client(now, &times, ClientInput::Status(180));
    machine.client(now, &times, ClientInput::GiveUp);
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::TimedOut)]);
    assert!(machine.is_terminated());
}

#[test]
fn given_up_before_the_first_answer_it_dies_64_t1_after_it() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    machine.client(now, &times, ClientInput::GiveUp);
    assert_eq!(machine.client(now, &times, ClientInput::Status(100)), Act::Pass);
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::TimedOut)]);
}

#[test]
fn unreachable_ends_what_was_never_answered() {
    let (now, times) = (Instant::now(), times(false));
    for mut machine in [
        Machine::ClientInvite(ClientInvite::new(now, &times)),
        Machine::ClientOther(ClientOther::new(now, &times)),
    ] {
        assert_eq!(machine.client(now, &times, ClientInput::Unreachable), Act::Failed);
        assert!(machine.is_terminated());
        assert_eq!(machine.timers().next_timeout(), None);
    }
}

#[test]
fn a_reliable_transport_repeats_nothing_and_absorbs_nothing() {
    let (now, times) = (Instant::now(), times(true));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::TimedOut)]);

    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    machine.client(now, &times, ClientInput::Status(486));
    assert_eq!(run(&mut machine, now, &times), [(0, Act::Nothing)]);

    let mut machine = Machine::ClientOther(ClientOther::new(now, &times));
    assert_eq!(run(&mut machine, now, &times), [(32000, Act::TimedOut)]);

    let mut machine = Machine::ServerInvite(ServerInvite::new(&times));
    machine.server(now, &times, ServerInput::Respond(486));
    assert_eq!(
        machine.timers().next_timeout(),
        Some(now + Duration::from_secs(32)),
        "only timer H"
    );
    machine.server(now, &times, ServerInput::Ack);
    assert_eq!(run(&mut machine, now, &times), [(0, Act::Nothing)]);

    let mut machine = Machine::ServerOther(ServerOther::new());
    machine.server(now, &times, ServerInput::Respond(200));
    assert_eq!(run(&mut machine, now, &times), [(0, Act::Nothing)]);
}

#[test]
fn timers_out_of_place_do_nothing() {
    let (now, times) = (Instant::now(), times(false));
    let mut machine = Machine::ClientInvite(ClientInvite::new(now, &times));
    assert_eq!(machine.timer(now, &times, Timer::K), Act::Nothing);
    assert_eq!(machine.server(now, &times, ServerInput::Respond(200)), Act::Nothing);
    assert!(machine.is_pending_invite());
}
