//! `[[trunks]]`, `[[ai_agents]]` and `[[targets]]`: whom calls come from and go to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::playbook::hours::Calendar;
use ::sip::endpoint::Transport;
use ::sip::sdp::Encoding;
use ::sip::uri::Uri;
use calls::config::{AiAgent, Keys, Machine, Pattern, Queue, Trunk};
use sip::digest::Credentials;

use super::hours::Hours;
use super::reader::Table;
use super::values::{self, prompt, reference, seconds, unique};
use super::{outbound, queue};
use crate::prompts::{BuiltIn, Prompt};

/// `[[targets]]`
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `sip:…`
    pub uri: String,
    /// Where its INVITE is sent.
    pub next_hop: SocketAddr,
    /// Over what; `None`: as `uri` asks.
    pub transport: Option<Transport>,
    /// How long it may ring.
    pub ring: Duration,
    /// When it may be called.
    pub hours: Arc<Calendar>,
    /// It is a queue: one of its agents is called, at the agent's URI.
    pub queue: Option<Queue>,
    /// URIs that a REFER may name besides `name` and `uri`, and those that agents of a queue may have.
    pub patterns: Vec<Pattern>,
    /// In place of the default briefing.
    pub briefing: Option<Prompt>,
    /// In place of the default hold audio.
    pub hold: Option<Prompt>,
    /// What we speak with it, best first; `None`: all that we speak.
    pub codecs: Option<Vec<Encoding>>,
    /// What is shown where it challenges a request of ours.
    pub auth: Option<Credentials>,
    /// How it is told keys.
    pub dtmf: Keys,
    /// It may be sent a re-INVITE that spares a transcode.
    pub reinvite: bool,
    /// It is a machine of Baton's own, whose address is known once it runs.
    pub machine: Option<Machine>,
}

impl Target {
    /// Whether it is no human.
    pub(crate) fn is_machine(&self) -> bool {
        self.machine.is_some()
    }
}

pub(super) fn ai_agents(root: &Table<'_, '_>, spoken: &[Encoding]) -> Vec<AiAgent> {
    let mut names = BTreeMap::new();
    let mut agents = Vec::new();
    for entry in root.tables("ai_agents") {
        let name = unique(&entry, "name", &mut names);
        let (peer, auth) = (sip_peer(&entry), credentials(&entry));
        let (codecs, dtmf) = (codecs(&entry, spoken), keys(&entry));
        if let (Some(name), Some(peer)) = (name, peer) {
            agents.push(AiAgent {
                name,
                uri: peer.uri,
                next_hop: peer.next_hop,
                transport: peer.transport,
                auth,
                codecs,
                dtmf,
            });
        }
        entry.finish();
    }
    agents
}

pub(super) fn trunks(root: &Table<'_, '_>, agents: &[AiAgent], spoken: &[Encoding]) -> Vec<Trunk> {
    let mut names = BTreeMap::new();
    let mut trunks = Vec::new();
    for entry in root.tables("trunks") {
        let name = unique(&entry, "name", &mut names);
        let addresses = match entry.strings("addresses") {
            None => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            Some(found) => {
                let mut addresses = Vec::new();
                for item in found.value {
                    match item.value.parse() {
                        Ok(address) => addresses.push(address),
                        Err(_) => {
                            let message =
                                format!("must be a list of addresses, as 192.0.2.1; {:?} is none", item.value);
                            entry.problem(item.line, "addresses", message);
                        }
                    }
                }
                addresses
            }
        };
        let ai_agent = entry.string("ai_agent");
        if let Some(agent) = &ai_agent {
            reference(
                &entry,
                "ai_agent",
                agent,
                "ai_agents",
                agents.iter().map(|agent| &*agent.name),
            );
        } else if agents.is_empty() {
            entry.problem(
                entry.line,
                "ai_agent",
                "nobody would answer: there are no [[ai_agents]]",
            );
        }
        let refer = entry.boolean("refer").unwrap_or(false);
        let (codecs, dtmf) = (codecs(&entry, spoken), keys(&entry));
        let reinvite = entry.boolean("reinvite").unwrap_or(true);
        let verstat = entry.boolean("verstat").unwrap_or(false);
        let auth = credentials(&entry);
        let outbound = outbound::read(&entry);
        if let Some(name) = name {
            trunks.push(Trunk {
                name,
                addresses,
                ai_agent: ai_agent.map(|agent| agent.value),
                refer,
                codecs,
                auth,
                dtmf,
                reinvite,
                verstat,
                outbound,
            });
        }
        entry.finish();
    }
    trunks
}

