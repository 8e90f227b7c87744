//! A call in each state, and an input of each kind.

use std::sync::Arc;
use std::time::Duration;

use media::command::PlayId;
use playbook::decisions::Manner;
use playbook::{Accept, Mode};

use crate::call::{Call, Input};
use crate::estimate::{Left, Said};
use crate::handoff::{self, Choice, Order, Routed};
use crate::notice::{HandoffId, Reason};

pub(crate) fn order(mode: Mode, accept: Accept, id: u64, refer: bool) -> Input {
    let choice = |(target, name): (usize, &str)| Choice {
        target,
        name: name.to_owned(),
        uri: None,
        queued: false,
        closed: false,
        machine: false,
    };
    Input::Handoff(Order {
        id: HandoffId(id),
        manner: Arc::new(Manner {
            mode,
            accept,
            ..Manner::default()
        }),
        decision: None,
        targets: [(0, "sales"), (1, "support")].map(choice).into(),
        why: "asked".to_owned(),
        trigger: None,
        asks: false,
        back: false,
        refer,
        talks_on: false,
        said: Said::default(),
        discloses: false,
        complete: false,
    })
}

/// A cold one, with an AI that talks on until the human is heard.
fn talking_on(id: u64, refer: bool) -> Input {
    match order(Mode::Cold, Accept::Answer, id, refer) {
        Input::Handoff(order) => Input::Handoff(Order {
            talks_on: true,
            ..order
        }),
        other => other,
    }
}

/// The same in another manner.
fn otherwise(input: Input, change: impl FnOnce(&mut Manner)) -> Input {
    match input {
        Input::Handoff(mut order) => {
            change(Arc::make_mut(&mut order.manner));
            Input::Handoff(order)
        }
        other => other,
    }
}

/// A warm one whose join waits for the context, and for its being acknowledged.
pub(crate) fn gated(id: u64) -> Input {
    otherwise(warm(id), |manner| {
        (manner.required_wait, manner.acknowledged) = (Duration::from_secs(5), true);
    })
}

/// A warm one after whose join the AI stays.
pub(crate) fn introduced(id: u64) -> Input {
    otherwise(warm(id), |manner| manner.ai_stays = Duration::from_secs(20))
}

/// A warm handoff to two targets, by key.
fn warm(id: u64) -> Input {
    order(Mode::Warm, Accept::Key, id, false)
}

/// One whose targets are closed.
fn closed(id: u64) -> Input {
    match warm(id) {
        Input::Handoff(mut order) => {
            order.targets.iter_mut().for_each(|target| target.closed = true);
            Input::Handoff(order)
        }
        other => other,
    }
}

/// A warm one to a queue, and to a target that is none.
pub(crate) fn queued(id: u64) -> Input {
    match warm(id) {
        Input::Handoff(mut order) => {
            order.targets[0].queued = true;
            Input::Handoff(order)
        }
        other => other,
    }
}

/// One whose way is asked for first.
fn asking(id: u64) -> Input {
    match warm(id) {
        Input::Handoff(order) => Input::Handoff(Order { asks: true, ..order }),
        other => other,
    }
}

/// Another way than the playbook's.
fn another_way() -> Routed {
    match warm(ID) {
        Input::Handoff(order) => Routed::To {
            targets: order.targets,
            refer: false,
        },
        other => unreachable!("{other:?}"),
    }
}

/// One that the caller's carrier is asked to do first.
fn by_refer(id: u64) -> Input {
    order(Mode::Cold, Accept::Answer, id, true)
}

const TALKS_ON: &str = "the AI talks on";

const BACK: &str = "called back";

/// Handoff of the samples; the one before it, where there is one, is 8.
pub(crate) const ID: u64 = 9;

/// What follows where no AI has the call.
fn lost() -> Box<Order> {
    match warm(ID) {
        Input::Handoff(order) => Box::new(order),
        other => unreachable!("{other:?}"),
    }
}

/// What follows where the caller was called back.
fn called_back() -> Box<Order> {
    let order = lost();
    Box::new(Order { back: true, ..*order })
}

/// What can be said of most waits.
fn soon() -> Said {
    Said {
        left: Some(Left::Soon),
        ..Said::default()
    }
}

