//! The link between two versions of the server: a Unix socket of packets (unix(7), `SOCK_SEQPACKET`), which carries descriptors too
//! and says when the other end is gone.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::wire::Word;

/// The largest packet: a SIP message as long as a datagram can be, and who sent it.
const PACKET_MAX: usize = 128 * 1024;
/// Packets that may wait for the other end to read. Above it they are lost, as on any network.
const WAITING: usize = 4096;
/// Descriptors in one packet: SIP by UDP and TCP of two families, and HTTP.
const DESCRIPTORS: usize = 8;

/// Our end.
#[derive(Debug)]
pub(crate) struct Link {
    socket: AsyncFd<OwnedFd>,
    waiting: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    buffer: Box<[u8]>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    Word(Word, Vec<OwnedFd>),
    /// The other end is gone, or says what nobody understands.
    End,
    /// Nothing more for now.
    Nothing,
}

impl Link {
    /// # Errors
    /// Where the socket cannot be watched.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Link> {
        Ok(Link {
            #[expect(
                deprecated,
                reason = "its successor is unsafe; an OwnedFd of our own is open as long as it is watched"
            )]
            socket: AsyncFd::new(socket)?,
            waiting: VecDeque::new(),
            buffer: vec![0; PACKET_MAX].into(),
        })
    }

    /// The process at the other end.
    pub(crate) fn peer(&self) -> io::Result<u32> {
        Ok(socket_peercred(self.socket.get_ref())?
            .pid
            .as_raw_nonzero()
            .get()
            .cast_unsigned())
    }

    /// Sends, or queues, without waiting.
    pub(crate) fn send(&mut self, word: &Word, descriptors: impl IntoIterator<Item = OwnedFd>) {
        if self.waiting.len() >= WAITING {
            tracing::warn!("the other version does not read: a message for it is lost");
            return;
        }
        self.waiting
            .push_back((word.to_bytes(), descriptors.into_iter().collect()));
        self.flush();
    }

    /// Sends what waits, as far as the other end reads.
    pub(crate) fn flush(&mut self) {
        while let Some((packet, descriptors)) = self.waiting.front() {
            let sent = self
                .socket
                .try_io(Interest::WRITABLE, |socket| send(socket, packet, descriptors));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Where the other end is gone, receiving says so.
                Ok(()) | Err(_) => self.waiting.pop_front(),
            };
        }
    }

    /// Waits until there is something to receive, or to go on sending.
    ///
    /// # Errors
    /// Where the socket is broken.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        let interest = match self.waiting.is_empty() {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        // What is not cleared stays ready: `receive` and `flush` clear it when there is nothing more.
        self.socket.ready(interest).await.map(|mut guard| guard.retain_ready())
    }

    /// The next word, without waiting.
    pub(crate) fn receive(&mut self) -> Heard {
        let buffer = &mut self.buffer;
        match self.socket.try_io(Interest::READABLE, |socket| receive(socket, buffer)) {
            Ok((0, _)) => Heard::End,
            Ok((length, descriptors)) => match Word::read(&self.buffer[..length]) {
                Some(word) => Heard::Word(word, descriptors),
                None => {
                    tracing::warn!("the other version says what nobody understands");
                    Heard::End
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }

    /// Waits for the next word; `None`: the other end is gone.
    pub(crate) async fn next(&mut self) -> Option<(Word, Vec<OwnedFd>)> {
        loop {
            match self.receive() {
                Heard::Word(word, descriptors) => return Some((word, descriptors)),
                Heard::End => return None,
                Heard::Nothing => {
                    self.flush();
                    self.ready().await.ok()?;
                }
            }
        }
    }
}

fn send(socket: &OwnedFd, packet: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags)?;
    Ok(())
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((message.bytes, descriptors))
}
