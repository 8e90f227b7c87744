//! `baton check` as an operator runs it: the real program, peers that answer and peers that do not.

mod folder;
mod ports;

use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use ports::Ports;
use serde_json::Value;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Its exit code, and what it printed.
fn check(folder: &Path, json: bool) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(["check", "--config", "baton.toml"]).current_dir(folder);
    if json {
        command.arg("--json");
    }
    let output = command.output().expect("baton");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.success(), text)
}

fn level<'a>(report: &'a Value, what: &str) -> &'a str {
    let finding = report["host"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|finding| finding["what"] == what);
    let finding = finding.unwrap_or_else(|| panic!("nothing of {what} in {report}"));
    if finding["level"] != "ok" {
        assert!(finding["remedy"].is_string(), "{finding}");
    }
    finding["level"].as_str().expect("a level")
}

#[test]
fn each_peer_that_does_not_answer_and_each_port_that_is_taken_is_named() {
    let mut ports = Ports::claim();
    let first_port = ports.take(16);
    let (sip, http, nobody) = (ports.take(1), ports.take(1), ports.take(2));
    let folder = folder::of(first_port);
    // A phone that takes the question for anything but a call.
    let phone = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let phone_at = phone.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((_, from)) = phone.recv_from(&mut buffer) {
            let _ = phone.send_to(b"SIP/2.0 405 Method Not Allowed\r\n\r\n", from);
        }
    });
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let receiver_at = receiver.local_addr().expect("bound");
    let text = format!(
        "[sip]\nlisten = \"127.0.0.1:{sip}\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 4\n\
         [http]\nlisten = \"127.0.0.1:{http}\"\n[[trunks]]\nname = \"carrier\"\naddresses = [\"127.0.0.9\"]\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@127.0.0.1:{nobody}\"\n\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@{phone_at}\"\n\
         [[webhooks]]\nname = \"crm\"\nurl = \"http://{receiver_at}/\"\nsecrets = [\"{SECRET}\"]\nallow_private = true\n\
         [[webhooks]]\nname = \"gone\"\nurl = \"https://127.0.0.1:{nobody}/\"\nsecrets = [\"{SECRET}\"]\nallow_private = true\n"
    );
    std::fs::write(folder.join("baton.toml"), &text).expect("a file");
    let (ok, said) = check(&folder, true);
    let report: Value = serde_json::from_str(&said).expect("one JSON object");
    assert!(ok, "{said}");
    assert_eq!(
        (&report["schema"], &report["ok"]),
        (&"baton.check/1".into(), &true.into())
    );
    for (what, wanted) in [
        ("targets: support", "ok"),
        ("calls at one time", "ok"),
        ("ai_agents: assistant", "warning"),
        ("trunks: carrier", "unknown"),
        ("webhooks: crm", "ok"),
        ("webhooks: gone", "warning"),
        ("SIP ports", "ok"),
        ("HTTP port", "ok"),
        ("RTP ports", "ok"),
        ("sip.listen", "ok"),
        ("store.url", "ok"),
    ] {
        assert_eq!(level(&report, what), wanted, "{what}: {said}");
    }
    assert!(!folder.join("baton.db").exists(), "nothing was changed");

    let taken = TcpListener::bind(("127.0.0.1", http)).expect("a socket");
    // One who answers nothing is no Baton.
    thread::spawn(move || while taken.accept().is_ok() {});
    let (ok, said) = check(&folder, true);
    let report: Value = serde_json::from_str(&said).expect("one JSON object");
    assert!(!ok && report["ok"] == false, "{said}");
    assert_eq!(level(&report, "HTTP port"), "error");
    let (_, said) = check(&folder, false);
    let last: Vec<_> = said.trim_end().lines().rev().take(4).collect();
    assert!(
        last[0].ends_with("1 errors") && last[3].starts_with("ERROR   HTTP port"),
        "{said}"
    );

    std::fs::write(folder.join("baton.toml"), text.replace("first_port", "frist_port")).expect("a file");
    let (ok, said) = check(&folder, true);
    let report: Value = serde_json::from_str(&said).expect("one JSON object");
    assert!(!ok && report["problems"][0]["key"] == "media.frist_port", "{said}");
}

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_baton_that_runs_already_is_recognised() {
    is_recognised("");
}

#[test]
fn a_baton_that_runs_already_is_recognised_behind_tls() {
    is_recognised("[http.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n");
}

fn is_recognised(more: &str) {
    let mut ports = Ports::claim();
    let first_port = ports.take(16);
    let folder = folder::of(first_port);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    let text = format!(
        "[sip]\nlisten = \"127.0.0.1:{}\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 4\n[http]\nlisten = \"127.0.0.1:{}\"\n{more}",
        ports.take(1),
        ports.take(1)
    );
    std::fs::write(folder.join("baton.toml"), text).expect("a file");
    let mut server = Server(
        Command::new(env!("CARGO_BIN_EXE_baton"))
            .args(["serve", "--config", "baton.toml"])
            .current_dir(&folder)
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("baton"),
    );
    // It says where it listens, once it does.
    let mut errors = server.0.stderr.take().expect("piped");
    let (mut said, mut buffer) = (String::new(), [0; 1000]);
    while !said.contains("listening") {
        let len = errors.read(&mut buffer).expect("it speaks");
        assert!(len > 0, "{said}");
        said += &String::from_utf8_lossy(&buffer[..len]);
    }
    let (ok, said) = check(&folder, true);
    let report: Value = serde_json::from_str(&said).expect("one JSON object");
    assert!(ok, "{said}");
    for what in ["SIP ports", "HTTP port", "RTP ports"] {
        assert_eq!(level(&report, what), "ok");
    }
    assert!(said.contains("by the Baton that runs here"), "{said}");
}
