//! `[trunks.outbound]`: how a trunk's callers are called back.

use calls::config::Outbound;
use sip::uri::Uri;

use super::peers::next_hop;
use super::reader::Table;

/// In place of a number where a URI is checked.
const ANY: &str = "+4930123456";

/// How the callers of this trunk are called back, where they are.
pub(super) fn read(entry: &Table<'_, '_>) -> Option<Outbound> {
    let table = entry.table("outbound");
    if !entry.has("outbound") {
        table.finish();
        return None;
    }
    let uri = table.required("uri").filter(|uri| {
        let wrong = wrong(&uri.value);
        if let Some(why) = wrong {
            table.problem(uri.line, "uri", why);
        }
        wrong.is_none()
    });
    let from = table.required("from").filter(|from| {
        let right = is_uri(&from.value);
        if !right {
            let message =
                "must be a SIP URI with the number that the trunk has for us, as sip:+4930111@pbx.example.com";
            table.problem(from.line, "from", message);
        }
        right
    });
    if !table.has("next_hop") {
        table.problem(
            table.line,
            "next_hop",
            "is missing: where the trunk takes calls, as 203.0.113.5:5060",
        );
    }
    let hop = next_hop(&table);
    table.finish();
    let (next_hop, transport) = hop?;
    Some(Outbound {
        uri: uri?.value,
        from: from?.value,
        next_hop,
        transport,
    })
}

/// What is wrong with a URI that stands for many.
fn wrong(uri: &str) -> Option<&'static str> {
    let one = uri.replace(Outbound::NUMBER, ANY).replace(Outbound::DIGITS, &ANY[1..]);
    if one == uri {
        return Some("must have {number} (as +4930123) or {digits} (without the +) where the caller's number goes");
    }
    (!is_uri(&one)).then_some("must be a SIP URI, as sip:{number}@carrier.example.com;user=phone")
}

fn is_uri(text: &str) -> bool {
    let bare = |c: char| c.is_whitespace() || c.is_control() || "<>\"{}".contains(c);
    text.starts_with("sip:") && !text.contains(bare) && Uri::parse(text).is_ok_and(|uri| uri.user_unescaped().is_some())
}

#[cfg(test)]
mod tests {
    use sip::endpoint::Transport;

    use super::super::tests::{good, problems};

    const TRUNK: &str = "[[ai_agents]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n[[trunks]]\nname = \"carrier\"\n";

    fn outbound(text: &str) -> Option<calls::config::Outbound> {
        good(&format!("{TRUNK}{text}")).trunks.remove(0).outbound
    }

    #[test]
    fn a_trunk_that_says_how_calls_its_callers_back() {
        assert_eq!(outbound(""), None);
        let out = outbound(
            "[trunks.outbound]\nuri = \"sip:{digits}@carrier.example;user=phone\"\nfrom = \"sip:+4930111@baton.example\"\n\
             next_hop = \"127.0.0.1:5080;transport=tcp\"\n",
        );
        let out = out.expect("a way");
        assert_eq!(out.transport, Some(Transport::Tcp));
        assert_eq!(
            out.to("sip:+491701234567@other.example").as_deref(),
            Some("sip:491701234567@carrier.example;user=phone")
        );
        assert_eq!(out.to("sip:anonymous@anonymous.invalid"), None);
    }

    #[test]
    fn what_is_wrong_with_it_is_named() {
        let wrong = |uri: &str, from: &str, hop: &str| {
            problems(&format!(
                "{TRUNK}[trunks.outbound]\nuri = \"{uri}\"\nfrom = \"{from}\"\n{hop}\n"
            ))
        };
        let (uri, from, hop) = (
            "sip:{number}@c.example",
            "sip:+49@b.example",
            "next_hop = \"127.0.0.1:5080\"",
        );
        assert_eq!(wrong(uri, from, hop), Vec::<String>::new());
        let rows = [
            (wrong("sip:+4930123@c.example", from, hop), "must have {number}"),
            (wrong("tel:{number}", from, hop), "must be a SIP URI"),
            (wrong("sip:{number} @c.example", from, hop), "must be a SIP URI"),
            (wrong("sip:{number}{x}@c.example", from, hop), "must be a SIP URI"),
            (wrong(uri, "+4930111", hop), "with the number that the trunk has for us"),
            (wrong(uri, from, ""), "where the trunk takes calls"),
            (
                problems(&format!("{TRUNK}[trunks.outbound]\nfrom = \"{from}\"\n{hop}\n")),
                "uri",
            ),
        ];
        for (found, why) in rows {
            assert!(matches!(&found[..], [one] if one.contains(why)), "{why}: {found:?}");
        }
    }
}
