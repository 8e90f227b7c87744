//! `[router]`: who is asked where a caller goes.

use std::time::Duration;

use super::reader::Table;
use super::values::milliseconds;
use super::webhooks::{Address, addressed};

/// `[router]`
#[derive(Clone, Debug)]
pub struct Router {
    /// Who.
    pub to: Address,
    /// Without an answer for so long the caller goes as the playbook says.
    pub timeout: Duration,
}

pub(super) fn read(root: &Table<'_, '_>) -> Option<Router> {
    let table = root.table("router");
    if !root.has("router") {
        table.finish();
        return None;
    }
    let router = Router {
        to: addressed(&table),
        timeout: milliseconds(&table, "timeout_ms", 50..=5_000, 800),
    };
    table.finish();
    Some(router)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{good, problems};
    use super::*;

    const SECRET: &str = "secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n";

    #[test]
    fn who_is_asked_has_an_address_a_secret_and_a_bound() {
        assert!(good("").router.is_none());
        let text = format!("[router]\nurl = \"https://route.example.org/\"\n{SECRET}");
        let router = good(&text).router.expect("somebody");
        assert_eq!(
            (router.to.url.as_str(), router.timeout),
            ("https://route.example.org/", Duration::from_millis(800))
        );
        let wrong = [
            (
                "url = \"https://route.example.org/\"\n".to_owned(),
                "secrets: is missing",
            ),
            (SECRET.to_owned(), "url"),
            (format!("url = \"http://127.0.0.1/\"\n{SECRET}"), "allow_private = true"),
            (
                format!("url = \"https://route.example.org/\"\ntimeout_ms = 5001\n{SECRET}"),
                "from 50 to 5000",
            ),
        ];
        for (text, why) in wrong {
            let found = problems(&format!("[router]\n{text}"));
            assert!(matches!(&found[..], [one] if one.contains(why)), "{why}: {found:?}");
        }
    }
}
