use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{Header, Malformed, Params, is_token, split};
use crate::uri::{digits, ipv6, split_host_port};

/// Via (RFC 3261 §20.42): the first value of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, …, as written.
    pub transport: String,
    /// Host as written, with the brackets of an IPv6 reference.
    pub host: String,
    /// Port, where one is written.
    pub port: Option<u16>,
    /// branch, received, rport, …
    pub params: Params,
}

impl Via {
    /// All values of one field.
    pub fn parse_list(value: &str) -> Result<Vec<Via>, Malformed> {
        split(value, b',')?.into_iter().map(parse_one).collect()
    }

    /// `SIP/2.0/UDP host:port;branch=…;rport`, as a client sends it (RFC 3581 §3).
    pub fn udp(sent_by: SocketAddr, branch: &str) -> Via {
        Via::client("UDP", sent_by, branch)
    }

    /// The same over TCP.
    pub fn tcp(sent_by: SocketAddr, branch: &str) -> Via {
        Via::client("TCP", sent_by, branch)
    }

    fn client(transport: &str, sent_by: SocketAddr, branch: &str) -> Via {
        let host = match sent_by.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let mut params = Params::default();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Via {
            transport: transport.into(),
            host,
            port: Some(sent_by.port()),
            params,
        }
    }

    /// The branch; empty where it is written without a value.
    pub fn branch(&self) -> Option<String> {
        self.params.get("branch").map(|branch| branch.into_owned())
    }

    /// The address that the request came from, where the receiver noted it. With or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(&text);
        inner.parse().ok().or_else(|| ipv6(inner).map(IpAddr::V6))
    }

    /// The port that the request came from (RFC 3581): `Some(None)` where the client asks for it.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params
            .get("rport")
            .map(|port| digits(&port).and_then(|port| port.try_into().ok()))
    }

    /// Where an answer goes over UDP (RFC 3261 §18.2.2, RFC 3581 §4): `received`, else the host where it is an address;
    /// `rport`, else the port, else 5060. `None` where a name would have to be looked up.
    pub fn response_target(&self) -> Option<SocketAddr> {
        let address = self.received().or_else(|| split_host_port(&self.host)?.1)?;
        let port = self.rport().flatten().or(self.port).unwrap_or(5060);
        Some(SocketAddr::new(address, port))
    }
}

impl Header for Via {
    const NAME: &'static str = "Via";
    fn parse(value: &str) -> Result<Via, Malformed> {
        parse_one(split(value, b',')?[0])
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

fn parse_one(text: &str) -> Result<Via, Malformed> {
    // sent-protocol = protocol-name SLASH protocol-version SLASH transport, and a SLASH may have white space around it.
    let mut parts = text.splitn(3, '/');
    let (name, version, rest) = (parts.next(), parts.next(), parts.next().ok_or(Malformed)?.trim_start());
    if !name.is_some_and(|name| name.trim().eq_ignore_ascii_case("SIP")) || version.map(str::trim) != Some("2.0") {
        return Err(Malformed);
    }
    let (transport, rest) = rest.split_at(rest.find([' ', '\t']).ok_or(Malformed)?);
    let (sent_by, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let (host, _, port) = split_host_port(sent_by.trim()).ok_or(Malformed)?;
    if !is_token(transport.as_bytes()) {
        return Err(Malformed);
    }
    Ok(Via {
        transport: transport.to_owned(),
        host: host.to_owned(),
        port,
        params: Params::parse(params)?,
    })
}
