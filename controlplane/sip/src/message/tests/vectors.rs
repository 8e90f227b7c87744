//! The messages of RFC 4475 and RFC 5118, from the folder that `BATON_VECTORS` names.

use std::path::PathBuf;

use super::*;

/// File, section, outcome: `Ok` with the method or status, or the status of the refusal.
type Row = (&'static str, &'static str, Result<&'static str, u16>);

const RFC4475: [Row; 49] = [
    ("wsinv", "3.1.1.1", Ok("INVITE")),
    ("intmeth", "3.1.1.2", Ok("!interesting-Method0123456789_*+`.%indeed'~")),
    ("esc01", "3.1.1.3", Ok("INVITE")),
    ("escnull", "3.1.1.4", Ok("REGISTER")),
    ("esc02", "3.1.1.5", Ok("RE%47IST%45R")),
    ("lwsdisp", "3.1.1.6", Ok("OPTIONS")),
    ("longreq", "3.1.1.7", Ok("INVITE")),
    ("dblreq", "3.1.1.8", Ok("REGISTER")),
    ("semiuri", "3.1.1.9", Ok("OPTIONS")),
    ("transports", "3.1.1.10", Ok("OPTIONS")),
    ("mpart01", "3.1.1.11", Ok("MESSAGE")),
    ("unreason", "3.1.1.12", Ok("200")),
    ("noreason", "3.1.1.13", Ok("100")),
    ("badinv01", "3.1.2.1", Err(400)),
    ("clerr", "3.1.2.2", Err(400)),
    ("ncl", "3.1.2.3", Err(400)),
    ("scalar02", "3.1.2.4", Err(400)),
    ("scalarlg", "3.1.2.5", Err(400)),
    ("quotbal", "3.1.2.6", Err(400)),
    ("ltgtruri", "3.1.2.7", Err(400)),
    ("lwsruri", "3.1.2.8", Err(400)),
    ("lwsstart", "3.1.2.9", Err(400)),
    // From here to 3.1.2.15 the RFC lets us choose; we take what has one meaning only.
    ("trws", "3.1.2.10", Ok("OPTIONS")),
    ("escruri", "3.1.2.11", Ok("INVITE")),
    ("baddate", "3.1.2.12", Ok("INVITE")),
    ("regbadct", "3.1.2.13", Ok("REGISTER")),
    ("badaspec", "3.1.2.14", Ok("OPTIONS")),
    ("baddn", "3.1.2.15", Ok("OPTIONS")),
    ("badvers", "3.1.2.16", Err(505)),
    ("mismatch01", "3.1.2.17", Err(400)),
    ("mismatch02", "3.1.2.18", Err(400)),
    ("bigcode", "3.1.2.19", Err(400)),
    ("badbranch", "3.2.1", Err(400)),
    ("insuf", "3.3.1", Err(400)),
    ("unkscm", "3.3.2", Ok("OPTIONS")),
    ("novelsc", "3.3.3", Ok("OPTIONS")),
    ("unksm2", "3.3.4", Ok("REGISTER")),
    ("bext01", "3.3.5", Ok("OPTIONS")),
    ("invut", "3.3.6", Ok("INVITE")),
    ("regaut01", "3.3.7", Ok("REGISTER")),
    ("multi01", "3.3.8", Err(400)),
    ("mcl01", "3.3.9", Err(400)),
    ("bcast", "3.3.10", Ok("200")),
    ("zeromf", "3.3.11", Ok("OPTIONS")),
    ("cparam01", "3.3.12", Ok("REGISTER")),
    ("cparam02", "3.3.13", Ok("REGISTER")),
    ("regescrt", "3.3.14", Ok("REGISTER")),
    ("sdp01", "3.3.15", Ok("INVITE")),
    ("inv2543", "3.4.1", Ok("INVITE")),
];

const RFC5118: [Row; 12] = [
    ("4.1_ipv6-good", "4.1", Ok("REGISTER")),
    ("4.2_ipv6-bad", "4.2", Err(400)),
    ("4.3_port-ambiguous", "4.3", Ok("REGISTER")),
    ("4.4_port-unambiguous", "4.4", Ok("REGISTER")),
    ("4.5_via-received-param-no-delim", "4.5", Ok("OPTIONS")),
    ("4.5_via-received-param-with-delim", "4.5", Ok("BYE")),
    // Its Content-Length says 268 and its body has 250 bytes.
    ("4.6_ipv6-in-sdp", "4.6", Err(400)),
    ("4.7_mult-ip-in-header", "4.7", Ok("BYE")),
    ("4.8_mult-ip-in-sdp", "4.8", Ok("INVITE")),
    ("4.9_ipv4-mapped-ipv6", "4.9", Ok("INVITE")),
    ("4.10_ipv6-bug-abnf-3-colons", "4.10", Ok("OPTIONS")),
    ("4.10_ipv6-correct-abnf-2-colons", "4.10", Ok("OPTIONS")),
];

#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn folder(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("BATON_VECTORS") else {
        eprintln!("skipped: BATON_VECTORS does not name the folder with {name}");
        return None;
    };
    Some(PathBuf::from(folder).join(name))
}

