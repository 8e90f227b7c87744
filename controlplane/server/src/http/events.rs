//! `/v1/events`: what webhooks are told, as server-sent events (WHATWG HTML §9.2), and of one call also what is said in it while it is said. They are read from the store, so nobody hears of
//! what a crash could undo, and who comes back with `Last-Event-ID` goes on where it was, at this server or another one on the store.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Wakeup, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::auth::Principal;
use super::guard::{Parameters, Refused};
use super::handoffs::unreadable;
use super::problem::Problem;
use super::{Answered, Context, Settings, Shared};
use crate::config::EVENT_TYPES;
use crate::ids;
use crate::store::{Database, Followed, Told};

/// Texts that wait for a reader. Then the store is not read on for it.
const AHEAD: usize = 2;

/// How often a reader looks into the store at the most: a busy one has many commits, and all of them are found by one look.
const PACE: Duration = Duration::from_millis(100);

/// How often it looks where no commit of ours says that there is something new: other servers may write to the same store.
const OTHERS: Duration = Duration::from_secs(1);

/// Versions of what is shown of a call while it is said.
const TURN_SCHEMA: &str = "baton.turn/1";
const CONTEXT_SCHEMA: &str = playbook::context::SCHEMA;

/// The `Last-Event-ID` of who wants all that is kept.
const BEGINNING: &str = "0";

/// Follows from now on, or from where the reader was.
pub(super) async fn follow(
    State(shared): Context,
    principal: Principal,
    parameters: Parameters,
    headers: HeaderMap,
) -> Answered {
    let followed = followed(&principal, &parameters)?;
    if let (Some(call), true) = (&followed.call, principal.is_ai()) {
        // Whose call it is stands with the call.
        shared.call(&principal, Ok(Path(call.clone()))).await?;
    }
    // A reload between the look at its key and this one is not to be missed: what comes after it ends the stream.
    let began = shared.settings();
    shared.principal(&headers).map_err(Refused::into_problem)?;
    let (id, place) = begin(&shared, &headers).await?;
    let place_taken = Arc::clone(&shared.readers).try_acquire_owned();
    let reader = place_taken.map_err(|_| {
        Problem::unavailable("there are as many readers as http.event_readers allows")
            .after(shared.settings().config.heartbeat)
    })?;
    let (sender, texts) = mpsc::channel(AHEAD);
    // Where the connection is lost before anything happens, the reader knows from where to go on all the same.
    let first = format!("retry: 1000\nid: {id}\n\n");
    // Nobody else has it: there is room.
    let _ = sender.try_send(first.into());
    tokio::spawn(feed(shared, began, followed, place, sender, reader));
    Ok(stream(texts))
}

