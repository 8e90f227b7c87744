//! A caller leaves a message.

mod file;
mod line;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use calls::notice::HandoffId;
use jiff::Timestamp;
use playbook::hours::Calendar;
use serde_json::json;

use self::file::Recording;
use self::line::{Bounds, Line, SPEECH_MIN};
use super::{Asked, PACKET, UNAVAILABLE, narrow};
use crate::config;
use crate::ids;
use crate::journal::Journal;

pub(crate) use self::file::{about, all, is_id};

/// Packets that are written at once.
const WRITTEN: usize = 10;

/// What it goes by, until the configuration is read anew.
#[derive(Debug)]
pub(super) struct Settings {
    folder: PathBuf,
    greeting: Arc<[u8]>,
    max: Duration,
    silence: Duration,
    respond_within: Duration,
}

impl Settings {
    pub(super) fn of(voicemail: &config::Voicemail) -> Settings {
        Settings {
            folder: voicemail.folder.clone(),
            greeting: line::greeting(&narrow(&voicemail.greeting)),
            max: voicemail.max,
            silence: voicemail.silence,
            respond_within: voicemail.respond_within,
        }
    }
}

/// What became of callers, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) left: AtomicU64,
    pub(crate) too_short: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// The disk took no more of them: what was written before is there.
    pub(crate) cut: AtomicU64,
}

impl Counters {
    /// In the order of their names in the metrics.
    pub(crate) fn all(&self) -> [u64; 4] {
        [&self.left, &self.too_short, &self.cut, &self.refused].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// A message that was left, or was none.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// `None`: too short, and deleted.
    pub(crate) id: Option<String>,
    pub(crate) seconds: f64,
    /// The committed window: until then somebody responds.
    pub(crate) respond_by: Option<Timestamp>,
    /// The disk took no more of it.
    pub(crate) cut: bool,
}

/// One caller's.
pub(super) struct Message {
    id: String,
    handoff: HandoffId,
    respond_by: Option<Timestamp>,
    line: Line,
    recording: Recording,
    kept: Vec<i16>,
    cut: bool,
    journal: Arc<Journal>,
}

impl Message {
    /// Where there is room on the disk for the longest message; else says why not: nobody is asked to speak into nothing. `hours`: when
    /// messages are heard.
    pub(super) fn begin(
        asked: &Asked,
        settings: &Settings,
        hours: &Calendar,
        journal: Arc<Journal>,
    ) -> Result<Message, u16> {
        let now = SystemTime::now();
        let respond_by = hours.after_open(now, settings.respond_within);
        let respond_by = respond_by.and_then(|at| Timestamp::try_from(at).ok());
        let time = |at: Timestamp| ids::rfc3339(at);
        let id = format!("{}-{}", ids::call(asked.call), ids::handoff(asked.handoff));
        let about = json!({
            "id": id,
            "call": ids::call(asked.call),
            "handoff": ids::handoff(asked.handoff),
            "target": asked.target,
            "caller": asked.caller,
            "began": Timestamp::try_from(now).ok().map(time),
            "respond_by": respond_by.map(time),
        });
        let bytes = settings.max.as_secs() * 16_000;
        let recording = Recording::begin(&settings.folder, &id, bytes, &about).map_err(|error: io::Error| {
            tracing::error!(%error, id, "the answering machine cannot take a message: its file cannot be made");
            UNAVAILABLE
        })?;
        let (max, silence) = (settings.max, settings.silence);
        Ok(Message {
            id,
            handoff: asked.handoff,
            respond_by,
            line: Line::new(Arc::clone(&settings.greeting), Bounds { max, silence }),
            recording,
            kept: Vec::new(),
            cut: false,
            journal,
        })
    }

    /// Nobody was answered after all.
    pub(super) fn forget(self) {
        self.recording.delete();
    }

    pub(super) fn hear(&mut self, timestamp: u32, payload: &[u8]) {
        self.line.hear(timestamp, payload, &mut self.kept);
    }

    pub(super) fn press(&mut self, key: char) {
        self.line.press(key);
    }

    /// The next 20 ms; `true`: nothing follows.
    pub(super) fn tick(&mut self, now: Duration, payload: &mut [u8; PACKET]) -> bool {
        self.line.tick(now, payload).is_some() || !self.write()
    }

    /// Whether the disk took what there was.
    fn write(&mut self) -> bool {
        if self.kept.len() < WRITTEN * PACKET {
            return true;
        }
        if let Err(error) = self.recording.write(&self.kept) {
            tracing::error!(%error, id = self.id, "the disk takes no more of a message: it ends here");
            self.cut = true;
        }
        self.kept.clear();
        !self.cut
    }

    /// When this returns it is on the disk and told, or deleted and told.
    pub(super) fn end(mut self) {
        let mut cut = self.cut || self.recording.write(&self.kept).is_err();
        let counters = &self.journal.voicemails;
        let seconds = self.recording.seconds();
        let is_message = self.line.speech() >= SPEECH_MIN;
        let ended = match is_message {
            true => self.recording.end(),
            false => {
                self.recording.delete();
                Ok(())
            }
        };
        if let Err(error) = ended {
            tracing::error!(%error, id = self.id, "a message may not be on the disk");
            cut = true;
        }
        let counter = match (is_message, cut) {
            (_, true) => &counters.cut,
            (true, false) => &counters.left,
            (false, false) => &counters.too_short,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let left = Left {
            id: is_message.then_some(self.id),
            seconds,
            respond_by: self.respond_by.filter(|_| is_message),
            cut,
        };
        self.journal.voicemail_left(self.handoff, left);
    }
}
