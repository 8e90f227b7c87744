//! Whoever listens to the node: records, webhooks, metrics and the log. A notice passes through here once.

use std::sync::{Arc, Mutex, MutexGuard};

use calls::notice::{HandoffId, Notice, Step, What};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ids::{self, Clock};
use crate::metrics::Metrics;
use crate::records::{Delivery, DeliveryStatus, REQUESTED, Record, Records, package_value};
use crate::webhook::{Endpoint, Event};

/// Version of the data of our events.
const EVENT_SCHEMA: &str = "baton.event/1";

/// The same as a URI (CloudEvents 1.0.2 §3.1); a URN's namespace has no dot (RFC 8141 §2).
const EVENT_DATASCHEMA: &str = "urn:baton:event:1";

/// Everybody who listens.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) clock: Clock,
    /// CloudEvents' `source`.
    source: String,
    pub(crate) records: Arc<Mutex<Records>>,
    pub(crate) metrics: Mutex<Metrics>,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Locks; a panic of another holder is a bug that was reported there, and the data are still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Journal {
    pub(crate) fn new(node: &str, clock: Clock, records: Arc<Mutex<Records>>, endpoints: Vec<Endpoint>) -> Journal {
        Journal {
            clock,
            source: format!("/baton/{node}"),
            records,
            metrics: Mutex::default(),
            endpoints,
        }
    }

    /// Takes a notice: a few map look-ups under two short locks, no IO, no wait.
    pub(crate) fn handle(&self, notice: &Notice) {
        log(notice);
        let mut records = lock(&self.records);
        records.handle(notice);
        match &notice.what {
            What::CallStarted {
                trunk,
                ai_agent,
                caller,
            } => {
                let data = json!({ "trunk": trunk, "ai_agent": ai_agent, "caller": caller });
                self.call_event(&mut records, notice, "baton.call.started", data);
            }
            What::CallEnded { by } => {
                self.call_event(&mut records, notice, "baton.call.ended", json!({ "by": by }));
                records.forget_call(notice.call);
            }
            What::ContextUpdated(package) => {
                let running = records.call_mut(notice.call).and_then(|facts| facts.running);
                // Before the human is invited there is nothing that an update could update.
                if let Some(id) = running
                    && records.get(id).is_some_and(|record| record.told)
                {
                    let extra = json!({ "context": package_value(package) });
                    self.handoff_event(&mut records, notice, id, "baton.context.updated", extra);
                }
            }
            What::Handoff(id, step) => self.step_event(&mut records, notice, *id, step),
        }
        let record = match &notice.what {
            What::Handoff(id, _) => records.get(*id),
            _ => None,
        };
        lock(&self.metrics).handle(notice, record);
    }

    fn step_event(&self, records: &mut Records, notice: &Notice, id: HandoffId, step: &Step) {
        let kind = match step {
            Step::Invited { package, .. } => {
                let told = records
                    .get_mut(id)
                    .is_some_and(|record| std::mem::replace(&mut record.told, true));
                let kind = if told { "baton.context.updated" } else { REQUESTED };
                let extra = json!({ "context": package_value(package) });
                return self.handoff_event(records, notice, id, kind, extra);
            }
            Step::Ringing => "baton.handoff.ringing",
            Step::Answered => "baton.handoff.answered",
            Step::Accepted => "baton.handoff.accepted",
            Step::Joined { .. } => "baton.handoff.joined",
            Step::Returned => "baton.handoff.returned",
            Step::Closed { end, .. } => {
                let told = records
                    .get_mut(id)
                    .is_some_and(|record| std::mem::replace(&mut record.told, true));
                if !told {
                    // Nobody was invited; who listens shall not see an end without a beginning.
                    self.handoff_event(records, notice, id, REQUESTED, json!({ "context": null }));
                }
                match end {
                    calls::notice::End::Completed => "baton.handoff.completed",
                    calls::notice::End::Failed | calls::notice::End::Cancelled => "baton.handoff.failed",
                }
            }
            Step::Requested { .. }
            | Step::Announced
            | Step::FirstHumanWord
            | Step::TargetFailed { .. }
            | Step::Evidence(_) => return,
        };
        self.handoff_event(records, notice, id, kind, json!({}));
    }

    fn handoff_event(&self, records: &mut Records, notice: &Notice, id: HandoffId, kind: &'static str, extra: Value) {
        let Some(record) = records.get_mut(id) else { return };
        record.sequence += 1;
        let sequence = record.sequence;
        let Some(record) = records.get(id) else { return };
        let mut data = records.event_view(record, false);
        merge(&mut data, extra);
        self.emit(records, notice, kind, &ids::handoff(id), sequence, Some(id), data);
    }

    fn call_event(&self, records: &mut Records, notice: &Notice, kind: &'static str, extra: Value) {
        let Some(facts) = records.call_mut(notice.call) else {
            return;
        };
        facts.sequence += 1;
        let sequence = facts.sequence;
        let subject = ids::call(notice.call);
        let mut data = json!({ "schema": "baton.call/1", "id": subject });
        merge(&mut data, extra);
        self.emit(records, notice, kind, &subject, sequence, None, data);
    }

    #[expect(clippy::too_many_arguments, reason = "the attributes of one event, named here once")]
    fn emit(
        &self,
        records: &mut Records,
        notice: &Notice,
        kind: &'static str,
        subject: &str,
        sequence: u64,
        handoff: Option<HandoffId>,
        data: Value,
    ) {
        // Unique for ever: ids are random, and a sequence number is used once.
        let id = format!("evt_{subject}_{sequence:08}");
        // CloudEvents 1.0.2 §3.1; `sequence` is the extension of that name, compared as a string.
        let body = json!({
            "specversion": "1.0",
            "id": id,
            "source": self.source,
            "type": kind,
            "subject": subject,
            "time": self.clock.print(notice.at),
            "datacontenttype": "application/json",
            "dataschema": EVENT_DATASCHEMA,
            "sequence": format!("{sequence:08}"),
            "schema": EVENT_SCHEMA,
            "data": data,
        });
        let event = Event {
            id,
            kind,
            subject: subject.to_owned(),
            handoff,
            body: body.to_string().into(),
        };
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.wants(kind)) {
            let status = match endpoint.offer(event.clone()) {
                true => DeliveryStatus::Pending,
                false => DeliveryStatus::Dropped,
            };
            if let Some(record) = handoff.and_then(|id| records.get_mut(id)) {
                push_delivery(record, endpoint, &event, status);
            }
        }
    }
}

