//! Who asks, and what they may.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::Shared;
use super::guard::Refused;
use super::problem::Problem;
use super::routes::Access;
use crate::config::{Key, Rate, Scope};

/// Who asks. Known before an operation begins (`guard`), which takes it as an argument.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    /// The key's name; empty where the API is open.
    name: String,
    scope: Scope,
    /// How often it may ask; `None` where the API is open.
    rate: Option<Rate>,
}

impl Shared {
    /// # Errors
    /// 401 without a valid key; 403 where the API is open and a browser asks for some web page.
    pub(super) fn principal(&self, headers: &HeaderMap) -> Result<Principal, Refused> {
        let settings = self.settings();
        if settings.config.keys.is_empty() {
            no_web_page(headers).map_err(Refused::NotShown)?;
            return Ok(Principal {
                name: String::new(),
                scope: Scope::Admin,
                rate: None,
            });
        }
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim())
            .ok_or_else(|| {
                let detail = "this needs `Authorization: Bearer` and a key of [[http.keys]]";
                Refused::NotShown(Problem::unauthorized(detail))
            })?;
        // All keys are compared, each in constant time, so that time tells nothing of how near a guess was.
        let mut found: Option<&Key> = None;
        for key in &settings.config.keys {
            if bool::from(given.as_bytes().ct_eq(key.key.reveal().as_bytes())) {
                found = Some(key);
            }
        }
        let wrong = || Refused::Wrong(Problem::unauthorized("this key is not one of [[http.keys]]"));
        let key = found.ok_or_else(wrong)?;
        Ok(Principal {
            name: key.name.clone(),
            scope: key.scope.clone(),
            rate: Some(key.rate),
        })
    }
}

impl Principal {
    /// The key's name; empty where the API is open.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How often it may ask.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Whether the calls of this agent exist for whoever asks.
    pub(super) fn sees(&self, ai_agent: &str) -> bool {
        self.agent().is_none_or(|own| own == ai_agent)
    }

    /// The agent of which the calls exist for whoever asks; `None`: all of them.
    pub(super) fn agent(&self) -> Option<&str> {
        match &self.scope {
            Scope::Ai(own) => Some(own),
            Scope::Desk | Scope::Admin => None,
        }
    }

    /// Whether an AI asks: it can hand off only while the call is its own.
    pub(super) fn is_ai(&self) -> bool {
        matches!(self.scope, Scope::Ai(_))
    }

    /// As the other version of this server is told, which need not know the key: ours are the newer ones.
    pub(super) fn vouch(&self) -> Option<HeaderValue> {
        let told = json!({ "name": self.name, "scope": self.scope_name(), "agent": self.agent() });
        HeaderValue::from_bytes(told.to_string().as_bytes()).ok()
    }

    /// The reverse of [`Principal::vouch`]: only for requests that the other version has passed on.
    pub(super) fn vouched(told: &HeaderValue) -> Option<Principal> {
        let told: Value = serde_json::from_slice(told.as_bytes()).ok()?;
        let text = |key: &str| told[key].as_str().map(str::to_owned);
        Some(Principal {
            name: text("name")?,
            scope: match &*text("scope")? {
                "ai" => Scope::Ai(text("agent")?),
                "desk" => Scope::Desk,
                "admin" => Scope::Admin,
                _ => return None,
            },
            // It was counted where it came in.
            rate: None,
        })
    }

    fn scope_name(&self) -> &'static str {
        match &self.scope {
            Scope::Ai(_) => "ai",
            Scope::Desk => "desk",
            Scope::Admin => "admin",
        }
    }

    /// # Errors
    /// 403 where the key's scope is not one of those.
    pub(super) fn must_have(&self, access: Access) -> Result<(), Problem> {
        let scope = self.scope_name();
        let may = access.scopes();
        match may.is_empty() || may.contains(&scope) {
            true => Ok(()),
            false => Err(Problem::forbidden(format!(
                "a key of scope {scope:?} may not do this; of scope {} may",
                may.join(" or ")
            ))),
        }
    }
}

/// An open API is for programs on this host, not for the pages that its browser shows: those are known by their Origin,
/// or, where a name was pointed at loopback, by the Host.
fn no_web_page(headers: &HeaderMap) -> Result<(), Problem> {
    let host_is_here = headers
        .get(header::HOST)
        .is_none_or(|host| host.to_str().is_ok_and(is_loopback));
    if headers.contains_key(header::ORIGIN) || !host_is_here {
        return Err(Problem::forbidden(
            "without [[http.keys]] the API is for programs on this host only: call it by a loopback address, \
             or configure a key",
        ));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_vouched_for_is_the_same() {
        for scope in [Scope::Ai("päivi \"the\" agent".to_owned()), Scope::Desk, Scope::Admin] {
            let principal = Principal {
                name: "a \u{1f511}".to_owned(),
                scope,
                rate: Some(Rate::DEFAULT),
            };
            let told = principal.vouch().expect("a header");
            let found = Principal::vouched(&told).expect("a principal");
            assert_eq!((found.name, found.scope), (principal.name, principal.scope));
            assert_eq!(found.rate, None);
        }
        for other in [
            "",
            "{}",
            "{\"name\":\"a\",\"scope\":\"ai\"}",
            "{\"name\":\"a\",\"scope\":\"root\"}",
        ] {
            assert!(
                Principal::vouched(&HeaderValue::from_static(other)).is_none(),
                "{other}"
            );
        }
    }

    #[test]
    fn only_loopback_is_loopback() {
        for here in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost:80",
            "LOCALHOST",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in [
            "example.org",
            "127.0.0.1.example.org:8080",
            "192.0.2.1",
            "localhost.example.org",
            "",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
