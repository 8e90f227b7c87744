//! Challenges that our requests meet (RFC 3261 §22, RFC 8760): the request goes out once more with credentials.
//!
//! The second attempt takes the first one's [`TransactionId`]: whoever waits for the answer goes on waiting, and need not
//! know. The first one is moved aside, where it absorbs what the peer repeats.

use std::time::Instant;

use bytes::Bytes;

use super::registry::Transaction;
use super::session::{Cancel, Ours, Owner, Role, Session, State, TransactionId};
use super::{DialogId, Endpoint};
use crate::digest::{self, Challenge, Credentials, Subject};
use crate::message::{Message, Start};
use crate::method::Method;
use crate::random::Random;
use crate::transaction::{ClientInvite, ClientOther, Key, Machine};

/// Challenges that one request answers: a proxy or two and the far end, and each may find its nonce stale.
const CHALLENGES: u8 = 5;
/// Realms that a request has credentials for.
const REALMS: usize = 4;
/// Header fields with challenges that are looked at.
const FIELDS: usize = 16;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// The far end: WWW-Authenticate and Authorization.
    Server,
    /// Proxy-Authenticate and Proxy-Authorization.
    Proxy,
}

impl Asker {
    fn asks(self) -> &'static str {
        match self {
            Asker::Server => "WWW-Authenticate",
            Asker::Proxy => "Proxy-Authenticate",
        }
    }

    fn is_told(self) -> &'static str {
        match self {
            Asker::Server => "Authorization",
            Asker::Proxy => "Proxy-Authorization",
        }
    }
}

/// What a session may show, and what it was asked for. Lives as long as its session.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyring {
    credentials: Vec<Credentials>,
    known: Vec<Known>,
}

/// A challenge that was answered. The next requests of the dialog answer it without being asked.
#[derive(Clone, Debug)]
struct Known {
    asker: Asker,
    challenge: Challenge,
    credentials: usize,
    /// Requests with this nonce.
    count: u32,
    cnonce: String,
}

/// What one request has been through.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// Its credentials. §22.1: the ACK of an INVITE repeats them.
    pub(super) headers: Vec<(String, String)>,
    challenges: u8,
    answered: Vec<(Asker, String)>,
}

impl Keyring {
    pub(super) fn new(credentials: Vec<Credentials>) -> Keyring {
        Keyring {
            credentials,
            known: Vec::new(),
        }
    }

    /// Which credentials are for a realm: those that name it, else those that name none.
    fn fitting(&self, realm: &str) -> Option<usize> {
        let find = |wanted: Option<&str>| self.credentials.iter().position(|it| it.realm.as_deref() == wanted);
        find(Some(realm)).or_else(|| find(None))
    }

    /// Takes the challenges of an answer in; `false` where the request need not be sent again: nothing fits, or what fitted was
    /// not good enough.
    fn take(&mut self, response: &Message, attempt: &mut Attempt, random: &mut Random) -> bool {
        if attempt.challenges >= CHALLENGES {
            return false;
        }
        attempt.challenges += 1;
        let mut answerable = false;
        // Forks may bring both kinds in one answer (§16.7, step 7).
        for asker in [Asker::Server, Asker::Proxy] {
            let mut seen: Vec<String> = Vec::new();
            let challenges = response
                .headers(asker.asks())
                .take(FIELDS)
                .filter_map(|value| digest::challenges(&value).ok())
                .flatten();
            for challenge in challenges {
                // RFC 8760 §2.4: of several for a realm the topmost that we support.
                let realm = challenge.realm().into_owned();
                if seen.contains(&realm) || seen.len() == REALMS {
                    continue;
                }
                let Some(credentials) = self.fitting(&realm) else {
                    continue;
                };
                seen.push(realm.clone());
                let answered = (asker, realm);
                if !attempt.answered.contains(&answered) {
                    attempt.answered.push(answered);
                } else if !challenge.stale() {
                    // §22.2: a UAC "MUST NOT re-attempt requests with the credentials that have just been rejected".
                    return false;
                }
                answerable = true;
                self.learn(Known {
                    asker,
                    challenge,
                    credentials,
                    count: 0,
                    cnonce: format!("{}{}", random.token(), random.token()),
                });
            }
        }
        answerable
    }

    fn learn(&mut self, mut new: Known) {
        let same = |old: &Known| old.asker == new.asker && old.challenge.realm() == new.challenge.realm();
        if let Some(at) = self.known.iter().position(same) {
            let old = self.known.remove(at);
            // RFC 7616 §3.4: nc is the count of the requests with this nonce, whether or not it came in one challenge.
            if old.challenge.has_nonce_of(&new.challenge) {
                (new.count, new.cnonce) = (old.count, old.cnonce);
            }
        }
        if self.known.len() == REALMS {
            self.known.remove(0);
        }
        self.known.push(new);
    }

