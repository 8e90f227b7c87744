//! Baton's own answering machine: where nobody is there, a caller leaves a message.
//!
//! To a call it is a target like any other, with a SIP and an RTP address of its own on loopback; it has a thread of its own, because it
//! writes files, and a disk that hangs must not hold up anybody else. What it says and keeps is decided in `line.rs`, the file is `file.rs`'s.

mod file;
mod line;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use calls::notice::HandoffId;
use jiff::Timestamp;
use media::codec::opus::Band;
use media::dtmf;
use media::resample::Downsampler;
use media::rtp::{self, Header, Packet, Seq};
use playbook::hours::Calendar;
use serde_json::json;
use sip::endpoint::{DialogId, Endpoint, Event};
use sip::message::Message;
use sip::sdp::{Agreed, Encoding, Local};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use self::file::Recording;
use self::line::{Bounds, Line, PACKET, SPEECH_MIN};
use crate::config::Config;
use crate::ids;
use crate::journal::Journal;
use crate::prompts::Prompt;

pub(crate) use self::file::{about, all, is_id};

/// Messages that are recorded at a time; the next caller is refused.
const CALLS: usize = 200;

/// Packets that are written at once.
const WRITTEN: usize = 10;

/// "Temporarily Unavailable": the next target, or back with a word.
const UNAVAILABLE: u16 = 480;

/// What it goes by, until the configuration is read anew.
#[derive(Debug)]
pub(crate) struct Settings {
    folder: PathBuf,
    greeting: Arc<[u8]>,
    max: Duration,
    silence: Duration,
    respond_within: Duration,
    /// When its messages are heard, of each target that is one.
    targets: HashMap<String, Arc<Calendar>>,
    /// Where the data plane is, seen from here.
    media: Option<IpAddr>,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Arc<Settings> {
        let voicemail = &config.voicemail;
        let targets = config
            .targets
            .iter()
            .filter(|target| target.machine == Some(calls::config::Machine::Voicemail));
        let listen = config.media.listen;
        Arc::new(Settings {
            folder: voicemail.folder.clone(),
            greeting: line::greeting(&narrow(&voicemail.greeting)),
            max: voicemail.max,
            silence: voicemail.silence,
            respond_within: voicemail.respond_within,
            targets: targets
                .map(|target| (target.name.clone(), Arc::clone(&target.hours)))
                .collect(),
            media: Some(listen).filter(|ip| !ip.is_unspecified()),
        })
    }
}

