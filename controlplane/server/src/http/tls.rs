//! TLS for the API: rustls, version 1.2 and up, with the certificate of the configuration. The files are looked at again and again, so
//! that whoever renews a certificate need not stop us.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Tls;
use crate::journal::lock;

/// How often it is looked whether the files are new.
const LOOK: Duration = Duration::from_secs(2);

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// One cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, std::io::Error),
    /// One is not what it should be.
    #[error("{0} has no {1} in PEM: {2}")]
    Pem(String, &'static str, rustls::pki_types::pem::Error),
    /// The two do not go together, or TLS cannot use them.
    #[error("the two cannot be used together: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The certificate that connections are shown, as it is now.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: Tls,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// When both files were changed last.
    stamp: Stamp,
}

type Stamp = [Option<SystemTime>; 2];

impl Certificate {
    /// # Errors
    /// Where the files are not a certificate chain and its key.
    pub(crate) fn load(files: &Tls) -> Result<Certificate, TlsError> {
        // Before they are read: a change in between is seen the next time.
        let stamp = stamp(files);
        let config = read(files)?;
        Ok(Certificate {
            files: files.clone(),
            current: Mutex::new(Current { config, stamp }),
        })
    }

    /// For one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&lock(&self.current).config))
    }

    /// Reads the files where they are new. Connections that are there keep what they have.
    ///
    /// # Errors
    /// Where they cannot be used: then the old certificate stays.
    pub(crate) fn renew(&self) -> Result<bool, TlsError> {
        let stamp = stamp(&self.files);
        if lock(&self.current).stamp == stamp {
            return Ok(false);
        }
        let read = read(&self.files);
        let mut current = lock(&self.current);
        // Once is enough to say that new ones are bad.
        current.stamp = stamp;
        current.config = read?;
        Ok(true)
    }

    /// Looks again and again.
    pub(super) async fn watch(self: Arc<Certificate>, mut closing: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                // An error means that the server itself is gone.
                _ = closing.wait_for(|closing| *closing) => return,
            }
            match self.renew() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificate of http.tls is renewed"),
                Err(error) => {
                    tracing::error!(%error, "the new files of http.tls cannot be used; the old certificate stays")
                }
            }
        }
    }
}

fn stamp(files: &Tls) -> Stamp {
    [&files.cert, &files.key].map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
}

fn read(files: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let name = |path: &Path| path.display().to_string();
    let bytes = |path: &Path| std::fs::read(path).map_err(|error| TlsError::Read(name(path), error));
    let cert = bytes(&files.cert)?;
    let pem = |error| TlsError::Pem(name(&files.cert), "certificate", error);
    let chain = CertificateDer::pem_slice_iter(&cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem)?;
    let key = bytes(&files.key)?;
    let key =
        PrivateKeyDer::from_pem_slice(&key).map_err(|error| TlsError::Pem(name(&files.key), "private key", error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
