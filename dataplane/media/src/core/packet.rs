//! A packet from its socket to its listeners.

use std::net::SocketAddr;
use std::time::Instant;

use arrayvec::ArrayVec;

use super::Core;
use crate::clock::Clock;
use crate::command::{Dtmf, Format, Port};
use crate::dtmf;
use crate::events::Audible;
use crate::evidence::{By, Word};
use crate::keys::Keys;
use crate::latch::Admission;
use crate::leg::{Content, Inbound, Leg, Origin, Outgoing, Slot, Sound, Timer};
use crate::listening::Listening;
use crate::pending::PACKET_MAX;
use crate::rtcp::{Compound, Packet as Rtcp};
use crate::rtp::{Arrival, HEADER, Header, Kind, Packet, demux};
use crate::verdict::{Reason, Verdict};
use crate::voice::Standing;

impl Core {
    pub(super) fn receive(
        &mut self,
        now: Instant,
        port: Port,
        from: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<Verdict, Reason> {
        let slot = self.table.slot(port).ok_or(Reason::NoLeg)?;
        let leg = self.table.leg_mut(slot).ok_or(Reason::NoLeg)?;
        let datagram = buffer.get_mut(..len).ok_or(Reason::Malformed)?;
        match demux(datagram) {
            Kind::Rtcp => return receive_rtcp(leg, now, from, datagram),
            Kind::Rtp if port == leg.port => {}
            Kind::Rtp | Kind::Other => return Err(Reason::Malformed),
        }
        let packet = Packet::parse(datagram).map_err(|_| Reason::Malformed)?;
        let (content, format) = content(leg, &packet);
        let (header, payload) = (packet.header(), packet.payload_range());
        match leg.latch.accept(now, from, header.ssrc, content != Content::Unmapped) {
            Admission::Accept => {}
            Admission::Stranger => return Err(Reason::Stranger),
            Admission::StrangeSource => return Err(Reason::StrangeSource),
        }
        if content == Content::Unmapped && leg.source.ssrc != Some(header.ssrc) {
            return Err(Reason::UnmappedPayload);
        }
        let clock_hz = format.codec.clock_hz();
        let (arrival, ticks) = leg.source.receive(now, &header, clock_hz);
        let mut changed = false;
        if content == Content::Audio {
            leg.source.codec = Some(format.codec);
            changed = leg.before.take_if(|_| format == leg.format).is_some();
        }
        let (new_digit, dtmf, held) = match content {
            Content::Event(event) => {
                let (new, key) = leg.source.digit(header.timestamp, event, leg.dtmf, clock_hz);
                (new, key.mode, key.held)
            }
            Content::Audio | Content::Tone | Content::Noise | Content::Unmapped => (false, leg.dtmf, 0),
        };
        let mut digits = ArrayVec::<char, KEYS_MAX>::new();
        let content = match (content, &mut leg.keys) {
            (Content::Audio, Some(keys)) if keys.codec() == format.codec => {
                let payload = buffer.get(payload.clone()).unwrap_or_default();
                let tell = |digit| {
                    let _ = digits.try_push(digit);
                };
                match hear_keys(keys, arrival, payload, leg.dtmf, tell) {
                    true => Content::Tone,
                    false => Content::Audio,
                }
            }
            (content, _) => content,
        };
        if !leg.dtmf.tells() {
            digits.clear();
        }
        if leg.dtmf == Dtmf::Relay {
            // It was there for the key that was down when others began to hear the leg.
            leg.keys.take_if(|keys| !keys.mutes());
        }
        if content == Content::Audio
            && let Some(ticks) = buffer
                .get(payload.clone())
                .and_then(|payload| format.codec.duration(payload))
        {
            let ms = Clock::of(format.codec).ns(ticks.into()) / 1_000_000;
            leg.source.packet_ms = Some(ms.min(255) as u8);
        }
        let inbound = Inbound {
            header,
            content,
            start: payload.start,
            len: payload.len(),
            dtmf,
            held,
            format,
            arrival,
            ticks,
        };
        let (awaited, session) = (leg.source.awaited, leg.session);
        self.note(now, slot, &inbound, new_digit);
        for digit in digits {
            self.press(now, slot, digit);
        }
        if awaited {
            self.heard_at_last(now, slot, &inbound);
        }
        if changed {
            // What put its old codec into the others' is of no use any more.
            self.settle(session);
        }
        self.distribute(now, slot, &inbound, buffer, len)
    }

    /// Notes that a listener could hear the leg; a digit that is ours to take is told once, whether anybody hears it or not.
    fn note(&mut self, now: Instant, slot: Slot, inbound: &Inbound, new_digit: bool) {
        let at = self.ns(now);
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        if inbound.content != Content::Unmapped {
            leg.source.received_at = at;
            if std::mem::take(&mut leg.source.told_silent) {
                *leg.timer(Timer::Silence) = leg.source.silence_due(self.silence);
                let (id, session) = (leg.id, leg.session);
                self.rearm(slot);
                self.tell(session, |mailbox| mailbox.audible(id, Audible::Sounding, at));
            }
        }
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        match (inbound.content, inbound.dtmf) {
            (Content::Audio | Content::Noise, _) => leg.source.heard_at = Some(at),
            (Content::Event(event), dtmf) => {
                if dtmf.relays() {
                    leg.source.heard_at = Some(at);
                }
                if let Some(digit) = event.digit().filter(|_| new_digit && dtmf.tells()) {
                    let (id, session) = (leg.id, leg.session);
                    self.tell(session, |mailbox| mailbox.digit(id, digit, at));
                }
            }
            (Content::Tone | Content::Unmapped, _) => {}
        }
    }

    /// A key was found in the sound of a leg.
    fn press(&mut self, now: Instant, slot: Slot, digit: char) {
        let at = self.ns(now);
        if let Some((id, session)) = self.table.leg(slot).map(|leg| (leg.id, leg.session)) {
            self.tell(session, |mailbox| mailbox.digit(id, digit, at));
        }
    }

    /// A `Set` waits for the leg's next packet. What a row could not begin with does not count.
    fn heard_at_last(&mut self, now: Instant, slot: Slot, inbound: &Inbound) {
        let sounds = matches!(inbound.content, Content::Audio | Content::Noise);
        let begins = !matches!(inbound.arrival, Arrival::Late | Arrival::Duplicate | Arrival::Wild);
        if sounds && begins {
            self.has_come(now, slot);
        }
    }

    /// To everybody who hears it: copies to all but the last, who gets the buffer itself.
    fn distribute(
        &mut self,
        now: Instant,
        slot: Slot,
        inbound: &Inbound,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<Verdict, Reason> {
        let listeners = match self.table.leg(slot) {
            Some(leg) => leg.source.listeners.clone(),
            None => return Err(Reason::NoLeg),
        };
        let Some((&last, others)) = listeners.split_last() else {
            return self.unheard(slot, &inbound.header);
        };
        let mut copied = false;
        for &listener in others {
            copied |= self.copy_to(now, slot, listener, inbound, &buffer[..len]).is_ok();
        }
        match self.send_to(now, slot, last, inbound, buffer) {
            Ok(verdict) => Ok(verdict),
            // The others have it.
            Err(_) if copied => Ok(Verdict::Consumed),
            Err(reason) => Err(reason),
        }
    }

    /// Nobody hears it. It may be a late packet of a source that was heard until a moment ago.
    fn unheard(&mut self, slot: Slot, header: &Header) -> Result<Verdict, Reason> {
        let session = self.table.leg(slot).and_then(|leg| self.table.session(leg.session));
        let legs = session.map(|session| session.legs.clone()).unwrap_or_default();
        let mut reason = Reason::Unheard;
        for (_, listener) in legs {
            if let Some(leg) = self.table.leg_mut(listener)
                && leg.row.supersedes(slot, header)
            {
                leg.meter.superseded();
                reason = Reason::Superseded;
            }
        }
        Err(reason)
    }

    /// In place, unless packets of the same line still wait: then behind them.
    fn send_to(
        &mut self,
        now: Instant,
        slot: Slot,
        listener: Slot,
        inbound: &Inbound,
        buffer: &mut [u8],
    ) -> Result<Verdict, Reason> {
        let at = self.ns(now);
        let leg = self.table.leg_mut(listener).ok_or(Reason::Unheard)?;
        if leg.mixes(slot) {
            return self
                .listen(now, slot, listener, inbound, buffer)
                .map(|()| Verdict::Consumed);
        }
        let waited = leg.row.next.is_some();
        let (len, outgoing) = leg.deliver(at, slot, inbound, buffer, &mut self.pending)?;
        let to = leg.destination().ok_or(Reason::NotSending)?;
        let (from, waiting, switched) = (leg.port, leg.waiting > 0, waited && leg.row.next.is_none());
        if switched {
            self.rows_changed(now, listener);
        }
        if !waiting {
            self.count(inbound, listener);
            self.measure(now, listener, &outgoing, &buffer[..len]);
            return Ok(Verdict::Send { from, to, len });
        }
        let Some(packet) = self.pending.claim().filter(|_| len <= PACKET_MAX) else {
            return Err(self.no_buffer(listener, Some(&outgoing)));
        };
        packet.bytes[..len].copy_from_slice(&buffer[..len]);
        (packet.from, packet.to, packet.len, packet.on) = (from, to, len, Some((listener, outgoing)));
        self.commit(listener);
        self.count(inbound, listener);
        Ok(Verdict::Consumed)
    }

    fn copy_to(
        &mut self,
        now: Instant,
        slot: Slot,
        listener: Slot,
        inbound: &Inbound,
        datagram: &[u8],
    ) -> Result<(), Reason> {
        if self.table.leg(listener).is_some_and(|leg| leg.mixes(slot)) {
            return self.listen(now, slot, listener, inbound, datagram);
        }
        let mut copy = [0; PACKET_MAX];
        let Some(room) = copy.get_mut(..datagram.len()) else {
            return Err(self.no_buffer(listener, None));
        };
        room.copy_from_slice(datagram);
        let at = self.ns(now);
        let leg = self.table.leg_mut(listener).ok_or(Reason::Unheard)?;
        let waited = leg.row.next.is_some();
        let (len, outgoing) = leg.deliver(at, slot, inbound, &mut copy, &mut self.pending)?;
        let to = leg.destination().ok_or(Reason::NotSending)?;
        let (from, switched) = (leg.port, waited && leg.row.next.is_none());
        if switched {
            self.rows_changed(now, listener);
        }
        let Some(packet) = self.pending.claim() else {
            return Err(self.no_buffer(listener, Some(&outgoing)));
        };
        packet.bytes[..len].copy_from_slice(&copy[..len]);
        (packet.from, packet.to, packet.len, packet.on) = (from, to, len, Some((listener, outgoing)));
        self.commit(listener);
        self.count(inbound, listener);
        Ok(())
    }

    /// Into a mix. The packet is used up.
    fn listen(
        &mut self,
        now: Instant,
        slot: Slot,
        listener: Slot,
        inbound: &Inbound,
        datagram: &[u8],
    ) -> Result<(), Reason> {
        let at = self.ns(now);
        let leg = self.table.leg_mut(listener).ok_or(Reason::Unheard)?;
        let payload = datagram
            .get(inbound.start..inbound.start + inbound.len)
            .ok_or(Reason::Malformed)?;
        let heard = leg.listen(at, slot, inbound, payload, &mut self.pending);
        self.rearm(listener);
        heard
    }

    fn commit(&mut self, listener: Slot) {
        self.pending.commit();
        if let Some(leg) = self.table.leg_mut(listener) {
            leg.waiting += 1;
        }
    }

    /// `put`: it has its number on the line already.
    fn no_buffer(&mut self, listener: Slot, put: Option<&Outgoing>) -> Reason {
        self.counters.lost += 1;
        if let Some(leg) = self.table.leg_mut(listener) {
            if let Some(outgoing) = put {
                leg.line.not_sent(outgoing.missing);
            }
            leg.meter.lost_within();
        }
        Reason::NoBuffer
    }

    fn count(&mut self, inbound: &Inbound, listener: Slot) {
        self.counters.forwarded += 1;
        let codec = self.table.leg(listener).map(|leg| leg.format.codec);
        if inbound.content == Content::Audio && codec != Some(inbound.format.codec) {
            self.counters.transcoded += 1;
        }
    }

    /// A packet leaves now: measured from its bytes.
    pub(super) fn measure(&mut self, now: Instant, slot: Slot, outgoing: &Outgoing, packet: &[u8]) {
        let at = self.ns(now);
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        let session = leg.session;
        let measured = leg.meter.is_open();
        let waiting = self.table.session(session).filter(|_| measured);
        let word_of = waiting.and_then(|session| session.word_of());
        let by = waiting.map_or(By::Level, |session| session.word_by());
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        let Leg {
            meter,
            voice,
            format,
            row,
            listening,
            ..
        } = leg;
        let among = |source| row.mixer.as_ref().and_then(|mixer| mixer.level(source));
        let word = match (outgoing.origin, word_of) {
            (origin, Some(of)) if origin == of => Word::Of,
            (Origin::Mix, Some(Origin::Leg(source))) if outgoing.sound == Sound::Audio => {
                among(source).map_or(Word::Another, Word::Among)
            }
            _ => Word::Another,
        };
        let payload = packet.get(HEADER..).unwrap_or_default();
        let level = || outgoing.level.or_else(|| voice.level(format.codec, payload));
        let loud = meter.sent(at, outgoing, word, by, level);
        let spoken = listening.as_mut().and_then(Listening::began);
        if let Some(began) = spoken.or(loud) {
            self.first_word(session, began);
        }
    }
}

/// What is in a packet, and as what of the leg's formats it is to be understood: of all but a few as the first.
fn content(leg: &Leg, packet: &Packet<'_>) -> (Content, Format) {
    let usual = kind(&leg.format, packet);
    if !matches!(usual, Content::Unmapped) {
        return (usual, leg.format);
    }
    let others = [leg.also, leg.before].into_iter().flatten();
    let mut known = others.map(|format| (kind(&format, packet), format));
    let found = known.find(|(content, _)| *content != Content::Unmapped);
    found.unwrap_or((usual, leg.format))
}

fn kind(format: &Format, packet: &Packet<'_>) -> Content {
    let payload_type = packet.payload_type();
    if payload_type == format.receive && !packet.payload().is_empty() {
        Content::Audio
    } else if format.events.is_some_and(|events| events.receive == payload_type) {
        dtmf::Event::parse(packet.payload()).map_or(Content::Unmapped, Content::Event)
    } else if format.comfort_noise == Some(payload_type) {
        Content::Noise
    } else {
        Content::Unmapped
    }
}

/// Keys that can begin in one packet of 120 ms.
const KEYS_MAX: usize = 4;

/// Whether a packet is not to be heard for a key in it. What is late says nothing of keys.
fn hear_keys(keys: &mut Keys, arrival: Arrival, payload: &[u8], dtmf: Dtmf, tell: impl FnMut(char)) -> bool {
    let lost = match arrival {
        Arrival::Ahead { missing } => missing,
        Arrival::First | Arrival::Restart => 0,
        Arrival::Late | Arrival::Duplicate | Arrival::Wild => return keys.mutes(),
    };
    let first = arrival == Arrival::First;
    if first {
        keys.reset();
    }
    keys.heard(Standing { first, lost }, payload, dtmf, tell)
}

/// RTCP ends here. What a stranger says is not read.
fn receive_rtcp(leg: &mut Leg, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<Verdict, Reason> {
    if !leg.sends_rtcp(from) {
        return Err(Reason::Stranger);
    }
    let compound = Compound::parse(datagram).map_err(|_| Reason::Malformed)?;
    for packet in compound.packets() {
        if let Rtcp::SenderReport { ssrc, info, .. } = packet
            && leg.source.ssrc == Some(ssrc)
        {
            leg.source.reception.sender_report(now, &info);
        }
    }
    Ok(Verdict::Consumed)
}
