//! A caller is told when it will be called back, and may press a key for a later time, or for no call.
//!
//! The promise is there before the call is answered ([`Callbacks::book`](crate::callbacks::Callbacks::book)): where there is none the INVITE
//! is refused, and nobody is offered what cannot be had. From then on it stands, until the caller says that it wants none.

mod line;
mod when;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use media::codec::g711::Law;

use self::line::{Answer, Asks, Line, Voice};
use self::when::when;
use super::{Asked, PACKET, UNAVAILABLE, narrow};
use crate::callbacks::{Booked, NoSlot};
use crate::config;
use crate::ids;
use crate::journal::Journal;
use crate::prompts::Prompt;
use crate::prompts::words::recordings;

/// What it goes by, until the configuration is read anew.
#[derive(Debug)]
pub(super) struct Settings {
    voice: Arc<Voice>,
}

impl Settings {
    pub(super) fn of(callback: &config::Callback) -> Settings {
        let coded = |prompt: &Prompt| {
            let samples = narrow(prompt);
            let mut codes = vec![0; samples.len()];
            Law::Mu.encode(&samples, &mut codes);
            codes.into()
        };
        let ours = recordings().filter(|(word, _)| !callback.voice.contains_key(word));
        let own = callback.voice.iter().map(|(word, prompt)| (*word, coded(prompt)));
        let voice: Voice = ours.map(|(word, prompt)| (word, coded(&prompt))).chain(own).collect();
        let voice = Arc::new(voice);
        Settings { voice }
    }
}

/// What is being seen to, in the store.
type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Moved(Result<Booked, NoSlot>),
    Cancelled(Result<(), NoSlot>),
}

/// One caller's.
pub(super) struct Promise {
    asked: Asked,
    booked: Booked,
    line: Line,
    doing: Option<Doing>,
    /// The caller wants none.
    declined: bool,
    journal: Arc<Journal>,
}

impl Promise {
    pub(super) async fn begin(asked: Asked, settings: &Settings, journal: Arc<Journal>) -> Result<Promise, u16> {
        let promises = journal.promises().ok_or(UNAVAILABLE)?;
        let booked = promises.book(asked.call, asked.handoff, &asked.target).await;
        // It is in the log why.
        let booked = booked.map_err(|_| UNAVAILABLE)?;
        let line = Line::new(Arc::clone(&settings.voice), in_words(&booked));
        Ok(Promise {
            asked,
            booked,
            line,
            doing: None,
            declined: false,
            journal,
        })
    }

    pub(super) fn tick(&mut self, now: Duration, payload: &mut [u8; PACKET]) -> bool {
        self.line.tick(now, payload)
    }

    pub(super) fn press(&mut self, key: char) {
        let Some(asks) = self.line.press(key) else { return };
        let (promises, id) = (self.journal.promises(), self.booked.id.clone());
        if asks == Asks::Nothing {
            // Before the store has it: how the handoff ends may be told at any time from now on.
            self.journal.callback_declined(self.asked.handoff, true);
        }
        self.doing = Some(Box::pin(async move {
            let promises = promises.ok_or(NoSlot::Stopping);
            match asks {
                Asks::Later => Done::Moved(match promises {
                    Ok(promises) => promises.later(&id).await,
                    Err(stopping) => Err(stopping),
                }),
                Asks::Nothing => Done::Cancelled(match promises {
                    Ok(promises) => promises.decline(&id).await,
                    Err(stopping) => Err(stopping),
                }),
            }
        }));
    }

    /// Goes on with what the caller asked for. It may be dropped at any time, and be called again.
    pub(super) async fn go_on(&mut self) {
        let done = match &mut self.doing {
            Some(doing) => doing.await,
            None => std::future::pending().await,
        };
        self.doing = None;
        self.line.answer(match done {
            Done::Moved(Ok(booked)) => {
                self.booked = booked;
                Answer::Then(in_words(&self.booked))
            }
            Done::Moved(Err(NoSlot::Full)) => Answer::NoLater,
            Done::Cancelled(Ok(())) => {
                self.declined = true;
                Answer::NoCall
            }
            Done::Moved(Err(why)) | Done::Cancelled(Err(why)) => {
                let handoff = ids::handoff(self.asked.handoff);
                tracing::warn!(%why, handoff, callback = self.booked.id, "a callback stands as it was promised, and the caller is told so");
                self.journal.callback_declined(self.asked.handoff, false);
                Answer::Stands
            }
        });
    }

    /// Who hangs up, or says nothing, has agreed.
    pub(super) async fn end(mut self) {
        if self.doing.is_some() {
            self.go_on().await;
        }
        if self.declined {
            return;
        }
        let Some(promises) = self.journal.promises() else {
            return;
        };
        let id = self.booked.id.clone();
        let (call, handoff) = (self.asked.call, self.asked.handoff);
        if let Err(why) = promises.confirmed(call, handoff, self.booked).await {
            // It is there all the same, and called at its time.
            tracing::warn!(%why, callback = id, "a callback could not be confirmed");
        }
    }
}

/// By the clock of those who call; should its zone be unknown here, by UTC.
fn in_words(booked: &Booked) -> Vec<crate::prompts::words::Word> {
    let zone = TimeZone::get(&booked.zone).unwrap_or(TimeZone::UTC);
    when(Timestamp::now(), booked.from, booked.until, &zone)
}
