//! Cargo's own tools: built once into `target/tools`, in a version that is known to work.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::install::{self, Missing, Purpose, runs};
use crate::steps::{BUILD, cargo, refuse, root, run, target};

/// One of them.
struct Tool {
    /// Also the name of its program.
    name: &'static str,
    version: &'static str,
}

const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

const DEB: Tool = Tool {
    name: "cargo-deb",
    version: "3.8.0",
};

/// Advisories, licences and bans of everything that comes in with a dependency, by `.cargo/deny.toml`.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn deny() -> ExitCode {
    let program = match DENY.program() {
        Ok(program) => program,
        Err(missing) => return refuse(missing),
    };
    let deny = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).current_dir(root()).stdin(Stdio::null());
        command
    };
    if run(&mut deny(&["--locked", "check", "bans", "licenses", "sources"])) != ExitCode::SUCCESS {
        return ExitCode::FAILURE;
    }
    // The database of advisories is no registry's: a closed network may not have it, and then nobody may believe that it was asked.
    let fetched = deny(&["fetch", "db"]).stderr(Stdio::null()).status();
    if !fetched.is_ok_and(|status| status.success()) {
        eprintln!(
            "xtask: advisories were NOT checked: their database (rustsec/advisory-db) cannot be fetched from here"
        );
        return ExitCode::SUCCESS;
    }
    run(&mut deny(&["--locked", "check", "advisories"]))
}

/// Builds the Debian package.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn deb() -> ExitCode {
    if let Err(missing) = install::packages(Purpose::Build) {
        return refuse(missing);
    }
    let program = match DEB.program() {
        Ok(program) => program,
        Err(missing) => return refuse(missing),
    };
    eprintln!("xtask: cargo {}", BUILD.join(" "));
    if run(cargo(&BUILD).current_dir(root())) != ExitCode::SUCCESS {
        return ExitCode::FAILURE;
    }
    run(Command::new(program)
        .args(["--package", "baton-server", "--no-build", "--locked"])
        .current_dir(root()))
}

impl Tool {
    /// Where it is; it is built where it is not.
    #[expect(clippy::print_stderr, reason = "the command line speaks to people")]
    fn program(&self) -> Result<PathBuf, Missing> {
        let folder = target().join("tools");
        let program = folder.join("bin").join(self.name);
        if self.is_at(&program) {
            return Ok(program);
        }
        let on_path = PathBuf::from(self.name);
        if self.is_at(&on_path) {
            return Ok(on_path);
        }
        eprintln!("xtask: {} {} is built, once", self.name, self.version);
        let built = cargo(&[
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--version",
            self.version,
            self.name,
            "--root",
        ])
        .arg(&folder)
        .arg("--target-dir")
        .arg(folder.join("build"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
        match built {
            Ok(status) if status.success() => Ok(program),
            _ => Err(Missing(format!(
                "{} cannot be built; run this, and then the task again: cargo install --locked {}@{}",
                self.name, self.name, self.version
            ))),
        }
    }

    fn is_at(&self, program: &Path) -> bool {
        let Some(program) = program.to_str() else { return false };
        runs(program, &["--version"])
            && Command::new(program)
                .arg("--version")
                .output()
                .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_tool() {
        let cargo = |version| Tool { name: "cargo", version }.is_at(Path::new("cargo"));
        assert!(cargo("cargo "));
        assert!(!cargo("0.0.0-none"));
        assert!(!DENY.is_at(Path::new("/no/such/program")));
    }

    #[test]
    fn the_package_names_files_that_are_there() {
        let package = root().join("controlplane/server");
        let manifest = std::fs::read_to_string(package.join("Cargo.toml")).expect("the manifest");
        let assets: Vec<&str> = manifest
            .lines()
            .filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next())
            .collect();
        assert!(assets.len() > 5, "{assets:?}");
        for asset in assets.into_iter().filter(|asset| !asset.starts_with("target/")) {
            match asset.strip_suffix("/*") {
                Some(folder) => {
                    let mut files = std::fs::read_dir(package.join(folder)).expect(asset);
                    assert!(
                        files.any(|file| file.is_ok_and(|file| file.path().is_file())),
                        "{asset}"
                    );
                }
                None => assert!(package.join(asset).is_file(), "{asset}"),
            }
        }
        for (key, folder) in [("maintainer-scripts = \"", "debian"), ("unit-scripts = \"", "ops")] {
            let path = manifest
                .split(key)
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .expect(key);
            assert!(path.ends_with(folder) && package.join(path).is_dir(), "{path}");
        }
    }
}
