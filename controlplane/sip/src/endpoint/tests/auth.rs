//! Peers that challenge our requests.

use md5::{Digest, Md5};

use super::network::sdp;
use super::peer::{Script, answer_to, request, whats};
use crate::digest::Credentials;
use crate::endpoint::{Alive, DialogId, Endpoint, Event, Invite};
use crate::message::Message;
use crate::method::Method;

const WWW: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\", opaque=\"o\"\n";
const PROXY: &str = "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"p1\", qop=\"auth\"\n";

fn credentials(realm: Option<&str>, username: &str) -> Credentials {
    Credentials {
        realm: realm.map(str::to_owned),
        username: username.into(),
        password: "s3cret".into(),
    }
}

/// An INVITE of ours with these credentials.
fn call(script: &mut Script, credentials: Vec<Credentials>) -> (DialogId, Message) {
    let invite = Invite {
        to: "sip:peer@p.example".into(),
        from: "<sip:us@192.0.2.1>".into(),
        next_hop: Some(script.peer),
        transport: None,
        headers: vec![("X-Baton-Call".into(), "c-1".into())],
        offer: Some(sdp("offer")),
        credentials,
    };
    let dialog = script.end.invite(script.now, invite);
    (dialog, script.sent().remove(0))
}

/// A parameter of a header with credentials.
fn param(value: &str, name: &str) -> Option<String> {
    let rest = value.strip_prefix("Digest ").expect("Digest");
    let (_, value) = rest
        .split(", ")
        .filter_map(|one| one.split_once('='))
        .find(|(it, _)| *it == name)?;
    Some(value.trim_matches('"').to_owned())
}

fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks credentials as a server does that knows the password, and gives their nonce and count.
fn shown(request: &Message, header: &str) -> Option<(String, String)> {
    let value = request.header(header)?;
    let get = |name| param(&value, name).unwrap_or_else(|| panic!("{name} in {value}"));
    let uri = request.uri().expect("a request").expect("URI");
    assert_eq!(get("uri"), uri.as_str(), "the Request-URI");
    let a1 = md5(&format!("{}:{}:s3cret", get("username"), get("realm")));
    // §22.1: an ACK shows what its INVITE showed.
    let method = match request.method().expect("a request") {
        Method::Ack => "INVITE",
        method => method.as_str(),
    };
    let a2 = md5(&format!("{method}:{}", get("uri")));
    let (nonce, count, cnonce) = (get("nonce"), get("nc"), get("cnonce"));
    assert_eq!(
        get("response"),
        md5(&format!("{a1}:{nonce}:{count}:{cnonce}:auth:{a2}"))
    );
    Some((nonce, count))
}

fn seen(nonce: &str, count: &str) -> Option<(String, String)> {
    Some((nonce.to_owned(), count.to_owned()))
}

fn cseq(message: &Message) -> u32 {
    message.cseq().expect("CSeq").number
}

/// The second INVITE, after the ACK of the first.
fn again(script: &mut Script, invite: &Message, challenge: &str) -> Message {
    let mut sent = script.send(&answer_to(invite, "401 Unauthorized", "challenge", challenge));
    assert_eq!(whats(&sent), ["ACK", "INVITE"]);
    sent.remove(1)
}

