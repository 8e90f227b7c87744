//! A folder of its own for one test, beneath what cargo builds. It is emptied when it is taken, so what a test left can be looked at.

use std::path::PathBuf;

/// The folder of whoever has this port: nobody else has it.
pub(crate) fn of(port: u16) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("port-{port}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
