//! A `baton serve` of our own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// Where it is to be.
#[derive(Debug)]
pub struct Place {
    /// Where it receives SIP.
    pub sip: SocketAddr,
    /// Where it serves the API.
    pub http: SocketAddr,
    /// For its files; it ends with the server.
    pub folder: PathBuf,
    broom: Option<Child>,
}

/// Ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    place: Place,
    started: Duration,
}

impl Place {
    /// Free ports of loopback, and a folder of this process of the tool.
    ///
    /// # Errors
    /// Where one is not to be had.
    pub fn find(tool: &str) -> Result<Place, String> {
        let free = |error: std::io::Error| format!("no free port: {error}");
        // Taken and given back: the server names its own ports only in its log.
        let sip = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let http = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        Place::at(tool, sip.map_err(free)?, http.map_err(free)?)
    }

    /// These addresses, and a folder of this process of the tool.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn at(tool: &str, sip: SocketAddr, http: SocketAddr) -> Result<Place, String> {
        let folder = std::env::temp_dir().join(format!("baton-{tool}-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // Where the tool is killed or interrupted its end of the pipe closes, and the folder goes all the same.
        let broom = Command::new("sh")
            .args(["-c", "read _; sleep 1; rm -rf -- \"$0\""])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Ok(Place {
            sip,
            http,
            folder,
            broom: broom.ok(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(broom) = &mut self.broom {
            let _ = broom.kill();
            let _ = broom.wait();
        }
    }
}

impl Server {
    /// Starts the program, and waits until it is ready. `[sip] listen` and `[http] listen` go before `config`, which begins with keys
    /// of `[http]` or another section. On `core` alone, where one is named.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(program: &Path, place: Place, config: &str, core: Option<u32>) -> Result<Server, String> {
        let command = match core {
            // Of util-linux: sets the affinity and becomes the program.
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        Server::start_by(command, place, config)
    }

    /// The same by a command that has the program's name already.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_by(mut command: Command, place: Place, config: &str) -> Result<Server, String> {
        let (sip, http) = (place.sip, place.http);
        let file = place.folder.join("baton.toml");
        let text = format!("[sip]\nlisten = \"{sip}\"\n[http]\nlisten = \"{http}\"\n{config}");
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        let begin = Instant::now();
        let child = command
            .args(["serve", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let mut server = Server {
            child,
            place,
            started: Duration::ZERO,
        };
        while begin.elapsed() < START {
            if is_ready(http) {
                server.started = begin.elapsed();
                return Ok(server);
            }
            server.is_running()?;
            thread::sleep(Duration::from_millis(2));
        }
        Err("the server does not become ready; what it said is above".to_owned())
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it receives SIP.
    pub fn sip(&self) -> SocketAddr {
        self.place.sip
    }

    /// Where it serves the API.
    pub fn http(&self) -> SocketAddr {
        self.place.http
    }

    /// From its start to `/readyz` with 200.
    pub fn started(&self) -> Duration {
        self.started
    }

    /// # Errors
    /// Where it has ended by itself.
    pub fn is_running(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!(
                "the server has ended by itself ({status}); what it said is above"
            )),
            Err(error) => Err(format!("the server: {error}")),
        }
    }

    /// Processor time so far, ms, from proc_pid_stat(5): utime and stime in hundredths of a second.
    pub fn processor_ms(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
    }

    /// Memory that it has in use, KiB, without the page cache's: proc_pid_status(5).
    pub fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.split_whitespace().next())
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0)
    }
}

fn is_ready(http: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(http) else {
        return false;
    };
    let mut answer = [0; 12];
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .and_then(|()| stream.read_exact(&mut answer))
        .is_ok_and(|()| answer.ends_with(b" 200"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_or_does_not_start_is_no_server_and_leaves_nothing() {
        for (number, (program, wrong)) in [
            ("/bin/false", "has ended by itself"),
            ("/no/such/baton", "/no/such/baton: "),
        ]
        .into_iter()
        .enumerate()
        {
            let place = Place::find(&format!("load-test-{number}")).expect("a place");
            let folder = place.folder.clone();
            let why = Server::start(Path::new(program), place, "", None).expect_err("no server");
            assert!(why.contains(wrong), "{why}");
            assert!(!folder.exists());
        }
    }
}