fn refused(script: &mut Script) -> u16 {
    match script.event() {
        Some(Event::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

fn nothing_left(script: &mut Script) {
    script.wait(200_000);
    while script.end.poll_transmit().is_some() {}
    assert_eq!(script.end.alive(), Alive::default());
}

#[test]
fn a_challenged_invite_goes_out_once_more() {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script, vec![credentials(None, "alice")]);
    assert!(shown(&invite, "Authorization").is_none());
    let challenge = answer_to(&invite, "401 Unauthorized", "challenge", WWW);
    let sent = script.send(&challenge);
    assert_eq!(whats(&sent), ["ACK", "INVITE"]);
    let (ack, second) = (&sent[0], &sent[1]);
    // The ACK belongs to the first INVITE, the second INVITE is a transaction of its own in the same call.
    let branch = |message: &Message| message.via().expect("Via").branch().expect("branch");
    assert_eq!((branch(ack), cseq(ack)), (branch(&invite), cseq(&invite)));
    assert!(ack.header("Authorization").is_none());
    assert_ne!(branch(second), branch(&invite));
    assert_eq!(cseq(second), cseq(&invite) + 1);
    for same in [
        "Call-ID",
        "From",
        "To",
        "X-Baton-Call",
        "Contact",
        "Content-Type",
        "Max-Forwards",
    ] {
        assert_eq!(second.header(same), invite.header(same), "{same}");
        assert_eq!(second.headers(same).count(), 1, "{same}");
    }
    assert_eq!((second.uri(), second.body()), (invite.uri(), invite.body()));
    assert_eq!(shown(second, "Authorization"), seen("n1", "00000001"));
    assert_eq!(
        param(&second.header("Authorization").expect("header"), "opaque").as_deref(),
        Some("o")
    );
    assert!(script.event().is_none(), "the user need not know");

    // The challenge once more: its ACK was lost. Nothing else happens.
    assert_eq!(whats(&script.send(&challenge)), ["ACK"]);
    // The 200, and the ACK with the same credentials (§22.1).
    let contact = "Contact: <sip:peer@192.0.2.9:5099>\n";
    let sent = script.send(&answer_to(second, "200 OK", "far", contact));
    assert_eq!(whats(&sent), ["ACK"]);
    assert_eq!(cseq(&sent[0]), cseq(second));
    assert_eq!(sent[0].header("Authorization"), second.header("Authorization"));
    assert!(matches!(script.event(), Some(Event::Answered { dialog: it, .. }) if it == dialog));

    // Later requests of the dialog show what was asked for before, counted on.
    script.end.reinvite(script.now, dialog, sdp("hold")).expect("reinvite");
    let reinvite = script.sent().remove(0);
    assert_eq!(cseq(&reinvite), cseq(second) + 1);
    assert_eq!(shown(&reinvite, "Authorization"), seen("n1", "00000002"));
    // Its nonce is stale by now.
    let stale = WWW.replace("n1", "n2").replace("opaque", "stale=true, opaque");
    let third = again(&mut script, &reinvite, &stale);
    assert_eq!((cseq(&third), third.body()), (cseq(&reinvite) + 1, reinvite.body()));
    assert_eq!(shown(&third, "Authorization"), seen("n2", "00000001"));
    script.send(&answer_to(&third, "200 OK", "far", contact));
    assert!(matches!(script.event(), Some(Event::ReinviteAnswered { .. })));
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.sent().remove(0);
    assert_eq!(shown(&bye, "Authorization"), seen("n2", "00000002"));
    script.send(&answer_to(&bye, "200 OK", "far", ""));
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
    nothing_left(&mut script);
}

#[test]
fn a_proxy_and_the_far_end_both_challenge() {
    let mut script = Script::new();
    let both = vec![
        credentials(None, "alice"),
        credentials(Some("edge"), "trunk-7"),
        credentials(Some("other"), "nobody"),
    ];
    let (_, invite) = call(&mut script, both);
    let sent = script.send(&answer_to(&invite, "407 Proxy Authentication Required", "p", PROXY));
    let second = &sent[1];
    assert_eq!(shown(second, "Proxy-Authorization"), seen("p1", "00000001"));
    assert!(second.header("Authorization").is_none());
    let third = again(&mut script, second, WWW);
    assert_eq!(shown(&third, "Proxy-Authorization"), seen("p1", "00000002"));
    assert_eq!(shown(&third, "Authorization"), seen("n1", "00000001"));
    let user = |header: &str| param(&third.header(header).expect("header"), "username");
    assert_eq!(user("Proxy-Authorization").as_deref(), Some("trunk-7"));
    assert_eq!(user("Authorization").as_deref(), Some("alice"));
    assert_eq!(
        (third.headers("Proxy-Authorization").count(), cseq(&third)),
        (1, cseq(&invite) + 2)
    );
    // The proxy, satisfied once, now says no: its credentials have just been rejected.
    let sent = script.send(&answer_to(
        &third,
        "407 Proxy Authentication Required",
        "p",
        &PROXY.replace("p1", "p2"),
    ));
    assert_eq!(whats(&sent), ["ACK"]);
    assert_eq!(sent[0].header("Authorization"), third.header("Authorization"), "§22.1");
    assert_eq!(refused(&mut script), 407);
    nothing_left(&mut script);
}

#[test]
fn both_kinds_in_one_answer_and_several_realms() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script, vec![credentials(None, "alice")]);
    let more = format!("{PROXY}Proxy-Authenticate: Digest realm=\"fork\", nonce=\"f1\", qop=auth\n{WWW}");
    let second = again(&mut script, &invite, &more);
    let realms: Vec<_> = second
        .headers("Proxy-Authorization")
        .map(|value| param(&value, "realm").expect("realm"))
        .collect();
    assert_eq!(realms, ["edge", "fork"]);
    assert_eq!(shown(&second, "Authorization"), seen("n1", "00000001"));
}

