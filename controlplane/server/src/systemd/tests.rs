mod unit;

use super::*;

#[test]
fn the_watchdog_is_ours_where_it_names_us_or_nobody() {
    let second = Some(Duration::from_secs(1));
    assert_eq!(watchdog(Some("1000000"), None, 7), second);
    assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
    assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None);
    assert_eq!(watchdog(Some("0"), None, 7), None);
    assert_eq!(watchdog(Some("often"), None, 7), None);
    assert_eq!(watchdog(None, None, 7), None);
}

#[test]
fn an_abstract_socket_hears_it_too() {
    let name = format!("baton-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("a socket");
    let systemd = Systemd {
        manager: Some(open(OsStr::new(&format!("@{name}"))).expect("opened")),
        watchdog: Some(Duration::from_secs(4)),
    };
    systemd.stopping(2, true, Duration::from_secs(3));
    let mut heard = [0; 200];
    let len = manager.recv(&mut heard).expect("told");
    assert_eq!(
        &heard[..len],
        b"STOPPING=1\nEXTEND_TIMEOUT_USEC=3000000\nSTATUS=draining: 2 calls are left, and those of the older version"
    );
    assert_eq!(systemd.pulse(), Some(Duration::from_secs(1)));
}
