//! Somebody who asks while the flood goes on.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// OPTIONS a second.
pub(crate) const PINGS: u32 = 20;

/// How many OPTIONS were sent, and how long those took that were answered with 200.
pub(crate) fn pings(to: SocketAddr, start: Instant, time: Duration) -> Result<(usize, Vec<Duration>), String> {
    let socket = pinger()?;
    let pace = Duration::from_secs(1) / PINGS;
    let count = (time.as_secs_f64() * f64::from(PINGS)).round() as usize;
    let mut sent: Vec<Option<Instant>> = Vec::new();
    let mut answered = Vec::new();
    let mut buffer = [0; 4096];
    // The last ones are waited for.
    while start.elapsed() < time + Duration::from_secs(1) {
        if sent.len() < count && start.elapsed() >= pace * sent.len() as u32 {
            let number = sent.len();
            sent.push(Some(Instant::now()));
            socket
                .send_to(&ping(&socket, number), to)
                .map_err(|error| error.to_string())?;
        }
        let wait = (pace * sent.len() as u32).saturating_sub(start.elapsed());
        let wait = wait.clamp(Duration::from_micros(100), pace);
        socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
        match socket.recv_from(&mut buffer) {
            Ok((len, _)) => {
                let text = String::from_utf8_lossy(&buffer[..len]);
                let number = text
                    .lines()
                    .find_map(|line| line.strip_prefix("Call-ID: ping")?.parse::<usize>().ok());
                let at = number.and_then(|number| sent.get_mut(number)?.take());
                if let Some(at) = at.filter(|_| text.starts_with("SIP/2.0 200 ")) {
                    answered.push(at.elapsed());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok((sent.len(), answered))
}

/// A socket of somebody who is in no trunk and does no harm.
pub(crate) fn pinger() -> Result<UdpSocket, String> {
    let socket = UdpSocket::bind("127.0.0.20:0").map_err(|error| format!("127.0.0.20: {error}"))?;
    let patience = socket.set_read_timeout(Some(Duration::from_millis(200)));
    patience.map_err(|error| error.to_string())?;
    Ok(socket)
}

pub(crate) fn ping(socket: &UdpSocket, number: usize) -> Vec<u8> {
    let at = socket.local_addr().map(|at| at.to_string()).unwrap_or_default();
    format!(
        "OPTIONS sip:baton@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKping{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:ping@{at}>;tag=p{number}\r\nTo: <sip:baton@127.0.0.1>\r\nCall-ID: ping{number}\r\nCSeq: {number} OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}
