//! REFER in both roles: a party that hands its call on, and a carrier that is asked to.

use std::time::{Duration, Instant};

use sip::endpoint::{DialogId, Event, Refer, ReferId};
use sip::message::Message;

use crate::ua::challenge::{Shown, challenge, shown};
use crate::ua::{State, Ua};

/// What a party does once its REFER was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Stays until it is let go.
    Stays,
    /// BYE right after the 202, before any NOTIFY.
    HangsUp,
    /// BYE this long after the 202.
    HangsUpAfter(Duration),
    /// Sends no media any more.
    FallsSilent,
    /// Neither sends nor answers anything any more: its host is gone.
    Vanishes,
}

/// What a party of a trunk does with a REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referred {
    /// Refuses it.
    Refuses(u16),
    /// Asks who we are, in a 401 or 407, and reports 200 to one who answers that right; asks anybody else again.
    Challenges(u16),
    /// Does not answer it.
    Ignores,
    /// 202, and never a NOTIFY.
    SaysNothing,
    /// 202, and after this long the last NOTIFY with this status.
    Reports(u16, Duration),
    /// 202, and after this long a last NOTIFY that cannot be read.
    Babbles(Duration),
    /// BYE right after the 202, and never a NOTIFY.
    HangsUp,
    /// BYE right after the 202, and after this long the last NOTIFY with this status.
    HangsUpAndReports(u16, Duration),
}

/// What came of a REFER of this party's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Instant,
    /// The status of its answer, or of a NOTIFY.
    pub status: u16,
    /// It is that of a NOTIFY.
    pub notified: bool,
    /// Nothing else follows.
    pub last: bool,
}

/// The REFERs of a party.
#[derive(Debug, Default)]
pub(super) struct Refers {
    afterwards: Option<Afterwards>,
    /// When it hangs up.
    pub(super) hang_up_at: Option<Instant>,
    /// The report that is due.
    pub(super) report: Option<(Instant, ReferId, u16)>,
    /// REFERs that came to who wants to know whose they are.
    asked: usize,
    /// What the last one of these showed.
    shown: Shown,
}

impl Ua {
    /// Asks Baton to hand its call to somebody else.
    pub fn refer(&mut self, now: Instant, to: &str, afterwards: Afterwards) {
        if let (Some(dialog), State::Up) = (self.dialog, self.state) {
            let refer = Refer {
                to: to.into(),
                by: Some(format!("<sip:{}>", self.sip)),
                headers: Vec::new(),
            };
            if self.endpoint.refer(now, dialog, refer).is_ok() {
                self.refers.afterwards = Some(afterwards);
            }
        }
    }

    /// Events of REFERs.
    pub(super) fn refer_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Refer { dialog, refer, request } => self.referred(now, dialog, refer, &request),
            Event::ReferAnswered { status, .. } => {
                let last = status >= 300;
                self.told.push(Told {
                    at: now,
                    status,
                    notified: false,
                    last,
                });
                if let Some(afterwards) = self.refers.afterwards.take().filter(|_| !last) {
                    self.accepted(now, afterwards);
                }
            }
            Event::ReferProgress { status, last, .. } => self.told.push(Told {
                at: now,
                status,
                notified: true,
                last,
            }),
            _ => {}
        }
    }

    fn accepted(&mut self, now: Instant, afterwards: Afterwards) {
        match afterwards {
            Afterwards::Stays => {}
            Afterwards::HangsUp => self.hang_up(now),
            Afterwards::HangsUpAfter(wait) => self.refers.hang_up_at = Some(now + wait),
            Afterwards::FallsSilent => self.mute = true,
            Afterwards::Vanishes => {
                self.over(now);
                self.deaf = true;
            }
        }
    }

    fn referred(&mut self, now: Instant, dialog: DialogId, refer: ReferId, request: &Message) {
        let accept = |ua: &mut Ua| _ = ua.endpoint.accept_refer(now, refer);
        match self.on_refer {
            Referred::Refuses(status) => drop(self.endpoint.reject_refer(now, refer, status)),
            Referred::Challenges(status) => {
                let shown = shown(request, status, self.refers.asked);
                self.refers.asked += 1;
                self.refers.shown = shown;
                match shown {
                    Shown::Nothing | Shown::Stale => {}
                    Shown::Wrong => self.credentials.push(false),
                    Shown::Right => self.credentials.push(true),
                }
                if shown == Shown::Right {
                    accept(self);
                    self.refers.report = Some((now, refer, 200));
                } else {
                    let _ = self.endpoint.reject_refer(now, refer, status);
                }
            }
            Referred::Ignores => {}
            Referred::SaysNothing => accept(self),
            Referred::Reports(status, wait) => {
                accept(self);
                self.refers.report = Some((now + wait, refer, status));
            }
            Referred::Babbles(wait) => {
                accept(self);
                self.refers.report = Some((now + wait, refer, 200));
            }
            // Its endpoint would not let a BYE overtake a NOTIFY: the order is made on the wire.
            Referred::HangsUp => {
                let _ = self.endpoint.end(now, dialog, None);
                self.over(now);
                accept(self);
            }
            Referred::HangsUpAndReports(status, wait) => {
                let _ = self.endpoint.end(now, dialog, None);
                self.over(now);
                accept(self);
                self.refers.report = Some((now + wait, refer, status));
            }
        }
    }

    /// What of REFERs is due.
    pub(super) fn refer_timeout(&mut self, now: Instant) {
        if self.refers.hang_up_at.take_if(|at| *at <= now).is_some() {
            self.hang_up(now);
        }
        if let Some((_, refer, status)) = self.refers.report.take_if(|(at, ..)| *at <= now) {
            let _ = self.endpoint.notify(now, refer, status, true);
        }
    }

    /// What a datagram of the endpoint becomes; `None`: it is not sent.
    pub(super) fn rewrite_refer(&self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let is_notify = bytes.starts_with(b"NOTIFY ");
        match self.on_refer {
            Referred::SaysNothing | Referred::HangsUp if is_notify => None,
            Referred::Babbles(_) if is_notify => Some(replace(&bytes, "SIP/2.0 200 OK", "SIP/9.9 ?? ok!")),
            Referred::Challenges(status) if bytes.starts_with(format!("SIP/2.0 {status} ").as_bytes()) => {
                let header = challenge(status, self.refers.asked, self.refers.shown);
                Some(replace(&bytes, "\r\nCSeq:", &format!("\r\n{header}\r\nCSeq:")))
            }
            _ => Some(bytes),
        }
    }
}

fn replace(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replacen(old, new, 1).into_bytes()
}
