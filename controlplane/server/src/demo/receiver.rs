//! The receiver of webhooks: as small as HTTP/1.1 allows, and not there while it is down.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::clock::Clock;

/// A request that is longer is not taken.
const REQUEST_MAX: usize = 4 << 20;

/// A webhook as it was delivered.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// On the demo's clock.
    pub(super) t_ms: f64,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// The body as JSON; `null` where it is none.
    pub(super) event: Value,
}

impl Delivery {
    /// The type of the event, without `baton.`.
    pub(super) fn kind(&self) -> &str {
        let kind = self.event["type"].as_str().unwrap_or("?");
        kind.strip_prefix("baton.").unwrap_or(kind)
    }

    /// As the contract shows it.
    pub(super) fn json(&self, secret: &str) -> Value {
        let headers: serde_json::Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        json!({ "headers": headers, "body": self.body, "secret": secret })
    }
}

/// A receiver with its address, listening or not yet.
pub(super) struct Receiver {
    address: SocketAddr,
    clock: Clock,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    up: bool,
}

impl Receiver {
    /// Finds an address. [`Receiver::come_up`] listens there.
    pub(super) fn new(clock: Clock) -> std::io::Result<Receiver> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok(Receiver {
            address,
            clock,
            deliveries: Arc::default(),
            up: false,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/baton", self.address)
    }

    /// Listens from now on.
    pub(super) fn come_up(&mut self) -> std::io::Result<()> {
        if std::mem::replace(&mut self.up, true) {
            return Ok(());
        }
        let listener = TcpListener::bind(self.address)?;
        let (clock, deliveries) = (self.clock, Arc::clone(&self.deliveries));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let deliveries = Arc::clone(&deliveries);
                std::thread::spawn(move || serve(stream, clock, &deliveries));
            }
        });
        Ok(())
    }

    /// What has been delivered since the first `known`.
    pub(super) fn since(&self, known: usize) -> Vec<Delivery> {
        let deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.get(known..).unwrap_or_default().to_vec()
    }
}

/// One connection, request after request. What is no request ends it.
fn serve(mut stream: TcpStream, clock: Clock, deliveries: &Mutex<Vec<Delivery>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes) {
            Some((headers, body, length)) => {
                let body = String::from_utf8_lossy(&bytes[body..length]).into_owned();
                let event = serde_json::from_str(&body).unwrap_or(Value::Null);
                deliveries
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Delivery {
                        t_ms: clock.now_ms(),
                        headers,
                        body,
                        event,
                    });
                bytes.drain(..length);
                if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                    return;
                }
            }
            None if bytes.len() > REQUEST_MAX => return,
            None => {
                let mut buffer = [0u8; 16 << 10];
                match stream.read(&mut buffer) {
                    Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
                    _ => return,
                }
            }
        }
    }
}

/// A whole request at the start of `bytes`: its headers, where its body begins, and where it ends.
fn parse(bytes: &[u8]) -> Option<(HeaderMap, usize, usize)> {
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..body]);
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.trim()), HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    let length: usize = headers
        .get("content-length")
        .map_or(Some(0), |length| length.to_str().ok()?.parse().ok())?;
    let end = body.checked_add(length)?;
    (end <= bytes.len()).then_some((headers, body, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_one_after_the_other() {
        let two = b"POST /a HTTP/1.1\r\nWebhook-Id: 7\r\nContent-Length: 3\r\n\r\nabcPOST";
        let (headers, body, end) = parse(two).unwrap();
        assert_eq!(headers["webhook-id"], "7");
        assert_eq!(&two[body..end], b"abc");
        for length in 0..end {
            assert!(parse(&two[..length]).is_none());
        }
        assert!(parse(b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n").is_none());
    }

    #[test]
    fn down_until_it_comes_up() {
        let mut receiver = Receiver::new(Clock::start()).unwrap();
        assert!(TcpStream::connect(receiver.address).is_err());
        receiver.come_up().unwrap();
        let mut stream = TcpStream::connect(receiver.address).unwrap();
        stream
            .write_all(b"POST / HTTP/1.1\r\nContent-Length: 27\r\n\r\n{\"type\":\"baton.call.ended\"}")
            .unwrap();
        let mut answer = [0u8; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 204");
        assert_eq!(receiver.since(0)[0].kind(), "call.ended");
        assert!(receiver.since(1).is_empty());
    }
}
