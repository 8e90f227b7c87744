//! What must be on the machine, by the name of its Debian package.

use std::path::Path;
use std::process::{Command, Stdio};

/// Something that the build or a test needs.
struct Need {
    package: &'static str,
    what_for: &'static str,
    /// What is built is needed for all of it.
    purpose: Purpose,
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        package: "gcc",
        // Rust itself cannot link this very program without it, so it is mostly there.
        what_for: "links every program, and compiles the C parts of the TLS library",
        purpose: Purpose::Build,
        is_there: || runs("cc", &["--version"]),
    },
    Need {
        package: "libc6-dev",
        what_for: "the C library's headers and start files",
        purpose: Purpose::Build,
        is_there: || Path::new("/usr/include/stdio.h").exists(),
    },
    Need {
        package: "cmake",
        what_for: "configures libopus, which is built with us and linked in",
        purpose: Purpose::Build,
        is_there: || runs("cmake", &["--version"]),
    },
    Need {
        // To cmake's package it is a recommendation, and those are not installed.
        package: "make",
        what_for: "builds what cmake has configured",
        purpose: Purpose::Build,
        is_there: || runs("make", &["--version"]),
    },
    Need {
        package: "sip-tester",
        what_for: "sipp, a peer of other hands in tests/interop",
        purpose: Purpose::Tests,
        is_there: || is_on_path("sipp"),
    },
    Need {
        // The program and its modules. `baresip` itself is only what draws in the ones for a display.
        package: "baresip-core",
        what_for: "baresip, a softphone in tests/interop",
        purpose: Purpose::Tests,
        is_there: || is_on_path("baresip"),
    },
    Need {
        package: "postgresql",
        what_for: "the store's tests run on it, too: a server of their own in a temporary folder",
        purpose: Purpose::Tests,
        is_there: || is_on_path("psql") && Path::new("/usr/lib/postgresql").exists(),
    },
    Need {
        // Of every Debian; not of every image that is derived from it.
        package: "util-linux",
        what_for: "setpriv: the programs that a test starts die with it",
        purpose: Purpose::Tests,
        is_there: || is_on_path("setpriv"),
    },
    Need {
        package: "iproute2",
        what_for: "ip and tc, by which the load tools' tests join both sides",
        purpose: Purpose::Tests,
        is_there: || is_on_path("ip") && is_on_path("tc"),
    },
    Need {
        package: "iproute2",
        what_for: "ip and tc, which join the load to whom it goes through",
        purpose: Purpose::Load,
        is_there: || is_on_path("ip") && is_on_path("tc"),
    },
    Need {
        package: RTPENGINE,
        what_for: "whom Baton's data plane is compared with",
        purpose: Purpose::Comparison,
        is_there: || is_on_path("rtpengine"),
    },
    Need {
        package: "iproute2",
        what_for: "ip, which joins the load to whom it goes through",
        purpose: Purpose::Comparison,
        is_there: || is_on_path("ip"),
    },
];

const RTPENGINE: &str = "rtpengine-daemon";

/// What Debian's packages ask before they start a service (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// What rustup calls the parts of the toolchain that CI uses.
const COMPONENTS: &[(&str, &[&str])] = &[("rustfmt", &["fmt", "--version"]), ("clippy", &["clippy", "--version"])];

/// Why the task cannot go on: the line that the user must run.
pub(crate) struct Missing(pub(crate) String);

/// What the packages are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Build,
    Tests,
    /// `rtpload`, and `callload` in its lab.
    Load,
    /// `compare`.
    Comparison,
}