#[test]
fn of_several_for_a_realm_the_topmost_that_we_support() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script, vec![credentials(None, "alice")]);
    let more = format!(
        "{}WWW-Authenticate: Bearer realm=\"pbx\", Digest realm=\"pbx\", nonce=\"n8\", algorithm=SHA-256, qop=\"auth\"\n{WWW}",
        WWW.replace("opaque=\"o\"", "algorithm=SHA-3")
    );
    let second = again(&mut script, &invite, &more);
    let value = second.header("Authorization").expect("header").into_owned();
    assert_eq!(param(&value, "algorithm").as_deref(), Some("SHA-256"));
    assert_eq!(param(&value, "nonce").as_deref(), Some("n8"));
    assert_eq!(param(&value, "response").expect("response").len(), 64);
    assert_eq!(second.headers("Authorization").count(), 1);
}

#[test]
fn without_credentials_that_fit_it_is_refused() {
    for (credentials, challenge) in [
        (vec![], WWW),
        (vec![credentials(Some("elsewhere"), "alice")], WWW),
        (vec![credentials(None, "alice")], ""),
        (
            vec![credentials(None, "alice")],
            "WWW-Authenticate: Basic realm=\"pbx\"\n",
        ),
        (
            vec![credentials(None, "alice")],
            "WWW-Authenticate: Digest realm=\"pbx, nonce=\"n\n",
        ),
    ] {
        let mut script = Script::new();
        let (_, invite) = call(&mut script, credentials);
        let sent = script.send(&answer_to(&invite, "401 Unauthorized", "c", challenge));
        assert_eq!(whats(&sent), ["ACK"], "{challenge}");
        assert_eq!(refused(&mut script), 401);
        nothing_left(&mut script);
    }
}

#[test]
fn wrong_credentials_are_not_sent_twice() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script, vec![credentials(None, "alice")]);
    let second = again(&mut script, &invite, WWW);
    let sent = script.send(&answer_to(&second, "401 Unauthorized", "c", &WWW.replace("n1", "n2")));
    assert_eq!(whats(&sent), ["ACK"]);
    assert_eq!(refused(&mut script), 401);
    nothing_left(&mut script);
}

/// RFC 7616 §3.4: a server that checks the count takes a second 1 for a replay.
#[test]
fn a_nonce_that_comes_again_is_counted_on() {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script, vec![credentials(None, "alice")]);
    let second = again(&mut script, &invite, WWW);
    assert_eq!(shown(&second, "Authorization"), seen("n1", "00000001"));
    script.send(&answer_to(
        &second,
        "200 OK",
        "far",
        "Contact: <sip:peer@192.0.2.9:5099>\n",
    ));
    script.end.probe(script.now, dialog).expect("a call");
    let probe = script.sent().remove(0);
    assert_eq!(shown(&probe, "Authorization"), seen("n1", "00000002"));
    // It is challenged all the same, and with the nonce that it showed.
    let asks = |probe: &Message, challenge: &str| answer_to(probe, "401 Unauthorized", "far", challenge);
    let third = script.send(&asks(&probe, WWW)).remove(0);
    assert_eq!(shown(&third, "Authorization"), seen("n1", "00000003"));
    // A nonce that rolls over starts anew.
    let fresh = WWW.replace("n1", "n2").replace("Digest", "Digest stale=true,");
    let fourth = script.send(&asks(&third, &fresh)).remove(0);
    assert_eq!(shown(&fourth, "Authorization"), seen("n2", "00000001"));
    // Stale again, with the same one.
    let fifth = script.send(&asks(&fourth, &fresh)).remove(0);
    assert_eq!(shown(&fifth, "Authorization"), seen("n2", "00000002"));
}

#[test]
fn a_peer_that_always_challenges_ends_as_401() {
    let mut script = Script::new();
    let (_, mut invite) = call(&mut script, vec![credentials(None, "alice")]);
    let mut invites = 1;
    loop {
        let stale = WWW.replace("n1", &format!("n{invites}\", stale=\"TRUE"));
        let mut sent = script.send(&answer_to(&invite, "401 Unauthorized", "c", &stale));
        if sent.len() == 1 {
            break;
        }
        invites += 1;
        assert!(invites < 20, "without end");
        invite = sent.remove(1);
    }
    assert_eq!(invites, 6);
    assert_eq!(refused(&mut script), 401);
    nothing_left(&mut script);
}