fn check(folder: &std::path::Path, rows: &[Row]) {
    for (file, section, expected) in rows {
        let mut bytes = std::fs::read(folder.join(format!("{file}.sip"))).unwrap();
        if *file == "baddn" {
            // The file lacks the empty line behind the head.
            bytes.extend_from_slice(b"\r\n");
        }
        let parsed = Message::parse(Bytes::from(bytes.clone()));
        let outcome = match &parsed {
            Ok(message) => message.check().map_err(|(status, _)| status),
            Err(rejection) => Err(rejection.status),
        };
        assert_eq!(outcome, expected.map(|_| ()), "{file}, section {section}");
        let (Ok(message), Ok(kind)) = (parsed, expected) else {
            continue;
        };
        let status = message.status().map(|status| status.to_string());
        assert_eq!(
            message.method().map(Method::as_str).or(status.as_deref()),
            Some(*kind),
            "{file}"
        );
        assert!(
            message.from().is_some() && message.to().is_some() && message.via().is_some(),
            "{file}"
        );
        // What came is what goes: the fields in their order, byte for byte.
        let printed = message.to_bytes();
        let head = |bytes: &[u8]| {
            bytes
                .windows(4)
                .position(|end| end == b"\r\n\r\n")
                .map(|end| bytes[..end].to_vec())
        };
        if message.header("Content-Length").is_some() && *file != "trws" {
            assert_eq!(head(&printed), head(&bytes), "{file}");
        }
        assert_eq!(said(&Message::parse(printed).unwrap()), said(&message), "{file}");
    }
}

#[test]
fn rfc_4475() {
    let Some(folder) = folder("rfc4475") else { return };
    check(&folder, &RFC4475);

    let read =
        |file: &str| Message::parse(Bytes::from(std::fs::read(folder.join(format!("{file}.sip"))).unwrap())).unwrap();
    let wsinv = read("wsinv");
    assert_eq!(wsinv.to().unwrap().tag().as_deref(), Some("1918181833n"));
    assert_eq!(wsinv.from().unwrap().display.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(wsinv.from().unwrap().tag().as_deref(), Some("98asjd8"));
    assert_eq!(wsinv.max_forwards(), Some(68));
    assert_eq!(
        wsinv.cseq(),
        Some(Cseq {
            number: 9,
            method: Method::Invite
        })
    );
    let vias: Vec<_> = wsinv
        .headers("Via")
        .flat_map(|via| Via::parse_list(&via).unwrap())
        .collect();
    assert_eq!(
        vias.iter().map(|via| via.host.as_str()).collect::<Vec<_>>(),
        ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    );
    assert_eq!(
        wsinv.route()[0].uri.as_str(),
        "sip:services.example.com;lr;unknownwith=value;unknown-no-value"
    );
    assert_eq!(wsinv.contact().unwrap().params.get("q").as_deref(), Some("0.33"));
    assert_eq!(
        wsinv.header("NewFangledHeader").unwrap(),
        "newfangled value continued newfangled value"
    );
    assert_eq!(wsinv.body().len(), 150);

    let uri = read("intmeth").uri().unwrap().unwrap();
    assert_eq!(uri.host(), Some(crate::uri::Host::Name("example.com")));
    let uri = read("esc01").uri().unwrap().unwrap();
    assert_eq!(uri.user_unescaped().as_deref(), Some("sips:user@example.com"));
    assert_eq!(read("lwsdisp").from().unwrap().display.as_deref(), Some("caller"));
    assert_eq!(read("longreq").via().unwrap().host, "sip33.example.com");
    assert_eq!(read("dblreq").body().len(), 0);
    let uri = read("semiuri").uri().unwrap().unwrap();
    assert_eq!(uri.user_unescaped().as_deref(), Some("user;par=u@example.net"));
    assert_eq!(read("transports").headers("Via").count(), 5);
    assert_eq!(read("mpart01").body().len(), 553);
    assert!(read("unreason").reason().unwrap().starts_with("= 2**3 * 5**2 "));
    assert_eq!(read("noreason").reason().unwrap(), "");
}

#[test]
fn rfc_5118() {
    let Some(folder) = folder("rfc5118") else { return };
    check(&folder, &RFC5118);

    let read =
        |file: &str| Message::parse(Bytes::from(std::fs::read(folder.join(format!("{file}.sip"))).unwrap())).unwrap();
    let uri = read("4.3_port-ambiguous").uri().unwrap().unwrap();
    assert_eq!(
        (uri.host(), uri.port()),
        (Some(crate::uri::Host::V6("2001:db8::10:5070".parse().unwrap())), None)
    );
    let uri = read("4.4_port-unambiguous").uri().unwrap().unwrap();
    assert_eq!(uri.socket_addr(), Some("[2001:db8::10]:5070".parse().unwrap()));
    for file in ["4.5_via-received-param-no-delim", "4.5_via-received-param-with-delim"] {
        assert_eq!(
            read(file).via().unwrap().received(),
            Some("2001:db8::9:255".parse().unwrap())
        );
    }
    let text = std::fs::read_to_string(folder.join("4.6_ipv6-in-sdp.sip")).unwrap();
    let message = Message::parse(Bytes::from(text.replace("Content-Length: 268\r\n", ""))).unwrap();
    assert_eq!((message.check(), message.sdp().unwrap().len()), (Ok(()), 250));
}
