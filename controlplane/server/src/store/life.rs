//! Which runs of servers on this store live.
//!
//! Each holds a lock that the system gives back when it dies, however it dies. So no clock decides, and a server that was
//! stopped for a minute is not taken for dead. With SQLite the lock is on a file beside the database, which one host has; with
//! PostgreSQL it is an advisory lock, which goes with the connection that holds it; since that may break by itself, a server is
//! dead there only if it does not answer by SIP either.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::database::Place;

/// How often PostgreSQL is asked whether our lock's connection is still there.
const PULSE: Duration = Duration::from_secs(5);

/// How often a server whose lock is free is asked by SIP, and how long it may take to answer.
const ASKS: u32 = 3;
const ASK: Duration = Duration::from_millis(500);

/// The sign that this run lives, for as long as it is held.
#[derive(Debug)]
pub(crate) enum Life {
    /// The locked file, and where it is.
    File(File, PathBuf),
    /// Who holds the lock's connection.
    Session(JoinHandle<()>),
}

/// Why the lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifeError {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Life {
    /// Takes the lock of this run. Its id is random, so nobody else has it.
    pub(crate) async fn begin(place: &Place, instance: &str) -> Result<Life, LifeError> {
        match place {
            Place::Sqlite(database) => {
                let path = beside(database, instance);
                let file = File::create(&path)?;
                file.lock()?;
                Ok(Life::File(file, path))
            }
            Place::Postgres(url) => {
                let connection = hold(url, key(instance)).await?;
                Ok(Life::Session(tokio::spawn(keep(
                    connection,
                    url.clone(),
                    key(instance),
                ))))
            }
        }
    }

    /// Gives it back: whatever this run has left open may be closed by others.
    pub(crate) fn end(self) {
        match self {
            Life::File(file, path) => {
                let _ = std::fs::remove_file(path);
                drop(file);
            }
            Life::Session(task) => task.abort(),
        }
    }
}

/// Whether the run of this id has died. Only who is told so may go on in its name, until `Dead` is dropped: of several who ask at
/// one time, one is told.
pub(crate) async fn is_dead(place: &Place, instance: &str) -> Result<Option<Dead>, LifeError> {
    match place {
        Place::Sqlite(database) => {
            let path = beside(database, instance);
            // One that is not there was removed by whoever closed for it, or by itself.
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::create(&path)?,
                Err(error) => return Err(error.into()),
            };
            match file.try_lock() {
                Ok(()) => Ok(Some(Dead::File(file, path))),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error.into()),
            }
        }
        Place::Postgres(url) => {
            let mut connection = AnyConnection::connect(url).await?;
            let row = sqlx::query("SELECT pg_try_advisory_lock($1)")
                .bind(key(instance))
                .fetch_one(&mut connection)
                .await?;
            Ok(row.try_get::<bool, _>(0)?.then_some(Dead::Session(connection)))
        }
    }
}

/// Whether anybody answers at a server's SIP address: OPTIONS (RFC 3261 §11), asked some times, whatever the answer is.
pub(crate) async fn answers(sip: SocketAddr) -> bool {
    let any: SocketAddr = match sip {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let Ok(socket) = UdpSocket::bind(any).await else {
        return false;
    };
    let (Ok(()), Ok(here)) = (socket.connect(sip).await, socket.local_addr()) else {
        return false;
    };
    for number in 1..=ASKS {
        let ask = format!(
            "OPTIONS sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKlife{number};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{here}>;tag=life\r\nTo: <sip:{sip}>\r\nCall-ID: life-{here}\r\nCSeq: {number} OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        // Where nobody has the port, the system says so: then nobody answers the next one either.
        let _ = socket.send(ask.as_bytes()).await;
        match timeout(ASK, socket.recv(&mut [0; 2048])).await {
            Ok(Ok(_)) => return true,
            Ok(Err(_)) => return false,
            Err(_) => {}
        }
    }
    false
}

/// The lock of a run that has died, in our hands.
pub(crate) enum Dead {
    File(File, PathBuf),
    Session(AnyConnection),
}

impl Dead {
    /// All that it left is closed: nothing speaks of it any more.
    pub(crate) async fn bury(self) {
        match self {
            Dead::File(file, path) => {
                let _ = std::fs::remove_file(path);
                drop(file);
            }
            Dead::Session(connection) => {
                let _ = connection.close().await;
            }
        }
    }
}

fn beside(database: &Path, instance: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!("-{instance}"));
    PathBuf::from(name)
}

/// Of an advisory lock: 64 bits. An id is `ins_` and 16 hex digits.
fn key(instance: &str) -> i64 {
    let digits = instance.rsplit('_').next().unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default().cast_signed()
}

async fn hold(url: &str, key: i64) -> Result<AnyConnection, sqlx::Error> {
    let mut connection = AnyConnection::connect(url).await?;
    // Its row has a type that means nothing; who asks for no rows gets none.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(key)
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// Holds the lock; where the connection broke, takes it again.
async fn keep(mut connection: AnyConnection, url: String, key: i64) {
    let mut lost = false;
    loop {
        tokio::time::sleep(PULSE).await;
        if connection.ping().await.is_ok() {
            continue;
        }
        match hold(&url, key).await {
            Ok(again) => {
                tracing::info!("the store knows again that we live");
                (connection, lost) = (again, false);
            }
            // Once, however long it lasts.
            Err(error) if !std::mem::replace(&mut lost, true) => {
                tracing::error!(%error, "the store does not know that we live");
            }
            Err(_) => {}
        }
    }
}
