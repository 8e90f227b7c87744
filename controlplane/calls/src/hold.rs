//! What a party hears in place of one that holds us.
//!
//! | the row's leg | a caller or a human hears | an AI hears |
//! |---|---|---|
//! | is there, speaks or not | the leg (comfort noise while it is silent) | the leg |
//! | `sendonly`, or `sendrecv` with `c=0.0.0.0` or `::`, and sends | the leg: its music | nothing |
//! | the same, and has been silent for `silence` | hold audio | nothing |
//! | `recvonly`, `inactive` | hold audio | nothing |
//! | is back from its hold | what it heard until the leg's first packet, at most [`RESUME`]; then the leg | the leg |
//!
//! Nothing is comfort noise. An AI never hears music, ours or others': it would answer it. Nobody hears hold audio in a conversation.

use std::time::Duration;

use media::command::{Hears, LegId, Play, PlayId, PromptId, SessionSpec};

use crate::leg::{Comes, Leg};
use crate::notice::Party;
use crate::spec::Legs;

/// How long hold audio may go on after a hold, until its party is heard.
const RESUME: Duration = Duration::from_secs(1);

/// Changes the rows of those who hear a party that holds us. `before`: the table until now; `played`: what is over of the plays.
pub(crate) fn stand_in(
    spec: &mut SessionSpec,
    before: &SessionSpec,
    legs: &Legs,
    hold: PromptId,
    played: &[(PlayId, u8)],
) {
    for row in &mut spec.legs {
        // What was said before the hold is not said again after it.
        let now = before.legs.iter().find(|leg| leg.leg == row.leg);
        let now = now.and_then(|leg| leg.hears.play.as_ref()).map(|play| play.id);
        row.hears.play = row
            .hears
            .play
            .take()
            .filter(|play| now == Some(play.id) || !is_over(play, played));
        let find = |id: LegId| legs.iter().find(|leg| leg.id == id);
        let Some(listener) = find(row.leg) else { continue };
        match &row.hears.legs[..] {
            [one] => {
                if let Some(source) = find(one.leg) {
                    change(&mut row.hears, listener, source, hold, played);
                }
            }
            // Of several nobody stands in for one: the others are there.
            _ if listener.party == Party::Ai => {
                let speaks = |id: LegId| find(id).is_some_and(|source| source.comes() == Comes::Speech);
                row.hears.legs.retain(|heard| speaks(heard.leg));
            }
            _ => {}
        }
    }
}

fn change(row: &mut Hears, listener: &Leg, source: &Leg, hold: PromptId, played: &[(PlayId, u8)]) {
    match (listener.party, source.comes()) {
        (Party::Ai, Comes::Music | Comes::Nothing) => row.legs.clear(),
        (Party::Ai, Comes::Speech) => {}
        (_, Comes::Speech) if source.resumes => row.patience = row.patience.max(RESUME),
        (_, Comes::Speech) => {}
        (_, Comes::Music) if source.quiet.is_none() => {}
        // What is said is said first.
        (_, Comes::Music | Comes::Nothing) if row.play.as_ref().is_some_and(|play| !is_over(play, played)) => {}
        (_, Comes::Music | Comes::Nothing) => {
            *row = Hears {
                play: Some(Play {
                    id: own(listener.id),
                    queue: [hold].into_iter().collect(),
                    repeat_last: true,
                }),
                ..Hears::default()
            };
        }
    }
}

pub(crate) fn is_over(play: &Play, played: &[(PlayId, u8)]) -> bool {
    let last = play.queue.len().saturating_sub(1);
    let ended = played
        .iter()
        .any(|(id, item)| *id == play.id && usize::from(*item) >= last);
    ended && !play.repeat_last
}

/// The machines count their plays from 1.
fn own(listener: LegId) -> PlayId {
    PlayId(u64::MAX - u64::from(listener.0))
}
