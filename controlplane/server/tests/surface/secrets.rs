//! Secrets stay secret: a server that logs everything it can, with secrets wherever there can be one.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::events::Child;
use super::*;

const KEYS: [&str; 4] = [
    "kEy-of-the-ai-9f8e7d6c5b4a",
    "kEy-of-the-desk-1a2b3c4d5e",
    "kEy-of-the-admin-0f1e2d3c4b",
    "kEy-that-is-wrong-5a6b7c8d9e",
];
const PASSWORDS: [&str; 3] = [
    "paSs-of-the-trunk-1234567",
    "paSs-of-the-agent-2345678",
    "paSs-of-the-human-3456789",
];

/// As it is, and as it may be hidden in something else: at each of the three places in a base64 group.
fn disguises(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    for skipped in 0..3 {
        let bytes = &secret.as_bytes()[skipped..];
        let whole = &bytes[..bytes.len() / 3 * 3];
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            all.push(engine.encode(whole));
        }
    }
    all.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
    all
}

/// An answer to a request that came, with these headers of its own.
fn answer(request: &str, status: &str, more: &str) -> String {
    let to = header(request, "To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=h" };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_of_everything_nor_in_any_answer() {
    let mut ports = Ports::claim();
    let first_port = ports.take(16);
    let folder = folder::of(first_port);
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (sip, http) = (at(ports.take(1)), at(ports.take(1)));
    let (hook, mut came) = receiver().await;
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let human = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let [trunk, agent, target] = PASSWORDS;
    let [own, desk, admin, wrong] = KEYS;
    let auth = |password: &str| format!("username = \"baton\"\npassword = \"{password}\"\n");
    let config = format!(
        "[node]\nlog = \"trace\"\n[sip]\nlisten = \"{sip}\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 8\n\
         [http]\nlisten = \"{http}\"\n\
         [[http.keys]]\nname = \"own\"\nkey = \"{own}\"\nscope = \"ai\"\nagent = \"assistant\"\n\
         [[http.keys]]\nname = \"desk\"\nkey = \"{desk}\"\nscope = \"desk\"\n\
         [[http.keys]]\nname = \"admin\"\nkey = \"{admin}\"\nscope = \"admin\"\n\
         [[trunks]]\nname = \"carrier\"\n[trunks.auth]\n{}\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{}\"\n[ai_agents.auth]\n{}\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@{}\"\n[targets.auth]\n{}\
         [[webhooks]]\nname = \"crm\"\nurl = \"http://{hook}/\"\nallow_private = true\nsecrets = [\"{SECRET}\"]\n",
        auth(trunk),
        ai.local_addr().expect("bound"),
        auth(agent),
        human.local_addr().expect("bound"),
        auth(target),
    );
    std::fs::write(folder.join("baton.toml"), config).expect("written");
    let log = folder.join("log");
    let server = Child::start(&folder, http, Some(&log)).await;
    let of = |key| Api { key, ..server.api() };
    let (own, admin, wrong) = (of(Some(own)), of(Some(admin)), of(Some(wrong)));
    let (_call, call) = Call::with(sip, ai).await;
    let asked = json!({ "mode": "warm", "reason": "asked for a human" });
    let asked = own
        .json(Method::POST, &format!("/v1/calls/{call}/handoffs"), asked)
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    // The human's phone asks for the password, gets the proof, and declines.
    let (invite, from) = expect(&human, "INVITE").await;
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n0nce\", algorithm=MD5, qop=\"auth\"\r\n";
    human
        .send_to(answer(&invite, "401 Unauthorized", challenge).as_bytes(), from)
        .await
        .expect("sent");
    let (proven, from) = loop {
        let (invite, from) = expect(&human, "INVITE").await;
        if invite.contains("\r\nAuthorization: ") {
            break (invite, from);
        }
    };
    human
        .send_to(answer(&proven, "486 Busy Here", "").as_bytes(), from)
        .await
        .expect("sent");
    let call_info = header(&invite, "Call-Info");
    let token = call_info.split_once("token=").expect("a token").1;
    let token = token.split(['>', ';', '&']).next().expect("a token").to_owned();

    let id = asked.body["id"].as_str().expect("an id").to_owned();
    let mut seen = String::new();
    for path in [
        "/v1/calls".to_owned(),
        format!("/v1/calls/{call}"),
        "/v1/handoffs".to_owned(),
        format!("/v1/handoffs/{id}"),
        format!("/v1/handoffs/{id}/vcon"),
        "/v1/targets".to_owned(),
        "/v1/deliveries".to_owned(),
        "/v1/kpi".to_owned(),
        "/metrics".to_owned(),
        "/openapi.json".to_owned(),
        format!("/v1/nothing?key={id}"),
    ] {
        for api in [&own, &admin, &wrong, &of(None)] {
            let url = format!("{}{path}", api.base);
            let request = api.client.get(url).bearer_auth(api.key.unwrap_or_default());
            let answer = request.send().await.expect("an answer");
            seen.push_str(&format!("{:?}", answer.headers()));
            seen.push_str(&answer.text().await.expect("a body"));
        }
    }
    while !seen.contains("baton.handoff.failed") {
        let (headers, body) = came.recv().await.expect("an event");
        seen.push_str(&format!("{headers:?}{}", String::from_utf8_lossy(&body)));
    }
    drop(server);
    let log = std::fs::read_to_string(&log).expect("a log");
    assert!(
        log.contains("TRACE") && log.contains("INVITE"),
        "it is a log of everything"
    );
    seen.push_str(&log);

    let webhook = SECRET.trim_start_matches("whsec_");
    let mut secrets: Vec<&str> = KEYS.iter().chain(&PASSWORDS).copied().collect();
    secrets.extend([webhook, &token]);
    for secret in secrets {
        for disguise in disguises(secret) {
            let found = seen.find(&disguise);
            let around = found.map(|at| seen[at.saturating_sub(200)..at].to_owned());
            assert_eq!(around, None, "{secret} is seen as {disguise}");
        }
    }
}
