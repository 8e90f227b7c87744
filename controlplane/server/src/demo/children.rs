//! The demo's child processes: their lines of JSON come in, closing their standard input ends them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What is kept of what a child says on standard error.
const COMPLAINTS_MAX: usize = 16 << 10;

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Caller,
    Ai,
    Human,
}

impl Who {
    /// As the parties and the contract call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Caller => "caller",
            Who::Ai => "ai",
            Who::Human => "human",
        }
    }
}

/// A running party.
pub(super) struct Party {
    child: Child,
    pub(super) who: Who,
}

/// A running server.
pub(super) struct ServerChild {
    child: Child,
    complaints: Arc<Mutex<Vec<u8>>>,
}

/// The program of the parties, beside this one.
///
/// # Errors
/// How to build it.
pub(super) fn party_program() -> Result<PathBuf, String> {
    let ours = std::env::current_exe().map_err(|error| format!("the path of this program is not known: {error}"))?;
    let theirs = ours.with_file_name("baton-party");
    if theirs.exists() {
        return Ok(theirs);
    }
    let release = if ours.parent().is_some_and(|folder| folder.ends_with("release")) {
        " --release"
    } else {
        ""
    };
    Err(format!(
        "{} is missing; this builds it: cargo build{release} --package baton-parties",
        theirs.display()
    ))
}

impl Party {
    /// Starts a party; `key` is for the API. What it says goes to `said`.
    pub(super) fn start(
        program: &Path,
        who: Who,
        arguments: &[String],
        key: &str,
        said: Sender<(Who, Value)>,
    ) -> Result<Party, String> {
        let mut child = Command::new(program)
            .arg(who.name())
            .args(arguments)
            .arg("--watch-stdin")
            .env("BATON_PARTY_KEY", key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Ok(event) = serde_json::from_str(&line)
                        && said.send((who, event)).is_err()
                    {
                        break;
                    }
                }
            });
        }
        Ok(Party { child, who })
    }

    /// Tells it to hang up, write its files and end.
    pub(super) fn end(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end, and kills it after `patience`. Whether it ended by itself.
    pub(super) fn wait(&mut self, patience: Duration) -> bool {
        wait(&mut self.child, patience)
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.end();
        self.wait(Duration::from_secs(3));
    }
}

impl ServerChild {
    /// Starts this very program as a server.
    pub(super) fn start(config: &Path) -> Result<ServerChild, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(&program)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let complaints = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut output) = child.stderr.take() {
            let complaints = Arc::clone(&complaints);
            std::thread::spawn(move || {
                let mut buffer = [0u8; 4096];
                while let Ok(length @ 1..) = output.read(&mut buffer) {
                    let mut kept = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend_from_slice(&buffer[..length]);
                    let over = kept.len().saturating_sub(COMPLAINTS_MAX);
                    kept.drain(..over);
                }
            });
        }
        Ok(ServerChild { child, complaints })
    }

    /// What it said last on standard error, where it has ended.
    pub(super) fn has_ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("the server ended ({status}):\n{}", self.log()))
    }

    /// What it said last on standard error.
    pub(super) fn log(&self) -> String {
        let kept = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// SIGTERM, and SIGKILL after `patience`. Whether it ended by itself.
    pub(super) fn stop(&mut self, patience: Duration) -> bool {
        // The shell's own `kill`: sending a signal takes unsafe code, or a program that a small system may lack.
        let _ = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -TERM {}", self.child.id()))
            .stdin(Stdio::null())
            .status();
        wait(&mut self.child, patience)
    }
}

impl Drop for ServerChild {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.stop(Duration::from_secs(3));
        }
    }
}

fn wait(child: &mut Child, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}
