//! Why a server does not start.

use std::net::SocketAddr;

use crate::store::Place;

/// Why a server cannot start: what to do about it is in the text.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data plane does not start.
    #[error(transparent)]
    Engine(#[from] engine::StartError),
    /// An address cannot be bound.
    #[error("{key} = {address} cannot be bound ({source}): stop whoever has it, or change {key} in the configuration")]
    Bind {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// SIP would come by nothing.
    #[error("sip.listen names no address: set it, or leave it out")]
    NoAddress,
    /// The store cannot be used.
    #[error("store.url: {place} cannot be used ({source}): {remedy}")]
    Store {
        /// What it names, without a password.
        place: String,
        /// The database's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What to do.
        remedy: &'static str,
    },
    /// The API cannot be served with TLS.
    #[error("http.tls: {0}: both must be PEM files of one certificate, ours to read")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The running server has the ports of the only range.
    #[error(
        "the running server has the media ports, and above them there is no room for as many: set media.other_first_port, for a \
         take-over needs a second range"
    )]
    NoPorts,
    /// The running server does not hand over.
    #[error("the take-over failed, and the running server goes on: {0}")]
    TakeOver(String),
    /// A prompt cannot be played.
    #[error("the prompt {0} cannot be loaded: it is empty, or there are more than 65535")]
    Prompt(String),
    /// Opus has no memory, or does not take its settings.
    #[error("{0}: a smaller budget.transcode_share needs less memory")]
    Coders(String),
    /// Something else that the system refuses.
    #[error("{what} failed: {source}")]
    System {
        /// What.
        what: &'static str,
        /// The system's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(super) fn unusable(place: &Place, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
    let (place, remedy) = match place {
        Place::Sqlite(path) => (
            path.display().to_string(),
            "its folder must exist and be ours to write, the disk have room, and the file be one of Baton",
        ),
        Place::Postgres(_) => (
            "PostgreSQL".to_owned(),
            "the server must run, know the user and the password, and have the database with the right to make tables",
        ),
    };
    StartError::Store {
        place,
        source: source.into(),
        remedy,
    }
}

pub(super) fn system(what: &'static str) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> StartError {
    move |source| StartError::System { what, source }
}