pub(super) fn targets(root: &Table<'_, '_>, spoken: &[Encoding], hours: &Hours) -> Vec<Target> {
    let mut names = BTreeMap::new();
    let mut targets = Vec::new();
    for entry in root.tables("targets") {
        let name = unique(&entry, "name", &mut names);
        let queue = queue::read(&entry);
        let machine = machine(&entry);
        let peer = match &queue {
            _ if let Some(machine) = machine => Some(own_peer(&entry, machine, spoken)),
            Some(_) if !entry.has("uri") => queue_peer(&entry),
            _ => sip_peer(&entry),
        };
        let ring = seconds(&entry, "ring_s", 1..=600, 20);
        let hours = hours.named(&entry);
        let patterns = patterns(&entry);
        let (briefing, hold) = (
            prompt(&entry, "briefing", BuiltIn::Briefing),
            prompt(&entry, "hold", BuiltIn::Hold),
        );
        let (codecs, dtmf) = (codecs(&entry, spoken), keys(&entry));
        let codecs = machine.map(|_| vec![Encoding::Pcmu]).or(codecs);
        let reinvite = entry.boolean("reinvite").unwrap_or(true);
        let auth = credentials(&entry);
        if let (Some(name), Some(peer)) = (name, peer) {
            targets.push(Target {
                name,
                uri: peer.uri,
                next_hop: peer.next_hop,
                transport: peer.transport,
                ring,
                hours,
                queue,
                patterns,
                briefing,
                hold,
                codecs,
                auth,
                dtmf,
                reinvite: reinvite && machine.is_none(),
                machine,
            });
        }
        entry.finish();
    }
    targets
}

/// `voicemail`, `callback`: which machine of our own it is.
fn machine(entry: &Table<'_, '_>) -> Option<Machine> {
    let machines = [Machine::Voicemail, Machine::Callback];
    let [voicemail, callback] = machines.map(|machine| entry.boolean(machine.name()).unwrap_or(false));
    if voicemail && callback {
        entry.problem(
            entry.line,
            "callback",
            "is of no use to a voicemail: it is the one or the other",
        );
    }
    match (voicemail, callback) {
        (true, _) => Some(Machine::Voicemail),
        (false, true) => Some(Machine::Callback),
        (false, false) => None,
    }
}

/// What is our own has no address that anybody could know, and what a human has is of no use to it.
fn own_peer(entry: &Table<'_, '_>, machine: Machine, spoken: &[Encoding]) -> Peer {
    let name = machine.name();
    for key in ["uri", "next_hop", "codecs", "patterns", "briefing", "auth", "queue"] {
        if entry.has(key) {
            let message = format!("is of no use to a {name}: it is Baton's own");
            entry.problem(entry.line, key, message);
        }
    }
    let _ = (entry.string("uri"), entry.string("next_hop"));
    if !spoken.contains(&Encoding::Pcmu) {
        entry.problem(entry.line, name, "speaks pcmu, which is not in media.codecs");
    }
    Peer {
        uri: format!("sip:{name}@127.0.0.1"),
        next_hop: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        transport: Some(Transport::Udp),
    }
}

