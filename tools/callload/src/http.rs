//! Requests at their time, over connections that stay.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::KEY;

/// Requests under way at one time.
const CONNECTIONS: usize = 48;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Turn,
    Handoff,
}

pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// Which call of ours it is about.
    pub(crate) call: u32,
    pub(crate) due: Instant,
    pub(crate) path: String,
    pub(crate) body: Value,
}

pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) call: u32,
    pub(crate) due: Instant,
    pub(crate) at: Instant,
    /// The status, or what went wrong.
    pub(crate) status: Result<u16, String>,
    pub(crate) body: String,
}

/// Starts the connections; they end with the channel.
pub(crate) fn start(server: SocketAddr, requests: Receiver<Request>, answers: &Sender<Answer>) {
    let requests = Arc::new(Mutex::new(requests));
    for _ in 0..CONNECTIONS {
        let (requests, answers) = (Arc::clone(&requests), answers.clone());
        thread::spawn(move || {
            let mut connection = None;
            loop {
                let next = match requests.lock() {
                    Ok(requests) => requests.recv(),
                    Err(_) => return,
                };
                let Ok(request) = next else { return };
                let done = ask(&mut connection, server, &request);
                if done.is_err() {
                    connection = None;
                }
                let (status, body) = match done {
                    Ok((status, body)) => (Ok(status), body),
                    Err(error) => (Err(error.to_string()), String::new()),
                };
                let answer = Answer {
                    kind: request.kind,
                    call: request.call,
                    due: request.due,
                    at: Instant::now(),
                    status,
                    body,
                };
                if answers.send(answer).is_err() {
                    return;
                }
            }
        });
    }
}

/// The body of an answer of 200.
pub(crate) fn get(server: SocketAddr, path: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut open = BufReader::new(stream);
    let text =
        format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n");
    open.get_mut().write_all(text.as_bytes())?;
    match answer(&mut open)? {
        (200, body) => Ok(body),
        (status, body) => Err(std::io::Error::other(format!("{status} {body}"))),
    }
}

fn ask(
    connection: &mut Option<BufReader<TcpStream>>,
    server: SocketAddr,
    request: &Request,
) -> std::io::Result<(u16, String)> {
    let body = request.body.to_string();
    let text = format!(
        "POST {} HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        request.path,
        body.len()
    );
    // A connection that the server has closed meanwhile is no fault of it: RFC 9112 §9.3.1, and nothing was answered.
    if let Some(open) = connection
        && open.get_mut().write_all(text.as_bytes()).is_ok()
        && !open.fill_buf()?.is_empty()
    {
        return answer(open);
    }
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let open = connection.insert(BufReader::new(stream));
    open.get_mut().write_all(text.as_bytes())?;
    answer(open)
}

fn answer(open: &mut BufReader<TcpStream>) -> std::io::Result<(u16, String)> {
    let wrong = |what: &str| std::io::Error::other(what.to_owned());
    let (mut line, mut length) = (String::new(), 0);
    open.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| wrong("no HTTP answer"))?;
    loop {
        line.clear();
        open.read_line(&mut line)?;
        let field = line.trim_end();
        if field.is_empty() {
            break;
        }
        if let Some((name, value)) = field.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(|_| wrong("no length"))?;
        }
    }
    let mut body = vec![0; length];
    open.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
