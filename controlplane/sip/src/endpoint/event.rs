//! What the endpoint tells its user.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{DialogId, ReferId};
use crate::message::Message;

/// What the endpoint tells its user.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new INVITE outside any dialog came. 100 has been sent. To be answered with `ring`, `answer` or `reject`.
    Invite {
        /// The session it would become.
        dialog: DialogId,
        /// Where it came from.
        from: SocketAddr,
        /// The request as it came.
        request: Box<Message>,
    },
    /// The caller cancelled before we answered (487 and 200 are sent), or our INVITE's transaction died unanswered by us.
    /// The dialog is gone.
    Cancelled {
        /// Which session.
        dialog: DialogId,
    },
    /// A provisional answer (101–199) to our INVITE.
    Progress {
        /// Which session.
        dialog: DialogId,
        /// 180, 183, …
        status: u16,
        /// Early media, if it carries SDP.
        body: Option<Bytes>,
    },
    /// 2xx to our INVITE. The ACK has been sent. Where we had cancelled, this does not come: the endpoint sends ACK and BYE.
    Answered {
        /// Which session.
        dialog: DialogId,
        /// The answer (SDP).
        body: Option<Bytes>,
    },
    /// Our INVITE failed for good; the dialog is gone.
    Refused {
        /// Which session.
        dialog: DialogId,
        /// The final status; 408 where nothing came (timer B, or the silence after a CANCEL), 503 on a transport error. 401 and 407
        /// only where no credentials fit, or those that do were not accepted.
        status: u16,
        /// Its reason phrase.
        reason: String,
        /// Retry-After in seconds, if any.
        retry_after: Option<u32>,
    },
    /// The ACK for our 2xx came (to INVITE or re-INVITE).
    Acked {
        /// Which session.
        dialog: DialogId,
        /// The answer, where our 2xx carried the offer.
        body: Option<Bytes>,
    },
    /// The peer sent BYE (200 is sent), or the dialog died: no ACK within 64·T1, or 481/408 to a request of ours.
    /// The dialog is gone.
    Bye {
        /// Which session.
        dialog: DialogId,
        /// What ended it.
        cause: ByeCause,
    },
    /// A re-INVITE came; to be answered with `answer_reinvite` or `reject_reinvite`.
    Reinvite {
        /// Which session.
        dialog: DialogId,
        /// The offer; `None`: the peer wants ours (late offer).
        body: Option<Bytes>,
    },
    /// 2xx to our re-INVITE; the ACK is sent.
    ReinviteAnswered {
        /// Which session.
        dialog: DialogId,
        /// The answer.
        body: Option<Bytes>,
    },
    /// Our re-INVITE was refused; the session goes on as it was. 491 is repeated by the endpoint itself first (RFC 3261 §14.1).
    ReinviteRefused {
        /// Which session.
        dialog: DialogId,
        /// The status.
        status: u16,
    },
    /// The peer pressed a key, and said so in INFO (200 is sent). [`Endpoint::press`](super::Endpoint::press) is the other way.
    Key {
        /// Which session. It need not be answered yet.
        dialog: DialogId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// Our BYE was answered or timed out, or our `reject` was acknowledged or given up: nothing of the session is left. A REFER in it
    /// may go on (RFC 5057).
    Ended {
        /// Which session.
        dialog: DialogId,
    },
    /// A REFER came in the dialog; to be answered with `accept_refer` or `reject_refer` within 64·T1.
    Refer {
        /// Which session.
        dialog: DialogId,
        /// The REFER and its subscription.
        refer: ReferId,
        /// The request as it came. Its [`refer_to`](crate::message::Message::refer_to) can be read.
        request: Box<Message>,
    },
    /// The final answer to our REFER. Not 2xx: nothing else follows.
    ReferAnswered {
        /// Which session. It may be over.
        dialog: DialogId,
        /// The REFER.
        refer: ReferId,
        /// The status; 408 where none came, which leaves the call as it is, 503 on a transport error.
        status: u16,
    },
    /// A NOTIFY for our REFER came (200 is sent).
    ReferProgress {
        /// Which session. It may be over.
        dialog: DialogId,
        /// The REFER.
        refer: ReferId,
        /// The status in its body: how the referred INVITE stands. In the `last` one: 100–199 where the subscription ended and nobody
        /// has told the outcome, 408 where the outcome was not told within 180 s of the answer to the REFER.
        status: u16,
        /// Nothing else follows: the status is final, or the subscription ended.
        last: bool,
    },
}

/// Why a dialog ended without us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByeCause {
    /// The peer's BYE.
    Peer,
    /// Our 2xx was never acknowledged; the endpoint has sent BYE (RFC 3261 §13.3.1.4).
    NoAck,
    /// The peer does not know the dialog (481), or did not answer a request in it (408).
    Lost,
}