/// `codecs`: of those that we speak.
fn codecs(entry: &Table<'_, '_>, spoken: &[Encoding]) -> Option<Vec<Encoding>> {
    let codecs = values::codecs(entry, "codecs")?;
    for codec in &codecs {
        if !spoken.contains(&codec.value) {
            let message = format!("{:?} is not in media.codecs", values::codec_name(codec.value));
            entry.problem(codec.line, "codecs", message);
        }
    }
    Some(codecs.into_iter().map(|codec| codec.value).collect())
}

/// `dtmf`: how it is told keys.
fn keys(entry: &Table<'_, '_>) -> Keys {
    let ways = [("rtp", Keys::Rtp), ("info", Keys::Info)];
    entry.choice("dtmf", &ways).unwrap_or_default()
}

fn patterns(entry: &Table<'_, '_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for item in entry.strings("patterns").map(|found| found.value).unwrap_or_default() {
        match Pattern::parse(&item.value) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => entry.problem(item.line, "patterns", format!("{error}; {:?} is none", item.value)),
        }
    }
    patterns
}

/// `auth`: what is shown to a peer that challenges.
fn credentials(entry: &Table<'_, '_>) -> Option<Credentials> {
    let table = entry.table("auth");
    let realm = table.string("realm").map(|realm| realm.value);
    let found = if entry.has("auth") {
        let (username, password) = (table.required("username"), table.secret("password"));
        if !table.has("password") {
            table.problem(table.line, "password", "is missing: it has no default");
        }
        username.zip(password)
    } else {
        // Known keys all the same.
        let _ = (table.string("username"), table.secret("password"));
        None
    };
    table.finish();
    found.map(|(username, password)| Credentials {
        realm,
        username: username.value,
        password: password.value.reveal().to_owned(),
    })
}

fn transport(name: &str) -> Option<Transport> {
    match &*name.to_ascii_lowercase() {
        "udp" => Some(Transport::Udp),
        "tcp" => Some(Transport::Tcp),
        _ => None,
    }
}

/// An address with a port, and the transport that may follow it.
pub(super) fn next_hop(table: &Table<'_, '_>) -> Option<(SocketAddr, Option<Transport>)> {
    let found = table.string("next_hop")?;
    let (address, name) = match found.value.split_once(";transport=") {
        Some((address, name)) => (address, Some(name)),
        None => (&*found.value, None),
    };
    let known = name.map(transport);
    match (address.parse(), known) {
        (Ok(address), None) => Some((address, None)),
        (Ok(address), Some(Some(transport))) => Some((address, Some(transport))),
        _ => {
            let message = "must be an address and a port, as 192.0.2.1:5060 or 192.0.2.1:5060;transport=tcp";
            table.problem(found.line, "next_hop", message);
            None
        }
    }
}

/// Who is called, and the way there.
struct Peer {
    uri: String,
    next_hop: SocketAddr,
    transport: Option<Transport>,
}

/// A queue without an address of its own: its agents have theirs, and all of them are called there.
fn queue_peer(table: &Table<'_, '_>) -> Option<Peer> {
    let Some((next_hop, transport)) = next_hop(table) else {
        if !table.has("next_hop") {
            table.problem(
                table.line,
                "next_hop",
                "is missing: where the agents of the queue are called",
            );
        }
        return None;
    };
    Some(Peer {
        uri: format!("sip:{next_hop}"),
        next_hop,
        transport,
    })
}

/// `tel:+49301234567`, or `tel:204`, an extension: who is called by its number at the next hop (RFC 3261 §19.1.6, RFC 3966 §3).
fn phone(
    table: &Table<'_, '_>,
    line: usize,
    number: &str,
    next_hop: Option<(SocketAddr, Option<Transport>)>,
) -> Option<Peer> {
    let number: String = number.chars().filter(|c| !"-.()".contains(*c)).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    // E.164 has 15 digits at the most.
    if !(1..=15).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let message = "must be tel:+49301234567, or tel:204 for an extension: no parameters, at most 15 digits";
        table.problem(line, "uri", message);
        return None;
    }
    let Some((next_hop, transport)) = next_hop else {
        if !table.has("next_hop") {
            table.problem(line, "uri", "a number is called at a gateway: set next_hop");
        }
        return None;
    };
    let phone = if number.starts_with('+') { ";user=phone" } else { "" };
    Some(Peer {
        uri: format!("sip:{number}@{next_hop}{phone}"),
        next_hop,
        transport,
    })
}

