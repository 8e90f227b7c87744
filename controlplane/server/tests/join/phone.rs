//! What a party is made of.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use sip::endpoint::{ByeCause, DialogId, Endpoint, Event, FlowBounds, Invite, ReferId, Transport};
use sip::header::{Header as _, ReferTo};
use sip::sdp::{Agreed, Encoding, Local};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::party::{Carrier, Heard, Manner, Signal, Voice, Wish};
use crate::speech::Speech;
use crate::way::{Came, Way, Wire};

/// A SIP endpoint and an RTP stream that goes on as long as the call.
pub(crate) struct Phone {
    at: SocketAddr,
    transport: Transport,
    endpoint: Endpoint,
    local: Local,
    speaks: Encoding,
    speech: Speech,
    voice: Voice,
    manner: Manner,
    /// The user of its From.
    user: &'static str,
    carrier: Carrier,
    /// The one that was taken last.
    refer: Option<ReferId>,
    /// A call that is not answered yet, and its offer.
    ringing: Option<(DialogId, Bytes)>,
    dialog: Option<DialogId>,
    agreed: Option<Agreed>,
    /// Its legs until now.
    legs: u32,
    sent: u32,
    wire: Wire,
    rtp: UdpSocket,
    signal: UnboundedSender<Signal>,
    hear: UnboundedSender<Heard>,
}

impl Phone {
    /// Tells what happens to it, and what it hears.
    pub(crate) async fn new(
        voice: Voice,
        manner: Manner,
        way: Way,
        signal: UnboundedSender<Signal>,
        hear: UnboundedSender<Heard>,
    ) -> Phone {
        let wire = Wire::open(way).await;
        let rtp = UdpSocket::bind((way.ip, 0)).await.expect("a socket");
        let at = wire.at();
        let port = rtp.local_addr().expect("bound").port();
        Phone {
            at,
            transport: way.transport,
            endpoint: Endpoint::new(sip::endpoint::Config {
                agent: format!("{voice:?}"),
                flows: (way.transport == Transport::Tcp).then(FlowBounds::default),
                // No two phones have the same tags and Call-IDs.
                ..sip::endpoint::Config::new(at, (voice as u64) << 16 | u64::from(at.port()))
            }),
            local: Local::new(at.ip(), port, &[way.speaks], voice as u64),
            speaks: way.speaks,
            speech: Speech::of(way),
            voice,
            manner,
            user: "caller",
            carrier: Carrier::Refuses,
            refer: None,
            ringing: None,
            dialog: None,
            agreed: None,
            legs: 0,
            sent: 0,
            wire,
            rtp,
            signal,
            hear,
        }
    }

