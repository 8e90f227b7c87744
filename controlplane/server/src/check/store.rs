//! The store: whether it is there, can be written, and has room.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::time::timeout;

use super::{ANSWER, Finding, Level};
use crate::config;
use crate::store::Place;

const WHAT: &str = "store.url";

/// What was read of a file and its folder.
#[derive(Clone, Debug)]
struct Facts {
    path: PathBuf,
    folder_is_there: bool,
    folder_can_be_written: bool,
    /// `None`: there is no such file yet.
    file: Option<File>,
    /// Bytes that are free for us.
    room: Option<u64>,
}

#[derive(Clone, Debug)]
struct File {
    can_be_written: bool,
    bytes: u64,
    is_sqlite: bool,
}

pub(super) async fn findings(config: &config::Store) -> Vec<Finding> {
    match &config.place {
        Place::Sqlite(path) => vec![sqlite(&read(path))],
        Place::Postgres(url) => vec![postgres(url).await],
    }
}

fn read(path: &Path) -> Facts {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let is_sqlite = |path: &Path| {
        let mut head = Vec::new();
        let read = fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut head));
        read.is_ok() && (head.is_empty() || head == b"SQLite format 3\0")
    };
    Facts {
        path: path.to_owned(),
        folder_is_there: folder.is_dir(),
        folder_can_be_written: access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok(),
        file: fs::metadata(path).ok().map(|metadata| File {
            can_be_written: access(path, Access::READ_OK | Access::WRITE_OK).is_ok(),
            bytes: metadata.len(),
            is_sqlite: is_sqlite(path),
        }),
        room: statvfs(folder).ok().map(|stat| stat.f_bavail * stat.f_frsize),
    }
}

/// Below this a busy server may fill it before anybody has read the warning.
const ROOM: u64 = 1 << 30;

fn sqlite(facts: &Facts) -> Finding {
    let path = facts.path.display();
    let error = |found: String, remedy: &str| Finding::new(Level::Error, WHAT, found, remedy);
    if !facts.folder_is_there {
        return error(
            format!("{path}: there is no such folder"),
            "make it, and give it to the user of the server",
        );
    }
    if !facts.folder_can_be_written {
        let found = format!("{path}: its folder cannot be written by this user");
        return error(
            found,
            "give it to the user of the server: files lie beside the database",
        );
    }
    if let Some(file) = &facts.file {
        if !file.is_sqlite {
            return error(
                format!("{path} is no SQLite database"),
                "name another file, or move this one away",
            );
        }
        if !file.can_be_written {
            return error(
                format!("{path} cannot be read and written by this user"),
                "give it to the user of the server",
            );
        }
    }
    let size = match &facts.file {
        Some(file) => format!("{} MB", file.bytes / 1_000_000),
        None => "not there yet: it will be made".to_owned(),
    };
    match facts.room {
        Some(room) if room < ROOM => Finding::new(
            Level::Warning,
            WHAT,
            format!("{path} ({size}), and only {} MB are free", room / 1_000_000),
            "make room, lower store.keep_days, or name a file on another disk",
        ),
        Some(room) => Finding::ok(WHAT, format!("{path} ({size}), {} GB are free", room / 1_000_000_000)),
        None => Finding::ok(WHAT, format!("{path} ({size})")),
    }
}

async fn postgres(url: &str) -> Finding {
    sqlx::any::install_default_drivers();
    let asked = async {
        let mut connection = AnyConnection::connect(url).await?;
        let version = sqlx::query("SELECT current_setting('server_version')")
            .fetch_one(&mut connection)
            .await?;
        version.try_get::<String, _>(0)
    };
    let remedy =
        "the server must run, know the user and the password, and have the database with the right to make tables";
    match timeout(ANSWER, asked).await {
        Ok(Ok(version)) => Finding::ok(WHAT, format!("PostgreSQL {version}")),
        // The text of an error never has the password.
        Ok(Err(error)) => Finding::new(Level::Error, WHAT, format!("PostgreSQL: {error}"), remedy),
        Err(_) => Finding::new(Level::Error, WHAT, "PostgreSQL does not answer", remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_the_file_has_its_remedy() {
        let good = Facts {
            path: PathBuf::from("/var/lib/baton/baton.db"),
            folder_is_there: true,
            folder_can_be_written: true,
            file: Some(File {
                can_be_written: true,
                bytes: 5_000_000,
                is_sqlite: true,
            }),
            room: Some(20 << 30),
        };
        assert_eq!(
            sqlite(&good),
            Finding::ok(WHAT, "/var/lib/baton/baton.db (5 MB), 21 GB are free")
        );
        let new = Facts {
            file: None,
            ..good.clone()
        };
        assert_eq!(sqlite(&new).level, Level::Ok);
        let tight = Facts {
            room: Some(50_000_000),
            ..good.clone()
        };
        assert_eq!(sqlite(&tight).level, Level::Warning);
        let file = |can_be_written, is_sqlite| {
            Some(File {
                can_be_written,
                bytes: 0,
                is_sqlite,
            })
        };
        for (bad, said) in [
            (
                Facts {
                    folder_is_there: false,
                    ..good.clone()
                },
                "no such folder",
            ),
            (
                Facts {
                    folder_can_be_written: false,
                    ..good.clone()
                },
                "folder cannot be written",
            ),
            (
                Facts {
                    file: file(false, true),
                    ..good.clone()
                },
                "cannot be read and written",
            ),
            (
                Facts {
                    file: file(true, false),
                    ..good.clone()
                },
                "no SQLite database",
            ),
        ] {
            let found = sqlite(&bad);
            assert!(found.level == Level::Error && found.found.contains(said), "{found:?}");
        }
    }
}
