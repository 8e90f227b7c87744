//! A run in which every promise holds, and what each fault does to it.

use axum::http::HeaderMap;
use serde_json::json;

use super::*;
use crate::demo::secret;
use crate::demo::speech::Speech;

/// Prompts with half a second between them.
fn recording(speeches: &[Speech]) -> Vec<i16> {
    let mut all = vec![0; 4000];
    for speech in speeches {
        all.extend_from_slice(&speech.samples());
        all.extend([0; 4000]);
    }
    all
}

fn party(speeches: &[Speech], mut events: Vec<Value>) -> Party {
    events.push(json!({
        "event": "summary", "received": 900, "ssrcs": [7], "lost": 0, "duplicated": 0, "reordered": 0,
        "sequence_breaks": 0, "timestamp_breaks": 0, "restarted_clocks": 0, "undecodable": 0, "codec": "pcmu", "longest_gap_ms": 21.0, "first_ms": 400.0
    }));
    Party {
        events,
        recording: recording(speeches),
        packets: (0..900)
            .map(|n| Packet {
                t_ms: 400.0 + f64::from(n) * 20.0,
                ssrc: 7,
                marker: false,
                samples: 160,
            })
            .collect(),
    }
}

fn delivery(secret: &str, subject: &str, kind: &str, sequence: u32, data: Value) -> Delivery {
    let event = json!({
        "type": format!("baton.{kind}"), "subject": subject, "sequence": format!("{sequence:08}"), "data": data
    });
    let body = event.to_string();
    let now = jiff::Timestamp::now().as_second();
    let signature = Webhook::new(secret).unwrap().sign("evt", now, body.as_bytes()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "evt".parse().unwrap());
    headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
    headers.insert("webhook-signature", signature.parse().unwrap());
    Delivery {
        t_ms: 9000.0,
        headers,
        body,
        event,
    }
}

fn warm() -> Run {
    use Speech::*;
    let secret = secret("whsec_", 24);
    let context = json!({ "context": {
        "brief": "A parcel.", "transcript": [1, 2, 3, 4], "completeness": { "complete": true }
    } });
    let deliveries = [
        ("call", "call.started", 1, Value::Null),
        ("handoff", "handoff.requested", 1, context),
        ("handoff", "handoff.ringing", 2, Value::Null),
        ("handoff", "handoff.answered", 3, Value::Null),
        ("handoff", "handoff.joined", 4, Value::Null),
        ("call", "call.ended", 2, Value::Null),
        ("handoff", "handoff.completed", 5, Value::Null),
    ]
    .map(|(subject, kind, sequence, data)| delivery(&secret, subject, kind, sequence, data));
    let caller = party(&[Ai1, Ai2, Announcement, Hold, HumanHello, Human2], vec![]);
    let bye = json!({ "event": "sip", "in": "BYE", "t_ms": 8001.0 });
    Run {
        case: Case::Warm,
        mode: DemoMode::Warm,
        parties: HashMap::from([
            ("caller", caller),
            ("ai", party(&[Caller1, Caller2], vec![bye])),
            ("human", party(&[Briefing, Caller3], vec![])),
        ]),
        handoff: json!({
            "state": "completed", "result": "joined", "reason": null,
            "timeline": { "triggered": 0, "announced": 2000, "ringing": 1, "answered": 1200, "accepted": 3900,
                "joined": 4000, "first_human_word": 4200 },
            "evidence": { "caller": { "sent": 210, "lost": 0, "reordered": 0, "duplicated": 0, "sequence_breaks": 0,
                "timestamp_breaks": 0, "longest_gap_ms": 20.4, "dead_air_ms": 0.0 } }
        }),
        deliveries: deliveries.into(),
        secret,
        times: HashMap::from([("handoff.joined".to_owned(), 8000.0)]),
        trigger_ms: Some(4000.0),
        stall_ms: 0.0,
        receiver_up_ms: None,
        server_ended_by_itself: true,
        parties_ended_by_themselves: true,
    }
}

/// The promises that do not hold.
fn failed(run: &Run) -> Vec<String> {
    judge(run)
        .into_iter()
        .filter(|promise| !promise.held)
        .map(|promise| promise.what)
        .collect()
}

#[test]
fn a_good_run_keeps_every_promise() {
    let promises = judge(&warm());
    assert!(promises.len() >= 25);
    assert_eq!(failed(&warm()), Vec::<String>::new());
}

