//! The program as a service manager sees it: what it tells, and what it is still allowed to do.

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::process::Signal as Kill;

use crate::PATIENCE;
use crate::child::Program;
use crate::drain::{ends, signal};
use crate::folder;
use crate::party::{Signal, Wish};
use crate::ports::Ports;
use crate::way::{FOUR, Way};
use crate::world::{Plan, World};

fn start(folder: &Path, ports: &mut Ports, first_port: u16, variables: &[(&str, &OsStr)]) -> Program {
    let text = format!(
        "[sip]\nlisten = \"127.0.0.1:{}\"\n[media]\nfirst_port = {first_port}\nports_per_worker = 4\n\
         [http]\nlisten = \"127.0.0.1:0\"\n",
        ports.take(1)
    );
    std::fs::write(folder.join("baton.toml"), text).expect("a file");
    let arguments = ["serve", "--config", "baton.toml"].map(str::to_owned);
    Program::start_in("baton", env!("CARGO_BIN_EXE_baton"), arguments, folder, variables)
}

/// The next thing that the manager is told, but for signs of life.
fn told(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 1000];
    loop {
        let len = manager.recv(&mut buffer).expect("it tells something");
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        if text != "WATCHDOG=1" {
            return text;
        }
    }
}

#[test]
fn the_manager_is_told_that_it_is_ready_alive_and_stopping() {
    let mut ports = Ports::claim();
    let first_port = ports.take(8);
    let folder = folder::of(first_port);
    let path = folder.join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("set");
    let variables = [
        ("NOTIFY_SOCKET", path.as_os_str()),
        ("WATCHDOG_USEC", OsStr::new("200000")),
    ];
    let mut baton = start(&folder, &mut ports, first_port, &variables);
    assert!(told(&manager).starts_with("READY=1\n"));
    let mut buffer = [0; 100];
    for _ in 0..3 {
        let len = manager.recv(&mut buffer).expect("a sign of life");
        assert_eq!(&buffer[..len], b"WATCHDOG=1");
    }
    signal(&baton, Kill::TERM);
    let stopping = told(&manager);
    assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC="), "{stopping}");
    ends(&mut baton);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_it_gives_signs_of_life() {
    let mut world = World::with_program(Plan {
        node: "drain_s = 3600",
        manager: Some("manager"),
        ..Plan::all(Way::udp(FOUR))
    })
    .await;
    let manager = UnixDatagram::bind(world.program().1.join("manager")).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("set");
    signal(world.program().0, Kill::TERM);
    // Its first word, and how much is left.
    for _ in 0..2 {
        let stopping = told(&manager);
        assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    }
    let mut buffer = [0; 100];
    for _ in 0..3 {
        let len = manager.recv(&mut buffer).expect("a sign of life");
        assert_eq!(&buffer[..len], b"WATCHDOG=1");
    }
    world.caller.wish(Wish::HangUp);
    world.ai.until(&Signal::Bye).await;
    ends(world.program().0);
}

#[test]
fn no_thread_of_it_has_a_right_left() {
    let mut ports = Ports::claim();
    let first_port = ports.take(8);
    let folder = folder::of(first_port);
    let path = folder.join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut baton = start(&folder, &mut ports, first_port, &[("NOTIFY_SOCKET", path.as_os_str())]);
    told(&manager);
    let root = rustix::process::geteuid().is_root();
    let mut threads = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{}/task", baton.id())).expect("it runs") {
        let status = std::fs::read_to_string(thread.expect("a thread").path().join("status")).expect("its status");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {status}"))
                .trim()
                .to_owned()
        };
        let name = value("Name:");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(value(set), "0000000000000000", "{set} {name}");
        }
        // Only who may narrow it can: root here, and in a unit of systemd the manager.
        if root {
            assert_eq!(value("CapBnd:"), "0000000000000000", "{name}");
        }
        assert_eq!(value("NoNewPrivs:"), "1", "{name}");
        threads.push(name);
    }
    assert!(
        threads.iter().any(|name| name.starts_with("baton-media")),
        "{threads:?}"
    );
    signal(&baton, Kill::TERM);
    ends(&mut baton);
}
