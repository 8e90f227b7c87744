use super::*;

fn one(value: &str) -> Challenge {
    let mut found = challenges(value).expect("well formed");
    assert_eq!(found.len(), 1, "{value}");
    found.remove(0)
}

fn realms(value: &str) -> Vec<String> {
    let found = challenges(value).expect("well formed");
    found.iter().map(|challenge| challenge.realm().into_owned()).collect()
}

fn credentials(username: &str, password: &str) -> Credentials {
    Credentials {
        realm: None,
        username: username.into(),
        password: password.into(),
    }
}

fn response(answer: &str) -> &str {
    let (_, rest) = answer.split_once("response=\"").expect("a response");
    rest.split_once('"').expect("its end").0
}

const GET: Subject<'static> = Subject {
    method: "GET",
    uri: "/dir/index.html",
    body: b"",
};

#[test]
fn rfc_7616_section_3_9_1_md5_and_sha_256() {
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let mufasa = credentials("Mufasa", "Circle of Life");
    for (algorithm, expected) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let challenge = one(&format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        ));
        assert_eq!(
            challenge.answer(&mufasa, GET, 1, cnonce),
            format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, cnonce=\"{cnonce}\", qop=auth, \
                 response=\"{expected}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        );
    }
}

/// With the values of erratum 4897: those of the RFC's text come from a truncated SHA-512, not from SHA-512/256.
#[test]
fn rfc_7616_section_3_9_2_sha_512_256_userhash_and_utf_8() {
    let challenge = one(
        "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true",
    );
    let subject = Subject {
        uri: "/doe.json",
        ..GET
    };
    let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
    let answer = challenge.answer(
        &credentials("J\u{e4}s\u{f8}n Doe", "Secret, or not?"),
        subject,
        1,
        cnonce,
    );
    assert_eq!(
        response(&answer),
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    );
    assert!(
        answer
            .starts_with("Digest username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\", realm"),
        "{answer}"
    );
    assert!(answer.ends_with(", userhash=true"), "{answer}");
}

