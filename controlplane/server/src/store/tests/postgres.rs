//! A PostgreSQL of our own for the tests of this process: in a temporary folder, by a socket in it, without TCP.

#![allow(dead_code, reason = "whoever includes this file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::store::Place;

/// Until it takes connections. A test machine may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own for one test, of a server that all of them share.
pub(super) fn database() -> Place {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start).database()
}

/// A server; it ends with this process.
pub(super) struct Cluster {
    folder: PathBuf,
    /// A test ends it.
    ends: Arc<AtomicBool>,
}

impl Cluster {
    pub(super) fn start() -> Cluster {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        if is_root() {
            // PostgreSQL does not run as root.
            give_to_postgres(&folder);
        }
        copy(&template(), &folder.join("data"));
        let cluster = Cluster {
            folder,
            ends: Arc::default(),
        };
        cluster.run();
        cluster
    }

    /// A database of its own.
    pub(super) fn database(&self) -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&self.folder, &format!("CREATE DATABASE {name}")).expect("a database");
        Place::Postgres(format!("postgres:///{name}?host={}&user=baton", self.folder.display()))
    }

    /// Sends a signal to all its processes.
    pub(super) fn signal(&self, name: &str) {
        let processes = self.processes();
        // One of them may have ended by itself.
        let _ = Command::new("kill")
            .arg(name)
            .args(&processes)
            .stderr(Stdio::null())
            .status();
    }

    /// Kills it, without a word.
    pub(super) fn kill(&self) {
        self.ends.store(true, Ordering::Relaxed);
        let processes = self.processes();
        self.signal("-KILL");
        let end = Instant::now() + PATIENCE;
        while processes.iter().any(|process| is_running(process)) {
            assert!(Instant::now() < end, "PostgreSQL does not die");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it, until it takes connections.
    pub(super) fn run(&self) {
        let socket = self.folder.display().to_string();
        let data = self.folder.join("data").display().to_string();
        let mut server = as_postgres("postgres");
        server
            .args(["-D", &data, "-k", &socket, "-c", "listen_addresses=", "-c", "fsync=off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let ends = Arc::clone(&self.ends);
        ends.store(false, Ordering::Relaxed);
        // A child that is to die with us dies with the thread that made it: one that stays.
        std::thread::spawn(move || {
            let ended = server.status();
            assert!(ends.load(Ordering::Relaxed), "PostgreSQL has ended: {ended:?}");
        });
        let end = Instant::now() + PATIENCE;
        while let Err(why) = psql(&self.folder, "SELECT 1") {
            assert!(Instant::now() < end, "PostgreSQL does not start: {why}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The first one, and those that it has made.
    fn processes(&self) -> Vec<String> {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        let Some(first) = file.lines().next().map(str::to_owned) else {
            return Vec::new();
        };
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        std::iter::once(first).chain(children).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // One that is stopped would never end.
        if !self.processes().is_empty() {
            self.kill();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A zombie, whose parent has not looked yet, is none.
fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The files of a server that has never run: made once, for all processes and all times. Making them takes seconds.
fn template() -> PathBuf {
    let version = programs();
    let version = version
        .components()
        .rev()
        .nth(1)
        .map(|part| part.as_os_str().to_owned());
    let version = version.unwrap_or_default().display().to_string();
    let place = std::env::temp_dir().join(format!("baton-initdb-{version}-{}", user()));
    if place.is_dir() {
        return place;
    }
    let draft = std::env::temp_dir().join(format!("{PREFIX}{}-draft", std::process::id()));
    std::fs::create_dir_all(&draft).expect("a folder");
    if is_root() {
        give_to_postgres(&draft);
    }
    let made = as_postgres("initdb")
        .arg("-D")
        .arg(draft.join("data"))
        .args(["-U", "baton", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"])
        .stdin(Stdio::null())
        .output()
        .expect("initdb");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // Where somebody else was faster, theirs is as good.
    let _ = std::fs::rename(draft.join("data"), &place);
    place
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the files cannot be copied"
    );
}

fn give_to_postgres(folder: &Path) {
    let status = Command::new("chown").arg("postgres:").arg(folder).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "no user postgres: install postgresql"
    );
}

const PREFIX: &str = "baton-postgres-";

/// Removes what processes left that are gone.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(process) = name.strip_prefix(PREFIX).and_then(|name| name.split('-').next())
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
    user() == 0
}

fn user() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").map_or(u32::MAX, |ours| ours.uid())
}

/// One of PostgreSQL's programs, as the user that it runs as.
fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg("--").arg(programs().join(program)).current_dir("/");
    command
}
