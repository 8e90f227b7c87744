//! Bounds: of parameters, headers and bodies, and how often somebody may ask.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_as_it_must_be_says_what_is_wrong() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = with_keys(ai.local_addr().expect("bound"), "");
    let server = start(&mut Ports::claim(), &config).await;
    let api = Api::of(&server, Some("admin-key"));
    for (path, word) in [
        ("/v1/calls?limit=0", "1 to 500"),
        ("/v1/calls?limit=501", "1 to 500"),
        ("/v1/calls?limit=many", "1 to 500"),
        ("/v1/calls?limit=", "1 to 500"),
        ("/v1/calls?limit=1&limit=2", "given twice"),
        (
            "/v1/calls?limt=1",
            "there is no parameter \"limt\"; there are after, limit, sip_call_id",
        ),
        ("/v1/targets?limit=1", "there is none here"),
        ("/v1/calls?sip_call_id=%00", "control characters"),
        ("/v1/handoffs?after=nothing", "after is not a handoff's id"),
        ("/v1/handoffs?after=ho_0000000000000000", "no record"),
        ("/v1/handoffs?call=nothing", "call is not a call's id"),
        ("/v1/deliveries?status=lost", "pending, delivered and failed"),
        ("/v1/deliveries?after=nothing", "after is not a delivery's id"),
        ("/v1/kpi?since=yesterday", "RFC 3339"),
        ("/v1/kpi?by=week", "hour or day"),
        (
            "/v1/events?types=baton.call.started,baton.call.starte",
            "there is no event \"baton.call.starte\"",
        ),
        ("/healthz?verbose=1", "there is no parameter"),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        let detail = answer.body["detail"].as_str().expect("a detail");
        assert!(detail.contains(word), "{path}: {detail}");
    }
    for (path, word) in [
        (
            "/v1/kpi?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
            "before",
        ),
        (
            "/v1/kpi?since=2020-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
            "366 days",
        ),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(
            answer.body["detail"].as_str().expect("a detail").contains(word),
            "{path}"
        );
    }
    server.stop().await;
}

/// What HTTP itself refuses has no problem document, but a status; a body that does not come has both.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_does_not_come_is_refused_and_the_connection_ends() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let keys = with_keys(ai.local_addr().expect("bound"), "request_s = 1");
    let config = format!("[node]\ndrain_s = 0\n{keys}");
    let server = start(&mut Ports::claim(), &config).await;
    let (_call, call) = Call::new(&server, ai).await;
    let long = "x".repeat(40_000);
    let turns = format!("POST /v1/calls/{call}/turns HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer own-key\r\n");
    for (request, status) in [
        (
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
            "431",
        ),
        ("GET /healthz HTTP/1.1\r\nBroken\r\n\r\n".to_owned(), "400"),
        (
            format!("{turns}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"),
            "408",
        ),
        (
            format!("{turns}Content-Type: application/json\r\nContent-Length: 10000000\r\n\r\n{{"),
            "413",
        ),
        (
            format!("{turns}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "400",
        ),
    ] {
        let mut stream = TcpStream::connect(server.http()).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // Some of what we sent was not read, so the end may be a reset.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        let is_ours = matches!(status, "408" | "413") || request.contains("chunked");
        assert_eq!(
            answer.contains("application/problem+json"),
            is_ours,
            "{status}: {answer}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let ai = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let config = with_keys(ai.local_addr().expect("bound"), "").replace(
        "key = \"desk-key\"\n",
        "key = \"desk-key\"\nper_second = 1\nburst = 3\n",
    );
    let server = start(&mut Ports::claim(), &config).await;
    let of = |key| Api::of(&server, Some(key));
    let (desk, admin) = (of("desk-key"), of("admin-key"));
    let mut refused = None;
    // The burst, and as much as time gives while they are under way.
    for _ in 0..1000 {
        let answer = desk.get("/v1/calls").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, StatusCode::OK);
    }
    let refused = refused.expect("the limit");
    assert_eq!(
        (&refused.headers["retry-after"], &*refused.content_type),
        (&"1".parse().expect("a value"), "application/problem+json")
    );
    assert_eq!(admin.get("/v1/calls").await.status, StatusCode::OK);

    // Wrong keys from here: 20 at once, and a key that was not right from here before learns nothing.
    let wrong = of("guess");
    let mut guesses = 0;
    while wrong.get("/v1/calls").await.status == StatusCode::UNAUTHORIZED {
        guesses += 1;
        assert!(guesses < 1000, "guessing is not limited");
    }
    assert!(guesses >= 20);
    assert_eq!(
        of("own-key").get("/v1/calls").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(admin.get("/v1/calls").await.status, StatusCode::OK);
    server.stop().await;
}
