//! Variations on the points of the table, and points of our own, for the parser alone.

use super::*;

/// A message made from a plain one, and what must become of it.
pub(super) struct Case {
    what: &'static str,
    first: &'static str,
    /// Fields of the plain message that are replaced or, with an empty line, left out.
    replaced: &'static [(&'static str, &'static str)],
    more: &'static str,
    body: &'static str,
    /// `Ok`, or the status and the reason.
    expected: Result<(), u16>,
}

const PLAIN: [(&str, &str); 6] = [
    ("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"),
    ("From", "From: <sip:a@example.com>;tag=1\r\n"),
    ("To", "To: <sip:b@example.com>\r\n"),
    ("Call-ID", "Call-ID: c@192.0.2.1\r\n"),
    ("CSeq", "CSeq: 1 OPTIONS\r\n"),
    ("Max-Forwards", "Max-Forwards: 70\r\n"),
];

impl Case {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, line) in PLAIN {
            text.push_str(
                self.replaced
                    .iter()
                    .find(|(other, _)| *other == name)
                    .map_or(line, |(_, line)| line),
            );
        }
        text.push_str(self.more);
        text.push_str("\r\n");
        text.push_str(self.body);
        text.into_bytes()
    }
}

const OPTIONS: &str = "OPTIONS sip:b@example.com SIP/2.0";

const fn case(
    what: &'static str,
    first: &'static str,
    replaced: &'static [(&'static str, &'static str)],
    more: &'static str,
    expected: Result<(), u16>,
) -> Case {
    Case {
        what,
        first,
        replaced,
        more,
        body: "",
        expected,
    }
}

