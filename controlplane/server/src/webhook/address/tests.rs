use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::journal::lock;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn only_public_addresses_are_public() {
    for (address, kind) in [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "shared behind a carrier's NAT"),
        ("100.127.255.255", "shared behind a carrier's NAT"),
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("168.63.129.16", "a cloud's own"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.192", "reserved"),
        ("192.168.1.1", "private"),
        ("198.19.0.1", "for benchmarks"),
        ("203.0.113.7", "for documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0:10.0.0.1", "private"),
        ("::127.0.0.1", "not global"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::808:808", "not global"),
        ("2002:7f00:1::", "loopback"),
        ("2002:c0a8:101::1", "private"),
        ("2001:0:808:808::", "reserved"),
        ("2001:db8::1", "for documentation"),
        ("3fff::1", "for documentation"),
        ("100::1", "for discarding"),
        ("fc00::1", "unique local"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("4000::1", "not global"),
    ] {
        assert_eq!(special(ip(address)), Some(kind), "{address}");
    }
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ] {
        assert_eq!(special(ip(address)), None, "{address}");
    }
}

#[test]
fn every_form_of_an_address_is_seen_through() {
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "0",
        "0xa9fea9fe",
        "2852039166",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "metadata.localhost",
        "crm.example.org@127.0.0.1",
        "crm.example.org:443@[::1]",
        "crm.example.org%2f@169.254.169.254",
        "\\127.0.0.1",
        "127.0.0.1#@crm.example.org",
        "127.0.0.1\\@crm.example.org",
        "10.0.0.1:8443",
    ] {
        let text = format!("http://{host}/hook");
        let url = Url::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(problem(&url).is_some(), "{text} is taken, as {:?}", url.host_str());
    }
    for host in [
        "crm.example.org",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "127.0.0.1@crm.example.org",
        "8.8.8.8",
        "134744072",
        "[2606:4700::1111]",
    ] {
        let text = format!("https://{host}/hook");
        let url = Url::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(problem(&url), None, "{text}");
    }
}

/// A resolver in place of the DNS: one answer after the other, the last one for ever.
pub(in crate::webhook) struct Zone(Mutex<VecDeque<Vec<SocketAddr>>>);

impl Zone {
    pub(in crate::webhook) fn answering<'a>(answers: impl IntoIterator<Item = &'a [&'a str]>) -> Arc<Zone> {
        let answers = answers
            .into_iter()
            .map(|answer| answer.iter().map(|text| text.parse().expect("an address")).collect());
        Arc::new(Zone(Mutex::new(answers.collect())))
    }
}

impl Resolve for Zone {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = lock(&self.0);
        let answer = match answers.len() {
            0 | 1 => answers.front().cloned().unwrap_or_default(),
            _ => answers.pop_front().unwrap_or_default(),
        };
        Box::pin(async move { Ok(Box::new(answer.into_iter()) as Addrs) })
    }
}

async fn look_up(resolver: &PublicOnly) -> Result<Vec<String>, String> {
    let found = resolver.resolve("crm.example.org".parse().expect("a name")).await;
    found
        .map(|found| found.map(|address| address.ip().to_string()).collect())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_look_up_is_checked_and_only_public_addresses_come_of_it() {
    let answers: [&[&str]; 4] = [
        &["8.8.8.8:0"],
        // The same name a moment later: rebinding.
        &["127.0.0.1:0"],
        &["10.0.0.1:0", "9.9.9.9:0", "[::1]:0", "[2606:4700::1111]:0"],
        &["[::ffff:169.254.169.254]:0", "[fd00::1]:0"],
    ];
    let resolver = PublicOnly::over(Zone::answering(answers));
    assert_eq!(look_up(&resolver).await, Ok(vec!["8.8.8.8".to_owned()]));
    let refused = look_up(&resolver).await.expect_err("refused");
    assert_eq!(
        refused,
        "refused: crm.example.org is at 127.0.0.1, which is loopback; allow_private takes it"
    );
    assert_eq!(
        look_up(&resolver).await,
        Ok(vec!["9.9.9.9".to_owned(), "2606:4700::1111".to_owned()])
    );
    assert!(look_up(&resolver).await.is_err());
}

#[tokio::test]
async fn what_the_system_says_of_localhost_is_refused() {
    let resolver = PublicOnly::new();
    let found = resolver.resolve("localhost".parse().expect("a name")).await;
    let refused = found.err().expect("refused");
    assert!(refused.downcast_ref::<Refused>().is_some(), "{refused}");
}
