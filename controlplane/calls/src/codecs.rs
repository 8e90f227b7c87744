//! Which codec a leg is offered, or answered with, and why it has the one that it has.

use std::cmp::Reverse;

use sip::sdp::{Agreed, Chosen, Encoding, Order};

use crate::config::{Config, Prefer};

/// How one leg is negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The order of our offers.
    pub(crate) encodings: Vec<Encoding>,
    /// Whose order our answers follow.
    pub(crate) order: Order,
    /// What they take before all else.
    pub(crate) wanted: Option<Encoding>,
    /// The sampling rate of who will hear the leg, Hz.
    pub(crate) heard_hz: Option<u32>,
}

/// The choice. `ours` is what we may speak on the leg, best first; `other` what the leg speaks that will hear it: for a leg of the AI
/// or of a human the caller's. `None` while there is none: that is the caller who comes.
///
/// | prefer | who comes first | the others, who hear `other` |
/// |---|---|---|
/// | no transcode | is answered with its own first choice | what `other` speaks, then our order |
/// | quality | the widest band first | the widest first that `other` can bring; of equals what it speaks itself |
/// | cost | the cheapest first | what `other` speaks, then the cheapest |
pub(crate) fn plan(prefer: Prefer, ours: &[Encoding], other: Option<Encoding>) -> Plan {
    let mut encodings = ours.to_vec();
    let differs = |encoding: &Encoding| other.is_some_and(|other| other != *encoding);
    let (order, wanted) = match prefer {
        Prefer::NoTranscode => {
            encodings.sort_by_key(differs);
            (Order::Theirs, other)
        }
        Prefer::Quality => {
            let most = other.map_or(u32::MAX, Encoding::sampling_hz);
            encodings.sort_by_key(|encoding| (Reverse(encoding.sampling_hz().min(most)), differs(encoding)));
            (Order::Ours, None)
        }
        Prefer::Cost => {
            encodings.sort_by_key(|encoding| (differs(encoding), work(*encoding)));
            (Order::Ours, None)
        }
    };
    Plan {
        encodings,
        order,
        wanted,
        heard_hz: other.map(Encoding::sampling_hz),
    }
}

/// [`plan`] for a leg to someone of this configuration, with whom we speak these (`None`: all that we speak).
pub(crate) fn plan_of(config: &Config, ours: Option<&[Encoding]>, other: Option<Encoding>) -> Plan {
    plan(config.prefer, ours.unwrap_or(&config.codecs), other)
}

/// What it costs to decode and encode, in ranks.
pub(crate) fn work(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Pcmu | Encoding::Pcma => 0,
        Encoding::L16 => 1,
        Encoding::L16Wide => 2,
        Encoding::G722 => 3,
        Encoding::Opus => 4,
    }
}

/// Why a leg speaks what it does, in a few words for the record. `first` is the first of our order for it; `caller` what the caller
/// speaks, where it is another leg.
pub(crate) fn why(prefer: Prefer, agreed: &Agreed, first: Option<Encoding>, caller: Option<Encoding>) -> &'static str {
    // Our choice in our answer; in its own, a peer that took the first that it was offered followed ours.
    let ours = agreed.chosen == Chosen::OurFirst || first == Some(agreed.encoding);
    match (agreed.chosen, prefer) {
        (Chosen::SameClock, _) => "the RTP clock of its line stays",
        _ if caller == Some(agreed.encoding) => "same as the caller",
        (Chosen::Wanted, _) => "same as the caller had then",
        (_, Prefer::Quality) if ours => "first of prefer = quality",
        (_, Prefer::Cost) if ours => "first of prefer = cost",
        _ => "the peer's first choice",
    }
}

/// As records, the API and metrics name it.
pub(crate) fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Pcmu => "PCMU",
        Encoding::Pcma => "PCMA",
        Encoding::G722 => "G722",
        Encoding::L16 => "L16",
        Encoding::L16Wide => "L16-16000",
        Encoding::Opus => "opus",
    }
}