fn stream(texts: mpsc::Receiver<Bytes>) -> Response {
    let mut response = Body::new(Texts(texts)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn followed(principal: &Principal, parameters: &Parameters) -> Result<Followed, Problem> {
    let types = parameters
        .get("types")
        .map_or_else(Vec::new, |types| types.split(',').collect());
    if let Some(unknown) = types.iter().find(|kind| !EVENT_TYPES.contains(kind)) {
        let detail = format!("there is no event {unknown:?}; there are {}", EVENT_TYPES.join(", "));
        return Err(Problem::bad_request(detail));
    }
    let call = parameters.get("call");
    if call.is_some_and(|call| ids::parse_call(call).is_none()) {
        return Err(Problem::bad_request("call is not a call's id"));
    }
    Ok(Followed {
        call: call.map(str::to_owned),
        agent: principal.agent().map(str::to_owned),
        subject: parameters.get("subject").map(str::to_owned),
        types: types.into_iter().map(str::to_owned).collect(),
    })
}

/// The event after which the reader begins, and its place.
async fn begin(shared: &Shared, headers: &HeaderMap) -> Result<(String, i64), Problem> {
    let database = shared.journal.store.read();
    let last = match headers.get("last-event-id").map(HeaderValue::to_str) {
        // A client that was never told an id sends an empty one, if any.
        None | Some(Ok("")) => {
            let newest = database.newest_event().await.map_err(|error| unreadable(&error))?;
            return Ok(newest.unwrap_or((BEGINNING.to_owned(), 0)));
        }
        Some(Ok(BEGINNING)) => return Ok((BEGINNING.to_owned(), 0)),
        Some(Ok(last)) => last,
        Some(Err(_)) => return Err(Problem::bad_request("Last-Event-ID is no event's id")),
    };
    let place = database.place_of(last).await.map_err(|error| unreadable(&error))?;
    let place = place.ok_or_else(|| {
        let detail = "the event of Last-Event-ID is not kept (any more): read the records, and begin without it";
        Problem::new(StatusCode::GONE, "gone", detail)
    })?;
    Ok((last.to_owned(), place))
}

/// Reads the store on, as fast as the reader takes it, until one of both ends.
async fn feed(
    shared: Arc<Shared>,
    began: Arc<Settings>,
    followed: Followed,
    from: i64,
    sender: mpsc::Sender<Bytes>,
    _reader: OwnedSemaphorePermit,
) {
    let store = &shared.journal.store;
    let mut closing = shared.closing.clone();
    let mut settings = shared.settings.clone();
    // Who has changed the keys may have taken this reader's away.
    let other_keys = |now: &Arc<Settings>| now.config.keys != began.config.keys;
    let mut place = from;
    let mut live = followed.call.clone().map(Live::new);
    let mut told_at = Instant::now();
    loop {
        // Before the look: what is committed meanwhile wakes us again.
        let seen = store.last_commit();
        let found = async {
            let database = store.read();
            // The turn first that an event may be about.
            let said = match &mut live {
                Some(live) => live.news(database).await?,
                None => (String::new(), false),
            };
            Ok::<_, sqlx::Error>((said, database.follow(&followed, place).await?))
        };
        let ((mut text, more_said), (told, next, more)) = match found.await {
            Ok(found) => found,
            Err(error) => {
                // It comes back with the last id.
                tracing::error!(%error, "the store cannot be read");
                return;
            }
        };
        place = next;
        text.extend(told.iter().map(frame));
        if text.is_empty() && told_at.elapsed() >= shared.settings().config.heartbeat {
            text.push_str(": \n\n");
        }
        if !text.is_empty() {
            if sender.send(text.into()).await.is_err() {
                return;
            }
            told_at = Instant::now();
        }
        if more || more_said {
            continue;
        }
        let news = async {
            sleep(PACE).await;
            let until_heartbeat = shared.settings().config.heartbeat.saturating_sub(told_at.elapsed());
            // Whether there is news or the time is over: it is looked again.
            let _ = timeout(OTHERS.min(until_heartbeat), store.next_commit(seen)).await;
        };
        tokio::select! {
            () = news => {}
            () = sender.closed() => return,
            // It comes again with its key and goes on where it was.
            _ = settings.wait_for(other_keys) => return,
            // An error means that the server itself is gone.
            _ = closing.wait_for(|closing| *closing) => return,
        }
    }
}

/// A call whose turns and context are shown as they come. Neither has an id of the stream: who comes back gets all of them again, each turn with
/// its number.
struct Live {
    call: String,
    /// The number of the turn that is next.
    next: i64,
    /// What was shown last.
    known: String,
}

impl Live {
    fn new(call: String) -> Live {
        Live {
            call,
            next: 0,
            known: String::new(),
        }
    }

    /// What is new of it, and whether there may be more already.
    async fn news(&mut self, database: &Database) -> Result<(String, bool), sqlx::Error> {
        let (turns, more) = database.said(&self.call, self.next).await?;
        let mut text = String::new();
        for (number, turn) in turns {
            self.next = number + 1;
            let call = &self.call;
            text += &format!(
                "event: baton.call.turn\ndata: {{\"schema\":\"{TURN_SCHEMA}\",\"call\":\"{call}\",\"number\":{number},\"turn\":{turn}}}\n\n"
            );
        }
        if let Some(known) = database.context(&self.call).await?
            && known != self.known
        {
            let call = &self.call;
            text += &format!(
                "event: baton.call.context\ndata: {{\"schema\":\"{CONTEXT_SCHEMA}\",\"call\":\"{call}\",\"context\":{known}}}\n\n"
            );
            self.known = known;
        }
        Ok((text, more))
    }
}

/// JSON has no line breaks of its own.
fn frame(told: &Told) -> String {
    format!("id: {}\nevent: {}\ndata: {}\n\n", told.id, told.kind, told.body)
}

/// The body: texts as they come.
struct Texts(mpsc::Receiver<Bytes>);

impl HttpBody for Texts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, wakeup: &mut Wakeup<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(wakeup)
            .map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}