#[test]
fn a_wish_to_end_while_the_challenge_is_on_its_way_is_obeyed() {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script, vec![credentials(None, "alice")]);
    script.end.end(script.now, dialog, None).expect("end");
    let sent = script.send(&answer_to(&invite, "401 Unauthorized", "c", WWW));
    assert_eq!(whats(&sent), ["ACK"], "no second INVITE");
    assert_eq!(refused(&mut script), 487);
    nothing_left(&mut script);

    // And while CANCEL is on its way.
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script, vec![credentials(None, "alice")]);
    script.send(&answer_to(&invite, "180 Ringing", "c", ""));
    script.end.end(script.now, dialog, None).expect("end");
    assert_eq!(whats(&script.sent()), ["CANCEL"]);
    script.event();
    assert_eq!(
        whats(&script.send(&answer_to(&invite, "401 Unauthorized", "c", WWW))),
        ["ACK"]
    );
    assert_eq!(refused(&mut script), 487);
    nothing_left(&mut script);
}

#[test]
fn a_wish_to_end_after_the_challenge_cancels_the_second_invite() {
    let mut script = Script::new();
    let (dialog, invite) = call(&mut script, vec![credentials(None, "alice")]);
    let second = again(&mut script, &invite, WWW);
    script.end.end(script.now, dialog, None).expect("end");
    assert!(script.sent().is_empty(), "§9.1: not before a provisional answer");
    let cancel = script.send(&answer_to(&second, "180 Ringing", "c", "")).remove(0);
    assert_eq!(cancel.method(), Some(&Method::Cancel));
    let branch = |message: &Message| message.via().expect("Via").branch();
    assert_eq!((branch(&cancel), cseq(&cancel)), (branch(&second), cseq(&second)));
    assert!(cancel.header("Authorization").is_none(), "a CANCEL is not challenged");
    script.send(&answer_to(&cancel, "200 OK", "c", ""));
    script.send(&answer_to(&second, "487 Request Terminated", "c", ""));
    assert_eq!(refused(&mut script), 487);
    nothing_left(&mut script);
}

#[test]
fn a_dialog_that_came_in_answers_with_what_it_was_given() {
    let mut script = Script::new();
    let (dialog, _) = script.connect();
    script
        .end
        .set_credentials(dialog, vec![credentials(None, "trunk")])
        .expect("a dialog");
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.sent().remove(0);
    assert!(bye.header("Authorization").is_none());
    let challenge = answer_to(&bye, "401 Unauthorized", "pt", WWW);
    let second = script.send(&challenge).remove(0);
    assert_eq!((second.method(), cseq(&second)), (Some(&Method::Bye), cseq(&bye) + 1));
    assert_eq!(shown(&second, "Authorization"), seen("n1", "00000001"));
    assert!(script.send(&challenge).is_empty(), "absorbed");
    script.send(&answer_to(&second, "200 OK", "pt", ""));
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
    assert!(script.end.set_credentials(dialog, vec![]).is_err(), "it is gone");
    nothing_left(&mut script);
}

#[test]
fn a_bye_that_is_refused_ends_all_the_same() {
    let mut script = Script::new();
    let (dialog, _) = script.connect();
    script.end.end(script.now, dialog, None).expect("end");
    let bye = script.sent().remove(0);
    assert!(script.send(&answer_to(&bye, "401 Unauthorized", "pt", WWW)).is_empty());
    assert!(matches!(script.event(), Some(Event::Ended { .. })));
    nothing_left(&mut script);
}

#[test]
fn a_second_invite_that_nobody_answers_times_out() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script, vec![credentials(None, "alice")]);
    again(&mut script, &invite, WWW);
    script.wait(33_000);
    assert!(!script.sent().is_empty(), "repeated");
    assert_eq!(refused(&mut script), 408);
    nothing_left(&mut script);
}

