//! What `tools/ops` has for systemd fits the program.

use std::path::Path;
use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::cli::{CheckArgs, Cli, Command, ServeArgs};
use crate::config::Config;
use crate::sip_transport::udp;
use crate::store::Place;

const UNIT: &str = include_str!("../../../../../tools/ops/baton.service");
const CONFIGURATION: &str = include_str!("../../../../../tools/ops/baton.toml");
const USER: &str = include_str!("../../../../../tools/ops/baton.sysusers");
const SYSCTLS: &str = include_str!("../../../../../tools/ops/90-baton.conf");
const MANIFEST: &str = include_str!("../../../Cargo.toml");

/// All lines with this key.
fn all<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
        .collect()
}

fn unit(key: &str) -> &'static str {
    match all(UNIT, key)[..] {
        [one] => one,
        ref found => panic!("{key}: {found:?}"),
    }
}

fn seconds(key: &str) -> Duration {
    Duration::from_secs(unit(key).parse().expect("seconds"))
}

fn configuration() -> Config {
    Config::from_toml(CONFIGURATION, Path::new("/etc/baton")).expect("it is right")
}

/// As systemd takes a line apart; ours have no quotes.
fn command(line: &str) -> Command {
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[0], "/usr/bin/baton");
    Cli::try_parse_from(words).expect("a command line").command
}

#[test]
fn the_unit_calls_the_program_as_its_command_line_is() {
    let file = Path::new("/etc/baton/baton.toml");
    let serve = command(unit("ExecStart"));
    assert!(
        matches!(&serve, Command::Serve(ServeArgs { config: Some(path), take_over: false }) if path == file),
        "{serve:?}"
    );
    // What a check finds keeps nobody from starting.
    let check = command(unit("ExecStartPre").strip_prefix('-').expect("a failure is ignored"));
    assert!(
        matches!(&check, Command::Check(CheckArgs { config: Some(path), json: false }) if path == file),
        "{check:?}"
    );
    // SIGHUP reloads, SIGTERM drains, and only the version in front is told: it ends the older one.
    assert_eq!(unit("ExecReload"), "/bin/kill -HUP $MAINPID");
    // And a stop waits for it, whoever has started it.
    assert_eq!(
        all(UNIT, "ExecStop"),
        [
            "-/bin/kill -TERM $MAINPID",
            "-/usr/bin/tail --pid=${MAINPID} -f /dev/null"
        ]
    );
    assert_eq!(unit("KillMode"), "mixed");
    // The package puts both where the unit looks.
    assert!(MANIFEST.contains("[\"target/release/baton\", \"usr/bin/\", \"755\"]"));
    assert!(MANIFEST.contains("[\"../../tools/ops/baton.toml\", \"etc/baton/\", \"640\"]"));
}

#[test]
fn the_units_manager_hears_and_waits_for_what_the_program_says() {
    assert_eq!(unit("Type"), "notify");
    // After a take-over that failed, the older version says that it is the service again.
    assert_eq!(unit("NotifyAccess"), "all");
    // As the manager tells it to the program; the program then says twice in that time that it lives.
    let limit = seconds("WatchdogSec");
    let told = watchdog(Some(&limit.as_micros().to_string()), None, 7);
    assert_eq!(told, Some(limit));
    assert!(limit >= Duration::from_secs(2), "a host that is busy is not dead");
    // The first word of a stop says how long it takes; until then this is what the manager waits.
    assert!(seconds("TimeoutStopSec") > 4 * configuration().node.stop);
}

#[test]
fn the_configuration_that_is_shipped_lies_in_the_units_folders() {
    let config = configuration();
    let control = config.node.control.expect("a way for a new version");
    assert_eq!(
        control.parent(),
        Some(&*Path::new("/run").join(unit("RuntimeDirectory")))
    );
    let state = Path::new("/var/lib").join(unit("StateDirectory"));
    assert!(matches!(&config.store.place, Place::Sqlite(file) if file.parent() == Some(&state)));
    assert_eq!(Path::new(unit("WorkingDirectory")), state);
    assert_eq!(unit("ConfigurationDirectory"), "baton");
    // Who runs it is who is made.
    let (user, home) = USER.trim_end().rsplit_once(' ').expect("a home");
    assert!(user.starts_with(&format!("u {} ", unit("User"))), "{user}");
    assert_eq!(Path::new(home), state);
    assert_eq!(unit("Group"), unit("User"));
    // All else is read-only.
    assert_eq!(unit("ProtectSystem"), "strict");
    assert!(all(UNIT, "ReadWritePaths").is_empty());
}

#[test]
fn the_units_limits_and_the_sysctls_are_what_the_program_asks_for() {
    let files: u64 = unit("LimitNOFILE").parse().expect("a number");
    let config = configuration();
    let legs = u64::from(config.media.workers) * u64::from(config.media.ports_per_worker);
    let others = config.sip.flows.connections + config.http.event_readers + 1024;
    assert!(files >= 2 * legs + others as u64);
    // As many as one address has ports for.
    assert!(files >= 65_536 + others as u64);
    assert_eq!(unit("LimitMEMLOCK"), "256M");

    let sysctl = |name: &str| -> u64 {
        let found = all(SYSCTLS, name);
        assert_eq!(found.len(), 1, "{name}");
        found[0].parse().expect("a number")
    };
    let engine = engine::EngineConfig::default();
    let receive = engine.receive_buffer.max(udp::RECEIVE_BUFFER);
    assert_eq!(sysctl("net.core.rmem_max"), receive as u64);
    assert!(sysctl("net.core.wmem_max") >= engine.send_buffer as u64);
    // Above it the limit of the unit cannot be set.
    assert!(sysctl("fs.nr_open") >= files);
}

/// What `privileges` gives up at the start, and what only it calls.
#[test]
fn the_unit_gives_no_right_that_the_program_would_have_to_give_up() {
    for key in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        assert_eq!(unit(key), "");
    }
    assert_eq!(unit("NoNewPrivileges"), "yes");
    assert_eq!(unit("UMask"), "0077");
    // One filter after the other: the last one lets through what gives rights up.
    assert_eq!(
        all(UNIT, "SystemCallFilter"),
        ["@system-service", "~@privileged @obsolete", "capset"]
    );
    // SIP, HTTP and webhooks; the control socket, the manager's, and PostgreSQL's.
    assert_eq!(unit("RestrictAddressFamilies"), "AF_INET AF_INET6 AF_UNIX");
}
