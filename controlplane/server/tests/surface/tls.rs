//! TLS: the certificate of the configuration, renewed without a stop.

use reqwest::Certificate;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::*;

/// Writes a certificate for `localhost` and its key into the folder; who trusts it reaches the server.
fn certificate(folder: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    // The key first: what is looked at in between does not go together, and is not taken.
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate")
}

fn trusting(certificate: &Certificate, server: &Server) -> Api {
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([certificate.clone()])
        .resolve("localhost", server.http())
        .build()
        .expect("a client");
    Api {
        client,
        base: format!("https://localhost:{}", server.http().port()),
        key: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_served_with_tls_and_takes_a_renewed_certificate_without_a_stop() {
    let first_port = Ports::claim().take(16);
    let folder = folder::of(first_port);
    let old = certificate(&folder);
    // Longer than it takes to see new files: a connection that is idle must be there after it.
    let tls = "[http]\nlisten = \"127.0.0.1:0\"\nrequest_s = 60\n[http.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
    let server = start_in(&folder, first_port, tls).await;
    let api = trusting(&old, &server);
    // Without a host that is loopback by its name only: it is this one.
    assert_eq!(api.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(api.get("/v1/calls").await.body["calls"], json!([]));
    // Who speaks plain text, or nothing, is not served and harms nobody.
    let mut plain = TcpStream::connect(server.http()).await.expect("connected");
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("sent");
    let _silent = TcpStream::connect(server.http()).await.expect("connected");
    let other = folder::of(first_port + 1);
    let stranger = certificate(&other);
    let refused = trusting(&stranger, &server).client.get(&api.base).send().await;
    assert!(refused.is_err(), "another certificate is not trusted");

    let new = certificate(&folder);
    // Until it is looked at the files, the old one is shown; after that, the new one for ever.
    while trusting(&new, &server)
        .client
        .get(format!("{}/healthz", api.base))
        .send()
        .await
        .is_err()
    {}
    // What is no certificate changes nothing.
    std::fs::write(folder.join("cert.pem"), "nonsense").expect("written");
    assert_eq!(trusting(&new, &server).get("/healthz").await.status, StatusCode::OK);
    // A connection from before goes on.
    assert_eq!(api.get("/healthz").await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_certificate_are_said_at_the_start() {
    let first_port = Ports::claim().take(16);
    let folder = folder::of(first_port);
    certificate(&folder);
    std::fs::write(folder.join("bad.pem"), "nonsense").expect("written");
    for (cert, key, word) in [
        ("none.pem", "key.pem", "none.pem cannot be read"),
        ("bad.pem", "key.pem", "the two cannot be used together"),
        ("cert.pem", "bad.pem", "bad.pem has no private key in PEM"),
    ] {
        let text = format!(
            "[sip]\nlisten = \"127.0.0.1:0\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 8\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[http.tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n"
        );
        let config = Config::from_toml(&text, &folder).expect("good");
        let error = Server::start(config).await.expect_err("no certificate").to_string();
        assert!(error.starts_with("http.tls: ") && error.contains(word), "{error}");
    }
}
