//! Who calls, as far as a number says it.

use serde::Serialize;
use serde_json::Value;

/// What a call says of its caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    /// The URI of its From.
    pub uri: &'a str,
    /// Whether the carrier vouches for the number; `None` where it does not say, or is not believed.
    pub verified: Option<bool>,
    /// Where the context has the number that the AI has on file, a path with dots.
    pub on_file: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// One of whom only the URI is known.
    pub fn new(uri: &'a str) -> Caller<'a> {
        Caller {
            uri,
            ..Caller::default()
        }
    }
}

/// The caller's number, and what speaks for it. Each is `null` where nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallerId {
    /// In E.164, with its `+`.
    pub number: Option<String>,
    /// Whether it is the one that the AI has on file.
    pub matches: Option<bool>,
    /// Whether the caller's carrier vouches for it (ATIS-1000074, RFC 8224).
    pub verified: Option<bool>,
}

/// Digits of a number that is compared without its country: fewer are an extension.
const NATIONAL_MIN: usize = 7;

impl CallerId {
    /// `on_file`: what the context has where the number should be.
    pub(crate) fn new(caller: &Caller<'_>, on_file: Option<&Value>) -> CallerId {
        let number = number(caller.uri);
        let matches = number
            .as_deref()
            .zip(on_file)
            .and_then(|(number, on_file)| matches(number, on_file));
        CallerId {
            verified: caller.verified.filter(|_| number.is_some()),
            number,
            matches,
        }
    }
}

/// The number of a `sip:` or `tel:` URI, where it is a global one (RFC 3966 §5.1.4): no country is guessed.
pub fn number(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once(':')?;
    let user = rest.split(['@', ';', '?', '>']).next()?;
    global(user)
}

/// A number with its `+` and without its visual separators (RFC 3966 §5.1.1).
fn global(text: &str) -> Option<String> {
    let digits = digits(text.trim().strip_prefix('+')?)?;
    // E.164 §6.1: at most 15 digits, and no country begins with 0.
    let fits = (NATIONAL_MIN..=15).contains(&digits.len()) && !digits.starts_with('0');
    fits.then(|| format!("+{digits}"))
}

