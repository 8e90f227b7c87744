//! What a peer wants of the Opus that it is sent (RFC 7587 §6.1).

use super::mixing::rig;
use super::*;
use crate::codec::opus::Wishes;

/// The lengths of the payloads that the AI was sent.
fn lengths(rig: &mut Rig) -> Vec<usize> {
    rig.forget();
    rig.run(1_000);
    rig.heard(AI).iter().map(|sent| sent.payload().len()).collect()
}

#[test]
fn a_peer_is_sent_opus_as_it_wants_it_from_each_description_on_and_the_next_one_is_not() {
    let mut rig = rig();
    let legs = |opus: Wishes| {
        let ai = leg_in(AI, Codec::Opus, hears(CALLER));
        spec(&[leg(CALLER, nobody()), LegSpec { opus, ..ai }])
    };
    let constant = Wishes {
        cbr: true,
        bitrate_max: Some(12_000),
        ..Wishes::default()
    };
    rig.set(legs(constant));
    rig.talk_in(CALLER, 0, Codec::Pcmu);
    rig.run(100);
    // 12,000 bit/s are 30 bytes in 20 ms.
    assert_eq!(lengths(&mut rig), [30; 50]);
    rig.set(legs(Wishes::default()));
    let free = lengths(&mut rig);
    assert!(free.iter().any(|len| *len > 40), "{free:?}");
    rig.set(legs(constant));
    assert_eq!(lengths(&mut rig), [30; 50]);
    // The only encoder that has been lent goes to somebody else.
    rig.set(spec(&[leg(CALLER, nobody())]));
    rig.set(legs(Wishes::default()));
    let free = lengths(&mut rig);
    assert!(free.iter().any(|len| *len > 40), "{free:?}");
    assert_conserved(&mut rig);
}
