//! The packets of all parties.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Phase, Stage, TALK, World};
use crate::heard::Took;
use crate::line::{Message, Role, View};
use crate::rtp::PACKET;

/// When the stream of a leg has its next packet; the soonest is the greatest. With the leg's age: another one may have its place by then.
pub(super) type Due = Reverse<(Instant, usize, u32)>;

/// Packets of one kind that are dealt with before the others have their turn: the kernel sends 32 of the lab's at one time.
const AT_ONCE: usize = 32;

impl World {
    pub(super) fn speak(&mut self, place: usize, to: SocketAddr, now: Instant) {
        let Some(leg) = &mut self.legs[place] else { return };
        let role = leg.role;
        let old = leg.stream.to.replace(to);
        if old.is_none() {
            // Spread over the packet time, so that they do not all come at once.
            leg.stream.next = now + Duration::from_micros(u64::from(leg.age) * 7_919 % 20_000);
            self.due_packets.push(Reverse((leg.stream.next, place, leg.age)));
        }
        if let Some(old) = old {
            self.forget_port(role, old, place);
        }
        self.by_port[role as usize][usize::from(to.port())] = place as u32 + 1;
    }

    /// Nobody's audio comes from there any more, if it was this one's.
    pub(super) fn forget_port(&mut self, role: Role, at: SocketAddr, place: usize) {
        let owner = &mut self.by_port[role as usize][usize::from(at.port())];
        if *owner == place as u32 + 1 {
            *owner = 0;
        }
    }

    /// What is due; whether anything was. Some at the most: then what came has its turn.
    pub(super) fn send_rtp(&mut self) -> bool {
        let any = self.send_due();
        self.rtp.push();
        any
    }

    fn send_due(&mut self) -> bool {
        let now = Instant::now();
        let mut any = false;
        for _ in 0..AT_ONCE {
            let Some(Reverse((due, place, age))) = self.due_packets.peek().copied() else {
                return any;
            };
            if due > now {
                return any;
            }
            any = true;
            self.due_packets.pop();
            let Some(leg) = self.legs[place].as_mut().filter(|leg| leg.age == age) else {
                continue;
            };
            let at = Instant::now();
            let sent_us = at.duration_since(self.base).as_micros() as u64;
            let Some((to, packet)) = leg.stream.poll(at, sent_us, self.laws.of(leg.codec)) else {
                continue;
            };
            self.due_packets.push(Reverse((leg.stream.next, place, age)));
            if self.phase != Phase::Idle {
                self.figures.own_late.add(at.saturating_duration_since(due));
            }
            self.rtp.send(leg.role, to, packet.bytes());
        }
        any
    }

    /// What came; whether anything did. Some at the most: then what is due has its turn.
    pub(super) fn take_rtp(&mut self) -> bool {
        let mut buffer = [0; PACKET];
        let mut any = false;
        for _ in 0..AT_ONCE {
            let Some(came) = self.rtp.receive(&mut buffer) else {
                return any;
            };
            any = true;
            let place = self.by_port[came.to as usize][usize::from(came.from)];
            if let (Some(place), Some(packet)) = (place.checked_sub(1), View::parse(&buffer[..came.length])) {
                self.hears(place as usize, came.at, &packet);
            }
        }
        any
    }

    fn hears(&mut self, place: usize, now: Instant, packet: &View<'_>) {
        let Some(leg) = &mut self.legs[place] else { return };
        let took = leg.heard.take(now, packet, self.laws.of(leg.codec));
        let (role, call) = (leg.role, leg.call);
        match (role, call, took.message) {
            (Role::Ai, None, Some(message)) => self.ai_hears(place, now, message),
            (Role::Caller, Some(call), Some(message)) => self.caller_hears(call, now, message),
            _ => {}
        }
        if let Some(call) = call.filter(|call| self.calls[*call as usize].background) {
            self.measure(role, self.calls[call as usize].stage, now, took);
        }
    }

    /// Of a call that lives the whole time.
    fn measure(&mut self, role: Role, stage: Stage, now: Instant, took: Took) {
        let latency = match self.phase {
            Phase::Idle => return,
            Phase::Alone => &mut self.figures.latency_alone,
            Phase::Load => &mut self.figures.latency_beside,
            Phase::Hold => {
                if stage == Stage::Held && role != Role::Ai {
                    took.off.into_iter().for_each(|off| self.figures.tick_off.add(off));
                    self.figures.tick_late.add(took.late);
                }
                return;
            }
        };
        if let Some(message) = took.message {
            let us = now.duration_since(self.base).as_micros() as u64;
            latency.add(Duration::from_micros(us.saturating_sub(message.sent_us)));
        }
    }

    fn caller_hears(&mut self, number: u32, now: Instant, message: Message) {
        let call = &mut self.calls[number as usize];
        if let (Stage::HandingOff(due), Role::Human) = (call.stage, message.role) {
            call.stage = Stage::Joined(now);
            self.figures.joined += 1;
            if call.counts {
                self.figures.joins.push(now.saturating_duration_since(due));
            }
        }
    }

    /// The AI hears which caller it has: from then on the call can be talked about.
    fn ai_hears(&mut self, place: usize, now: Instant, message: Message) {
        let Some(leg) = &mut self.legs[place] else { return };
        let (Role::Caller, Some(baton)) = (message.role, &leg.baton) else {
            return;
        };
        let number = message.number;
        let Some(call) = self
            .calls
            .get_mut(number as usize)
            .filter(|call| call.stage == Stage::Dialing)
        else {
            return;
        };
        leg.call = Some(number);
        call.baton = Some(baton.clone());
        call.stage = Stage::Talking;
        call.began = now;
        self.by_baton.insert(baton.clone(), number);
        if !call.background {
            self.due.push_back((now + TALK, number));
        }
        self.talking.push(number);
    }
}
