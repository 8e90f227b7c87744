//! Machines of Baton's own, for callers for whom nobody is there: one takes a message (`voicemail.rs`), the other says when it will call
//! back (`callback.rs`).
//!
//! To a call such a machine is a target like any other, with a SIP and an RTP address of its own on loopback; both have one thread of
//! their own, because a message is written to files, and a disk that hangs must not hold up anybody else. What is said and kept is
//! decided in each one's `line.rs`.

mod callback;
pub(crate) mod voicemail;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use calls::config::Machine as Which;
use calls::notice::{CallId, HandoffId};
use media::codec::opus::Band;
use media::dtmf;
use media::resample::Downsampler;
use media::rtp::{self, Header, Packet, Seq};
use playbook::hours::Calendar;
use sip::endpoint::{DialogId, Endpoint, Event};
use sip::message::Message as Request;
use sip::sdp::{Agreed, Encoding, Local};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use self::callback::Promise;
use self::voicemail::Message;
use crate::config::Config;
use crate::ids;
use crate::journal::Journal;
use crate::prompts::Prompt;

/// Callers at a time; the next one is refused.
const CALLS: usize = 200;

/// Samples of a packet: 20 ms of 8000 Hz.
const PACKET: usize = 160;

/// "Temporarily Unavailable": the next target, or back with a word.
const UNAVAILABLE: u16 = 480;