/// A call in each state, the first of each name being the plainest, and what is special about the others.
pub(crate) fn samples() -> Vec<(&'static str, Call)> {
    use Input::*;
    let joined = |id| vec![warm(id), TargetAnswered, Digit('1'), Applied];
    let failed = |id| vec![warm(id), TargetFailed(486), TargetFailed(486)];
    let talk = |more: Vec<Input>| [vec![PeerAnswered], more].concat();
    let human = |more: Vec<Input>| [vec![PeerAnswered], joined(ID - 1), more].concat();
    let ways = vec![
        ("", vec![]),
        ("", talk(vec![])),
        ("", talk(vec![by_refer(ID)])),
        ("", talk(vec![asking(ID)])),
        ("", talk(vec![queued(ID)])),
        ("", talk(vec![warm(ID)])),
        ("", talk(vec![warm(ID), TargetRinging])),
        ("", talk(vec![warm(ID), TargetAnswered])),
        ("", talk(vec![gated(ID), TargetAnswered, Digit('1')])),
        ("", talk(vec![warm(ID), TargetAnswered, Digit('1')])),
        ("", talk(vec![introduced(ID), TargetAnswered, Digit('1'), Applied])),
        ("", talk(joined(ID))),
        ("", talk([joined(ID), vec![Evidence(HandoffId(ID), vec![])]].concat())),
        ("", talk(failed(ID))),
        ("", talk([failed(ID), vec![Applied]].concat())),
        ("", talk([vec![warm(ID), PeerGone], failed(ID).split_off(1)].concat())),
        ("", talk(vec![by_refer(ID), ReferAccepted, CallerGone])),
        ("", talk(vec![warm(ID), CallerGone])),
        ("", talk(vec![HangUp, MediaEnded])),
        ("announced", talk(vec![queued(ID), Played(PlayId(1), 0)])),
        ("an agent of a queue", talk(vec![queued(ID), AgentFree])),
        ("an agent of a queue", talk(vec![queued(ID), AgentFree, TargetRinging])),
        ("an agent of a queue", talk(vec![queued(ID), AgentFree, TargetAnswered])),
        (
            "the last agent",
            talk(vec![
                queued(ID),
                AgentFree,
                TargetAnswered,
                Timer(crate::timer::Timer::Queue),
            ]),
        ),
        (
            "one has not taken it",
            talk(vec![queued(ID), AgentFree, TargetFailed(486)]),
        ),
        ("announced", talk(vec![warm(ID), Played(PlayId(1), 0)])),
        ("announced", talk(vec![warm(ID), Played(PlayId(1), 0), TargetRinging])),
        ("last target", talk(vec![warm(ID), TargetFailed(486)])),
        ("last target", talk(vec![warm(ID), TargetFailed(486), TargetRinging])),
        ("last target", talk(vec![warm(ID), TargetFailed(486), TargetAnswered])),
        (
            "last target",
            talk(vec![warm(ID), TargetFailed(486), TargetAnswered, Digit('1')]),
        ),
        (
            "answering accepts",
            talk(vec![
                order(Mode::Warm, playbook::Accept::Answer, ID, false),
                TargetAnswered,
            ]),
        ),
        (
            "peer gone, last target",
            talk(vec![warm(ID), PeerGone, TargetFailed(486)]),
        ),
        (
            "peer gone, last target",
            talk(vec![warm(ID), PeerGone, TargetFailed(486), TargetAnswered]),
        ),
        ("a human hands on", human(vec![by_refer(ID)])),
        ("a human hands on", human(vec![queued(ID)])),
        ("a human hands on", human(vec![asking(ID)])),
        ("a human hands on", human(vec![warm(ID)])),
        ("a human hands on", human(vec![warm(ID), TargetRinging])),
        ("a human hands on", human(vec![warm(ID), TargetAnswered])),
        ("a human hands on", human(vec![warm(ID), TargetAnswered, Digit('1')])),
        ("a human hands on", human(vec![gated(ID), TargetAnswered, Digit('1')])),
        (
            "just given back",
            talk(
                [
                    failed(ID - 1),
                    vec![Applied, introduced(ID), TargetAnswered, Digit('1'), Applied],
                ]
                .concat(),
            ),
        ),
        ("a human hands on", human(failed(ID))),
        ("to a human", human([failed(ID), vec![Applied]].concat())),
        ("just given back", talk([failed(ID), vec![Applied, PeerGone]].concat())),
        (TALKS_ON, talk(vec![talking_on(ID, true)])),
        (TALKS_ON, talk(vec![talking_on(ID, false)])),
        (TALKS_ON, talk(vec![talking_on(ID, false), TargetRinging])),
        (TALKS_ON, talk(vec![talking_on(ID, false), TargetAnswered])),
        (
            "acknowledged",
            talk(vec![gated(ID), TargetAnswered, Acknowledged, Digit('1')]),
        ),
        (
            "all is there",
            talk(vec![gated(ID), Context { complete: true }, TargetAnswered, Digit('1')]),
        ),
        (
            "the context is waited for",
            talk(vec![
                gated(ID),
                Context { complete: true },
                Acknowledged,
                TargetAnswered,
            ]),
        ),
        ("the AI stays", talk(vec![introduced(ID), TargetAnswered, Digit('1')])),
        (
            "session ended",
            talk(vec![by_refer(ID), ReferAccepted, CallerGone, MediaEnded]),
        ),
        ("asked, no answer yet", talk(vec![by_refer(ID), CallerGone])),
    ];
    let back = |more: Vec<Input>| [vec![CallerAnswered(called_back())], more].concat();
    let ways_back = vec![
        ("", vec![]),
        (BACK, back(vec![])),
        ("called back, last target", back(vec![TargetFailed(486)])),
        (BACK, back(vec![TargetFailed(486), TargetFailed(486)])),
        (BACK, back(vec![TargetAnswered])),
        (BACK, back(joined(ID).split_off(1))),
    ];
    let walk = |mut call: Call, way: Vec<Input>| {
        for input in way {
            call.handle(input);
        }
        call
    };
    let from = ways
        .into_iter()
        .map(|(special, way)| (special, walk(Call::new(1).0, way)));
    let back = ways_back
        .into_iter()
        .map(|(special, way)| (special, walk(Call::back().0, way)));
    from.chain(back).collect()
}

