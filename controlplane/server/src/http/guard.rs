//! What stands before every operation: who asks, whether it may, how often, and which parameters there are. Each is as the table of
//! operations says, so that none can be without.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::Principal;
use super::problem::Problem;
use super::routes::{Access, Operation};
use super::{Shared, sibling, unexpected};
use crate::journal::lock;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The parameters of the query, each known to its operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(HashMap<String, String>);

impl Parameters {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// How many entries a page of a list may have.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        match self.get("limit") {
            None => Ok(50),
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=500).contains(limit))
                .ok_or_else(|| Problem::bad_request("limit must be from 1 to 500")),
        }
    }
}

/// Before every operation.
pub(super) async fn guard(
    State((shared, operation)): State<(Arc<Shared>, &'static Operation)>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&shared, operation, &request) {
        Err(problem) => problem.into_response(),
        Ok((principal, parameters)) => {
            let extensions = request.extensions_mut();
            extensions.insert(parameters);
            if let Some(principal) = principal {
                extensions.insert(principal);
            }
            sibling::pass_on(&shared, request, next).await
        }
    }
}

fn admit(
    shared: &Shared,
    operation: &Operation,
    request: &Request,
) -> Result<(Option<Principal>, Parameters), Problem> {
    let with_token = operation.access == Access::KeyOrToken
        && request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part.starts_with("token=")));
    let principal = match operation.access {
        Access::Open => None,
        _ if with_token => None,
        _ => Some(match request.extensions().get::<Principal>() {
            // The other version knows who asks.
            Some(principal) => principal.clone(),
            None => shared.admit(peer(request), request.headers())?,
        }),
    };
    if let Some(principal) = &principal {
        principal.must_have(operation.access)?;
    }
    Ok((principal, parameters(operation, request.uri())?))
}

fn peer(request: &Request) -> IpAddr {
    // Every connection has one; only a router without connections, in tests, has none.
    let peer = request.extensions().get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Peer(ip)| *ip)
}

impl Shared {
    /// Who asks, where it may ask now.
    fn admit(&self, from: IpAddr, headers: &HeaderMap) -> Result<Principal, Problem> {
        let now = Instant::now();
        let principal = match self.principal(headers) {
            Ok(principal) => principal,
            Err(Refused::NotShown(problem)) => return Err(problem),
            Err(Refused::Wrong(problem)) => {
                let told = lock(&self.rates).wrong_key(from, now);
                return Err(match told {
                    Ok(()) => problem,
                    Err(wait) => Problem::too_many("too many wrong keys came from this address", wait),
                });
            }
        };
        if let Some(rate) = principal.rate() {
            let mut rates = lock(&self.rates);
            rates
                .right_key(from, principal.name(), now)
                .map_err(|wait| Problem::too_many("too many wrong keys came from this address", wait))?;
            rates
                .request(principal.name(), rate, now)
                .map_err(|wait| Problem::too_many("this key asks more often than its per_second and burst", wait))?;
        }
        Ok(principal)
    }
}

/// Why nobody is known to ask.
pub(super) enum Refused {
    /// There is no key, or the request could not have one.
    NotShown(Problem),
    /// The key is none of ours.
    Wrong(Problem),
}

impl Refused {
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Refused::NotShown(problem) | Refused::Wrong(problem) => problem,
        }
    }
}

fn parameters(operation: &Operation, uri: &Uri) -> Result<Parameters, Problem> {
    let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Problem::bad_request("the query cannot be read"))?;
    let mut parameters = HashMap::new();
    for (name, value) in given {
        if !operation.query.iter().any(|known| known.name == name) {
            let known: Vec<_> = operation.query.iter().map(|known| known.name).collect();
            return Err(Problem::bad_request(match known.is_empty() {
                true => format!("there is no parameter {name:?}; there is none here"),
                false => format!("there is no parameter {name:?}; there are {}", known.join(", ")),
            }));
        }
        if value.contains(char::is_control) {
            return Err(Problem::bad_request(format!("{name} must not have control characters")));
        }
        if parameters.insert(name.clone(), value).is_some() {
            return Err(Problem::bad_request(format!("{name} is given twice")));
        }
    }
    Ok(Parameters(parameters))
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Principal, Problem> {
        parts.extensions.get().cloned().ok_or_else(unexpected)
    }
}

/// Of an operation that may be asked without a key.
#[derive(Debug)]
pub(super) struct Guest(pub(super) Option<Principal>);

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Guest, Problem> {
        Ok(Guest(parts.extensions.get().cloned()))
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters, Problem> {
        parts.extensions.get().cloned().ok_or_else(unexpected)
    }
}