/// What they go by, until the configuration is read anew.
#[derive(Debug)]
pub(crate) struct Settings {
    voicemail: voicemail::Settings,
    callback: callback::Settings,
    /// Of each target that is one: which, and its hours.
    targets: HashMap<String, (Which, Arc<Calendar>)>,
    /// Where the data plane is, seen from here.
    media: Option<IpAddr>,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Arc<Settings> {
        let machines = config.targets.iter().filter_map(|target| {
            let which = (target.machine?, Arc::clone(&target.hours));
            Some((target.name.clone(), which))
        });
        let listen = config.media.listen;
        Arc::new(Settings {
            voicemail: voicemail::Settings::of(&config.voicemail),
            callback: callback::Settings::of(&config.callback),
            targets: machines.collect(),
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

/// The running machines.
#[derive(Debug)]
pub(crate) struct Machines {
    at: SocketAddr,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Machines {
    /// Starts them on a free port of loopback.
    ///
    /// # Errors
    /// As the operating system says it.
    pub(crate) fn start(
        settings: watch::Receiver<Arc<Settings>>,
        journal: Arc<Journal>,
        sip: Vec<SocketAddr>,
    ) -> io::Result<Machines> {
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
        let thread = std::thread::Builder::new().name("machines".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let socket = match UdpSocket::from_std(socket) {
                    Ok(socket) => socket,
                    Err(error) => return tracing::error!(%error, "our own machines have no socket"),
                };
                let endpoint = Endpoint::new(sip::endpoint::Config {
                    agent: "Baton machine".to_owned(),
                    ..sip::endpoint::Config::new(at, seed)
                });
                let (over, done) = mpsc::unbounded_channel();
                let (begun, begins) = mpsc::unbounded_channel();
                let machine = Machine {
                    at,
                    socket,
                    endpoint,
                    settings,
                    journal,
                    calls: HashMap::new(),
                    waiting: HashMap::new(),
                    sip,
                    peer: None,
                    over,
                    begun,
                    seed,
                };
                machine.run(done, begins, closed).await;
            });
        })?;
        Ok(Machines {
            at,
            closing,
            thread: Some(thread),
        })
    }

    /// Where they are called.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Ends them: what is being recorded is whole, and on the disk, and who was promised a call has it.
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
    /// Those who are answered as soon as something is promised to them.
    waiting: HashMap<DialogId, Wire>,
    /// Where our own server sends SIP from: nobody else may call.
    sip: Vec<SocketAddr>,
    /// The one of them that called last, and that all is sent to.
    peer: Option<SocketAddr>,
    over: mpsc::UnboundedSender<DialogId>,
    begun: mpsc::UnboundedSender<(DialogId, Result<Promise, u16>)>,
    seed: u64,
}

/// Who calls, and where.
#[derive(Clone, Debug)]
struct Asked {
    call: CallId,
    handoff: HandoffId,
    target: String,
    caller: Option<String>,
}

/// What a call is told.
enum Told {
    Key(char),
    HungUp,
}

impl Machine {
    async fn run(
        mut self,
        mut done: mpsc::UnboundedReceiver<DialogId>,
        mut begins: mpsc::UnboundedReceiver<(DialogId, Result<Promise, u16>)>,
        mut closed: watch::Receiver<bool>,
    ) {
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
                // A call is over by itself: what it is to leave is there by now, and told.
                Some(dialog) = done.recv() => if self.calls.remove(&dialog).is_some() {
                    let _ = self.endpoint.end(Instant::now(), dialog, None);
                },
                Some((dialog, promise)) = begins.recv() => self.promised(dialog, promise),
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {
                    self.endpoint.handle_timeout(Instant::now());
                }
                _ = closed.wait_for(|closed| *closed) => break,
            }
        }
        // Each ends what it leaves, and says so by dropping its end.
        for call in self.calls.values() {
            let _ = call.send(Told::HungUp);
        }
        drop(self.over);
        while done.recv().await.is_some() {}
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Invite { dialog, request, .. } => {
                if let Err(status) = self.invited(dialog, &request).await {
                    let _ = self.endpoint.reject(Instant::now(), dialog, status, &[]);
                }
            }
            Event::Key { dialog, key } => self.tell(dialog, Told::Key(key)),
            Event::Bye { dialog, .. } | Event::Cancelled { dialog } => {
                self.tell(dialog, Told::HungUp);
                self.calls.remove(&dialog);
                self.waiting.remove(&dialog);
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

    /// Answers as soon as there is something to say; else says why not.
    async fn invited(&mut self, dialog: DialogId, request: &Request) -> Result<(), u16> {
        let settings = self.settings.borrow().clone();
        let asked = asked(request)?;
        let (which, hours) = settings.targets.get(&asked.target).ok_or(404_u16)?;
        let taken = self.wire(dialog, &asked, &settings, request).await;
        match which {
            Which::Voicemail => {
                let journal = Arc::clone(&self.journal);
                let message = taken.and_then(|wire| {
                    let message = Message::begin(&asked, &settings.voicemail, hours, journal)?;
                    Ok((wire, message))
                });
                let (wire, message) = message.inspect_err(|_| {
                    self.journal.voicemails.refused.fetch_add(1, Ordering::Relaxed);
                })?;
                self.answer(dialog, wire, Kind::Message(Box::new(message)));
            }
            Which::Callback => {
                self.waiting.insert(dialog, taken?);
                let (begun, journal) = (self.begun.clone(), Arc::clone(&self.journal));
                tokio::spawn(async move {
                    let promise = Promise::begin(asked, &settings.callback, journal).await;
                    let _ = begun.send((dialog, promise));
                });
            }
        }
        Ok(())
    }

    /// Where its media go and come from.
    async fn wire(&self, dialog: DialogId, asked: &Asked, settings: &Settings, request: &Request) -> Result<Wire, u16> {
        if self.calls.len() + self.waiting.len() >= CALLS {
            return Err(UNAVAILABLE);
        }
        let unavailable = |error: io::Error| {
            tracing::error!(%error, handoff = ids::handoff(asked.handoff), "a machine of our own has no socket for a call");
            UNAVAILABLE
        };
        let socket = UdpSocket::bind((self.at.ip(), 0)).await.map_err(unavailable)?;
        let port = socket.local_addr().map_err(unavailable)?.port();
        let mut local = Local::new(self.at.ip(), port, &[Encoding::Pcmu], self.seed ^ dialog.0);
        let (answer, agreed) = local.answer(request.body()).map_err(|_| 488_u16)?;
        let to = to(&agreed, settings.media, self.at.ip());
        let (answer, handoff) = (Bytes::from(answer), asked.handoff);
        Ok(Wire {
            handoff,
            socket,
            agreed,
            to,
            answer,
        })
    }

    /// What was waited for is there, or is not to be had.
    fn promised(&mut self, dialog: DialogId, promise: Result<Promise, u16>) {
        match (self.waiting.remove(&dialog), promise) {
            (Some(wire), Ok(promise)) => self.answer(dialog, wire, Kind::Promise(Box::new(promise))),
            (Some(_), Err(status)) => {
                let _ = self.endpoint.reject(Instant::now(), dialog, status, &[]);
            }
            // Who has gone meanwhile wanted a human, and is called back; it may have had the promise from an earlier call.
            (None, _) => {}
        }
    }

    fn answer(&mut self, dialog: DialogId, wire: Wire, kind: Kind) {
        let answered = self.endpoint.answer(Instant::now(), dialog, wire.answer.clone(), &[]);
        if answered.is_err() {
            if let Kind::Message(message) = kind {
                message.forget();
            }
            return;
        }
        let (told, tells) = mpsc::unbounded_channel();
        self.calls.insert(dialog, told);
        let over = self.over.clone();
        tokio::spawn(async move {
            talk(wire, kind, tells).await;
            let _ = over.send(dialog);
        });
    }
}

fn asked(request: &Request) -> Result<Asked, u16> {
    let header = |name: &str| request.header(name).map(|value| value.into_owned());
    let call = header("X-Baton-Call").and_then(|id| ids::parse_call(&id));
    let handoff = header("X-Baton-Handoff").and_then(|id| ids::parse_handoff(&id));
    let (call, handoff) = call.zip(handoff).ok_or(403_u16)?;
    let target = request.uri().and_then(|uri| uri.ok()?.user_unescaped());
    Ok(Asked {
        call,
        handoff,
        target: target.ok_or(404_u16)?,
        caller: request.from().map(|from| from.uri.as_str().to_owned()),
    })
}

/// Where the data plane gets our packets: what it advertises may lie behind an address translation.
fn to(agreed: &Agreed, media: Option<IpAddr>, here: IpAddr) -> Option<SocketAddr> {
    let port = agreed.remote?.port();
    Some(SocketAddr::new(media.unwrap_or(here), port))
}

/// The media of one caller.
struct Wire {
    handoff: HandoffId,
    socket: UdpSocket,
    agreed: Agreed,
    to: Option<SocketAddr>,
    /// Our SDP.
    answer: Bytes,
}

/// What a caller is there for.
enum Kind {
    Message(Box<Message>),
    Promise(Box<Promise>),
}

impl Kind {
    fn hear(&mut self, timestamp: u32, payload: &[u8]) {
        match self {
            Kind::Message(message) => message.hear(timestamp, payload),
            // It listens to keys.
            Kind::Promise(_) => {}
        }
    }

    fn press(&mut self, key: char) {
        match self {
            Kind::Message(message) => message.press(key),
            Kind::Promise(promise) => promise.press(key),
        }
    }

    /// The next 20 ms; `true`: nothing follows.
    fn tick(&mut self, now: Duration, payload: &mut [u8; PACKET]) -> bool {
        match self {
            Kind::Message(message) => message.tick(now, payload),
            Kind::Promise(promise) => promise.tick(now, payload),
        }
    }

    /// Goes on with what takes its time. It may be dropped at any time, and be called again.
    async fn go_on(&mut self) {
        match self {
            Kind::Message(_) => std::future::pending().await,
            Kind::Promise(promise) => promise.go_on().await,
        }
    }

    async fn end(self) {
        match self {
            Kind::Message(message) => message.end(),
            Kind::Promise(promise) => promise.end().await,
        }
    }
}

/// Speaks, listens, and ends: when this returns what the caller leaves is there, and told.
async fn talk(wire: Wire, mut kind: Kind, mut tells: mpsc::UnboundedReceiver<Told>) {
    let Wire {
        handoff,
        socket,
        agreed,
        to,
        ..
    } = wire;
    let began = Instant::now();
    let mut tick = interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut header = Header {
        marker: true,
        payload_type: agreed.send,
        sequence: Seq(handoff.0 as u16),
        timestamp: (handoff.0 >> 16) as u32,
        ssrc: (handoff.0 >> 32) as u32,
    };
    let mut datagram = vec![0; 2048];
    // The event of a key that is held comes again and again with one timestamp (RFC 4733 §2.5.1.2).
    let mut pressed = None;
    loop {
        tokio::select! {
            came = socket.recv_from(&mut datagram) => {
                let Ok((len, _)) = came else { continue };
                let Ok(packet) = Packet::parse(&mut datagram[..len]) else { continue };
                let (number, timestamp) = (packet.payload_type(), packet.timestamp());
                if number == agreed.receive {
                    kind.hear(timestamp, packet.payload());
                } else if agreed.events.is_some_and(|events| events.receive == number)
                    && let Some(key) = dtmf::Event::parse(packet.payload()).and_then(|event| event.digit())
                    && pressed.replace(timestamp) != Some(timestamp)
                {
                    kind.press(key);
                }
            }
            _ = tick.tick() => {
                let mut packet = [0; rtp::HEADER + PACKET];
                let mut payload = [0; PACKET];
                let over = kind.tick(began.elapsed(), &mut payload);
                if let Some(room) = header.write(&mut packet) {
                    room.copy_from_slice(&payload);
                }
                if let Some(to) = to {
                    let _ = socket.send_to(&packet, to).await;
                }
                header.marker = false;
                header.sequence = header.sequence.next();
                header.timestamp = header.timestamp.wrapping_add(PACKET as u32);
                if over {
                    break;
                }
            }
            told = tells.recv() => match told {
                Some(Told::Key(key)) => kind.press(key),
                Some(Told::HungUp) | None => break,
            },
            () = kind.go_on() => {}
        }
    }
    kind.end().await;
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