/// The names of these, for a sentence.
pub(crate) fn names(encodings: &[Encoding]) -> String {
    let names: Vec<_> = encodings.iter().map(|encoding| name(*encoding)).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use Encoding::*;

    use super::*;

    #[test]
    fn the_choice_of_codecs() {
        use Prefer::*;
        const ALL: &[Encoding] = &[Pcmu, Pcma, G722, Opus];
        const MORE: &[Encoding] = &[L16, G722, L16Wide, Pcma, Opus, Pcmu];
        // Prefer, ours, the other; our order.
        type Row = (Prefer, &'static [Encoding], Option<Encoding>, &'static [Encoding]);
        let rows: &[Row] = &[
            (NoTranscode, ALL, None, ALL),
            (NoTranscode, ALL, Some(Pcmu), ALL),
            (NoTranscode, ALL, Some(Pcma), &[Pcma, Pcmu, G722, Opus]),
            (NoTranscode, ALL, Some(Opus), &[Opus, Pcmu, Pcma, G722]),
            // It has another list than the caller's trunk.
            (NoTranscode, &[G722, Pcmu], Some(Opus), &[G722, Pcmu]),
            (Quality, ALL, None, &[Opus, G722, Pcmu, Pcma]),
            (Quality, MORE, None, &[Opus, G722, L16Wide, L16, Pcma, Pcmu]),
            (Quality, ALL, Some(Opus), &[Opus, G722, Pcmu, Pcma]),
            // Of a narrow caller nobody hears more in a wide codec.
            (Quality, ALL, Some(Pcma), &[Pcma, Pcmu, G722, Opus]),
            (Quality, ALL, Some(G722), &[G722, Opus, Pcmu, Pcma]),
            (Quality, MORE, Some(L16Wide), &[L16Wide, G722, Opus, L16, Pcma, Pcmu]),
            (Cost, &[Opus, G722, Pcma, Pcmu], None, &[Pcma, Pcmu, G722, Opus]),
            (Cost, MORE, None, &[Pcma, Pcmu, L16, L16Wide, G722, Opus]),
            (Cost, ALL, Some(Opus), &[Opus, Pcmu, Pcma, G722]),
            (Cost, &[Opus, Pcmu], Some(G722), &[Pcmu, Opus]),
        ];
        for (prefer, ours, other, encodings) in rows {
            let planned = plan(*prefer, ours, *other);
            assert_eq!(planned.encodings, *encodings, "{prefer:?} {ours:?} {other:?}");
            let theirs = *prefer == NoTranscode;
            assert_eq!(planned.order == Order::Theirs, theirs);
            assert_eq!(planned.wanted, other.filter(|_| theirs));
            // It stays where the plan is made again of its own list.
            assert_eq!(plan(*prefer, &planned.encodings, *other), planned);
        }
    }

    #[test]
    fn what_is_said_of_it() {
        use Chosen::*;
        use Prefer::*;
        for (prefer, chosen, encoding, first, caller, said) in [
            (NoTranscode, TheirFirst, Pcma, Pcmu, None, "the peer's first choice"),
            (NoTranscode, TheirFirst, Pcma, Pcma, Some(Pcma), "same as the caller"),
            (
                NoTranscode,
                TheirFirst,
                Pcma,
                Pcmu,
                Some(Pcmu),
                "the peer's first choice",
            ),
            (NoTranscode, Wanted, Pcmu, Pcmu, Some(Pcmu), "same as the caller"),
            (
                NoTranscode,
                Wanted,
                Pcmu,
                Pcmu,
                Some(Pcma),
                "same as the caller had then",
            ),
            (
                NoTranscode,
                SameClock,
                G722,
                Opus,
                None,
                "the RTP clock of its line stays",
            ),
            (Quality, OurFirst, Opus, Opus, None, "first of prefer = quality"),
            (Quality, OurFirst, Pcmu, Opus, None, "first of prefer = quality"),
            (Quality, TheirFirst, Opus, Opus, Some(Opus), "same as the caller"),
            (Quality, TheirFirst, Opus, Opus, Some(G722), "first of prefer = quality"),
            (Quality, TheirFirst, Pcma, Opus, Some(G722), "the peer's first choice"),
            (Cost, OurFirst, Pcmu, Pcmu, None, "first of prefer = cost"),
        ] {
            let agreed = Agreed {
                remote: None,
                remote_rtcp: None,
                encoding,
                send: 0,
                receive: 0,
                chosen,
                common: vec![encoding],
                opus: None,
                events: None,
                comfort_noise: false,
                ptime_ms: 20,
                maxptime_ms: None,
                direction: sip::sdp::Direction::SendRecv,
            };
            assert_eq!(why(prefer, &agreed, Some(first), caller), said);
        }
    }

    #[test]
    fn names_make_a_sentence() {
        assert_eq!(names(&[Pcmu]), "PCMU");
        assert_eq!(names(&[Pcmu, Pcma]), "PCMU or PCMA");
        assert_eq!(names(&[L16, L16Wide, Opus]), "L16, L16-16000 or opus");
    }
}
