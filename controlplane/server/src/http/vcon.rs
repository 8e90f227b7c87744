//! A handoff's record as a vCon: the unsigned form of draft-ietf-vcon-vcon-core (which follows draft-ietf-vcon-vcon-container), its
//! version 0.4.0. Pure: the record's JSON in, the vCon's out.

use serde_json::{Map, Value, json};

/// The draft's §"JSON Format vCon Mediatype".
pub(super) const MEDIA_TYPE: &str = "application/vcon";

/// Indices of the parties.
const CALLER: u8 = 0;
const AI: u8 = 1;
const HUMAN: u8 = 2;

/// Parties are the caller, the AI and, where one was asked for, the human. Dialogs are the turns as text, then each target that was
/// not reached ("incomplete"), then the transfer, if it came to one, with an empty dialog for the talk that is not recorded.
pub(super) fn of(record: &Value) -> Value {
    let requested = &record["requested_at"];
    let turns = record["context"]["transcript"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut dialog: Vec<Value> = turns.iter().map(|turn| text(turn, requested)).collect();
    let talked: Vec<usize> = (0..dialog.len()).collect();
    for failed in record["failed_targets"].as_array().into_iter().flatten() {
        dialog.push(incomplete(&failed["reason"], requested));
    }
    if matches!(record["result"].as_str(), Some("joined" | "transferred")) {
        dialog.push(json!({}));
        let mut transfer = json!({
            "type": "transfer",
            "start": requested,
            "transferee": CALLER,
            "transferor": AI,
            "transfer_target": HUMAN,
            "target_dialog": dialog.len() - 1,
        });
        if !talked.is_empty() {
            transfer["original"] = json!(talked);
        }
        dialog.push(transfer);
    } else if dialog.len() == talked.len() && !record["result"].is_null() {
        dialog.push(incomplete(&record["reason"], requested));
    }
    let last = dialog.len().checked_sub(1);
    let mut vcon = json!({
        "vcon": "0.4.0",
        "uuid": uuid(record),
        "created_at": requested,
        "updated_at": latest(record),
        "subject": record["requested_reason"],
        "parties": [
            caller(&record["caller"]),
            { "name": record["ai_agent"], "type": "bot" },
            { "name": record["target"], "type": "person" },
        ],
        "dialog": dialog,
        "analysis": analysis(record, &talked),
    });
    if let Some(last) = last {
        vcon["attachments"] = attachments(record, last).into();
    }
    vcon
}

/// A version 8 UUID (RFC 9562 §5.8): when it was asked for, ms since 1970, and the 64 random bits of the handoff's id. The draft
/// would have the host's name in it; we have the same vCon under the same UUID, however often and from whichever server it is asked.
fn uuid(record: &Value) -> String {
    let ms = record["requested_at"]
        .as_str()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .map_or(0, |time| time.as_millisecond().unsigned_abs());
    let digits = record["id"]
        .as_str()
        .and_then(|id| id.rsplit('_').next())
        .unwrap_or_default();
    let random = u64::from_str_radix(digits, 16).unwrap_or_default();
    let bits = u128::from(ms & 0xffff_ffff_ffff) << 80
        | 0x8 << 76
        | u128::from(random >> 52) << 64
        | 0b10 << 62
        | u128::from(random & 0x3fff_ffff_ffff_ffff);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn latest(record: &Value) -> Value {
    let times = [&record["feedback"]["at"], &record["closed_at"], &record["requested_at"]];
    times
        .into_iter()
        .find(|time| time.is_string())
        .cloned()
        .unwrap_or_default()
}

fn caller(uri: &Value) -> Value {
    let text = uri.as_str().unwrap_or_default();
    let name = match () {
        () if text.starts_with("sip:") || text.starts_with("sips:") => "sip",
        () if text.starts_with("tel:") => "tel",
        () => "name",
    };
    json!({ name: text, "type": "person" })
}

fn text(turn: &Value, requested: &Value) -> Value {
    let start = if turn["at"].is_string() { &turn["at"] } else { requested };
    let party = if turn["role"] == "ai" { AI } else { CALLER };
    json!({
        "type": "text",
        "start": start,
        "parties": [party],
        "mediatype": "text/plain",
        "body": turn["text"],
        "encoding": "none",
    })
}

fn incomplete(reason: &Value, requested: &Value) -> Value {
    let disposition = match reason.as_str() {
        Some("busy") => "busy",
        Some("no_answer") => "no-answer",
        Some("no_capacity") => "congestion",
        Some("machine") => "voicemail-no-message",
        Some("caller_hangup" | "human_hangup" | "declined") => "hung-up",
        _ => "failed",
    };
    json!({ "type": "incomplete", "start": requested, "parties": [CALLER, HUMAN], "disposition": disposition })
}

fn analysis(record: &Value, talked: &[usize]) -> Vec<Value> {
    let product = concat!("baton/", env!("CARGO_PKG_VERSION"));
    let entry = |kind: &str, mediatype: &str, schema: &Value, body: Value, encoding: &str| {
        let mut entry = json!({
            "type": kind,
            "vendor": "Baton",
            "product": product,
            "schema": schema,
            "mediatype": mediatype,
            "body": body,
            "encoding": encoding,
        });
        if !talked.is_empty() {
            entry["dialog"] = json!(talked);
        }
        entry
    };
    let context = &record["context"];
    let mut analysis = Vec::new();
    if context["brief"].as_str().is_some_and(|brief| !brief.is_empty()) {
        let brief = context["brief"].clone();
        analysis.push(entry("summary", "text/plain", &context["schema"], brief, "none"));
    }
    let sentiment = &context["fields"]["sentiment"];
    if !sentiment.is_null() {
        let sentiment = sentiment.clone();
        analysis.push(entry(
            "sentiment",
            "application/json",
            &context["schema"],
            sentiment,
            "json",
        ));
    }
    let mut report: Map<String, Value> = record.as_object().cloned().unwrap_or_default();
    for elsewhere in ["context", "feedback", "deliveries", "caller"] {
        report.remove(elsewhere);
    }
    analysis.push(entry(
        "report",
        "application/json",
        &record["schema"],
        report.into(),
        "json",
    ));
    analysis
}

fn attachments(record: &Value, dialog: usize) -> Vec<Value> {
    let entry = |purpose: &str, party: u8, start: &Value, body: &Value| {
        json!({
            "purpose": purpose,
            "start": start,
            "party": party,
            "dialog": dialog,
            "mediatype": "application/json",
            "body": body,
            "encoding": "json",
        })
    };
    let mut attachments = Vec::new();
    let context = &record["context"];
    if !context.is_null() {
        attachments.push(entry("context", AI, &record["requested_at"], &context["fields"]));
    }
    let feedback = &record["feedback"];
    if !feedback.is_null() {
        attachments.push(entry("feedback", HUMAN, &feedback["at"], feedback));
    }
    attachments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Value {
        json!({
            "schema": "baton.handoff/1", "id": "ho_fedcba9876543210", "call": "call_0000000000000001", "mode": "warm",
            "state": "completed", "target": "support", "requested_reason": "asked for a human", "result": "joined",
            "reason": null, "ai_agent": "assistant", "caller": "sip:+4930123@192.0.2.1",
            "requested_at": "2026-01-02T03:04:05.000Z", "closed_at": "2026-01-02T03:05:00.000Z",
            "failed_targets": [{ "target": "sales", "reason": "busy", "status": 486 }],
            "context": {
                "schema": "baton.context/1", "brief": "A late order.",
                "fields": { "intent": "order", "sentiment": { "label": "negative" } },
                "transcript": [
                    { "role": "caller", "text": "my order is late", "at": "2026-01-02T03:04:00.000Z" },
                    { "role": "ai", "text": "I see", "at": "2026-01-02T03:04:02.000Z" },
                ],
            },
            "feedback": { "context": "complete", "at": "2026-01-02T04:00:00.000Z" },
        })
    }

    /// What the draft demands of each object, by its type.
    fn check(vcon: &Value) {
        let parties = vcon["parties"].as_array().expect("parties").len() as u64;
        let dialog = vcon["dialog"].as_array().expect("dialogs");
        let known = |index: &Value, most: u64| index.as_u64().is_some_and(|index| index < most);
        for one in dialog {
            match one["type"].as_str() {
                None => assert_eq!(one, &json!({})),
                Some("text") => {
                    assert!(one["start"].is_string() && one["body"].is_string() && one["encoding"] == "none");
                    assert!(
                        one["parties"]
                            .as_array()
                            .expect("a list")
                            .iter()
                            .all(|party| known(party, parties))
                    );
                }
                Some("incomplete") => assert!(one["disposition"].is_string() && one["body"].is_null()),
                Some("transfer") => {
                    for role in ["transferee", "transferor", "transfer_target"] {
                        assert!(known(&one[role], parties), "{role}");
                    }
                    assert!(known(&one["target_dialog"], dialog.len() as u64));
                    // The draft: it "MUST NOT contain" those.
                    for never in ["parties", "originator", "mediatype", "filename", "body", "url"] {
                        assert!(one.get(never).is_none(), "{never}");
                    }
                }
                Some(other) => panic!("a dialog of type {other}"),
            }
        }
        for one in vcon["analysis"].as_array().expect("analysis") {
            assert!(one["type"].is_string() && one["vendor"].is_string() && one["encoding"].is_string());
            let of = one["dialog"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(of.iter().all(|index| known(index, dialog.len() as u64)));
        }
        for one in vcon["attachments"].as_array().into_iter().flatten() {
            assert!(one["start"].is_string() && known(&one["party"], parties));
            assert!(known(&one["dialog"], dialog.len() as u64));
        }
    }

    #[test]
    fn a_joined_handoff_has_its_turns_its_failure_and_its_transfer() {
        let vcon = of(&record());
        check(&vcon);
        assert_eq!(vcon["uuid"], "019b7ca9-8c88-8fed-bedc-ba9876543210");
        assert_eq!(vcon["parties"][0]["sip"], "sip:+4930123@192.0.2.1");
        let kinds: Vec<_> = vcon["dialog"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["type"])
            .collect();
        assert_eq!(
            kinds,
            [
                &json!("text"),
                &json!("text"),
                &json!("incomplete"),
                &Value::Null,
                &json!("transfer")
            ]
        );
        assert_eq!(vcon["dialog"][4]["original"], json!([0, 1]));
        let kinds: Vec<_> = vcon["analysis"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["type"])
            .collect();
        assert_eq!(kinds, ["summary", "sentiment", "report"]);
        assert_eq!(vcon["attachments"][0]["body"]["intent"], "order");
        assert_eq!(vcon["attachments"][1]["party"], HUMAN);
        assert_eq!(vcon["updated_at"], "2026-01-02T04:00:00.000Z");
    }

    #[test]
    fn one_that_reached_nobody_is_incomplete() {
        let mut record = record();
        record["result"] = "returned_to_ai".into();
        record["failed_targets"] = json!([]);
        record["reason"] = "no_answer".into();
        let vcon = of(&record);
        check(&vcon);
        let kinds: Vec<_> = vcon["dialog"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["type"])
            .collect();
        assert_eq!(kinds, ["text", "text", "incomplete"]);
        assert_eq!(vcon["dialog"][2]["disposition"], "no-answer");
    }

    #[test]
    fn one_of_which_nothing_is_known_yet_is_a_vcon_too() {
        let record = json!({
            "schema": "baton.handoff/1", "id": "ho_0000000000000001", "target": "support", "requested_reason": "",
            "result": null, "ai_agent": "a", "caller": "tel:+4930123", "requested_at": "2026-01-02T03:04:05.000Z",
            "closed_at": null, "failed_targets": [], "context": null, "feedback": null,
        });
        let vcon = of(&record);
        check(&vcon);
        assert_eq!(vcon["parties"][0]["tel"], "tel:+4930123");
        assert_eq!(vcon["updated_at"], record["requested_at"]);
        assert!(vcon.get("attachments").is_none());
    }
}
