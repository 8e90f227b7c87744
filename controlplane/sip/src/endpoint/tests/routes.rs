//! Where requests in a dialog go, and what they say of us (RFC 3261 §12.2.1.1).

use std::net::SocketAddr;

use super::network::sdp;
use super::peer::{Script, answer_to, call, carol, request};
use crate::endpoint::{DialogId, Event};
use crate::message::Message;

/// Their side of a call, for the answers to our requests.
struct Call {
    script: Script,
    dialog: DialogId,
    /// Our tag, and the Call-ID.
    tag: String,
    call_id: String,
}

/// They called us.
fn called(record_route: &str) -> Call {
    let mut script = Script::new();
    script.send(&request("INVITE", "1", "1", "", record_route));
    let dialog = script.invited();
    script
        .end
        .answer(script.now, dialog, sdp("answer"), &[])
        .expect("answer");
    let tag = script.sent()[0].to().and_then(|to| to.tag()).expect("tag");
    script.send(&request("ACK", "1a", "1", &tag, ""));
    script.event();
    Call {
        script,
        dialog,
        tag,
        call_id: "c1".into(),
    }
}

/// We called them.
fn calling(record_route: &str) -> Call {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script);
    let more = format!("Contact: <sip:peer@192.0.2.9:5099>\n{record_route}");
    script.send(&answer_to(&invite, "200 OK", "pt", &more));
    script.event();
    let tag = invite.from().and_then(|from| from.tag()).expect("tag");
    let call_id = invite.call_id().expect("Call-ID").into_owned();
    Call {
        script,
        dialog,
        tag,
        call_id,
    }
}

impl Call {
    /// What goes out now, except answers.
    fn requests(&mut self) -> Vec<(SocketAddr, Message)> {
        std::iter::from_fn(|| self.script.end.poll_transmit())
            .map(|transmit| {
                (
                    transmit.to,
                    Message::parse(transmit.bytes).expect("our own messages can be read"),
                )
            })
            .filter(|(_, message)| message.method().is_some())
            .collect()
    }

    /// Passes text to the endpoint, and takes the requests that follow.
    fn hear(&mut self, text: &str) -> Vec<(SocketAddr, Message)> {
        let bytes = text.replace('\n', "\r\n").into();
        self.script
            .end
            .handle_datagram(self.script.now, self.script.peer, bytes);
        self.requests()
    }

    fn answered(&mut self, request: &Message, status: &str) -> Vec<(SocketAddr, Message)> {
        let contact = "Contact: <sip:peer@192.0.2.9:5099>\n";
        self.hear(&answer_to(request, status, "pt", contact))
    }

    /// One request of each kind, in the order in which they went out.
    fn everything(&mut self) -> Vec<(SocketAddr, Message)> {
        let (now, dialog) = (self.script.now, self.dialog);
        let mut all = Vec::new();
        self.script.end.probe(now, dialog).expect("probe");
        all.extend(self.requests());
        self.script.end.reinvite(now, dialog, sdp("offer")).expect("reinvite");
        all.extend(self.requests());
        let invite = all.last().expect("INVITE").1.clone();
        all.extend(self.answered(&invite, "200 OK"));
        self.script.end.refer(now, dialog, carol()).expect("refer");
        all.extend(self.requests());
        let refer = all.last().expect("REFER").1.clone();
        all.extend(self.answered(&refer, "603 Decline"));
        let theirs = request("REFER", "t7", "7", &self.tag, "Refer-To: <sip:dave@d.example>\n")
            .replace("Call-ID: c1", &format!("Call-ID: {}", self.call_id));
        all.extend(self.hear(&theirs));
        let refer = std::iter::from_fn(|| self.script.event())
            .find_map(|event| match event {
                Event::Refer { refer, .. } => Some(refer),
                _ => None,
            })
            .expect("a REFER");
        self.script.end.accept_refer(now, refer).expect("accept");
        all.extend(self.requests());
        let notify = all.last().expect("NOTIFY").1.clone();
        all.extend(self.answered(&notify, "200 OK"));
        self.script.end.end(now, dialog, None).expect("end");
        all.extend(self.requests());
        all
    }
}

fn methods(all: &[(SocketAddr, Message)]) -> Vec<String> {
    all.iter()
        .map(|(_, message)| message.method().expect("request").to_string())
        .collect()
}

const ALL: [&str; 6] = ["OPTIONS", "INVITE", "ACK", "REFER", "NOTIFY", "BYE"];

#[test]
fn every_request_in_a_dialog_goes_by_the_route_set() {
    let theirs = "Record-Route: <sip:192.0.2.51;lr>\nRecord-Route: <sip:192.0.2.52;lr>\n";
    let ours = "Record-Route: <sip:192.0.2.52;lr>\nRecord-Route: <sip:192.0.2.51;lr>\n";
    for mut call in [called(theirs), calling(ours)] {
        let all = call.everything();
        assert_eq!(methods(&all), ALL);
        for (to, message) in &all {
            assert_eq!(to.to_string(), "192.0.2.51:5060", "{message:?}");
            let routes: Vec<_> = message.headers("Route").map(|route| route.into_owned()).collect();
            assert_eq!(routes, ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>"]);
            assert_eq!(
                message.uri().expect("request").expect("URI").as_str(),
                "sip:peer@192.0.2.9:5099"
            );
        }
    }
}

#[test]
fn no_request_in_a_dialog_goes_to_ourselves() {
    for mut call in [called(""), calling("")] {
        let all = call.everything();
        assert_eq!(methods(&all), ALL);
        for (to, message) in &all {
            assert_eq!(*to, call.script.peer, "{message:?}");
            let target = message.uri().expect("request").expect("URI");
            assert_eq!(target.socket_addr(), Some(call.script.peer), "{message:?}");
            assert!(message.header("Route").is_none());
        }
    }
}

#[test]
fn every_request_in_a_dialog_has_a_cseq_of_its_own() {
    for mut call in [called(""), calling("")] {
        let all = call.everything();
        let numbers: Vec<_> = all
            .iter()
            .map(|(_, message)| message.cseq().expect("CSeq").number)
            .collect();
        let first = numbers[0];
        // The ACK has its INVITE's.
        assert_eq!(numbers, [0, 1, 1, 2, 3, 4].map(|more| first + more));
        let mut branches: Vec<_> = all
            .iter()
            .map(|(_, message)| message.via().and_then(|via| via.branch()).expect("branch"))
            .collect();
        branches.sort();
        branches.dedup();
        assert_eq!(branches.len(), ALL.len());
    }
}

#[test]
fn whoever_makes_a_dialog_is_told_what_we_can() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script);
    script.send(&request("INVITE", "1", "1", "", ""));
    let dialog = script.invited();
    script
        .end
        .answer(script.now, dialog, sdp("answer"), &[])
        .expect("answer");
    for message in [invite, script.sent().remove(0)] {
        assert_eq!(
            message.header("Allow").as_deref(),
            Some("INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, INFO")
        );
        assert_eq!(message.header("Allow-Events").as_deref(), Some("refer"));
        assert_eq!(message.header("Supported").as_deref(), Some("norefersub"));
    }
}