/// One or more inputs of each name, with what is special about them.
pub(crate) fn inputs() -> Vec<(&'static str, Input)> {
    use Input::*;
    let mut inputs = vec![
        ("", CallerGone),
        ("", CallerAnswered(called_back())),
        ("486", CallerFailed(486)),
        ("", PeerRinging),
        ("", PeerAnswered),
        ("486", PeerFailed(486)),
        ("503", PeerFailed(503)),
        ("", PeerGone),
        ("", AiLost(lost())),
        ("", TargetRinging),
        ("", TargetAnswered),
        ("486", TargetFailed(486)),
        ("408", TargetFailed(408)),
        ("480", TargetFailed(480)),
        ("404", TargetFailed(404)),
        ("500", TargetFailed(500)),
        ("603", TargetFailed(603)),
        ("", TargetGone),
        ("", TargetSilent),
        ("", NoCapacity),
        ("", ReferAccepted),
        ("603", ReferFailed(603)),
        ("408", ReferFailed(408)),
        ("180", ReferProgress(180)),
        ("200", ReferOutcome(200)),
        ("486", ReferOutcome(486)),
        ("", Digit('1')),
        ("", Digit('2')),
        ("", Digit('3')),
        ("", Applied),
        ("", MediaFailed(Reason::Error)),
        ("", MediaSilent),
    ];
    inputs.extend((1..=6).map(|play| ("", Played(PlayId(play), 0))));
    inputs.extend([
        ("", Context { complete: true }),
        ("", Acknowledged),
        ("", Estimate(soon())),
        ("", Routed(another_way())),
        (
            "as it was",
            Routed(handoff::Routed::Unchanged(handoff::Unrouted::Useless)),
        ),
        ("", InLine { place: 1, said: soon() }),
        ("", AgentFree),
        ("", NobodyThere),
        ("", FirstWord(HandoffId(ID))),
        ("of the handoff before", FirstWord(HandoffId(ID - 1))),
        ("", Evidence(HandoffId(ID), vec![])),
        ("of the handoff before", Evidence(HandoffId(ID - 1), vec![])),
        ("", MediaEnded),
    ]);
    inputs.extend(crate::timer::Timer::ALL.map(|timer| ("", Timer(timer))));
    inputs.extend([
        ("", warm(ID)),
        ("to closed targets", closed(ID)),
        ("to the carrier first", by_refer(ID)),
        (TALKS_ON, talking_on(ID, false)),
        ("", Accept),
        ("", Decline),
        ("", Cancel),
        ("", HangUp),
    ]);
    inputs
}
