//! Whether peers answer: SIP peers are asked with OPTIONS, receivers of webhooks get a connection and no event.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use ::sip::endpoint::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{ANSWER, Finding, Level};
use crate::config::Config;
use crate::sibling::gate;

/// Whom a SIP peer is to us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    /// It calls us: that it does not answer at the port that is usual says little.
    Trunk(String),
    /// We call it.
    Called(String),
}

/// Whether a Baton runs here: its control socket tells who may reach it, whatever the API is served by; its API tells everybody.
pub(super) async fn running(config: &Config) -> bool {
    let http = config.http.listen;
    if config.node.control.as_deref().is_some_and(gate::answers) {
        return true;
    }
    let asked = async {
        let mut stream = TcpStream::connect(http).await.ok()?;
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).contains("\"baton.health/1\""))
    };
    timeout(ANSWER, asked).await.ok().flatten().unwrap_or(false)
}

/// Asks all at one time.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut peers = BTreeSet::new();
    for trunk in &config.trunks {
        for address in &trunk.addresses {
            let name = format!("trunks: {}", trunk.name);
            peers.insert((Peer::Trunk(name), SocketAddr::new(*address, 5060), false));
        }
    }
    let tcp = |transport: Option<Transport>, uri: &str| {
        let asked = ::sip::uri::Uri::parse(uri).ok().and_then(|uri| Transport::of(&uri));
        transport.or(asked) == Some(Transport::Tcp)
    };
    for agent in &config.ai_agents {
        let peer = Peer::Called(format!("ai_agents: {}", agent.name));
        peers.insert((peer, agent.next_hop, tcp(agent.transport, &agent.uri)));
    }
    for target in config.targets.iter().filter(|target| !target.is_machine()) {
        let peer = Peer::Called(format!("targets: {}", target.name));
        peers.insert((peer, target.next_hop, tcp(target.transport, &target.uri)));
    }
    let mut asked = JoinSet::new();
    for (peer, at, tcp) in peers {
        asked.spawn(async move {
            let began = Instant::now();
            let answer = timeout(ANSWER, options(at, tcp))
                .await
                .unwrap_or_else(|_| Err("no answer".to_owned()));
            judged(
                &peer,
                at,
                tcp,
                answer.map(|status| (status, began.elapsed().as_millis())),
            )
        });
    }
    for webhook in &config.webhooks {
        let (name, url) = (format!("webhooks: {}", webhook.name), webhook.to.url.clone());
        asked.spawn(async move {
            match timeout(ANSWER, connects(&url)).await {
                Ok(Ok(at)) => Finding::ok(name, format!("{at} takes connections")),
                Ok(Err(why)) => unreachable(name, why),
                Err(_) => unreachable(name, "no connection in time".to_owned()),
            }
        });
    }
    let mut findings = asked.join_all().await;
    findings.sort_by(|a, b| a.what.cmp(&b.what));
    findings
}

fn unreachable(name: String, why: String) -> Finding {
    let remedy =
        "events wait for it, for webhooks.give_up_s each: is its address right, and does a firewall let us out?";
    Finding::new(Level::Warning, name, why, remedy)
}

/// Any answer of SIP will do.
fn judged(peer: &Peer, at: SocketAddr, tcp: bool, answer: Result<(String, u128), String>) -> Finding {
    let transport = if tcp { "TCP" } else { "UDP" };
    match (peer, answer) {
        (Peer::Trunk(name) | Peer::Called(name), Ok((status, ms))) => Finding::ok(
            name,
            format!("{at} over {transport} answers OPTIONS: {status}, after {ms} ms"),
        ),
        (Peer::Trunk(name), Err(why)) => Finding::new(
            Level::Unknown,
            name,
            format!("{at} over {transport}: {why}"),
            "many carriers answer nobody whom they have not configured: it need not mean anything",
        ),
        (Peer::Called(name), Err(why)) => Finding::new(
            Level::Warning,
            name,
            format!("{at} over {transport}: {why}"),
            "calls to it would fail: does it run, is next_hop right, does a firewall let SIP through?",
        ),
    }
}

/// The status line of the answer.
async fn options(to: SocketAddr, tcp: bool) -> Result<String, String> {
    let any = SocketAddr::new(
        if to.is_ipv4() {
            [0, 0, 0, 0].into()
        } else {
            [0_u16; 8].into()
        },
        0,
    );
    let mut buffer = vec![0; 65_535];
    let told = |error: std::io::Error| error.to_string();
    let len = if tcp {
        let mut stream = TcpStream::connect(to).await.map_err(told)?;
        let at = stream.local_addr().map_err(told)?;
        stream
            .write_all(request(to, at, "TCP").as_bytes())
            .await
            .map_err(told)?;
        stream.read(&mut buffer).await.map_err(told)?
    } else {
        let socket = UdpSocket::bind(any).await.map_err(told)?;
        // An ICMP error comes back as one of ours.
        socket.connect(to).await.map_err(told)?;
        let at = socket.local_addr().map_err(told)?;
        let request = request(to, at, "UDP");
        loop {
            socket.send(request.as_bytes()).await.map_err(told)?;
            // RFC 3261 §17.1.2.2: T1.
            if let Ok(received) = timeout(ANSWER / 3, socket.recv(&mut buffer)).await {
                break received.map_err(told)?;
            }
        }
    };
    status(&buffer[..len]).ok_or_else(|| "what answers there is not SIP".to_owned())
}

fn request(to: SocketAddr, at: SocketAddr, transport: &str) -> String {
    let number = at.port();
    format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/{transport} {at};branch=z9hG4bKcheck{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:baton@{at}>;tag=check{number}\r\nTo: <sip:{to}>\r\nCall-ID: check-{number}@{at}\r\nCSeq: 1 OPTIONS\r\n\
         User-Agent: Baton check\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Status code and reason, where it is an answer of SIP.
fn status(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().next()?.strip_prefix("SIP/2.0 ")?;
    let line: String = line.chars().filter(|c| !c.is_control()).take(60).collect();
    Some(line)
}

/// Where it leads.
async fn connects(url: &str) -> Result<SocketAddr, String> {
    let url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses = lookup_host((host.as_str(), port)).await;
    let mut last = format!("{host} has no address");
    for address in addresses.map_err(|error| format!("{host}: {error}"))? {
        match TcpStream::connect(address).await {
            Ok(_) => return Ok(address),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_answer_of_sip_counts_and_silence_is_judged_by_who_is_silent() {
        assert_eq!(
            status(b"SIP/2.0 404 Not Found\r\n\r\n").as_deref(),
            Some("404 Not Found")
        );
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), None);
        let at = "192.0.2.1:5060".parse().expect("an address");
        let called = Peer::Called("targets: a".to_owned());
        let silent = || Err("no answer".to_owned());
        assert_eq!(judged(&called, at, false, silent()).level, Level::Warning);
        assert_eq!(
            judged(&Peer::Trunk("trunks: t".to_owned()), at, false, silent()).level,
            Level::Unknown
        );
        let answered = judged(&called, at, true, Ok(("486 Busy Here".to_owned(), 3)));
        assert_eq!(
            answered,
            Finding::ok(
                "targets: a",
                "192.0.2.1:5060 over TCP answers OPTIONS: 486 Busy Here, after 3 ms"
            )
        );
    }
}
