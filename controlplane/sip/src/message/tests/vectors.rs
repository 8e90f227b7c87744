//! The messages of RFC 4475 and RFC 5118, from the folder that `BATON_VECTORS` names.

use std::path::PathBuf;

use super::table::{Row, TABLE};
use super::*;

#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("BATON_VECTORS") else {
        eprintln!("skipped: BATON_VECTORS does not name the folder with {name}");
        return None;
    };
    Some(PathBuf::from(folder).join(name))
}

/// The RFC's own message of a row.
pub(super) fn read(folder: &std::path::Path, row: &Row) -> Vec<u8> {
    let mut bytes = std::fs::read(folder.join(format!("{}.sip", row.name))).unwrap();
    if row.name == "baddn" {
        // The file lacks the empty line behind the head.
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn check(folder: &std::path::Path, rfc: &str) {
    for row in TABLE.iter().filter(|row| row.section.starts_with(rfc)) {
        let (file, section, expected) = (row.name, row.section, row.parsed);
        let bytes = read(folder, row);
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
            Some(kind),
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
        if message.header("Content-Length").is_some() && file != "trws" {
            assert_eq!(head(&printed), head(&bytes), "{file}");
        }
        assert_eq!(said(&Message::parse(printed).unwrap()), said(&message), "{file}");
    }
}

#[test]
fn rfc_4475() {
    let Some(folder) = folder("rfc4475") else { return };
    check(&folder, "4475");

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
    check(&folder, "5118");

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