pub(super) const CASES: &[Case] = &[
    case("plain", OPTIONS, &[], "", Ok(())),
    case(
        "4475 3.1.1.1: folds, spaces around colons, names in any case, numbers with leading zeros",
        OPTIONS,
        &[
            (
                "Via",
                "ViA :\r\n SIP  /  2.0\r\n  /UDP\r\n\t192.0.2.1 : 5060 ;\r\n branch = z9hG4bKa  ,SIP/2.0/TCP h;branch=b\r\n",
            ),
            ("To", "TO :\r\n sip:b@example.com ;   tag  = 7\r\n"),
            ("CSeq", "cseq: 0001\r\n  OPTIONS\r\n"),
            ("Max-Forwards", "mAx-FoRwArDs: 0070\r\n"),
        ],
        "s :\r\nX-Odd: ;;,,;;,;\r\nContent-Length   : 0\r\n",
        Ok(()),
    ),
    case(
        "4475 3.1.1.2: a method of every token character, a user of every unreserved one",
        "a-.!%*_+`'~Z sip:u~(n)&x+y$/z?,/;;*:p*w~@example.com SIP/2.0",
        &[("CSeq", "CSeq: 1 a-.!%*_+`'~Z\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.1.2: control characters and quotes escaped in a display name",
        OPTIONS,
        &[("To", "To: \"a\\\u{7}b\\\"<c\\\\\" <sip:b@example.com>\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.1.3: escapes in URIs",
        "OPTIONS sip:sip%3Ab%40x@example.com SIP/2.0",
        &[("To", "To: sip:%62@example.com\r\n")],
        "Contact:\r\n  <sip:c%6C@example.com;%6C%72;n%61me=v%61lue%25%34%31>\r\n",
        Ok(()),
    ),
    case(
        "4475 3.1.1.4: an escaped NUL in a user",
        OPTIONS,
        &[("To", "To: sip:a-%00-b@example.com\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.1.5: percent signs that escape nothing in a header",
        OPTIONS,
        &[],
        "X-P%Q: 100%\r\n",
        Ok(()),
    ),
    case(
        "4475 3.1.1.6: no space between display name and bracket",
        OPTIONS,
        &[("From", "From: caller<sip:a@example.com>;tag=1\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.1.9: a semicolon in the user",
        "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.1.10: transports that nobody knows",
        OPTIONS,
        &[(
            "Via",
            "Via: SIP/2.0/UNKNOWN h;branch=z9hG4bKa\r\nVia: SIP/2.0/SCTP h\r\n",
        )],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.1.12: a reason phrase beyond ASCII",
        "SIP/2.0 200 = 2**3 \u{43d}\u{43e}",
        &[],
        "",
        Ok(()),
    ),
    case("4475 3.1.1.13: no reason phrase", "SIP/2.0 200 ", &[], "", Ok(())),
    case(
        "no reason phrase and no space before it",
        "SIP/2.0 200",
        &[],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.2.1: separators without anything between them in Via",
        OPTIONS,
        &[("Via", "Via: SIP/2.0/UDP 192.0.2.1;;,;,,\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.1: the same in Contact",
        OPTIONS,
        &[],
        "Contact: \"\" <> ;,\"Joe\" <sip:joe@example.org>;;;;\r\n",
        Err(400),
    ),
    case(
        "4475 3.1.2.2: a body shorter than Content-Length",
        OPTIONS,
        &[],
        "Content-Length: 9999\r\n",
        Err(400),
    ),
    case(
        "4475 3.1.2.3: a negative Content-Length",
        OPTIONS,
        &[],
        "Content-Length: -999\r\n",
        Err(400),
    ),
    case(
        "a Content-Length near 2^64",
        OPTIONS,
        &[],
        "Content-Length: 18446744073709551615\r\n",
        Err(400),
    ),
    case(
        "a Content-Length beyond 2^64",
        OPTIONS,
        &[],
        "Content-Length: 18446744073709551616\r\n",
        Err(400),
    ),
    case(
        "4475 3.1.2.4: CSeq beyond 2^31",
        OPTIONS,
        &[("CSeq", "CSeq: 2147483648 OPTIONS\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.4: CSeq far beyond 2^64",
        OPTIONS,
        &[("CSeq", "CSeq: 36893488147419103232 OPTIONS\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.4: Max-Forwards beyond 255",
        OPTIONS,
        &[("Max-Forwards", "Max-Forwards: 300\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.5: the same in a response",
        "SIP/2.0 503 No",
        &[("CSeq", "CSeq: 9292394834772304023312 OPTIONS\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.6: a quote that is never closed",
        OPTIONS,
        &[("To", "To: \"Mr. J. User <sip:b@example.com>\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.7: a Request-URI in angle brackets",
        "OPTIONS <sip:b@example.com> SIP/2.0",
        &[],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.8: white space in the Request-URI",
        "OPTIONS sip:b@example.com; lr SIP/2.0",
        &[],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.9: two spaces in the first line",
        "OPTIONS  sip:b@example.com  SIP/2.0",
        &[],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.10: white space behind the version",
        "OPTIONS sip:b@example.com SIP/2.0  ",
        &[],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.2.11: headers in the Request-URI",
        "OPTIONS sip:b@example.com?Route=%3Csip:example.com%3E SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.2.12: a Date that nobody needs",
        OPTIONS,
        &[],
        "Date: Fri, 01 Jan 2010 16:00:00 EST\r\n",
        Ok(()),
    ),
    case(
        "4475 3.1.2.14: spaces within angle brackets",
        OPTIONS,
        &[("To", "To: \"Watson\" < sip:b@example.com >\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.2.15: a comma in a display name without quotes",
        OPTIONS,
        &[("From", "From:    Bell, Alexander <sip:a@example.com>;tag=43\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.1.2.16: another version",
        "OPTIONS sip:b@example.com SIP/7.0",
        &[],
        "",
        Err(505),
    ),
    case(
        "4475 3.1.2.17: CSeq and method differ",
        OPTIONS,
        &[("CSeq", "CSeq: 1 INVITE\r\n")],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.18: the same with an unknown method",
        "NEWMETHOD sip:b@example.com SIP/2.0",
        &[],
        "",
        Err(400),
    ),
    case(
        "4475 3.1.2.19: a status of many digits",
        "SIP/2.0 4294967301 better not",
        &[],
        "",
        Err(400),
    ),
    case("a status below 100", "SIP/2.0 099 Low", &[], "", Err(400)),
    case(
        "4475 3.2.1: the cookie without a branch",
        OPTIONS,
        &[("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\r\n")],
        "",
        Err(400),
    ),
    case(
        "an empty branch",
        OPTIONS,
        &[("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=\r\n")],
        "",
        Err(400),
    ),
    case("4475 3.3.1: no Via", OPTIONS, &[("Via", "")], "", Err(400)),
    case("4475 3.3.1: no From", OPTIONS, &[("From", "")], "", Err(400)),
    case("4475 3.3.1: no To", OPTIONS, &[("To", "")], "", Err(400)),
    case("4475 3.3.1: no Call-ID", OPTIONS, &[("Call-ID", "")], "", Err(400)),
    case(
        "an empty Call-ID",
        OPTIONS,
        &[("Call-ID", "Call-ID:\r\n")],
        "",
        Err(400),
    ),
    case("4475 3.3.1: no CSeq", OPTIONS, &[("CSeq", "")], "", Err(400)),
    case(
        "4475 3.3.2: a scheme that nobody knows",
        "OPTIONS nobodyKnowsThis:totallyopaque SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case(
        "4475 3.3.3: a scheme with a host",
        "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case(
        "4475 3.3.4: such schemes in To and From",
        OPTIONS,
        &[
            ("From", "From: <http://example.com>;tag=3\r\n"),
            ("To", "To: isbn:2983792873\r\n"),
        ],
        "",
        Ok(()),
    ),
    case(
        "a telephone number",
        "OPTIONS tel:+1-201-555-0123;phone-context=x SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case("4475 3.3.8: two Call-IDs", OPTIONS, &[], "i: other\r\n", Err(400)),
    case("4475 3.3.8: two CSeqs", OPTIONS, &[], "CSeq: 1 OPTIONS\r\n", Err(400)),
    case(
        "4475 3.3.8: two Froms",
        OPTIONS,
        &[],
        "f: <sip:a@example.com>;tag=1\r\n",
        Err(400),
    ),
    case(
        "4475 3.3.8: two Tos",
        OPTIONS,
        &[],
        "t: <sip:b@example.com>\r\n",
        Err(400),
    ),
    case(
        "4475 3.3.8: two Max-Forwards",
        OPTIONS,
        &[],
        "Max-Forwards: 5\r\n",
        Err(400),
    ),
    Case {
        body: "x",
        ..case(
            "4475 3.3.9: two different Content-Lengths, each of which would do",
            OPTIONS,
            &[],
            "Content-Length: 1\r\nl: 0\r\n",
            Err(400),
        )
    },
    case(
        "the same Content-Length twice",
        OPTIONS,
        &[],
        "Content-Length: 0\r\nl: 0\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.11: no hop left",
        OPTIONS,
        &[("Max-Forwards", "Max-Forwards: 0\r\n")],
        "",
        Ok(()),
    ),
    case(
        "4475 3.4.1: RFC 2543: no branch, no Max-Forwards",
        OPTIONS,
        &[("Via", "Via: SIP/2.0/UDP 192.0.2.1\r\n"), ("Max-Forwards", "")],
        "",
        Ok(()),
    ),
    case(
        "5118 4.1: an IPv6 reference",
        "OPTIONS sip:b@[2001:db8::10] SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case(
        "5118 4.2: an IPv6 address without brackets",
        "OPTIONS sip:2001:db8::10 SIP/2.0",
        &[],
        "",
        Err(400),
    ),
    case(
        "5118 4.5: received without brackets",
        OPTIONS,
        &[(
            "Via",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKa\r\n",
        )],
        "",
        Ok(()),
    ),
    case(
        "5118 4.9: an IPv4-mapped address",
        OPTIONS,
        &[("Via", "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKa\r\n")],
        "",
        Ok(()),
    ),
    case(
        "5118 4.10: three colons",
        "OPTIONS sip:b@[2001:db8:::192.0.2.1] SIP/2.0",
        &[],
        "",
        Ok(()),
    ),
    case(
        "a port beyond 65535",
        "OPTIONS sip:b@example.com:65536 SIP/2.0",
        &[],
        "",
        Err(400),
    ),
    case("a header line without a colon", OPTIONS, &[], "nonsense\r\n", Err(400)),
    case("a header name with a space in it", OPTIONS, &[], "X Y: z\r\n", Err(400)),
    case(
        "a lone CR, which others take for a line end",
        OPTIONS,
        &[],
        "Subject: a\rX-Evil: 1\r\n",
        Err(400),
    ),
    case(
        "4475 3.1.2.13: a Contact with a question mark and no brackets",
        OPTIONS,
        &[],
        "Contact: sip:a@h?Route=%3Csip:h%3E\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.5: an extension that is required",
        OPTIONS,
        &[],
        "Require: nothingSupportsThis\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.6: a body of an unknown type",
        OPTIONS,
        &[],
        "Content-Type: application/unknown;x=\"y\"\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.7: an authorization of an unknown scheme",
        OPTIONS,
        &[],
        "Authorization: NoOneKnows opaque=\"x\"\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.10: a response whose second Via is a broadcast",
        "SIP/2.0 200 OK",
        &[],
        "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.12: an unknown parameter of the header",
        OPTIONS,
        &[],
        "Contact: sip:+1@gw1.example.net;unknown\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.13: an unknown parameter of the URI",
        OPTIONS,
        &[],
        "Contact: <sip:+1@gw1.example.net;unknown>\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.14: an escaped header in a URI",
        OPTIONS,
        &[],
        "m: <sip:a@h?Route=%3Csip:h%3E>\r\n",
        Ok(()),
    ),
    case(
        "4475 3.3.15: nothing acceptable accepted",
        OPTIONS,
        &[],
        "Accept: text/nobodyKnowsThis\r\n",
        Ok(()),
    ),
    Case {
        body: "--x\r\n\0\u{1}\r\n\r\n--x--\r\n",
        ..case(
            "4475 3.1.1.11: binary parts",
            OPTIONS,
            &[],
            "C: multipart/mixed;boundary=x\r\n",
            Ok(()),
        )
    },
    Case {
        body: "to the end",
        ..case(
            "no Content-Length: the body ends with the datagram",
            OPTIONS,
            &[],
            "",
            Ok(()),
        )
    },
    Case {
        body: "bodyBYE sip:b@example.com SIP/2.0\r\n\r\n",
        ..case(
            "4475 3.1.1.8: more behind the body is ignored",
            OPTIONS,
            &[],
            "Content-Length: 4\r\n",
            Ok(()),
        )
    },
];

#[test]
fn each_point_has_its_outcome() {
    for case in CASES {
        let outcome = match Message::parse(Bytes::from(case.bytes())) {
            Ok(message) => message.check().map_err(|(status, _)| status),
            Err(rejection) => Err(rejection.status),
        };
        assert_eq!(outcome, case.expected, "{}", case.what);
    }
}

#[test]
fn what_is_good_is_printed_as_it_came() {
    for case in CASES
        .iter()
        .filter(|case| case.expected.is_ok() && case.more.contains("Content-Length: 0\r\n"))
    {
        let bytes = case.bytes();
        assert_eq!(
            Message::parse(Bytes::from(bytes.clone())).unwrap().to_bytes(),
            bytes,
            "{}",
            case.what
        );
    }
}

fn message(what: &str) -> Message {
    let case = CASES.iter().find(|case| case.what.starts_with(what)).unwrap();
    Message::parse(Bytes::from(case.bytes())).unwrap()
}

#[test]
fn what_is_odd_is_read_right() {
    let folded = message("4475 3.1.1.1");
    let via = folded.via().unwrap();
    assert_eq!(
        (via.transport.as_str(), via.host.as_str(), via.port),
        ("UDP", "192.0.2.1", Some(5060))
    );
    assert_eq!(via.branch().as_deref(), Some("z9hG4bKa"));
    assert_eq!(folded.to().unwrap().tag().as_deref(), Some("7"));
    assert_eq!(
        folded.cseq(),
        Some(Cseq {
            number: 1,
            method: Method::Options
        })
    );
    assert_eq!(folded.max_forwards(), Some(70));
    assert_eq!(folded.header("Subject").unwrap(), "");
    let escaped = message("4475 3.1.1.2: control");
    assert_eq!(escaped.to().unwrap().display.unwrap(), "a\u{7}b\"<c\\");
    let escapes = message("4475 3.1.1.3");
    assert_eq!(escapes.uri().unwrap().unwrap().user(), Some("sip%3Ab%40x"));
    assert_eq!(escapes.to().unwrap().uri.user_unescaped().unwrap(), "b");
    assert_eq!(
        message("4475 3.1.2.15").from().unwrap().display.unwrap(),
        "Bell, Alexander"
    );
    assert_eq!(message("4475 3.1.1.6").from().unwrap().display.unwrap(), "caller");
    assert_eq!(message("4475 3.1.1.8").body(), "body");
    assert_eq!(message("4475 3.1.1.11").body(), "--x\r\n\0\u{1}\r\n\r\n--x--\r\n");
    let contact = message("4475 3.3.12").contact().unwrap();
    assert_eq!(
        (contact.params.get("unknown").as_deref(), contact.uri.param("unknown")),
        (Some(""), None)
    );
    let contact = message("4475 3.3.13").contact().unwrap();
    assert_eq!(
        (contact.params.get("unknown"), contact.uri.param("unknown")),
        (None, Some(""))
    );
    assert_eq!(
        message("4475 3.3.14").contact().unwrap().uri.headers().next(),
        Some(("Route", "%3Csip:h%3E"))
    );
    assert_eq!(message("no Content-Length").body(), "to the end");
    assert_eq!(
        message("5118 4.5").via().unwrap().received(),
        Some("2001:db8::9:255".parse().unwrap())
    );
    assert_eq!(
        message("5118 4.10").uri().unwrap().unwrap().to_string(),
        "sip:b@[2001:db8:::192.0.2.1]"
    );
    assert_eq!(
        message("a telephone").uri().unwrap().unwrap().user(),
        Some("+1-201-555-0123")
    );
}

/// RFC 4475 §3.1.1.7: long names and values, far within the limits, of every header that has a type.
#[test]
fn long_values_are_kept() {
    let long = "x".repeat(2_000);
    let text = format!(
        "OPTIONS sip:{long}@{long}.example;{long}={long} SIP/2.0\r\nVia: SIP/2.0/UDP {long}.example;branch=z9hG4bK{long}\r\n\
         From: \"{long}\" <sip:{long}@h;{long}>;tag={long}\r\nTo: <sip:b@h>\r\nCall-ID: {long}\r\nCSeq: 1 OPTIONS\r\n\
         {long}: {long}\r\nContent-Length: 0\r\n\r\n"
    );
    let message = Message::parse(Bytes::from(text.clone())).unwrap();
    assert_eq!(message.check(), Ok(()));
    assert_eq!(message.from().unwrap().tag().unwrap(), long);
    assert_eq!(message.header(&long).unwrap(), long);
    assert_eq!(message.to_bytes(), text);
}

#[test]
fn line_feeds_alone_end_lines_too() {
    let text = String::from_utf8(CASES[0].bytes()).unwrap().replace("\r\n", "\n");
    let message = Message::parse(Bytes::from(text)).unwrap();
    assert_eq!(message.check(), Ok(()));
    assert_eq!(
        message.to_bytes(),
        [
            &CASES[0].bytes()[..CASES[0].bytes().len() - 2],
            b"Content-Length: 0\r\n\r\n"
        ]
        .concat()
    );
}

#[test]
fn a_head_without_an_end_is_refused() {
    let bytes = CASES[0].bytes();
    for length in 0..bytes.len() {
        assert!(
            Message::parse(Bytes::copy_from_slice(&bytes[..length])).is_err(),
            "{length}"
        );
    }
}

#[test]
fn limits_are_513() {
    let limits = Limits {
        message: 600,
        line: 100,
        fields: 8,
    };
    let refused = |more: String| {
        let text = String::from_utf8(CASES[0].bytes()).unwrap();
        let text = format!("{}{more}\r\n", &text[..text.len() - 2]);
        let rejection = Message::parse_within(Bytes::from(text), &limits);
        rejection
            .map(|_| ())
            .map_err(|rejection| (rejection.status, rejection.reason, rejection.request.is_some()))
    };
    assert_eq!(refused("A: 1\r\nB: 2\r\n".into()), Ok(()));
    let long = String::from_utf8(CASES[0].bytes())
        .unwrap()
        .replace("sip:b@", &format!("sip:{}@", "b".repeat(100)));
    let rejection = Message::parse_within(Bytes::from(long), &limits).unwrap_err();
    assert_eq!((rejection.status, rejection.reason), (513, "First Line Too Long"));
    assert_eq!(rejection.request.unwrap().headers("Via").count(), 1);
    assert_eq!(
        refused("A: 1\r\nB: 2\r\nC: 3\r\n".into()),
        Err((513, "Too Many Header Fields", true))
    );
    assert_eq!(refused(format!("A: {}\r\n", "x".repeat(97))), Ok(()));
    assert_eq!(
        refused(format!("A: {}\r\n", "x".repeat(98))),
        Err((513, "Header Line Too Long", true))
    );
    assert_eq!(
        refused(format!("A: {}\r\n", "x\r\n ".repeat(30))),
        Err((513, "Header Line Too Long", true))
    );
    assert_eq!(
        refused(format!("A: 1\r\n\r\n{}", "x".repeat(600))),
        Err((513, "Message Too Large", true))
    );
}