#[test]
fn hostile_challenges_are_bounded_work() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script, vec![credentials(None, "alice")]);
    // Each within the limits of a message: 250 fields of as many challenges as a line holds, all for one realm.
    let line = format!("WWW-Authenticate: {}\n", "Digest realm=\"r\", nonce=\"n\", ".repeat(8));
    let second = again(&mut script, &invite, &line.repeat(200));
    assert_eq!(second.headers("Authorization").count(), 1);
    // As many realms as fit.
    let many: String = (0..200)
        .map(|at| format!("WWW-Authenticate: Digest realm=\"r{at}\", nonce=\"n\"\n"))
        .collect();
    let third = again(&mut script, &second, &many);
    assert_eq!(third.headers("Authorization").count(), 4, "bounded");
    assert!(third.to_bytes().len() < 2 * invite.to_bytes().len() + 2000);
    // A megabyte is no message at all: dropped, and the INVITE goes on waiting.
    let huge = format!(
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"{}\"\n",
        "n".repeat(1 << 20)
    );
    assert!(
        script
            .send(&answer_to(&third, "401 Unauthorized", "c", &huge))
            .is_empty()
    );
    assert!(script.event().is_none());
    script.send(&answer_to(&third, "486 Busy Here", "c", ""));
    assert_eq!(refused(&mut script), 486);
    nothing_left(&mut script);
}

#[test]
fn what_an_endpoint_shows_has_no_secret_in_it() {
    let mut script = Script::new();
    let (_, invite) = call(&mut script, vec![credentials(Some("pbx"), "alice")]);
    let mut sent = String::new();
    script.end.handle_datagram(
        script.now,
        script.peer,
        answer_to(&invite, "401 U", "c", WWW).replace('\n', "\r\n").into(),
    );
    while let Some(transmit) = script.end.poll_transmit() {
        sent.push_str(&format!("{transmit:?}"));
        let message = Message::parse(transmit.bytes).expect("readable");
        sent.push_str(&format!("{message} {message:?}"));
    }
    assert!(sent.contains("INVITE") && sent.contains("Authorization"), "{sent}");
    let end: &Endpoint = &script.end;
    for text in [sent, format!("{end:?}")] {
        for secret in ["s3cret", "alice", "cnonce=", "response="] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn a_challenge_of_a_request_that_was_not_ours_changes_nothing() {
    let mut script = Script::new();
    let (_, tag) = script.connect();
    let options = script.ask(&request("OPTIONS", "o", "2", &tag, ""));
    assert_eq!(options.status(), Some(200));
    assert!(
        script
            .send(&answer_to(&options, "401 Unauthorized", "c", WWW))
            .is_empty()
    );
    assert!(script.event().is_none());
}

#[test]
fn a_challenged_refer_is_named_by_its_second_cseq() {
    let mut script = Script::new();
    let (dialog, tag) = script.connect();
    script
        .end
        .set_credentials(dialog, vec![credentials(None, "trunk")])
        .expect("a dialog");
    let refer = crate::endpoint::Refer {
        to: "sip:human@h.example".into(),
        ..Default::default()
    };
    let id = script.end.refer(script.now, dialog, refer).expect("refer");
    let first = script.sent().remove(0);
    let answer = |request: &Message, status: &str, more: &str| answer_to(request, status, "pt", more);
    let second = script
        .send(&answer(&first, "407 Proxy Authentication Required", PROXY))
        .remove(0);
    assert_eq!(shown(&second, "Proxy-Authorization"), seen("p1", "00000001"));
    assert_eq!(second.header("Refer-To"), first.header("Refer-To"));
    script.send(&answer(&second, "202 Accepted", ""));
    assert!(matches!(script.event(), Some(Event::ReferAnswered { refer, status: 202, .. }) if refer == id));
    let notify = |cseq: &str, id: u32| {
        let more = format!(
            "Event: refer;id={id}\nSubscription-State: terminated;reason=noresource\nContent-Type: message/sipfrag\n"
        );
        request("NOTIFY", cseq, cseq, &tag, &more)
            .replace("Content-Length: 0\n\n", "Content-Length: 16\n\nSIP/2.0 200 OK\n")
    };
    assert_eq!(
        script.ask(&notify("8", cseq(&first))).status(),
        Some(481),
        "the first one was refused"
    );
    assert_eq!(script.ask(&notify("9", cseq(&second))).status(), Some(200));
    assert!(matches!(
        script.event(),
        Some(Event::ReferProgress {
            status: 200,
            last: true,
            ..
        })
    ));
    // An OPTIONS in the dialog shows the credentials at once.
    script.end.probe(script.now, dialog).expect("probe");
    let probe = script.sent().remove(0);
    assert_eq!(shown(&probe, "Proxy-Authorization"), seen("p1", "00000002"));
    assert!(
        script.send(&answer(&probe, "401 Unauthorized", "")).is_empty(),
        "nothing to answer: it is there"
    );
    assert!(script.event().is_none());
    script.end.end(script.now, dialog, None).expect("end");
    nothing_left(&mut script);
}
