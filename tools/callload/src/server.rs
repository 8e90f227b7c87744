//! A server of our own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::options::Options;

/// What the API wants to be shown.
pub(crate) const KEY: &str = "callload-0123456789abcdef0123456789abcdef";

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// Ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) sip: SocketAddr,
    pub(crate) http: SocketAddr,
    folder: PathBuf,
    /// From its start to `/readyz` with 200.
    pub(crate) started: Duration,
}

impl Server {
    /// Starts it, and waits until it is ready. `legs`: at one time, those whose ports rest included.
    pub(crate) fn start(options: &Options, ai: SocketAddr, human: SocketAddr, legs: u32) -> Result<Server, String> {
        let free = |error: std::io::Error| format!("no free port: {error}");
        // Taken and given back: the server names its own ports only in its log.
        let sip = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(free)?;
        let http = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(free)?;
        let folder = std::env::temp_dir().join(format!("baton-callload-{}", std::process::id()));
        let config = folder.join("baton.toml");
        let store = match &options.store {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", folder.join("baton.db").display()),
        };
        let (mode, accept) = if options.warm {
            ("warm", "answer")
        } else {
            ("cold", "answer")
        };
        let cores = options
            .server_core
            .map_or(String::new(), |core| format!("cores = [{core}]\n"));
        let text = format!(
            "[node]\ndrain_s = 1\nlog = \"warn\"\n[sip]\nlisten = \"{sip}\"\n[http]\nlisten = \"{http}\"\n\
             [[http.keys]]\nname = \"load\"\nkey = \"{KEY}\"\nscope = \"admin\"\n\
             [media]\nfirst_port = 24000\nports_per_worker = {legs}\nsessions_per_worker = {legs}\n{cores}\
             [store]\nurl = \"{store}\"\n\
             [[trunks]]\nname = \"load\"\naddresses = [\"127.0.0.1\"]\n\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai}\"\n\
             [[targets]]\nname = \"human\"\nuri = \"sip:human@{human}\"\n\
             [playbook]\nmode = \"{mode}\"\naccept = \"{accept}\"\n"
        );
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&config, text))
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let mut command = match options.server_core {
            // Of util-linux: sets the affinity and becomes the program.
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(&options.server);
                command
            }
            None => Command::new(&options.server),
        };
        let begin = Instant::now();
        let child = command
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", options.server.display()))?;
        let mut server = Server {
            child,
            sip,
            http,
            folder,
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

    /// # Errors
    /// Where it has ended by itself.
    pub(crate) fn is_running(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!(
                "the server has ended by itself ({status}); what it said is above"
            )),
            Err(error) => Err(format!("the server: {error}")),
        }
    }

    /// Processor time so far, ms, from proc_pid_stat(5): utime and stime in hundredths of a second.
    pub(crate) fn processor_ms(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
    }

    /// Memory that it has in use, KiB, without the page cache's: proc_pid_status(5).
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.split_whitespace().next())
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0)
    }
}

fn is_ready(http: SocketAddr) -> bool {
    use std::io::{Read as _, Write as _};
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
        let _ = fs::remove_dir_all(&self.folder);
    }
}
