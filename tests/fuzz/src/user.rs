//! Whoever uses a live endpoint: takes its events, and does something with each.

use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{DialogId, Endpoint, Event, Refer};

use crate::peer::SDP;

pub(crate) struct User {
    /// Dialogs that may still be there.
    pub(crate) live: Vec<DialogId>,
    /// The bystander's: nothing happens in it.
    pub(crate) calm: DialogId,
}

impl User {
    /// Does something with everything that the endpoint tells; what it is `hash` says.
    pub(crate) fn events(&mut self, end: &mut Endpoint, now: Instant, hash: u32) {
        while let Some(event) = end.poll_event() {
            match event {
                Event::Invite { dialog, .. } => {
                    self.live.push(dialog);
                    let _ = match hash % 3 {
                        0 => end.reject(now, dialog, 486, &[]),
                        1 => end.ring(now, dialog, 180, None),
                        _ => end.answer(now, dialog, Bytes::from_static(SDP.as_bytes()), &[]),
                    };
                }
                Event::Reinvite { dialog, .. } => {
                    assert_ne!(dialog, self.calm, "the bystander was re-invited");
                    let body = Bytes::from_static(SDP.as_bytes());
                    let _ = match hash % 4 {
                        0 => end.reject_reinvite(now, dialog, 488),
                        _ => end.answer_reinvite(now, dialog, body),
                    };
                }
                Event::Refer { dialog, refer, .. } => {
                    assert_ne!(dialog, self.calm, "the bystander asked for nothing");
                    let _ = match hash % 4 {
                        0 => end.reject_refer(now, refer, 403),
                        rest => {
                            let _ = end.accept_refer(now, refer);
                            let _ = end.notify(now, refer, 180, false);
                            // Some are never told the end.
                            if rest == 1 {
                                Ok(())
                            } else {
                                end.notify(now, refer, 200, true)
                            }
                        }
                    };
                }
                Event::ReferAnswered { dialog, .. } | Event::ReferProgress { dialog, .. } => {
                    assert_ne!(dialog, self.calm, "we asked the bystander for nothing");
                }
                Event::Acked { dialog, .. } if hash.is_multiple_of(4) => {
                    assert_ne!(dialog, self.calm);
                    let refer = Refer {
                        to: "sip:human@192.0.2.9".into(),
                        by: None,
                        headers: Vec::new(),
                    };
                    let _ = end.refer(now, dialog, refer);
                    let _ = end.probe(now, dialog);
                    let _ = end.press(now, dialog, '#');
                }
                Event::Answered { dialog, .. } | Event::Acked { dialog, .. } => {
                    assert_ne!(dialog, self.calm);
                    let _ = end.reinvite(now, dialog, Bytes::from_static(SDP.as_bytes()));
                }
                Event::Key { dialog, .. } => assert_ne!(dialog, self.calm, "the bystander pressed a key"),
                Event::Bye { dialog, .. } | Event::Ended { dialog } | Event::Cancelled { dialog } => {
                    assert_ne!(dialog, self.calm, "the bystander's dialog ended");
                }
                _ => {}
            }
        }
    }
}