/// A prompt at 8000 Hz.
fn narrow(prompt: &Prompt) -> Vec<i16> {
    match prompt.band {
        Band::Narrow => prompt.samples.to_vec(),
        Band::Wide => {
            let mut samples = vec![0; prompt.samples.len() / 2 + 1];
            let written = Downsampler::new().process(&prompt.samples, &mut samples);
            samples.truncate(written);
            samples
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

/// The running machine.
#[derive(Debug)]
pub(crate) struct Voicemail {
    at: SocketAddr,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Voicemail {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// As the operating system says it.
    pub(crate) fn start(
        settings: watch::Receiver<Arc<Settings>>,
        journal: Arc<Journal>,
        sip: Vec<SocketAddr>,
    ) -> io::Result<Voicemail> {
        let six = settings.borrow().media.is_some_and(|ip| ip.is_ipv6());
        let ip = if six {
            IpAddr::V6(Ipv6Addr::LOCALHOST)
        } else {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        };
        let socket = std::net::UdpSocket::bind((ip, 0))?;
        socket.set_nonblocking(true)?;
        let (at, seed) = (socket.local_addr()?, ids::random_seed()?);
        let (closing, closed) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("voicemail".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let socket = match UdpSocket::from_std(socket) {
                        Ok(socket) => socket,
                        Err(error) => return tracing::error!(%error, "the answering machine has no socket"),
                    };
                    let endpoint = Endpoint::new(sip::endpoint::Config {
                        agent: "Baton voicemail".to_owned(),
                        ..sip::endpoint::Config::new(at, seed)
                    });
                    let (over, done) = mpsc::unbounded_channel();
                    let machine = Machine {
                        at,
                        socket,
                        endpoint,
                        settings,
                        journal,
                        calls: HashMap::new(),
                        sip,
                        peer: None,
                        over,
                        seed,
                    };
                    machine.run(done, closed).await;
                });
            })?;
        Ok(Voicemail {
            at,
            closing,
            thread: Some(thread),
        })
    }

    /// Where it is called.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Ends it: what is being recorded is whole, and on the disk.
    pub(crate) async fn end(mut self) {
        let _ = self.closing.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// The user of a target's URI: its name, escaped (RFC 3261 §25.1).
pub(crate) fn user(name: &str) -> String {
    let escaped = name.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// The SIP side: who calls, and which call is whose.
struct Machine {
    at: SocketAddr,
    socket: UdpSocket,
    endpoint: Endpoint,
    settings: watch::Receiver<Arc<Settings>>,
    journal: Arc<Journal>,
    calls: HashMap<DialogId, mpsc::UnboundedSender<Told>>,
    /// Where our own server sends SIP from: nobody else may call.
    sip: Vec<SocketAddr>,
    /// The one of them that called last, and that all is sent to.
    peer: Option<SocketAddr>,
    over: mpsc::UnboundedSender<DialogId>,
    seed: u64,
}

/// What a call is told.
enum Told {
    Key(char),
    HungUp,
}

impl Machine {
    async fn run(mut self, mut done: mpsc::UnboundedReceiver<DialogId>, mut closed: watch::Receiver<bool>) {
        let mut datagram = vec![0; 65_535];
        loop {
            while let Some(event) = self.endpoint.poll_event() {
                self.take(event).await;
            }
            while let Some(transmit) = self.endpoint.poll_transmit() {
                // What our server advertises may be an address that does not lead back to it from here.
                let _ = self
                    .socket
                    .send_to(&transmit.bytes, self.peer.unwrap_or(transmit.to))
                    .await;
            }
            let wake = self.endpoint.poll_timeout();
            tokio::select! {
                came = self.socket.recv_from(&mut datagram) => if let Ok((len, from)) = came {
                    let ours = |at: &SocketAddr| at.port() == from.port() && (at.ip().is_unspecified() || at.ip() == from.ip());
                    if !self.sip.iter().any(ours) {
                        continue;
                    }
                    self.peer = Some(from);
                    let datagram = Bytes::copy_from_slice(&datagram[..len]);
                    self.endpoint.handle_datagram(Instant::now(), from, datagram);
                },
                // A message is over by itself: it is whole by now, and told.
                Some(dialog) = done.recv() => if self.calls.remove(&dialog).is_some() {
                    let _ = self.endpoint.end(Instant::now(), dialog, None);
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {
                    self.endpoint.handle_timeout(Instant::now());
                }
                _ = closed.wait_for(|closed| *closed) => break,
            }
        }
        // Each ends its file, and says so by dropping its end.
        for call in self.calls.values() {
            let _ = call.send(Told::HungUp);
        }
        drop(self.over);
        while done.recv().await.is_some() {}
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Invite { dialog, request, .. } => {
                if let Err(status) = self.answer(dialog, &request).await {
                    self.journal.voicemails.refused.fetch_add(1, Ordering::Relaxed);
                    let _ = self.endpoint.reject(Instant::now(), dialog, status, &[]);
                }
            }
            Event::Key { dialog, key } => self.tell(dialog, Told::Key(key)),
            Event::Bye { dialog, .. } | Event::Cancelled { dialog } => {
                self.tell(dialog, Told::HungUp);
                self.calls.remove(&dialog);
            }
            // It has one codec, and its address stays.
            Event::Reinvite { dialog, .. } => {
                let _ = self.endpoint.reject_reinvite(Instant::now(), dialog, 488);
            }
            Event::Refer { refer, .. } => {
                let _ = self.endpoint.reject_refer(Instant::now(), refer, 603);
            }
            _ => {}
        }
    }

    fn tell(&self, dialog: DialogId, told: Told) {
        if let Some(call) = self.calls.get(&dialog) {
            let _ = call.send(told);
        }
    }

    /// Answers, where there is room on the disk for the longest message; else says why not: nobody is asked to speak into nothing.
    async fn answer(&mut self, dialog: DialogId, request: &Message) -> Result<(), u16> {
        let settings = self.settings.borrow().clone();
        let header = |name: &str| request.header(name).map(|value| value.into_owned());
        let call = header("X-Baton-Call").and_then(|id| ids::parse_call(&id));
        let handoff = header("X-Baton-Handoff").and_then(|id| ids::parse_handoff(&id));
        let (call, handoff) = call.zip(handoff).ok_or(403_u16)?;
        let target = request.uri().and_then(|uri| uri.ok()?.user_unescaped());
        let target = target
            .filter(|target| settings.targets.contains_key(target))
            .ok_or(404_u16)?;
        if self.calls.len() >= CALLS {
            return Err(UNAVAILABLE);
        }
        let unavailable = |what| {
            move |error: io::Error| {
                tracing::error!(%error, handoff = ids::handoff(handoff), "the answering machine cannot take a message: {what}");
                UNAVAILABLE
            }
        };
        let socket = UdpSocket::bind((self.at.ip(), 0))
            .await
            .map_err(unavailable("no socket"))?;
        let port = socket.local_addr().map_err(unavailable("no port"))?.port();
        let mut local = Local::new(self.at.ip(), port, &[Encoding::Pcmu], self.seed ^ dialog.0);
        let (answer, agreed) = local.answer(request.body()).map_err(|_| 488_u16)?;

        let now = SystemTime::now();
        let hours = settings.targets.get(&target);
        let respond_by = hours.and_then(|hours| hours.after_open(now, settings.respond_within));
        let respond_by = respond_by.and_then(|at| Timestamp::try_from(at).ok());
        let time = |at: Timestamp| ids::rfc3339(at);
        let id = format!("{}-{}", ids::call(call), ids::handoff(handoff));
        let about = json!({
            "id": id,
            "call": ids::call(call),
            "handoff": ids::handoff(handoff),
            "target": target,
            "caller": request.from().map(|from| from.uri.as_str().to_owned()),
            "began": Timestamp::try_from(now).ok().map(time),
            "respond_by": respond_by.map(time),
        });
        let bytes = settings.max.as_secs() * 16_000;
        let recording = Recording::begin(&settings.folder, &id, bytes, &about);
        let recording = recording.map_err(unavailable("its file cannot be made"))?;
        let answered = self.endpoint.answer(Instant::now(), dialog, Bytes::from(answer), &[]);
        if answered.is_err() {
            recording.delete();
            return Ok(());
        }
        let (told, tells) = mpsc::unbounded_channel();
        self.calls.insert(dialog, told);
        let (max, silence) = (settings.max, settings.silence);
        let one = Call {
            id,
            handoff,
            respond_by,
            line: Line::new(Arc::clone(&settings.greeting), Bounds { max, silence }),
            recording,
            socket,
            to: to(&agreed, settings.media, self.at.ip()),
            agreed,
            journal: Arc::clone(&self.journal),
        };
        let over = self.over.clone();
        tokio::spawn(async move {
            one.take(tells).await;
            let _ = over.send(dialog);
        });
        Ok(())
    }
}

/// Where the data plane gets our packets: what it advertises may lie behind an address translation.
fn to(agreed: &Agreed, media: Option<IpAddr>, here: IpAddr) -> Option<SocketAddr> {
    let port = agreed.remote?.port();
    Some(SocketAddr::new(media.unwrap_or(here), port))
}

/// One caller.
struct Call {
    id: String,
    handoff: HandoffId,
    respond_by: Option<Timestamp>,
    line: Line,
    recording: Recording,
    socket: UdpSocket,
    agreed: Agreed,
    to: Option<SocketAddr>,
    journal: Arc<Journal>,
}

impl Call {
    /// Greets, listens, and ends the message: when this returns it is on the disk and told, or deleted and told.
    async fn take(mut self, mut tells: mpsc::UnboundedReceiver<Told>) {
        let began = Instant::now();
        let mut tick = interval(Duration::from_millis(20));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut header = Header {
            marker: true,
            payload_type: self.agreed.send,
            sequence: Seq(self.handoff.0 as u16),
            timestamp: (self.handoff.0 >> 16) as u32,
            ssrc: (self.handoff.0 >> 32) as u32,
        };
        let (mut datagram, mut kept, mut cut) = (vec![0; 2048], Vec::new(), false);
        // The event of a key that is held comes again and again with one timestamp (RFC 4733 §2.5.1.2).
        let mut pressed = None;
        loop {
            tokio::select! {
                came = self.socket.recv_from(&mut datagram) => {
                    let Ok((len, _)) = came else { continue };
                    let Ok(packet) = Packet::parse(&mut datagram[..len]) else { continue };
                    let (number, timestamp) = (packet.payload_type(), packet.timestamp());
                    if number == self.agreed.receive {
                        self.line.hear(timestamp, packet.payload(), &mut kept);
                    } else if self.agreed.events.is_some_and(|events| events.receive == number)
                        && let Some(key) = dtmf::Event::parse(packet.payload()).and_then(|event| event.digit())
                        && pressed.replace(timestamp) != Some(timestamp)
                    {
                        self.line.press(key);
                    }
                }
                _ = tick.tick() => {
                    let mut packet = [0; rtp::HEADER + PACKET];
                    let mut payload = [0; PACKET];
                    let over = self.line.tick(began.elapsed(), &mut payload);
                    if let Some(room) = header.write(&mut packet) {
                        room.copy_from_slice(&payload);
                    }
                    if let Some(to) = self.to {
                        let _ = self.socket.send_to(&packet, to).await;
                    }
                    header.marker = false;
                    header.sequence = header.sequence.next();
                    header.timestamp = header.timestamp.wrapping_add(PACKET as u32);
                    if over.is_some() {
                        break;
                    }
                }
                told = tells.recv() => match told {
                    Some(Told::Key(key)) => self.line.press(key),
                    Some(Told::HungUp) | None => break,
                }
            }
            if kept.len() >= WRITTEN * PACKET {
                if let Err(error) = self.recording.write(&kept) {
                    tracing::error!(%error, id = self.id, "the disk takes no more of a message: it ends here");
                    cut = true;
                    break;
                }
                kept.clear();
            }
        }
        self.end(kept, cut);
    }

    fn end(mut self, kept: Vec<i16>, mut cut: bool) {
        cut |= !cut && self.recording.write(&kept).is_err();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_a_user_of_a_uri() {
        assert_eq!(user("after-hours_1.b"), "after-hours_1.b");
        assert_eq!(user("the box @ 5 %"), "the%20box%20%40%205%20%25");
        let uri = format!("sip:{}@127.0.0.1:5070", user("Büro: \"Nord\""));
        let uri = sip::uri::Uri::parse(&uri).expect("a URI");
        assert_eq!(uri.user_unescaped().as_deref(), Some("Büro: \"Nord\""));
    }
}
