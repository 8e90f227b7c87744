//! Digest authentication as a client (RFC 7616, RFC 8760, RFC 3261 §22): challenges in, credentials out.
//!
//! Pure text and hashes. Which request is sent again, and how often, is `endpoint/auth.rs`.

use std::borrow::Cow;
use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

use crate::header::{Malformed, is_token, quote, unquote};
use crate::work::looked_at;

/// Challenges of one header field that are looked at; further ones are ignored.
const CHALLENGES: usize = 16;
/// Longest realm, nonce or opaque that is echoed, bytes as written: it goes into every request that follows.
const ECHOED: usize = 1024;

/// Who we are to those who ask. `Debug` shows the realm alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The realm that they are for, compared exactly; `None`: any that no other credentials name.
    pub realm: Option<String>,
    /// User name, UTF-8.
    pub username: String,
    /// Password, UTF-8.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// A hash that a challenge may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    /// The name without `-sess`, and whether that was there.
    fn named(name: &str) -> Option<(Algorithm, bool)> {
        const ALL: [(&str, Algorithm); 3] = [
            ("MD5", Algorithm::Md5),
            ("SHA-256", Algorithm::Sha256),
            ("SHA-512-256", Algorithm::Sha512_256),
        ];
        let (plain, session) = match name.len().checked_sub(5).and_then(|at| name.split_at_checked(at)) {
            Some((plain, end)) if end.eq_ignore_ascii_case("-sess") => (plain, true),
            _ => (name, false),
        };
        let (_, algorithm) = ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(plain))?;
        Some((algorithm, session))
    }

    /// H over the parts with colons between them, in hex.
    fn hash(self, parts: &[&[u8]]) -> String {
        fn over<D: Digest>(parts: &[&[u8]]) -> String {
            let mut hash = D::new();
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    hash.update(b":");
                }
                hash.update(part);
            }
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        }
        match self {
            Algorithm::Md5 => over::<Md5>(parts),
            Algorithm::Sha256 => over::<Sha256>(parts),
            Algorithm::Sha512_256 => over::<Sha512_256>(parts),
        }
    }
}

/// Quality of protection: what of the request the answer covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qop {
    /// None was offered: the form of RFC 2069.
    No,
    Auth,
    AuthInt,
}

/// What a peer asks for. Only what we can answer becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: Text,
    nonce: Text,
    opaque: Option<Text>,
    /// As it was written, to be written so again.
    algorithm: Option<String>,
    hash: Algorithm,
    /// `-sess`: the password's hash is made once for the nonce.
    session: bool,
    qop: Qop,
    stale: bool,
    userhash: bool,
}

/// The inside of a quoted string, escapes as they came: peers compare what we echo byte for byte, though the escapes count
/// for nothing in the value that is hashed (RFC 9110 §5.6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(String);

impl Text {
    fn value(&self) -> Cow<'_, str> {
        if self.0.contains('\\') {
            Cow::Owned(unquote(&format!("\"{}\"", self.0)).into_owned())
        } else {
            Cow::Borrowed(&self.0)
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The request that credentials are made for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI, as in its first line.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

impl Challenge {
    /// The realm.
    pub fn realm(&self) -> Cow<'_, str> {
        self.realm.value()
    }

    /// Whether both bring the same nonce.
    pub fn has_nonce_of(&self, other: &Challenge) -> bool {
        self.nonce == other.nonce
    }

    /// The credentials were right, and the nonce too old.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// The value of Authorization or Proxy-Authorization. `count` is that of the requests with this nonce, from 1; `cnonce` is
    /// of our own and stays the same for a nonce (RFC 7616 §3.4.2: a session's key is made once).
    pub fn answer(&self, credentials: &Credentials, subject: Subject<'_>, count: u32, cnonce: &str) -> String {
        let realm = self.realm.value();
        let nonce = self.nonce.value();
        let user = credentials.username.as_bytes();
        let hash = |parts: &[&[u8]]| self.hash.hash(parts);
        // RFC 7616 §3.4.2, §3.4.3: A1 and A2.
        let mut secret = hash(&[user, realm.as_bytes(), credentials.password.as_bytes()]);
        if self.session {
            secret = hash(&[secret.as_bytes(), nonce.as_bytes(), cnonce.as_bytes()]);
        }
        let (method, uri) = (subject.method.as_bytes(), subject.uri.as_bytes());
        let what = match self.qop {
            Qop::AuthInt => hash(&[method, uri, hash(&[subject.body]).as_bytes()]),
            Qop::Auth | Qop::No => hash(&[method, uri]),
        };
        let count = format!("{count:08x}");
        let qop = match self.qop {
            Qop::No => None,
            Qop::Auth => Some("auth"),
            Qop::AuthInt => Some("auth-int"),
        };
        let response = match qop {
            None => hash(&[secret.as_bytes(), nonce.as_bytes(), what.as_bytes()]),
            Some(qop) => hash(&[
                secret.as_bytes(),
                nonce.as_bytes(),
                count.as_bytes(),
                cnonce.as_bytes(),
                qop.as_bytes(),
                what.as_bytes(),
            ]),
        };

        let username = match self.userhash {
            // RFC 7616 §3.4.4.
            true => quote(&hash(&[user, realm.as_bytes()])),
            // A quoted string of SIP may hold UTF-8 (RFC 3261 §25.1), so `username*` is not needed.
            false => quote(&credentials.username),
        };
        let mut out = format!(
            "Digest username={username}, realm={}, uri={}",
            self.realm,
            quote(subject.uri)
        );
        if let Some(algorithm) = &self.algorithm {
            out.push_str(&format!(", algorithm={algorithm}"));
        }
        out.push_str(&format!(", nonce={}", self.nonce));
        if let Some(qop) = qop {
            out.push_str(&format!(", nc={count}, cnonce={}, qop={qop}", quote(cnonce)));
        }
        out.push_str(&format!(", response=\"{response}\""));
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(", opaque={opaque}"));
        }
        if self.userhash {
            out.push_str(", userhash=true");
        }
        out
    }
}

