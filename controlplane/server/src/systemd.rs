//! What a service manager is told (sd_notify(3)): a datagram of lines on the Unix socket that `NOTIFY_SOCKET` names. Where there is
//! none, nobody is told anything.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The way to the service manager.
#[derive(Debug)]
pub(crate) struct Systemd {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says.
    pub(crate) fn from_environment() -> Systemd {
        let variable = |name: &str| std::env::var_os(name);
        let manager = variable("NOTIFY_SOCKET").and_then(|name| match open(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                tracing::warn!(?name, %error, "NOTIFY_SOCKET cannot be used");
                None
            }
        });
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let pid = text("WATCHDOG_PID");
        Systemd {
            watchdog: watchdog(text("WATCHDOG_USEC").as_deref(), pid.as_deref(), std::process::id()),
            manager,
        }
    }

    /// How often the manager gets a sign of life: four times in its limit, so that one that failed may be followed by one in time.
    pub(crate) fn pulse(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.manager.is_some()).map(|limit| limit / 4)
    }

    /// New calls are taken.
    pub(crate) fn ready(&self) {
        self.say("READY=1\nSTATUS=takes calls");
    }

    /// The configuration is being read anew; [`Systemd::ready`] follows.
    pub(crate) fn reloading(&self) {
        // By this clock the manager tells the READY that ends this from one that was sent before.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| Duration::from(time).as_micros());
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// No new calls; the stop takes at most this long from now on. `older`: a version before us has calls, too.
    pub(crate) fn stopping(&self, calls: usize, older: bool, wait: Duration) {
        let others = if older { ", and those of the older version" } else { "" };
        self.say(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={}\nSTATUS=draining: {calls} calls are left{others}",
            wait.as_micros()
        ));
    }

    /// Another process is the service from now on.
    pub(crate) fn main_pid(&self, pid: u32) {
        self.say(&format!("MAINPID={pid}\nREADY=1"));
    }

    /// Everything works.
    pub(crate) fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, text: &str) {
        if let Some((socket, manager)) = &self.manager
            && let Err(error) = socket.send_to_addr(text.as_bytes(), manager)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop us.
    socket.set_nonblocking(true)?;
    Ok((socket, manager))
}

/// sd_watchdog_enabled(3): only where it means this process.
fn watchdog(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let usec = usec?.parse().ok().filter(|usec| *usec > 0)?;
    meant.then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests;
