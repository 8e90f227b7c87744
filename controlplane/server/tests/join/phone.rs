//! What a party is made of.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use sip::endpoint::{ByeCause, DialogId, Endpoint, Event, Invite};
use sip::sdp::{Agreed, Encoding, Local};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::party::{Carrier, Manner, Signal, Voice, Wish};

/// A SIP endpoint and an RTP stream that goes on as long as the call.
pub(crate) struct Phone {
    at: SocketAddr,
    endpoint: Endpoint,
    local: Local,
    voice: Voice,
    manner: Manner,
    carrier: Carrier,
    dialog: Option<DialogId>,
    agreed: Option<Agreed>,
    sent: u32,
    sip: UdpSocket,
    rtp: UdpSocket,
    signal: UnboundedSender<Signal>,
    hear: UnboundedSender<Vec<u8>>,
}

impl Phone {
    /// Tells what happens to it, and what it hears.
    pub(crate) async fn new(
        voice: Voice,
        manner: Manner,
        signal: UnboundedSender<Signal>,
        hear: UnboundedSender<Vec<u8>>,
    ) -> Phone {
        let sip = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let rtp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let at = sip.local_addr().expect("bound");
        let port = rtp.local_addr().expect("bound").port();
        Phone {
            at,
            endpoint: Endpoint::new(sip::endpoint::Config {
                agent: format!("{voice:?}"),
                ..sip::endpoint::Config::new(at, voice as u64)
            }),
            local: Local::new(at.ip(), port, &[Encoding::Pcmu], voice as u64),
            voice,
            manner,
            carrier: Carrier::Refuses,
            dialog: None,
            agreed: None,
            sent: 0,
            sip,
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
        let (mut message, mut packet) = (vec![0; 65_535], vec![0; 2048]);
        let mut tick = interval(Duration::from_millis(20));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.sip.send_to(&transmit.bytes, transmit.to).await.expect("sent");
            }
            let wake = self.endpoint.poll_timeout();
            tokio::select! {
                came = self.sip.recv_from(&mut message) => if let Ok((len, from)) = came {
                    self.endpoint.handle_datagram(Instant::now(), from, Bytes::copy_from_slice(&message[..len]));
                },
                came = self.rtp.recv_from(&mut packet) => if let Ok((len, _)) = came {
                    self.take_rtp(&packet[..len]);
                },
                _ = tick.tick() => self.speak().await,
                wish = wishes.recv() => match wish {
                    None => return,
                    Some(wish) => self.take_wish(wish),
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

    fn take_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Call(to, carrier) => {
                self.carrier = carrier;
                let offer = Bytes::from(self.local.offer());
                let invite = Invite {
                    to: format!("sip:shop@{to}"),
                    from: format!("<sip:caller@{}>", self.local.address),
                    next_hop: Some(to),
                    offer: Some(offer),
                    ..Invite::default()
                };
                self.dialog = Some(self.endpoint.invite(Instant::now(), invite));
            }
            Wish::HangUp => {
                let dialog = self.dialog.expect("a call");
                self.agreed = None;
                self.endpoint.end(Instant::now(), dialog, None).expect("a live call");
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
                    Manner::Answers => {
                        let (answer, agreed) = self.local.answer(request.body()).expect("an offer that fits");
                        self.endpoint.ring(now, dialog, 180, None).expect("rings");
                        self.endpoint
                            .answer(now, dialog, Bytes::from(answer), &[])
                            .expect("answered");
                        self.dialog = Some(dialog);
                        self.agreed = Some(agreed);
                    }
                }
            }
            Event::Answered { body, .. } => {
                let answer = body.expect("an answer");
                self.agreed = Some(self.local.accept(&answer).expect("an answer that fits"));
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
            Event::Refer { refer, .. } => match self.carrier {
                Carrier::Refuses => self.endpoint.reject_refer(now, refer, 603).expect("refused"),
                Carrier::SaysNothingMore => self.endpoint.accept_refer(now, refer).expect("accepted"),
                Carrier::Connects => {
                    self.endpoint.accept_refer(now, refer).expect("accepted");
                    self.endpoint.notify(now, refer, 180, false).expect("told");
                    self.endpoint.notify(now, refer, 200, true).expect("told");
                }
            },
            Event::ReferAnswered { .. } | Event::ReferProgress { .. } => {}
        }
    }

    /// A test that has ended does not listen.
    fn tell(&self, signal: Signal) {
        let _ = self.signal.send(signal);
    }

    /// RTP without CSRC or extension; RTCP on the same port is left alone (RFC 5761 §4).
    fn take_rtp(&self, packet: &[u8]) {
        if packet.len() > 12 && packet[0] == 0x80 && packet[1] & 0x7f == 0 {
            let _ = self.hear.send(packet[12..].to_vec());
        }
    }

    async fn speak(&mut self) {
        let Some(to) = self.agreed.as_ref().and_then(|agreed| agreed.remote) else {
            return;
        };
        let mut packet = vec![0x80, 0];
        packet.extend((self.sent as u16).to_be_bytes());
        packet.extend((self.sent * 160).to_be_bytes());
        packet.extend((self.voice as u32).to_be_bytes());
        packet.extend(self.voice.payload());
        self.sent += 1;
        // A port that is closed already says so here.
        let _ = self.rtp.send_to(&packet, to).await;
    }
}
