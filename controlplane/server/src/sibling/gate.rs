//! How a new version comes to the old one: a socket in the file system, and what the two say before anything changes hands.
//!
//! Until the new one has said that it is ready, the old one goes on as if nothing had happened; if it never says so, it goes on.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::link::Link;
use super::wire::{VERSION, Word};
use crate::config::Config;
use crate::listeners::Listeners;

/// How long each side waits for the other's next word. A new version has its whole start in it.
const ANSWER: Duration = Duration::from_secs(60);

/// Where a new version knocks.
#[derive(Debug)]
pub(crate) struct Gate {
    socket: AsyncFd<OwnedFd>,
}

impl Gate {
    /// Opens it; one that a dead server left is replaced, and so is the one of whoever we take over from.
    ///
    /// # Errors
    /// `AddrInUse` where a living server has it. Else what the file system says.
    pub(crate) fn open(path: &Path, taking_over: bool) -> io::Result<Gate> {
        if !taking_over && answers(path) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let socket = socket()?;
        // In one step at its place, so that there is never none.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let _ = std::fs::remove_file(&name);
        bind(&socket, &SocketAddrUnix::new(&*name)?)?;
        std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600))?;
        listen(&socket, 4)?;
        std::fs::rename(&name, path)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd of our own is open as long as it is watched"
        )]
        let socket = AsyncFd::new(socket)?;
        Ok(Gate { socket })
    }

    /// The next one who knocks, of our own user or root.
    pub(crate) async fn next(&self) -> io::Result<Link> {
        loop {
            let accept = |socket: &OwnedFd| Ok(accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?);
            let socket = self.socket.async_io(Interest::READABLE, accept).await?;
            let (who, own) = (socket_peercred(&socket)?.uid, rustix::process::geteuid());
            if who == own || who.is_root() {
                return Link::new(socket);
            }
            tracing::warn!(uid = who.as_raw(), "another user has knocked at our control socket");
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Whether a server that we could take over from has this place.
pub(crate) fn answers(path: &Path) -> bool {
    call(path).is_ok()
}

fn call(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket()?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// The old one's part: shows its sockets, and waits until the new one is ready. `None`: it will not be.
pub(crate) async fn show(mut link: Link, listeners: &Listeners, first_port: u16, busy: bool) -> Option<Link> {
    match heard(&mut link).await? {
        Word::Hello(VERSION) => {}
        word => {
            tracing::warn!(?word, "a server of another kind would take over");
            let why =
                "the running server is of a version that cannot be taken over by this one: stop it, and start this one";
            link.send(&Word::No(why.to_owned()), None);
            return None;
        }
    }
    if busy {
        let why = "the running server has itself taken over from one that still has calls: wait until that has ended";
        link.send(&Word::No(why.to_owned()), None);
        return None;
    }
    let copies: io::Result<Vec<OwnedFd>> = listeners
        .descriptors()
        .into_iter()
        .map(|descriptor| descriptor.try_clone_to_owned())
        .collect();
    match copies {
        Ok(copies) => link.send(&Word::Sockets(first_port), copies),
        Err(error) => {
            tracing::error!(%error, "our sockets cannot be handed over");
            return None;
        }
    }
    tracing::info!("a new version would take over");
    match heard(&mut link).await {
        Some(Word::Ready) => Some(link),
        _ => {
            tracing::warn!("the new version has not come up; we go on");
            None
        }
    }
}

async fn heard(link: &mut Link) -> Option<Word> {
    Some(timeout(ANSWER, link.next()).await.ok()??.0)
}

/// What the old one has shown to the new one.
#[derive(Debug)]
pub struct Offer {
    link: Link,
    pub(crate) listeners: Listeners,
    /// The lowest RTP port of the old one.
    pub(crate) first_port: u16,
}

impl Offer {
    /// Asks the server behind this socket for its sockets. Nothing changes for it yet.
    ///
    /// # Errors
    /// Why there is none to be taken over, or not by us.
    pub async fn ask(config: &Config) -> Result<Offer, String> {
        let path = config
            .node
            .control
            .as_deref()
            .ok_or("node.control is empty: there is no way to the running server")?;
        let at = path.display();
        let socket = call(path).map_err(|error| {
            format!("--take-over: no server answers at node.control = {at} ({error}): is it running, with this file and by this user?")
        })?;
        let mut link = Link::new(socket).map_err(|error| error.to_string())?;
        link.send(&Word::Hello(VERSION), None);
        let answer = timeout(ANSWER, link.next()).await;
        match answer.map_err(|_| format!("the server at {at} does not answer"))? {
            Some((Word::Sockets(first_port), descriptors)) => Ok(Offer {
                listeners: Listeners::taken(descriptors, config)
                    .map_err(|why| format!("{why}: a take-over needs the same addresses; restart it instead"))?,
                link,
                first_port,
            }),
            Some((Word::No(why), _)) => Err(why),
            _ => Err(format!("what is behind {at} is no server that can be taken over")),
        }
    }

    /// From now on all that comes is ours. The link, and the Call-IDs of INVITEs that the old one has and that may be repeated.
    ///
    /// # Errors
    /// Where the old one has gone meanwhile, or has changed its mind.
    pub(crate) async fn accept(mut self) -> Result<(Link, BTreeSet<String>), String> {
        self.link.send(&Word::Ready, None);
        let mut calls = BTreeSet::new();
        loop {
            match timeout(ANSWER, self.link.next()).await {
                Ok(Some((Word::Calls(more), _))) => calls.extend(more),
                Ok(Some((Word::Yours, _))) => return Ok((self.link, calls)),
                _ => return Err("the running server has not handed over".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use rustix::io::Errno;
    use rustix::net::{RecvFlags, recv};
    use rustix::process::Uid;

    use super::*;

    /// Knocks as nobody (the user of that name).
    fn stranger(path: &Path) -> io::Result<OwnedFd> {
        let nobody = Uid::from_raw(65_534);
        std::thread::scope(|scope| {
            let knocking = scope.spawn(|| {
                // Of this thread alone.
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody)?;
                call(path)
            });
            knocking.join().expect("it says what came of it")
        })
    }

    fn heard(socket: &OwnedFd) -> Result<usize, Errno> {
        recv(socket, &mut [0; 10][..], RecvFlags::empty()).map(|(_, len)| len)
    }

    #[tokio::test]
    async fn nobody_but_our_own_user_and_root_is_shown_the_sockets() {
        let folder = std::env::temp_dir().join(format!("baton-gate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("baton.sock");
        let gate = Gate::open(&path, false).expect("opened");
        let mode = std::fs::metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut strangers = Vec::new();
        // Only root can be somebody else.
        if rustix::process::geteuid().is_root() {
            let refused = stranger(&path).expect_err("the file keeps others out");
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            // And where it does not, we do.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("set");
            strangers.push(stranger(&path).expect("connected"));
        }
        let ours = call(&path).expect("connected");
        let link = timeout(ANSWER, gate.next()).await.expect("in time").expect("a link");
        assert_eq!(heard(&ours), Err(Errno::AGAIN), "it may speak");
        for stranger in strangers {
            assert_eq!(heard(&stranger), Ok(0), "it was closed");
        }
        drop(link);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
