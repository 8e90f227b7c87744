//! Programs that a test starts, and that end with it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Program {
    /// Starts a program with its output in a file of the folder.
    ///
    /// It dies with the thread of the test, should that be killed before it can clean up (prctl(2), `PR_SET_PDEATHSIG`).
    pub(crate) fn start(
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = String>,
        folder: &Path,
    ) -> Program {
        Program::start_in(name, program, arguments, folder, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_in(
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = String>,
        folder: &Path,
        variables: &[(&str, &OsStr)],
    ) -> Program {
        let output = folder.join(format!("{name}.out"));
        let file = File::create(&output).expect("a file in our folder");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program)
            .args(arguments)
            .current_dir(folder)
            // sipp draws its screens by curses, and a continuous integration has no terminal.
            .env("TERM", "dumb")
            .env_remove("RUST_LOG")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("setpriv of util-linux");
        Program {
            child,
            name: name.to_owned(),
            output,
        }
    }

    /// Fails the test where it has ended already.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("our child") {
            panic!("{} has ended ({status}): {}", self.name, self.said());
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said on its outputs, the last of it.
    pub(crate) fn said(&self) -> String {
        tail(&self.output)
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        // The shell's own `kill`: sending a signal takes unsafe code, or a program that a small system may lack.
        let line = format!("kill -TERM {}", self.id());
        let _ = Command::new("sh").arg("-c").arg(line).status();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < end, "{} does not end: {}", self.name, self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last part of a file, for whoever looks into a failure.
pub(crate) fn tail(path: &Path) -> String {
    const MOST: usize = 12_000;
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(MOST)..]).into_owned()
}
