//! What two versions of the server say to each other: one message is one packet. It is between two programs of one host and one
//! user; what cannot be read ends the link.

use std::net::SocketAddr;

use bytes::Bytes;

/// The form of all this. Another one cannot be talked to: then a restart is the way.
pub(crate) const VERSION: u8 = 1;

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// New to old, first: I would take over. Its version.
    Hello(u8),
    /// Old to new, with the sockets: take these. The lowest RTP port of the old one.
    Sockets(u16),
    /// Old to new: no, and why.
    No(String),
    /// New to old: I am ready.
    Ready,
    /// Old to new: Call-IDs of INVITEs that may be repeated; several of these may come.
    Calls(Vec<String>),
    /// Old to new: all that comes is yours.
    Yours,
    /// New to old: is this yours? The connection, who sent it, the message.
    Ask(Option<u64>, SocketAddr, Bytes),
    /// Old to new: it is not.
    Back(Option<u64>, SocketAddr, Bytes),
    /// Old to new: this came to me, and is yours.
    Give(Option<u64>, SocketAddr, Bytes),
    /// Write this on your connection.
    Write(u64, Bytes),
    /// My connection is gone.
    Closed(u64),
    /// New to old: nothing can be sent there.
    Unreachable(SocketAddr),
    /// New to old, with a socket: serve HTTP on it.
    Http,
    /// New to old: I shall stop; do not take new calls again.
    Stopping,
    /// New to old: your calls have had their time.
    HangUp,
}

impl Word {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let message = |out: &mut Vec<u8>, kind: u8, flow: &Option<u64>, from: &SocketAddr, bytes: &Bytes| {
            out.push(kind);
            out.extend(flow.map_or(0, |flow| flow + 1).to_be_bytes());
            string(out, &from.to_string());
            out.extend_from_slice(bytes);
        };
        match self {
            Word::Hello(version) => out.extend([1, *version]),
            Word::Sockets(first_port) => {
                out.push(2);
                out.extend(first_port.to_be_bytes());
            }
            Word::No(why) => {
                out.push(3);
                out.extend_from_slice(why.as_bytes());
            }
            Word::Ready => out.push(4),
            Word::Calls(calls) => {
                out.push(5);
                calls.iter().for_each(|call| string(&mut out, call));
            }
            Word::Yours => out.push(6),
            Word::Ask(flow, from, bytes) => message(&mut out, 7, flow, from, bytes),
            Word::Back(flow, from, bytes) => message(&mut out, 8, flow, from, bytes),
            Word::Give(flow, from, bytes) => message(&mut out, 9, flow, from, bytes),
            Word::Write(flow, bytes) => {
                out.push(10);
                out.extend(flow.to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Word::Closed(flow) => {
                out.push(11);
                out.extend(flow.to_be_bytes());
            }
            Word::Unreachable(to) => {
                out.push(12);
                string(&mut out, &to.to_string());
            }
            Word::Http => out.push(13),
            Word::Stopping => out.push(14),
            Word::HangUp => out.push(15),
        }
        out
    }

    /// `None` where it says nothing that we know.
    pub(crate) fn read(bytes: &[u8]) -> Option<Word> {
        let (kind, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let word = match kind {
            1 => Word::Hello(*rest.split_off_first()?),
            2 => Word::Sockets(u16::from_be_bytes(take(rest)?)),
            3 => Word::No(String::from_utf8(std::mem::take(rest).to_vec()).ok()?),
            4 => Word::Ready,
            5 => {
                let mut calls = Vec::new();
                while !rest.is_empty() {
                    calls.push(take_string(rest)?);
                }
                Word::Calls(calls)
            }
            6 => Word::Yours,
            7..=9 => {
                let word = match kind {
                    7 => Word::Ask,
                    8 => Word::Back,
                    _ => Word::Give,
                };
                let flow = u64::from_be_bytes(take(rest)?).checked_sub(1);
                let from = take_string(rest)?.parse().ok()?;
                word(flow, from, Bytes::copy_from_slice(std::mem::take(rest)))
            }
            10 => {
                let flow = u64::from_be_bytes(take(rest)?);
                Word::Write(flow, Bytes::copy_from_slice(std::mem::take(rest)))
            }
            11 => Word::Closed(u64::from_be_bytes(take(rest)?)),
            12 => Word::Unreachable(take_string(rest)?.parse().ok()?),
            13 => Word::Http,
            14 => Word::Stopping,
            15 => Word::HangUp,
            _ => return None,
        };
        rest.is_empty().then_some(word)
    }
}

/// Its length in 16 bits, and itself.
fn string(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    from.split_off(..N)?.try_into().ok()
}

fn take_string(from: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes(take(from)?));
    String::from_utf8(from.split_off(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_understood_and_nothing_else() {
        let from: SocketAddr = "[2001:db8::1]:5060".parse().expect("an address");
        let bytes = Bytes::from_static(b"BYE sip:a@b SIP/2.0\r\n\r\n");
        let words = [
            Word::Hello(VERSION),
            Word::Sockets(20_000),
            Word::No("busy".to_owned()),
            Word::Ready,
            Word::Calls(vec![]),
            Word::Calls(vec!["a@b".to_owned(), String::new()]),
            Word::Yours,
            Word::Ask(None, from, bytes.clone()),
            Word::Back(Some(0), from, bytes.clone()),
            Word::Give(Some(7), from, Bytes::new()),
            Word::Write(3, bytes),
            Word::Closed(4),
            Word::Unreachable(from),
            Word::Http,
            Word::Stopping,
            Word::HangUp,
        ];
        for word in words {
            let bytes = word.to_bytes();
            assert_eq!(Word::read(&bytes), Some(word.clone()));
            // What is cut off is not taken for something else, where it has an end of its own.
            for length in 0..bytes.len() {
                assert_ne!(Word::read(&bytes[..length]), Some(word.clone()));
            }
        }
        assert_eq!(Word::read(&[0]), None);
        assert_eq!(Word::read(&[4, 0]), None);
        assert_eq!(Word::read(&[7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'x']), None);
    }
}