/// `uri` and `next_hop`: the latter from the former where its host is an address.
fn sip_peer(table: &Table<'_, '_>) -> Option<Peer> {
    let uri = table.required("uri");
    let next_hop = next_hop(table);
    let uri = uri?;
    if let Some(number) = uri.value.strip_prefix("tel:") {
        return phone(table, uri.line, number, next_hop);
    }
    let Some(host) = uri.value.strip_prefix("sip:").filter(|rest| !rest.is_empty()) else {
        table.problem(
            uri.line,
            "uri",
            "must be sip:user@host, or tel: with a number (sips: is not built yet)",
        );
        return None;
    };
    if uri
        .value
        .contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c))
    {
        table.problem(uri.line, "uri", "must be a bare URI: no blank, quote or angle bracket");
        return None;
    }
    let asked = Uri::parse(&uri.value)
        .ok()
        .and_then(|uri| uri.param("transport").map(str::to_owned));
    if let Some(other) = asked.filter(|name| transport(name).is_none()) {
        let message = format!("transport={other} is not built yet: udp and tcp are");
        table.problem(uri.line, "uri", message);
        return None;
    }
    if let Some((next_hop, transport)) = next_hop {
        let uri = uri.value;
        return Some(Peer {
            uri,
            next_hop,
            transport,
        });
    }
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split([';', '?']).next().unwrap_or(host);
    let address = host.parse::<SocketAddr>().ok().or_else(|| {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::from((ip, 5060)))
    });
    match address {
        Some(next_hop) => Some(Peer {
            uri: uri.value,
            next_hop,
            transport: None,
        }),
        None => {
            let message = format!("{host:?} is not an address, and names are not looked up yet: set next_hop");
            table.problem(uri.line, "uri", message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::super::tests::problems;

    #[test]
    fn a_number_or_an_extension_is_called_at_the_next_hop() {
        let target = |uri: &str, hop: &str| {
            let text = format!("[[targets]]\nname = \"a\"\nuri = \"{uri}\"\nnext_hop = \"{hop}\"\n");
            Config::from_toml(&text, Path::new(""))
                .expect("right")
                .targets
                .remove(0)
        };
        let phone = target("tel:+49-30-(123).4567", "127.0.0.1:5080;transport=tcp");
        assert_eq!(phone.uri, "sip:+49301234567@127.0.0.1:5080;user=phone");
        assert_eq!(phone.next_hop, "127.0.0.1:5080".parse().expect("an address"));
        assert_eq!(phone.transport, Some(sip::endpoint::Transport::Tcp));
        assert_eq!(target("tel:204", "127.0.0.1:5080").uri, "sip:204@127.0.0.1:5080");
        let wrong = |uri: &str, hop: &str| problems(&format!("[[targets]]\nname = \"a\"\nuri = \"{uri}\"\n{hop}\n"));
        for uri in [
            "tel:",
            "tel:+",
            "tel:anna",
            "tel:+1234567890123456",
            "tel:204;phone-context=x",
            "tel:20 4",
        ] {
            let found = wrong(uri, "next_hop = \"127.0.0.1:5080\"");
            assert!(
                matches!(&found[..], [one] if one.contains("must be tel:+49301234567")),
                "{uri}: {found:?}"
            );
        }
        let found = wrong("tel:204", "");
        assert!(matches!(&found[..], [one] if one.contains("set next_hop")), "{found:?}");
    }
}