fn digits(text: &str) -> Option<String> {
    let bare = text
        .chars()
        .filter(|c| !matches!(c, '-' | '.' | '(' | ')' | '/') && !c.is_whitespace());
    let digits: String = bare.collect();
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// A number on file with `+` or `00` is the same or not. One without is national: the same where the caller's ends with it.
fn matches(number: &str, on_file: &Value) -> Option<bool> {
    let text = match on_file {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let with_plus = text.strip_prefix("00").map(|rest| format!("+{rest}"));
    let text = with_plus.unwrap_or(text);
    if text.starts_with('+') {
        return global(&text).map(|on_file| on_file == number);
    }
    let national = digits(&text)?;
    let national = national.trim_start_matches('0');
    (national.len() >= NATIONAL_MIN).then(|| number.ends_with(national))
}

/// What a carrier says of a number by the parameter `verstat` (3GPP TS 24.229 §7.2A.20, ATIS-1000074): `TN-Validation-Passed` vouches for it, also
/// with the attestation A behind it, `TN-Validation-Failed` does not. With B or C the originating carrier does not know whose number it is.
/// `field`: a From or P-Asserted-Identity, which must be about this number.
pub fn verstat(field: &str, number: &str) -> Option<bool> {
    let named = |part: &str| {
        let (before, rest) = part.split_once("verstat=")?;
        let about = before.rsplit(['<', ' ', '"']).find_map(self::number)?;
        let value = rest.split([';', '@', '>', ',', ' ', '"']).next().unwrap_or_default();
        (about == number).then(|| value.to_ascii_lowercase())
    };
    // Several identities may stand in one field (RFC 3325 §9.1), each in its own brackets.
    let bare = without_quoted(field);
    let said = bare.split(',').find_map(named)?;
    match &*said {
        "tn-validation-passed" | "tn-validation-passed-a" => Some(true),
        _ if said.starts_with("tn-validation-failed") => Some(false),
        _ => None,
    }
}

/// Without display names in quotation marks: those are the caller's own words.
fn without_quoted(field: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        let inside = quoted;
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = inside && !escaped && *c == '\\';
        !inside && *c != '"'
    };
    field.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_read_where_it_is_a_global_one() {
        for (uri, read) in [
            ("sip:+4930123456@192.0.2.1", Some("+4930123456")),
            (
                "sips:+49-30-123.456;phone-context=x@[2001:db8::1];user=phone",
                Some("+4930123456"),
            ),
            ("tel:+1(415)555-0123;ext=5", Some("+14155550123")),
            ("sip:030123456@192.0.2.1", None),
            ("sip:4930123456@192.0.2.1", None),
            ("sip:+049301234@192.0.2.1", None),
            ("sip:+12345@192.0.2.1", None),
            ("sip:+1234567890123456@192.0.2.1", None),
            ("sip:+49x30123456@192.0.2.1", None),
            ("sip:alice@192.0.2.1", None),
            ("sip:192.0.2.1", None),
            ("", None),
        ] {
            assert_eq!(number(uri).as_deref(), read, "{uri}");
        }
    }

    #[test]
    fn the_number_on_file_is_compared_however_it_is_written() {
        let caller = Caller::new("sip:+4930123456@192.0.2.1");
        for (on_file, is) in [
            (json!("+49 (30) 123-456"), Some(true)),
            (json!("0049 30 123456"), Some(true)),
            (json!("030/123456"), Some(true)),
            (json!(30_123_456), Some(true)),
            (json!("+49 30 123457"), Some(false)),
            (json!("+30123456"), Some(false)),
            (json!("030 123457"), Some(false)),
            // What says nothing, or is not kept.
            (json!("3456"), None),
            (json!("****3456"), None),
            (json!("[secret]"), None),
            (json!(null), None),
            (json!(["+4930123456"]), None),
        ] {
            assert_eq!(CallerId::new(&caller, Some(&on_file)).matches, is, "{on_file}");
        }
        assert_eq!(CallerId::new(&caller, None).matches, None);
        let hidden = Caller::new("sip:anonymous@anonymous.invalid");
        assert_eq!(CallerId::new(&hidden, Some(&json!("+4930123456"))), CallerId::default());
    }

    #[test]
    fn a_carrier_vouches_for_the_number_that_it_names_and_for_no_other() {
        let number = "+12155551212";
        for (field, said) in [
            (
                "<sip:+12155551212;verstat=TN-Validation-Passed@carrier.example;user=phone>",
                Some(true),
            ),
            (
                "\"A, B\" <sip:+12155551212;verstat=tn-validation-passed-A@carrier.example>",
                Some(true),
            ),
            ("<tel:+1-215-555-1212;verstat=TN-Validation-Failed>", Some(false)),
            ("<sip:x@y>, <tel:+12155551212;verstat=TN-Validation-Passed>", Some(true)),
            (
                "<sip:+12155551212@carrier.example;verstat=TN-Validation-Passed>",
                Some(true),
            ),
            (
                "<sip:+12155551212;verstat=TN-Validation-Passed-B@carrier.example>",
                None,
            ),
            ("<sip:+12155551212;verstat=No-TN-Validation@carrier.example>", None),
            ("<sip:+12155551213;verstat=TN-Validation-Passed@carrier.example>", None),
            (
                "\"verstat=TN-Validation-Passed\" <sip:+12155551212@carrier.example>",
                None,
            ),
            (
                r#""a\" <sip:+12155551212;verstat=TN-Validation-Passed@x>" <sip:+12155551212@carrier.example>"#,
                None,
            ),
            ("<sip:+12155551212@carrier.example>", None),
            ("", None),
        ] {
            assert_eq!(verstat(field, number), said, "{field}");
        }
    }
}
