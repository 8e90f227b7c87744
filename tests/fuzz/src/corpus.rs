//! What mutations start from: small messages of our own writing, and the RFCs' torture messages where they are on this machine.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::Target;

/// The folder of this crate's data.
pub fn folder(kind: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target.name)
}

/// The target's members by the order of their names. With `BATON_VECTORS` the messages of RFC 4475 and RFC 5118 come behind those of
/// the SIP targets.
///
/// # Errors
/// Where the folder cannot be read.
pub fn members(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let mut members = files(&folder("corpus", target))?;
    if target.name == "flows"
        && let Some(endpoint) = crate::find("endpoint")
    {
        // What comes as datagrams comes on a connection, too.
        members.extend(files(&folder("corpus", endpoint))?);
    }
    if target.name == "sip"
        && let Some(vectors) = std::env::var_os("BATON_VECTORS")
    {
        for name in ["rfc4475", "rfc5118"] {
            members.extend(files(&Path::new(&vectors).join(name))?);
        }
    }
    Ok(members.into_iter().map(|(_, data)| data).collect())
}

/// Inputs that failed once.
///
/// # Errors
/// Where the folder is there and cannot be read.
pub fn regressions(target: &Target) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = folder("regressions", target);
    if folder.exists() {
        files(&folder)
    } else {
        Ok(Vec::new())
    }
}

fn files(folder: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Ok((path.clone(), fs::read(&path)?)))
        .collect()
}
