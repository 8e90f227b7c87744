//! A server of our own.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::pings::{ping, pinger};

/// Ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it receives SIP.
    pub(crate) at: SocketAddr,
    folder: PathBuf,
}

impl Server {
    /// Starts it, and waits for its first answer.
    pub(crate) fn start(program: &Path) -> Result<Server, String> {
        let free = |kind: &str| format!("no free {kind} port");
        // Taken and given back: the server names its own ports only in its log.
        let sip = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let at = sip.map_err(|error| format!("{}: {error}", free("SIP")))?;
        let http = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let http = http.map_err(|error| format!("{}: {error}", free("HTTP")))?;
        let folder = std::env::temp_dir().join(format!("baton-flood-{}", std::process::id()));
        let config = folder.join("baton.toml");
        let text = format!(
            "[sip]\nlisten = \"{at}\"\n[http]\nlisten = \"{http}\"\n[media]\nfirst_port = 32000\nports_per_worker = 64\n\
             [[trunks]]\nname = \"carrier\"\naddresses = [\"127.0.0.1\"]\n\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:assistant@127.0.0.1:9\"\n"
        );
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&config, text))
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let child = Command::new(program)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut server = Server { child, at, folder };
        for number in 0..100 {
            let socket = pinger()?;
            let _ = socket.send_to(&ping(&socket, number), at);
            let mut buffer = [0; 2048];
            if socket.recv_from(&mut buffer).is_ok() {
                return Ok(server);
            }
            server.is_running()?;
        }
        Err(format!("{} does not answer", program.display()))
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

    /// Processor time so far, from proc_pid_stat(5): utime and stime in hundredths of a second.
    pub(crate) fn processor_ms(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_or_does_not_start_is_no_server() {
        let ended = Server::start(Path::new("/bin/false")).err().unwrap_or_default();
        assert!(ended.contains("has ended by itself"), "{ended}");
        let missing = Server::start(Path::new("/no/such/baton")).err().unwrap_or_default();
        assert!(missing.starts_with("/no/such/baton: "), "{missing}");
    }
}