/// The challenges of one WWW-Authenticate or Proxy-Authenticate field that we can answer, in their order. Other schemes,
/// algorithms and qualities of protection are left out, and so is a challenge that lacks realm or nonce, or has a parameter
/// twice. The work is linear in the field's length.
///
/// # Errors
/// A quoted string without an end, or parameters without a scheme: what belongs to what cannot be known.
pub fn challenges(value: &str) -> Result<Vec<Challenge>, Malformed> {
    let mut found = Vec::new();
    let mut open: Option<Params<'_>> = None;
    let mut seen = 0;
    for piece in pieces(value)? {
        let piece = piece.trim();
        if piece.is_empty() {
            continue;
        }
        if let Some((name, value)) = param(piece) {
            open.as_mut().ok_or(Malformed)?.add(name, value);
            continue;
        }
        // `scheme SP param`, `scheme SP token68`, or a scheme alone (RFC 9110 §11.3).
        let (scheme, rest) = piece.split_at(piece.find([' ', '\t']).unwrap_or(piece.len()));
        if !is_token(scheme.as_bytes()) {
            return Err(Malformed);
        }
        found.extend(open.take().and_then(Params::challenge));
        seen += 1;
        if seen > CHALLENGES {
            return Ok(found);
        }
        let mut params = Params {
            digest: scheme.eq_ignore_ascii_case("Digest"),
            ..Params::default()
        };
        match param(rest.trim()) {
            Some((name, value)) => params.add(name, value),
            None => params.broken = true,
        }
        open = Some(params);
    }
    found.extend(open.and_then(Params::challenge));
    Ok(found)
}

/// Splits at the commas outside quoted strings.
fn pieces(value: &str) -> Result<Vec<&str>, Malformed> {
    looked_at(value.len());
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in value.bytes().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                pieces.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(Malformed);
    }
    pieces.push(&value[start..]);
    Ok(pieces)
}

/// `name = value`, the value a token or one quoted string.
fn param(piece: &str) -> Option<(&str, &str)> {
    let (name, value) = piece.split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim_start());
    let plain = match value.strip_prefix('"') {
        // The pieces are balanced: another quote inside would be a second string.
        Some(rest) => rest.strip_suffix('"').is_some_and(|inner| !bare_quote(inner)),
        None => !value.is_empty() && !value.starts_with('=') && !value.contains(['"', ' ', '\t']),
    };
    (is_token(name.as_bytes()) && plain).then_some((name, value))
}

fn bare_quote(inner: &str) -> bool {
    looked_at(inner.len());
    let mut escaped = false;
    for c in inner.bytes() {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return true,
            _ => {}
        }
    }
    escaped
}

/// The parameters of one challenge as they come in.
#[derive(Default)]
struct Params<'a> {
    digest: bool,
    /// Something in it cannot be read.
    broken: bool,
    known: [Option<&'a str>; NAMES.len()],
}

const NAMES: [&str; 7] = ["realm", "nonce", "opaque", "algorithm", "qop", "stale", "userhash"];

impl<'a> Params<'a> {
    fn add(&mut self, name: &str, value: &'a str) {
        if let Some(at) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            // "MUST only occur once" (RFC 9110 §11.2).
            self.broken |= self.known[at].replace(value).is_some();
        }
    }

    fn challenge(self) -> Option<Challenge> {
        let [realm, nonce, opaque, algorithm, qop, stale, userhash] = self.known;
        if !self.digest || self.broken {
            return None;
        }
        let algorithm = algorithm.map(unquote);
        let (hash, session) = match &algorithm {
            None => (Algorithm::Md5, false),
            Some(name) => Algorithm::named(name)?,
        };
        let qop = match qop.map(unquote) {
            None => Qop::No,
            Some(offered) => {
                let offers = |wanted: &str| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case(wanted));
                match (offers("auth"), offers("auth-int")) {
                    (true, _) => Qop::Auth,
                    (false, true) => Qop::AuthInt,
                    (false, false) => return None,
                }
            }
        };
        if session && qop == Qop::No {
            // The session's key has a cnonce in it, and without qop none is sent.
            return None;
        }
        let yes = |value: Option<&str>| value.is_some_and(|value| unquote(value).eq_ignore_ascii_case("true"));
        Some(Challenge {
            realm: text(realm?)?,
            nonce: text(nonce?)?,
            opaque: match opaque {
                Some(opaque) => Some(text(opaque)?),
                None => None,
            },
            algorithm: algorithm.map(Cow::into_owned),
            hash,
            session,
            qop,
            stale: yes(stale),
            userhash: yes(userhash),
        })
    }
}

/// `None` where it is too long to be echoed.
fn text(written: &str) -> Option<Text> {
    let inner = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(written);
    (inner.len() <= ECHOED).then(|| Text(inner.to_owned()))
}

#[cfg(test)]
mod tests;