    /// Credentials for a request.
    fn headers(&mut self, request: &Message) -> Vec<(String, String)> {
        let Start::Request { method, uri } = request.start() else {
            return Vec::new();
        };
        let uri = String::from_utf8_lossy(uri);
        let subject = Subject {
            method: method.as_str(),
            uri: &uri,
            body: request.body(),
        };
        let mut headers = Vec::with_capacity(self.known.len());
        for known in &mut self.known {
            let Some(credentials) = self.credentials.get(known.credentials) else {
                continue;
            };
            known.count = known.count.saturating_add(1);
            let value = known.challenge.answer(credentials, subject, known.count, &known.cnonce);
            headers.push((known.asker.is_told().to_owned(), value));
        }
        headers
    }
}

impl Endpoint {
    /// A request of a session with the credentials that the session has been asked for before.
    pub(super) fn authorized(&mut self, session: Option<DialogId>, role: &Role, request: Bytes) -> (Bytes, Attempt) {
        let mut attempt = Attempt::default();
        let keyring = session
            .and_then(|id| self.sessions.get_mut(&id))
            .map(|session| &mut session.keyring)
            // §22.1: a CANCEL "cannot be resubmitted", so nobody may challenge it.
            .filter(|keyring| !keyring.known.is_empty() && !matches!(role, Role::Cancel));
        let Some((keyring, mut message)) = keyring.and_then(|it| Some((it, Message::parse(request.clone()).ok()?)))
        else {
            return (request, attempt);
        };
        attempt.headers = keyring.headers(&message);
        for (name, value) in &attempt.headers {
            message.push(name, value);
        }
        (message.to_bytes(), attempt)
    }

    /// A request of ours met 401 or 407: sends it again with credentials, if there are any and somebody still wants its answer.
    /// `false`: the answer is the request's last.
    pub(super) fn try_again(&mut self, now: Instant, id: TransactionId, response: &Message) -> bool {
        let branch = self.branch();
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        let session = transaction.session.and_then(|id| self.sessions.get_mut(&id));
        let Some(session) = session.filter(|session| is_wanted(&transaction.role, id, session)) else {
            return false;
        };
        let Ok(mut message) = Message::parse(transaction.message.clone()) else {
            return false;
        };
        let Some(mut via) = message.via() else { return false };
        if !session
            .keyring
            .take(response, &mut transaction.attempt, &mut self.random)
        {
            return false;
        }

        // §22.2: "the UAC MUST increment the CSeq header field value as it would normally when sending an updated request", and
        // §8.1.3.5: with the same Call-ID, To and From.
        session.dialog.local_cseq += 1;
        let cseq = session.dialog.local_cseq;
        let Some(method) = message.method().cloned() else {
            return false;
        };
        via.params.set("branch", Some(&branch));
        message.set("Via", &via.to_string());
        message.set("CSeq", &format!("{cseq} {method}"));
        for asker in [Asker::Server, Asker::Proxy] {
            message.remove(asker.is_told());
        }
        let mut attempt = transaction.attempt.clone();
        attempt.headers = session.keyring.headers(&message);
        for (name, value) in &attempt.headers {
            message.push(name, value);
        }

        let mut role = transaction.role.clone();
        if let Role::Invite(invited) = &mut role {
            invited.dialog.local_cseq = cseq;
            invited.branch.clone_from(&branch);
            invited.refusal = None;
        }
        if let Role::Refer(refer) = &role
            && let Some(referral) = self.refers.get_mut(refer)
        {
            referral.cseq = cseq;
        }
        let machine = match method {
            Method::Invite => Machine::ClientInvite(ClientInvite::new(now, &self.times)),
            _ => Machine::ClientOther(ClientOther::new(now, &self.times)),
        };
        let key = Key::Client {
            branch,
            method: method.to_string(),
        };
        let (to, session) = (transaction.to(), transaction.session);
        let mut again = Transaction::new(machine, key, to, message.to_bytes(), role);
        again.session = session;
        again.attempt = attempt;
        self.move_aside(id);
        self.transactions.insert(id, again);
        self.send_request(now, id, to);
        self.settle(id);
        true
    }

    /// Gives a transaction that has its final answer another id. Nobody waits for it any more; what the peer repeats is still absorbed,
    /// and a refusal of an INVITE still acknowledged.
    fn move_aside(&mut self, id: TransactionId) {
        let aside = TransactionId(self.next_id());
        let Some(mut old) = self.transactions.remove(id) else {
            return;
        };
        if let Some(at) = old.scheduled.take() {
            self.queue.remove(&(at, Owner::Transaction(id)));
        }
        old.session = None;
        if !matches!(old.role, Role::Invite(_)) {
            old.role = Role::Settled;
        }
        self.transactions.insert(aside, old);
        self.settle(aside);
    }
}

/// Whether the answer to a request of ours is still waited for.
fn is_wanted(role: &Role, id: TransactionId, session: &Session) -> bool {
    match (role, session.state) {
        (Role::Invite(invited), State::Calling { invite, cancel }) => {
            invited.initial && invite == id && cancel == Cancel::No
        }
        (Role::Invite(_), State::Confirmed) => {
            matches!(&session.ours, Ours::Pending { transaction, .. } if *transaction == id)
        }
        (Role::Invite(_) | Role::Cancel | Role::Invitation(_) | Role::Request | Role::Settled, _) => false,
        (Role::Bye | Role::Refer(_) | Role::Notify(_) | Role::Probe | Role::Key, _) => true,
    }
}
