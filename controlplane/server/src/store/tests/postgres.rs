//! A PostgreSQL of our own for the tests of this process: in a temporary folder, by a socket in it, without TCP.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::store::Place;

/// Until it takes connections. A test machine may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own for one test.
pub(super) fn database() -> Place {
    static CLUSTER: OnceLock<PathBuf> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = CLUSTER.get_or_init(start);
    let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    psql(folder, &format!("CREATE DATABASE {name}")).expect("a database");
    Place::Postgres(format!("postgres:///{name}?host={}&user=baton", folder.display()))
}

/// Starts the server; it ends with this process.
fn start() -> PathBuf {
    sweep();
    let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let root = is_root();
    if root {
        // PostgreSQL does not run as root.
        let status = Command::new("chown").arg("postgres:").arg(&folder).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "no user postgres: install postgresql"
        );
    }
    let data = folder.join("data");
    let bin = programs();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = as_postgres(root, &bin.join(program));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let data = data.display().to_string();
    let made = run(
        "initdb",
        &[
            "-D",
            &data,
            "-U",
            "baton",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        ],
    )
    .output();
    let made = made.expect("initdb");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let socket = folder.display().to_string();
    let mut server = run(
        "postgres",
        &["-D", &data, "-k", &socket, "-c", "listen_addresses=", "-c", "fsync=off"],
    );
    // A child that is to die with us dies with the thread that made it: one that stays.
    std::thread::spawn(move || {
        let ended = server.stderr(Stdio::null()).status();
        panic!("PostgreSQL has ended: {ended:?}");
    });
    let end = Instant::now() + PATIENCE;
    while let Err(why) = psql(&folder, "SELECT 1") {
        assert!(Instant::now() < end, "PostgreSQL does not start: {why}");
        std::thread::sleep(Duration::from_millis(20));
    }
    folder
}

const PREFIX: &str = "baton-postgres-";

/// Removes what processes left that are gone.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(process) = name.strip_prefix(PREFIX)
            && !Path::new("/proc").join(process).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn psql(folder: &Path, statement: &str) -> Result<(), String> {
    let answer = Command::new("psql")
        .args(["-X", "-q", "-h"])
        .arg(folder)
        .args(["-U", "baton", "-d", "postgres", "-c", statement])
        .output()
        .map_err(|error| error.to_string())?;
    match answer.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&answer.stderr).into_owned()),
    }
}

/// Where Debian has the newest version; it puts only the clients on the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("PostgreSQL is not installed: cargo xtask test does it");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|ours| ours.uid() == 0)
}

fn as_postgres(root: bool, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if root {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg("--").arg(program).current_dir("/");
    command
}