#[test]
fn each_fault_breaks_its_promise_alone() {
    use Speech::*;
    type Fault = fn(&mut Run);
    let faults: &[(&str, Fault)] = &[
        ("the record says", |run| run.handoff["result"] = json!("returned_to_ai")),
        ("the caller heard ai-2", |run| {
            run.parties.get_mut("caller").unwrap().recording =
                recording(&[Ai1, Announcement, Hold, HumanHello, Human2]);
        }),
        ("the caller did not hear briefing", |run| {
            let briefing = Briefing.samples();
            run.parties
                .get_mut("caller")
                .unwrap()
                .recording
                .extend_from_slice(&briefing[6000..12_000]);
        }),
        ("the human did not hear", |run| {
            run.parties
                .get_mut("human")
                .unwrap()
                .recording
                .extend_from_slice(&Hold.samples()[..8000]);
        }),
        ("the ai did not hear", |run| {
            run.parties
                .get_mut("ai")
                .unwrap()
                .recording
                .extend_from_slice(&HumanHello.samples());
        }),
        ("the ai heard the caller as it spoke", |run| {
            // At a quarter of its loudness a prompt is where it was, and yet not what was said.
            let softer = |sample: &i16| sample / 4;
            let party = run.parties.get_mut("ai").unwrap();
            party.recording = party.recording.iter().map(softer).collect();
        }),
        ("the human heard the caller as it spoke", |run| {
            // So much louder that it clips: the waveform is much the same.
            let party = run.parties.get_mut("human").unwrap();
            party.recording = party
                .recording
                .iter()
                .map(|sample| (i32::from(*sample) * 2).clamp(-6500, 6500) as i16)
                .collect();
        }),
        ("one SSRC to the caller", |run| {
            summary(run, "caller", "ssrcs", json!([7, 8]))
        }),
        ("nothing lost, doubled, reordered or broken to the caller", |run| {
            summary(run, "caller", "lost", json!(1));
        }),
        ("nothing lost, doubled, reordered or broken to the caller", |run| {
            summary(run, "caller", "undecodable", json!(1));
        }),
        ("nothing lost, doubled, reordered or broken to the human", |run| {
            summary(run, "human", "sequence_breaks", json!(1));
        }),
        ("no gap in the line to the caller", |run| {
            summary(run, "caller", "longest_gap_ms", json!(40.1))
        }),
        ("the evidence of the caller's line", |run| {
            run.handoff["evidence"]["caller"]["duplicated"] = json!(1);
        }),
        ("no dead air", |run| {
            run.handoff["evidence"]["caller"]["dead_air_ms"] = json!(320.0)
        }),
        ("the evidence agrees", |run| {
            run.handoff["evidence"]["caller"]["longest_gap_ms"] = json!(26.0)
        }),
        ("the AI's BYE", |run| {
            run.parties.get_mut("ai").unwrap().events[0]["t_ms"] = json!(7990.0);
        }),
        ("the timeline is whole", |run| {
            run.handoff["timeline"]["answered"] = Value::Null
        }),
        ("the Standard Webhooks library", |run| run.deliveries[2].body.push(' ')),
        ("they came complete and in order", |run| run.deliveries.swap(2, 3)),
        ("they came complete and in order", |run| drop(run.deliveries.remove(5))),
        ("the context went out complete", |run| {
            run.deliveries[1].event["data"]["context"]["completeness"]["complete"] = json!(false);
        }),
        ("nothing is left over", |run| run.server_ended_by_itself = false),
    ];
    for (what, fault) in faults {
        let mut run = warm();
        fault(&mut run);
        let failed = failed(&run);
        assert!(failed.len() == 1 && failed[0].starts_with(what), "{what}: {failed:?}");
    }
}

fn summary(run: &mut Run, party: &str, name: &str, value: Value) {
    run.parties.get_mut(party).unwrap().events.last_mut().unwrap()[name] = value;
}

#[test]
fn the_hosts_own_stall_excuses_a_gap() {
    let mut run = warm();
    summary(&mut run, "caller", "longest_gap_ms", json!(60.0));
    assert_eq!(failed(&run).len(), 1);
    run.stall_ms = 20.5;
    assert_eq!(failed(&run), Vec::<String>::new());
}