#[test]
fn rfc_2617_section_3_5() {
    let challenge = one(
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let answer = challenge.answer(&credentials("Mufasa", "Circle Of Life"), GET, 1, "0a4f113b");
    assert_eq!(response(&answer), "6629fae49393a05397450978507c4ef1");
    assert!(!answer.contains("algorithm"), "none was named: {answer}");
}

/// RFC 2069 §2.4 with its erratum 749 (the RFC's own figure is of another calculation).
#[test]
fn without_qop_it_is_rfc_2069() {
    let challenge = one(
        "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let answer = challenge.answer(&credentials("Mufasa", "CircleOfLife"), GET, 1, "unused");
    assert_eq!(response(&answer), "1949323746fe6a43ef61f9606e7febea");
    for absent in ["qop", "nc=", "cnonce", "algorithm"] {
        assert!(!answer.contains(absent), "{answer}");
    }
}

/// RFC 8760 names the algorithms for SIP and has no numbers; these are the formulas of RFC 7616 §3.4 written out.
#[test]
fn sessions_and_bodies_by_the_formula() {
    let h = |text: &str| Algorithm::Sha256.hash(&[text.as_bytes()]);
    let (user, password, realm, nonce, cnonce) = ("bob", "zanzibar", "biloxi.com", "n0", "c0");
    let subject = Subject {
        method: "INVITE",
        uri: "sip:alice@192.0.2.4",
        body: b"v=0\r\n",
    };
    let a1 = h(&format!(
        "{}:{nonce}:{cnonce}",
        h(&format!("{user}:{realm}:{password}"))
    ));
    let a2 = h(&format!("INVITE:{}:{}", subject.uri, h("v=0\r\n")));
    let challenge = one("Digest algorithm=SHA-256-sess, qop=\"auth-int\", realm=\"biloxi.com\", nonce=\"n0\"");
    let answer = challenge.answer(&credentials(user, password), subject, 0x1f, cnonce);
    assert_eq!(
        response(&answer),
        h(&format!("{a1}:{nonce}:0000001f:{cnonce}:auth-int:{a2}"))
    );
    assert!(
        answer.contains("nc=0000001f, cnonce=\"c0\", qop=auth-int, "),
        "{answer}"
    );
    assert!(answer.contains("algorithm=SHA-256-sess, "), "{answer}");
}

#[test]
fn the_hashes_are_the_standards() {
    // FIPS 180-4's and RFC 1321's own "abc".
    assert_eq!(Algorithm::Md5.hash(&[b"abc"]), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(
        Algorithm::Sha256.hash(&[b"abc"]),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        Algorithm::Sha512_256.hash(&[b"abc"]),
        "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"
    );
}

#[test]
fn several_challenges_in_one_field_keep_their_order() {
    let value = "Basic realm=\"b\", Digest realm=\"one, \\\"two\\\"\",nonce=\"a,b=\\\\c\",algorithm=SHA-256 , Negotiate, \
                 NTLM TlRMTVNTUAAC==, digest nonce = n2 , REALM = r2, qop=auth, , Digest realm=\"x\", nonce=\"n3\"";
    assert_eq!(realms(value), ["one, \"two\"", "r2", "x"]);
}

#[test]
fn what_we_cannot_answer_is_left_out() {
    for value in [
        "Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-1",
        "Digest realm=\"r\", nonce=\"n\", qop=\"auth-conf\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
        "Digest realm=\"r\"",
        "Digest nonce=\"n\"",
        "Digest realm=\"r\", realm=\"s\", nonce=\"n\"",
        "Digest",
        "Digest abc==, realm=\"r\", nonce=\"n\"",
        "Basic realm=\"r\"",
        "",
        ", ,",
    ] {
        assert_eq!(challenges(value), Ok(vec![]), "{value}");
    }
    // And does not hide what follows.
    assert_eq!(
        realms("Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5, Digest realm=\"s\", nonce=\"n\""),
        ["s"]
    );
}

#[test]
fn what_cannot_be_split_is_refused() {
    for value in [
        "Digest realm=\"r, nonce=\"n\"",
        "Digest realm=\"r\\\"",
        "realm=\"r\", nonce=\"n\"",
        "Di(gest realm=\"r\"",
        "Digest realm=\"a\" \"b\", no\u{e4}nce",
    ] {
        assert_eq!(challenges(value), Err(Malformed), "{value}");
    }
}

#[test]
fn what_is_echoed_is_echoed_as_it_came() {
    let challenge =
        one("Digest realm=\"a\\\\b \\\"c\\\"\", nonce=\"n\\\"1\", opaque=\"\", algorithm=\"md5\", qop=\"auth\"");
    assert_eq!(challenge.realm(), "a\\b \"c\"");
    let answer = challenge.answer(&credentials("u\"\\v", "p"), GET, 1, "c");
    for part in [
        "username=\"u\\\"\\\\v\", realm=\"a\\\\b \\\"c\\\"\"",
        "nonce=\"n\\\"1\"",
        "opaque=\"\"",
        "algorithm=md5,",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    // The hash is over the values, not over their quoting.
    let h = |text: &str| Algorithm::Md5.hash(&[text.as_bytes()]);
    let (a1, a2) = (h("u\"\\v:a\\b \"c\":p"), h("GET:/dir/index.html"));
    assert_eq!(response(&answer), h(&format!("{a1}:n\"1:00000001:c:auth:{a2}")));
    assert!(one("Digest realm=\"r\", nonce=\"n\", stale=TRUE").stale());
    assert!(!one("Digest realm=\"r\", nonce=\"n\", stale=\"false\"").stale());
}

#[test]
fn thousands_of_challenges_are_not_all_looked_at() {
    let many = "Digest realm=\"r\", nonce=\"n\", ".repeat(10_000);
    assert_eq!(challenges(&many).map(|found| found.len()), Ok(CHALLENGES));
    let long = format!("Digest realm=\"r\", nonce=\"{}\"", "n".repeat(ECHOED));
    assert_eq!(challenges(&long).map(|found| found.len()), Ok(1));
    let longer = long.replace("nonce=\"", "nonce=\"n");
    assert_eq!(challenges(&longer), Ok(vec![]));
}

#[test]
fn a_password_is_never_shown() {
    let shown = format!("{:?}", credentials("alice", "s3cret"));
    assert!(!shown.contains("s3cret") && !shown.contains("alice"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn nothing_panics(value in "[ -~\u{e4}]{0,80}") {
        if let Ok(found) = challenges(&value) {
            for challenge in found {
                challenge.answer(&credentials("u", "p"), GET, 1, "c");
            }
        }
    }
}
