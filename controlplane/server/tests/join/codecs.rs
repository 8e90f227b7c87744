//! Parties that speak different codecs: each hears the others.

use serde_json::json;
use sip::sdp::Encoding;

use crate::families::a_whole_call;
use crate::way::{FOUR, Way};
use crate::world::Plan;

/// A whole call of three parties that speak these.
async fn parties([caller, ai, human]: [Encoding; 3]) {
    let way = |speaks| Way {
        speaks,
        by_ear: true,
        ..Way::udp(FOUR)
    };
    let plan = Plan {
        media: "codecs = [\"pcmu\", \"g722\", \"opus\", \"l16\", \"l16-16000\"]",
        caller: way(caller),
        ai: way(ai),
        human: way(human),
        ..Plan::all(Way::udp(FOUR))
    };
    let record = a_whole_call(plan).await;
    let name = |encoding| match encoding {
        Encoding::Pcmu => "PCMU",
        Encoding::Pcma => "PCMA",
        Encoding::G722 => "G722",
        Encoding::Opus => "opus",
        Encoding::L16 => "L16",
        Encoding::L16Wide => "L16-16000",
    };
    assert_eq!(
        (&record["codecs"]["caller"], &record["codecs"]["human"]),
        (&json!(name(caller)), &json!(name(human)))
    );
    let same = caller == human;
    let reason = if same {
        "same as the caller"
    } else {
        "the peer's first choice"
    };
    assert_eq!(record["codec_reasons"]["human"], json!(reason));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_pcmu_and_a_human_in_opus_hear_each_other() {
    parties([Encoding::Pcmu, Encoding::Pcmu, Encoding::Opus]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_opus_and_a_human_in_g722_hear_each_other() {
    parties([Encoding::Opus, Encoding::L16Wide, Encoding::G722]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_g722_and_a_human_in_g722_hear_each_other() {
    parties([Encoding::G722, Encoding::Opus, Encoding::G722]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_l16_and_a_human_in_pcmu_hear_each_other() {
    parties([Encoding::L16, Encoding::G722, Encoding::Pcmu]).await;
}