fn push_delivery(record: &mut Record, endpoint: &Endpoint, event: &Event, status: DeliveryStatus) {
    record.push_delivery(Delivery {
        webhook: endpoint.name.clone(),
        event: event.id.clone(),
        kind: event.kind,
        status,
        attempts: 0,
        answer: None,
        queued_at: ids::rfc3339(Timestamp::now()),
        finished_at: None,
    });
}

fn merge(into: &mut Value, extra: Value) {
    if let (Value::Object(into), Value::Object(extra)) = (into, extra) {
        into.extend(extra);
    }
}

/// INFO once for each event of a call; contexts and tokens are not logged.
fn log(notice: &Notice) {
    let call = ids::call(notice.call);
    match &notice.what {
        What::CallStarted { trunk, ai_agent, .. } => tracing::info!(call, trunk, ai_agent, "call started"),
        What::CallEnded { by } => tracing::info!(call, by, "call ended"),
        What::ContextUpdated(_) => tracing::info!(call, "context updated"),
        What::Handoff(id, step) => {
            let handoff = ids::handoff(*id);
            match step {
                Step::Requested { mode, target, .. } => {
                    tracing::info!(call, handoff, ?mode, target, "handoff requested")
                }
                Step::Invited { target, .. } => tracing::info!(call, handoff, target, "human invited"),
                Step::Announced => tracing::info!(call, handoff, "announced"),
                Step::Ringing => tracing::info!(call, handoff, "human rings"),
                Step::Answered => tracing::info!(call, handoff, "human answered"),
                Step::Accepted => tracing::info!(call, handoff, "human accepted"),
                Step::Joined { .. } => tracing::info!(call, handoff, "joined"),
                Step::FirstHumanWord => tracing::info!(call, handoff, "first human word"),
                Step::TargetFailed { target, reason, status } => {
                    tracing::info!(call, handoff, target, ?reason, status, "target failed");
                }
                Step::Returned => tracing::info!(call, handoff, "caller is given back"),
                Step::Evidence(_) => tracing::info!(call, handoff, "evidence is in"),
                Step::Closed { end, result, reason } => {
                    tracing::info!(call, handoff, ?end, ?result, ?reason, "handoff closed");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use axum::body::Bytes;
    use axum::extract::State;
    use axum::routing::post;
    use calls::notice::{CallId, End, Outcome, Reason};
    use playbook::Mode;
    use playbook::context::{Completeness, Package};
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::{Secret, Webhook};
    use crate::webhook::client;

    async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<Bytes>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, came) = mpsc::unbounded_channel();
        let take = async |State(sender): State<Arc<mpsc::UnboundedSender<Bytes>>>, body: Bytes| {
            let _ = sender.send(body);
        };
        let router = axum::Router::new().route("/", post(take)).with_state(Arc::new(sender));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, came)
    }

    fn package(brief: &str) -> Box<Package> {
        Box::new(Package {
            schema: "baton.context/1".to_owned(),
            brief: brief.to_owned(),
            fields: json!({}),
            transcript: Vec::new(),
            completeness: Completeness {
                complete: true,
                present: Vec::new(),
                missing: Vec::new(),
            },
        })
    }

    fn invited(target: &str, brief: &str) -> Step {
        Step::Invited {
            target: target.to_owned(),
            package: package(brief),
            token: "t0ken".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_context_goes_out_with_each_invitation_and_each_change_after_the_first() {
        let (address, mut came) = receiver().await;
        let records = Arc::new(Mutex::new(Records::new(Clock::new(), 10)));
        let config = Webhook {
            name: "crm".to_owned(),
            url: format!("http://{address}/"),
            secrets: vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
            types: Vec::new(),
            timeout: Duration::from_secs(10),
            attempts: 1,
            retry: Duration::from_millis(1),
            retry_max: Duration::from_millis(1),
            queue: 100,
        };
        let (endpoint, _task) = Endpoint::start(config, client().expect("a client"), Arc::clone(&records));
        let journal = Journal::new("test", Clock::new(), records, vec![endpoint]);
        let tell = |what: What| {
            journal.handle(&Notice {
                call: CallId(1),
                at: Instant::now(),
                what,
            });
        };
        let step = |step: Step| What::Handoff(HandoffId(2), step);
        tell(step(Step::Requested {
            mode: Mode::Warm,
            target: "a".to_owned(),
            why: String::new(),
            talks_on: false,
        }));
        // Before anybody is invited there is nothing to update.
        tell(What::ContextUpdated(package("too early")));
        tell(step(invited("a", "first")));
        tell(What::ContextUpdated(package("second")));
        tell(step(Step::TargetFailed {
            target: "a".to_owned(),
            reason: Reason::Busy,
            status: Some(486),
        }));
        tell(step(invited("b", "third")));
        tell(step(Step::Closed {
            end: End::Cancelled,
            result: Outcome::ReturnedToAi,
            reason: None,
        }));
        let mut events = Vec::new();
        for sequence in 1..=4 {
            let event: Value = serde_json::from_slice(&came.recv().await.expect("an event")).expect("JSON");
            assert_eq!(event["specversion"], "1.0");
            assert_eq!(event["source"], "/baton/test");
            assert_eq!(event["subject"], "ho_0000000000000002");
            assert_eq!(event["id"], format!("evt_ho_0000000000000002_{sequence:08}"));
            assert_eq!(event["sequence"], format!("{sequence:08}"));
            assert_eq!(event["datacontenttype"], "application/json");
            assert_eq!(event["dataschema"], "urn:baton:event:1");
            assert!(event["time"].as_str().is_some_and(|time| time.ends_with('Z')));
            let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
            let data = &event["data"];
            events.push((
                text(&event["type"]),
                text(&data["target"]),
                text(&data["context"]["brief"]),
            ));
        }
        let expected = [
            ("baton.handoff.requested", "a", "first"),
            ("baton.context.updated", "a", "second"),
            ("baton.context.updated", "b", "third"),
            ("baton.handoff.failed", "b", "none"),
        ];
        assert_eq!(
            events,
            expected.map(|(kind, target, brief)| (kind.to_owned(), target.to_owned(), brief.to_owned()))
        );
    }
}