    /// Where it is called.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Until the party is dropped.
    pub(crate) async fn run(mut self, mut wishes: UnboundedReceiver<Wish>) {
        let mut packet = vec![0; 2048];
        let mut tick = interval(Duration::from_millis(20));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.wire.send(transmit).await;
            }
            while let Some(stream) = self.endpoint.poll_stream() {
                self.wire.connections().handle(stream);
            }
            let wake = self.endpoint.poll_timeout();
            tokio::select! {
                came = self.wire.next() => self.take(came),
                came = self.rtp.recv_from(&mut packet) => if let Ok((len, _)) = came {
                    self.take_rtp(&packet[..len]);
                },
                _ = tick.tick() => self.speak().await,
                wish = wishes.recv() => match wish {
                    None => return,
                    Some(wish) => self.take_wish(wish).await,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {
                    self.endpoint.handle_timeout(Instant::now());
                }
            }
            while let Some(event) = self.endpoint.poll_event() {
                self.take_event(event);
            }
        }
    }

    fn take(&mut self, came: Came) {
        let now = Instant::now();
        match came {
            Came::Datagram(from, datagram) => self.endpoint.handle_datagram(now, from, datagram),
            Came::Accepted(stream, peer) => {
                let flow = self.endpoint.accept_flow(now, peer).expect("there is room");
                self.wire.connections().take(flow, stream);
            }
            Came::Connected(flow) => self.endpoint.handle_connected(now, flow),
            Came::Bytes(flow, bytes) => self.endpoint.handle_stream(now, flow, &bytes),
            Came::Closed(flow) => {
                self.wire.connections().forget(flow);
                self.endpoint.handle_closed(now, flow);
            }
        }
    }

    async fn take_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Number(number) => self.user = number,
            Wish::Call(to, carrier) => {
                self.carrier = carrier;
                let offer = Bytes::from(self.local.offer());
                let invite = Invite {
                    to: format!("sip:shop@{to}"),
                    from: format!("<sip:{}@{}>", self.user, self.at),
                    next_hop: Some(to),
                    transport: Some(self.transport),
                    offer: Some(offer),
                    ..Invite::default()
                };
                self.dialog = Some(self.endpoint.invite(Instant::now(), invite));
            }
            Wish::Answer => self.pick_up(),
            Wish::Refuse(status) => {
                let (dialog, _) = self.ringing.take().expect("it rings");
                self.endpoint
                    .reject(Instant::now(), dialog, status, &[])
                    .expect("refused");
            }
            Wish::Cut(done) => {
                let flows = self.wire.connections().cut().await;
                for flow in &flows {
                    self.endpoint.handle_closed(Instant::now(), *flow);
                }
                let _ = done.send(flows.len());
            }
            Wish::HangUp => {
                let dialog = self.dialog.expect("a call");
                self.agreed = None;
                self.endpoint.end(Instant::now(), dialog, None).expect("a live call");
            }
            Wish::Press(key) => {
                let dialog = self.dialog.expect("a call");
                self.endpoint.press(Instant::now(), dialog, key).expect("a live call");
            }
            Wish::Report(status) => {
                let refer = self.refer.expect("a REFER");
                self.endpoint.notify(Instant::now(), refer, status, true).expect("told");
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Invite { dialog, request, .. } => {
                let header = |name: &str| request.header(name).map(|value| value.into_owned());
                self.tell(Signal::Invited(header("X-Baton-Call"), header("X-Baton-Handoff")));
                match self.manner {
                    Manner::IsBusy => self.endpoint.reject(now, dialog, 486, &[]).expect("refused"),
                    Manner::Answers | Manner::Rings => {
                        self.endpoint.ring(now, dialog, 180, None).expect("rings");
                        self.ringing = Some((dialog, Bytes::copy_from_slice(request.body())));
                        if matches!(self.manner, Manner::Answers) {
                            self.pick_up();
                        }
                    }
                }
            }
            Event::Answered { body, .. } => {
                let answer = body.expect("an answer");
                self.agreed = Some(self.local.accept(&answer).expect("an answer that fits"));
                self.legs += 1;
                self.tell(Signal::Up);
            }
            Event::Acked { .. } => self.tell(Signal::Up),
            Event::Reinvite { dialog, body } => {
                let (answer, agreed) = self.local.answer(&body.expect("an offer")).expect("an offer that fits");
                self.agreed = Some(agreed);
                self.endpoint
                    .answer_reinvite(now, dialog, Bytes::from(answer))
                    .expect("answered");
            }
            Event::Bye { cause, .. } => {
                assert_eq!(cause, ByeCause::Peer);
                self.agreed = None;
                self.tell(Signal::Bye);
            }
            Event::Ended { .. } | Event::Refused { .. } | Event::Cancelled { .. } => self.tell(Signal::Over),
            Event::Progress { .. } | Event::ReinviteAnswered { .. } | Event::ReinviteRefused { .. } => {}
            Event::Refer { refer, request, .. } => {
                match self.carrier {
                    Carrier::Refuses => self.endpoint.reject_refer(now, refer, 603).expect("refused"),
                    Carrier::SaysNothingMore => self.endpoint.accept_refer(now, refer).expect("accepted"),
                    Carrier::Connects => {
                        self.endpoint.accept_refer(now, refer).expect("accepted");
                        self.endpoint.notify(now, refer, 180, false).expect("told");
                        self.endpoint.notify(now, refer, 200, true).expect("told");
                    }
                    Carrier::Waits => {
                        self.endpoint.accept_refer(now, refer).expect("accepted");
                        self.refer = Some(refer);
                    }
                }
                let to = request.header(ReferTo::NAME).expect("a Refer-To");
                self.tell(Signal::Referred(to.into_owned()));
            }
            Event::Key { .. } | Event::ReferAnswered { .. } | Event::ReferProgress { .. } => {}
        }
    }

    fn pick_up(&mut self) {
        let (dialog, offer) = self.ringing.take().expect("it rings");
        let (answer, agreed) = self.local.answer(&offer).expect("an offer that fits");
        self.endpoint
            .answer(Instant::now(), dialog, Bytes::from(answer), &[])
            .expect("answered");
        self.dialog = Some(dialog);
        self.agreed = Some(agreed);
        self.legs += 1;
    }

    /// A test that has ended does not listen.
    fn tell(&self, signal: Signal) {
        let _ = self.signal.send(signal);
    }

    /// RTP without CSRC or extension; RTCP on the same port is left alone (RFC 5761 §4).
    fn take_rtp(&mut self, packet: &[u8]) {
        let payload_type = packet.get(1).map_or(0, |byte| byte & 0x7f);
        // Ours in the only offer or answer that we make.
        let ours = self
            .agreed
            .as_ref()
            .map_or(self.speaks.payload_type(), |agreed| agreed.receive);
        if packet.len() > 12 && packet[0] == 0x80 && !(64..96).contains(&payload_type) {
            let _ = self.hear.send(Heard {
                leg: self.legs,
                ssrc: [packet[8], packet[9], packet[10], packet[11]],
                sequence: u16::from_be_bytes([packet[2], packet[3]]),
                audio: (payload_type == ours).then(|| self.speech.hear(&packet[12..])),
            });
        }
    }

    async fn speak(&mut self) {
        let Some((to, number)) = self
            .agreed
            .as_ref()
            .and_then(|agreed| Some((agreed.remote?, agreed.send)))
        else {
            return;
        };
        let mut packet = vec![0x80, number];
        packet.extend((self.sent as u16).to_be_bytes());
        packet.extend((self.sent * (self.speaks.clock_hz() / 50)).to_be_bytes());
        packet.extend((self.voice as u32).to_be_bytes());
        packet.extend(self.speech.say(self.voice));
        self.sent += 1;
        // A port that is closed already says so here.
        let _ = self.rtp.send_to(&packet, to).await;
    }
}
