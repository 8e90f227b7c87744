//! A proxy between Baton and a peer, as little of one as a route set needs: it record-routes, and hands on.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A proxy that runs.
pub(crate) struct Proxy {
    pub(crate) at: SocketAddr,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Between these two.
    pub(crate) fn start(at: SocketAddr, baton: SocketAddr, peer: SocketAddr) -> Proxy {
        let socket = UdpSocket::bind(at).expect("a port of our own");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a time-out");
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let (stopped, noted) = (Arc::clone(&stop), Arc::<Mutex<Vec<String>>>::clone(&seen));
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
                if from == peer {
                    let _ = socket.send_to(message.as_bytes(), baton);
                    continue;
                }
                let (first, rest) = message.split_once("\r\n").expect("SIP");
                let method = first.split(' ').next().unwrap_or_default();
                let routed = if rest.contains(&format!("\r\nRoute: <sip:{at};lr>\r\n")) {
                    " routed"
                } else {
                    ""
                };
                noted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(format!("{method}{routed}"));
                // RFC 3261 §16.6, step 4.
                let message = format!("{first}\r\nRecord-Route: <sip:{at};lr>\r\n{rest}");
                let _ = socket.send_to(message.as_bytes(), peer);
            }
        });
        Proxy {
            at,
            stop,
            seen,
            thread: Some(thread),
        }
    }

    /// The requests that came from Baton, by method, and whether their Route named us.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