/// Installs the packages that are missing. Only root can; for others the line to run is the error.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn packages(purpose: Purpose) -> Result<(), Missing> {
    let missing: Vec<&Need> = needs(purpose).filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("xtask: {} is missing: {}", need.package, need.what_for);
    }
    let line = install_line(&missing.iter().map(|need| need.package).collect::<Vec<_>>());
    if !runs("apt-get", &["--version"]) {
        return Err(Missing(format!(
            "there is no apt-get here; on Debian it would be: {line}"
        )));
    }
    if !is_root() {
        return Err(Missing(format!("run this as root, and then the task again: {line}")));
    }
    eprintln!("xtask: {line}");
    // A list of packages that cannot be renewed may still do.
    let _ = shell("apt-get update -q");
    let quiet = missing
        .iter()
        .any(|need| need.package == RTPENGINE)
        .then(Unstarted::new);
    if shell(&line) {
        drop(quiet);
        Ok(())
    } else {
        Err(Missing(format!("this failed: {line}")))
    }
}

/// While it lives no package starts a service; then rtpengine's is not started with the machine either. We want the program alone.
struct Unstarted {
    ours: bool,
}

impl Unstarted {
    fn new() -> Unstarted {
        let policy = Path::new(POLICY);
        let ours = !policy.exists()
            && std::fs::write(policy, "#!/bin/sh\nexit 101\n").is_ok()
            && std::fs::set_permissions(policy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).is_ok();
        Unstarted { ours }
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(POLICY);
        }
        // Where there is no systemd there is nothing to disable.
        runs("systemctl", &["disable", RTPENGINE]);
    }
}

fn needs(purpose: Purpose) -> impl Iterator<Item = &'static Need> {
    NEEDS
        .iter()
        .filter(move |need| need.purpose == Purpose::Build || need.purpose == purpose)
}

/// Checks that the toolchain has what `test` uses.
pub(crate) fn components() -> Result<(), Missing> {
    let missing: Vec<&str> = COMPONENTS
        .iter()
        .filter(|(_, arguments)| !runs("cargo", arguments))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Missing(format!(
        "run this, and then the task again: rustup component add {}",
        missing.join(" ")
    )))
}

fn install_line(packages: &[&str]) -> String {
    format!("apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Whether a program is there and runs.
pub(crate) fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether there is a program of this name: some have no option that only says that they are there.
fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a line of ours, word by word; its output is for the user, but not on standard output.
fn shell(line: &str) -> bool {
    let mut words = line.split(' ');
    let Some(program) = words.next() else { return false };
    Command::new(program)
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .is_ok_and(|status| status.success())
}

pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_uid(&status) == Some(0))
}

/// proc_pid_status(5): `Uid:` real, effective, saved, file system.
fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_counts() {
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t0\t0\t0\n"), Some(0));
        assert_eq!(effective_uid("Uid:\t0\t1000\t0\t0\n"), Some(1000));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }

    #[test]
    fn one_line_installs_all() {
        assert_eq!(
            install_line(&["gcc", "libc6-dev"]),
            "apt-get install -y --no-install-recommends gcc libc6-dev"
        );
    }

    #[test]
    fn a_build_needs_no_peers_of_other_hands() {
        let names = |purpose| needs(purpose).map(|need| need.package).collect::<Vec<_>>();
        assert_eq!(names(Purpose::Build), ["gcc", "libc6-dev", "cmake", "make"]);
        assert_eq!(
            names(Purpose::Tests),
            [
                "gcc",
                "libc6-dev",
                "cmake",
                "make",
                "sip-tester",
                "baresip-core",
                "postgresql",
                "util-linux",
                "iproute2"
            ]
        );
        assert_eq!(names(Purpose::Load), ["gcc", "libc6-dev", "cmake", "make", "iproute2"]);
        assert_eq!(
            names(Purpose::Comparison),
            ["gcc", "libc6-dev", "cmake", "make", "rtpengine-daemon", "iproute2"]
        );
    }

    #[test]
    fn a_program_on_the_path_is_found() {
        assert!(is_on_path("cargo"));
        assert!(!is_on_path("no-such-program-here"));
    }

    #[test]
    fn a_program_that_is_not_there_does_not_run() {
        assert!(!runs("no-such-program-here", &[]));
        assert!(runs("cargo", &["--version"]));
    }
}
