//! The server under test: the real program, in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::PATIENCE;
use crate::child::Program;

/// A running `baton serve`, and a user of its API.
pub(crate) struct Baton {
    program: Program,
    http: SocketAddr,
    runtime: Runtime,
    client: Client,
}

impl Baton {
    /// Starts it with the configuration in the folder; it is ready.
    pub(crate) fn start(folder: &Path, http: SocketAddr) -> Baton {
        let arguments = ["serve", "--config", "baton.toml"].map(str::to_owned);
        let mut baton = Baton {
            program: Program::start("baton", env!("CARGO_BIN_EXE_baton"), arguments, folder),
            http,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            client: Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(10))
                .build()
                .expect("a client"),
        };
        let end = Instant::now() + PATIENCE;
        while baton
            .try_request(Method::GET, "/readyz", None)
            .is_none_or(|(status, _)| status != 200)
        {
            baton.program.assert_running();
            assert!(Instant::now() < end, "baton is not ready: {}", baton.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        baton
    }

    fn try_request(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let mut request = self.client.request(method, format!("http://{}{path}", self.http));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        self.runtime.block_on(async {
            let answer = request.send().await.ok()?;
            let status = answer.status().as_u16();
            let text = answer.text().await.ok()?;
            Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
        })
    }

    /// Its answer to a request: the status, and the JSON.
    pub(crate) fn request(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_request(method, path, body).expect("an answer of the API")
    }

    /// A document that is there.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.request(Method::GET, path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Asks for a handoff of the call; its id.
    pub(crate) fn hand_off(&self, call: &str, mode: &str) -> String {
        let wish = json!({ "mode": mode, "reason": "asked for a human" });
        let (status, body) = self.request(Method::POST, &format!("/v1/calls/{call}/handoffs"), Some(&wish));
        assert_eq!(status, 202, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a document is as wanted.
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let document = self.get(path);
            if wanted(&document) {
                return document;
            }
            assert!(Instant::now() < end, "{path} stays {document}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it; nothing of any call may be left by then, and its end must be its own.
    pub(crate) fn stop(mut self) {
        self.until("/v1/calls", |list| list["calls"].as_array().is_some_and(Vec::is_empty));
        self.program.terminate();
        let status = self.program.wait(PATIENCE);
        assert!(status.success(), "baton ended with {status}");
    }

    /// What it logged last.
    pub(crate) fn log(&self) -> String {
        self.program.said()
    }
}
