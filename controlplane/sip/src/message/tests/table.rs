//! RFC 4475 and RFC 5118: every message of theirs, and what becomes of it here.
//!
//! The outcomes are the RFCs', as a user agent has to read them; where they leave a choice, the row says which one is ours. Each row
//! has a message of our own that makes the same point, so that the table is checked where the RFCs' files are not at hand.

use Outcome::{Answer, Call, Drop};

/// One message.
pub(super) struct Row {
    /// The RFC's file, without `.sip`.
    pub(super) name: &'static str,
    /// RFC and section.
    pub(super) section: &'static str,
    /// What the parser makes of it: the method or status, or the status of the refusal.
    pub(super) parsed: Result<&'static str, u16>,
    /// What an endpoint does with it that knows no call.
    pub(super) outcome: Outcome,
    /// Why.
    pub(super) why: &'static str,
    own: &'static str,
}

/// What an endpoint does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 100, and a new call for the endpoint's user.
    Call,
    /// This answer, with these header fields, and nothing is kept.
    Answer(u16, &'static [(&'static str, &'static str)]),
    /// Nothing at all.
    Drop,
}

const SERVED: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, INFO");
/// §8.2.1 of RFC 3261: a method that is not served, with those that are.
const NOT_SERVED: Outcome = Answer(405, &[SERVED]);
/// §11.2 of RFC 3261.
const OPTIONS: Outcome = Answer(200, &[SERVED, ("Accept", "application/sdp")]);
const BAD: Outcome = Answer(400, &[]);

impl Row {
    /// Our own message. `$V` and so on are its plain lines.
    pub(super) fn own(&self) -> Vec<u8> {
        let sdp = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        self.own
            .replace('\n', "\r\n")
            .replace("$V", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKown\r\n")
            .replace("$F", "From: <sip:a@example.com>;tag=1\r\n")
            .replace("$T", "To: <sip:b@example.com>\r\n")
            .replace("$I", "Call-ID: own@192.0.2.1\r\nMax-Forwards: 70\r\n")
            .replace("$C", "Contact: <sip:a@192.0.2.1>\r\n")
            .replace(
                "$L",
                &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len()),
            )
            .replace("$S", &format!("\r\n{sdp}"))
            .into_bytes()
    }
}

const fn row(
    name: &'static str,
    section: &'static str,
    parsed: Result<&'static str, u16>,
    outcome: Outcome,
    why: &'static str,
    own: &'static str,
) -> Row {
    Row {
        name,
        section,
        parsed,
        outcome,
        why,
        own,
    }
}

pub(super) const TABLE: [Row; 61] = [
    // RFC 4475 §3.1.1: valid messages.
    row(
        "wsinv",
        "4475 3.1.1.1",
        Ok("INVITE"),
        Answer(481, &[]),
        "folds, blanks, compact and odd names are valid; it names a dialog by its To tag, and we have none (RFC 3261 §12.2.2)",
        "INVITE sip:b@example.com;unknown SIP/2.0\nTO :\n sip:b@example.com ;  tag   = 77\n\
         from   : \"A \\\\\\\"\"    <sip:a@example.com>\n  ;\n tag = 98\nMaX-fOrWaRdS: 0068\ni: own\ncseq: 0009\n  INVITE\n\
         Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390\ns :\nX-Odd: ;;,,;;,;\nv:  SIP  / 2.0  / TCP     h   ;\n\
         \x20 branch  =   z9hG4bK9  ,\n SIP  /    2.0   / UDP  192.0.2.9   ; branch=\n z9hG4bK3\n\
         m:\"Quoted \\\"\\\"\" <sip:a@example.com> ; newparam =\n  v ; q = 0.33\n$L$S",
    ),
    row(
        "intmeth",
        "4475 3.1.1.2",
        Ok("!interesting-Method0123456789_*+`.%indeed'~"),
        NOT_SERVED,
        "every character is allowed where it stands; the method is unknown to us (RFC 3261 §8.2.1)",
        "a-.!%*_+`'~Z sip:u~(n)&x+y$/z?,/;;*:p*w~@example.com SIP/2.0\n$V$FTo: \"BEL:\\\x07 NUL:\\\0\" <sip:b@example.com>\n$I\
         CSeq: 1 a-.!%*_+`'~Z\nx-!.%*+_`'~:\u{feff}\u{5927}\n\n",
    ),
    row(
        "esc01",
        "4475 3.1.1.3",
        Ok("INVITE"),
        Call,
        "escapes in URIs are legal, and the user is not to be taken for a sips URI",
        "INVITE sip:sips%3Ab%40example.com@example.net SIP/2.0\n$V$FTo: sip:%62@example.com\n$ICSeq: 1 INVITE\n\
         Contact:\n  <sip:c%6C@192.0.2.1;%6C%72;n%61me=v%61lue%25%34%31>\n$L$S",
    ),
    row(
        "escnull",
        "4475 3.1.1.4",
        Ok("REGISTER"),
        NOT_SERVED,
        "an escaped NUL ends no string; we are no registrar",
        "REGISTER sip:example.com SIP/2.0\n$V$FTo: sip:null-%00-null@example.com\n$ICSeq: 1 REGISTER\nContact: <sip:%00@h>\n\
         Contact: <sip:%00%00@h>\nL:0\n\n",
    ),
    row(
        "esc02",
        "4475 3.1.1.5",
        Ok("RE%47IST%45R"),
        NOT_SERVED,
        "% escapes nothing in a method: this is not REGISTER, and nobody knows what it is",
        "RE%47IST%45R sip:example.com SIP/2.0\n$V$FTo: \"%Z%45\" <sip:b@example.com>\n$ICSeq: 1 RE%47IST%45R\nC%6Fntact: <sip:x@h>\n\n",
    ),
    row(
        "lwsdisp",
        "4475 3.1.1.6",
        Ok("OPTIONS"),
        OPTIONS,
        "no blank is needed between a display name and its bracket",
        "OPTIONS sip:b@example.com SIP/2.0\n$VFrom: caller<sip:a@example.com>;tag=1\n$T$ICSeq: 1 OPTIONS\nl: 0\n\n",
    ),
    row(
        "longreq",
        "4475 3.1.1.7",
        Ok("INVITE"),
        Call,
        "long values of every kind are valid, and within our limits",
        "INVITE sip:b@example.com SIP/2.0\n$V$FTo: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" \
         <sip:b@example.com:6000;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=yyyyyyyyyy>\n\
         $ICSeq: 1 INVITE\nXxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: y\n$C$L$S",
    ),
    row(
        "dblreq",
        "4475 3.1.1.8",
        Ok("REGISTER"),
        NOT_SERVED,
        "in a datagram what is behind the body is thrown away: one answer, and no call",
        "REGISTER sip:example.com SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\nContent-Length: 0\n\n\n\
         INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 8 INVITE\n$C$L$S",
    ),
    row(
        "semiuri",
        "4475 3.1.1.9",
        Ok("OPTIONS"),
        OPTIONS,
        "a semicolon before the @ belongs to the user and begins no parameter",
        "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\n$V$F$T$ICSeq: 8 OPTIONS\nAccept: application/sdp,\n  message/sipfrag\n\n",
    ),
    row(
        "transports",
        "4475 3.1.1.10",
        Ok("OPTIONS"),
        OPTIONS,
        "transports that we do not know in Vias that are not ours to answer by",
        "OPTIONS sip:b@example.com SIP/2.0\n$VVia: SIP/2.0/SCTP h;branch=z9hG4bKb\nVia: SIP/2.0/TLS h\nVia: SIP/2.0/UNKNOWN h\n\
         $F$T$ICSeq: 60 OPTIONS\n\n",
    ),
    row(
        "mpart01",
        "4475 3.1.1.11",
        Ok("MESSAGE"),
        NOT_SERVED,
        "a body in several parts, binary ones too, is valid; MESSAGE is not served",
        "MESSAGE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 1 MESSAGE\nContent-Type: multipart/mixed;boundary=x\n\n\
         --x\n\n\0\x01\x7f\n--x--\n",
    ),
    row(
        "unreason",
        "4475 3.1.1.12",
        Ok("200"),
        Drop,
        "a reason phrase may hold any UTF-8; it answers no request of ours (RFC 3261 §18.1.2)",
        "SIP/2.0 200 = 2**3 \u{43d}\u{43e}\n$V$FTo: <sip:b@example.com>;tag=2\n$ICSeq: 35 INVITE\n$C$L$S",
    ),
    row(
        "noreason",
        "4475 3.1.1.13",
        Ok("100"),
        Drop,
        "a reason phrase may be empty; it answers no request of ours",
        "SIP/2.0 100 \n$V$F$T$ICSeq: 35 INVITE\n\n",
    ),
    // §3.1.2: invalid messages.
    row(
        "badinv01",
        "4475 3.1.2.1",
        Err(400),
        BAD,
        "separators without anything between them in Via and Contact: to be refused with 400",
        "INVITE sip:b@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.15;;,;,,\n$F$T$ICSeq: 8 INVITE\n\
         Contact: \"Joe\" <sip:joe@example.org>;;;;\n$L$S",
    ),
    row(
        "clerr",
        "4475 3.1.2.2",
        Err(400),
        BAD,
        "a datagram shorter than its Content-Length: to be refused with 400",
        "INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 8 INVITE\n$CContent-Type: application/sdp\nContent-Length: 9999\n$S",
    ),
    row(
        "ncl",
        "4475 3.1.2.3",
        Err(400),
        BAD,
        "a negative Content-Length: to be refused with 400",
        "INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 0 INVITE\n$CContent-Type: application/sdp\nContent-Length: -999\n$S",
    ),
    row(
        "scalar02",
        "4475 3.1.2.4",
        Err(400),
        BAD,
        "CSeq and Max-Forwards beyond their ranges: to be refused with 400, whatever the method",
        "REGISTER sip:example.com SIP/2.0\n$V$F$TCall-ID: own\nCSeq: 36893488147419103232 REGISTER\nMax-Forwards: 300\n\
         Expires: 100000000000000000000000000000000\nContact: <sip:a@h>\n  ;expires=280297596632815\n\n",
    ),
    row(
        "scalarlg",
        "4475 3.1.2.5",
        Err(400),
        Drop,
        "a response whose CSeq is beyond its range answers nothing that we ever asked: to be dropped",
        "SIP/2.0 503 Service Unavailable\n$V$F$T$ICSeq: 9292394834772304023312 OPTIONS\nRetry-After: 949302838503028349304023988\n\n",
    ),
    row(
        "quotbal",
        "4475 3.1.2.6",
        Err(400),
        BAD,
        "a quote in To that is never closed: to be refused with 400",
        "INVITE sip:b@example.com SIP/2.0\n$V$FTo: \"Mr. J. User <sip:b@example.com>\n$ICSeq: 8 INVITE\n$C$L$S",
    ),
    row(
        "ltgtruri",
        "4475 3.1.2.7",
        Err(400),
        BAD,
        "a Request-URI in brackets: 400; to ignore them is allowed, and not our choice",
        "INVITE <sip:b@example.com> SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$C$L$S",
    ),
    row(
        "lwsruri",
        "4475 3.1.2.8",
        Err(400),
        BAD,
        "blanks in the Request-URI: 400; to guess at them is allowed, and not our choice",
        "INVITE sip:b@example.com; lr SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$C$L$S",
    ),
    row(
        "lwsstart",
        "4475 3.1.2.9",
        Err(400),
        BAD,
        "more than one blank between the parts of the first line: 400; to skip them is allowed, and not our choice",
        "INVITE  sip:b@example.com  SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$C$L$S",
    ),
    row(
        "trws",
        "4475 3.1.2.10",
        Ok("OPTIONS"),
        OPTIONS,
        "blanks behind the version: 400 or ignored; they mean nothing, so they are ignored",
        "OPTIONS sip:b@example.com SIP/2.0  \n$V$F$T$ICSeq: 1 OPTIONS\n\n",
    ),
    row(
        "escruri",
        "4475 3.1.2.11",
        Ok("INVITE"),
        Call,
        "headers in the Request-URI: 400 or ignored; we ignore them, for a Request-URI of ours is never made of theirs",
        "INVITE sip:b@example.com?Route=%3Csip:example.com%3E SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$C$L$S",
    ),
    row(
        "baddate",
        "4475 3.1.2.12",
        Ok("INVITE"),
        Call,
        "a Date that is not in GMT: 400 or ignored; nobody here reads Date",
        "INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\nDate: Fri, 01 Jan 2010 16:00:00 EST\n$C$L$S",
    ),
    row(
        "regbadct",
        "4475 3.1.2.13",
        Ok("REGISTER"),
        NOT_SERVED,
        "a registrar should refuse the Contact with 400; we are none, and the method is looked at first (RFC 3261 §8.2)",
        "REGISTER sip:example.com SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\nContact: sip:a@h?Route=%3Csip:h%3E\nl: 0\n\n",
    ),
    row(
        "badaspec",
        "4475 3.1.2.14",
        Ok("OPTIONS"),
        OPTIONS,
        "blanks within the brackets of To: 400 or ignored; they mean nothing, so they are ignored",
        "OPTIONS sip:b@example.com SIP/2.0\n$V$FTo: \"Watson, Thomas\" < sip:b@example.com >\n$ICSeq: 1 OPTIONS\nl: 0\n\n",
    ),
    row(
        "baddn",
        "4475 3.1.2.15",
        Ok("OPTIONS"),
        OPTIONS,
        "a comma in a display name without quotes: 400 or taken for quoted; From is no list, so it has one meaning",
        "OPTIONS sip:b@example.com SIP/2.0\n$VFrom:    Bell, Alexander <sip:a@example.com>;tag=43\n$T$ICSeq:    1 OPTIONS\nl: 0\n\n",
    ),
    row(
        "badvers",
        "4475 3.1.2.16",
        Err(505),
        Answer(505, &[]),
        "another version of the protocol: 505",
        "OPTIONS sip:b@example.com SIP/7.0\nVia: SIP/7.0/UDP 192.0.2.1;branch=z9hG4bKown\n$F$T$ICSeq: 1 OPTIONS\nl: 0\n\n",
    ),
    row(
        "mismatch01",
        "4475 3.1.2.17",
        Err(400),
        BAD,
        "the method of CSeq is another than the request's: 400",
        "OPTIONS sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 8 INVITE\nl: 0\n\n",
    ),
    row(
        "mismatch02",
        "4475 3.1.2.18",
        Err(400),
        BAD,
        "the same with an unknown method: 400, or 501 for that; what cannot be trusted is refused first",
        "NEWMETHOD sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 8 INVITE\n$C$L$S",
    ),
    row(
        "bigcode",
        "4475 3.1.2.19",
        Err(400),
        Drop,
        "a status beyond 699: to be dropped",
        "SIP/2.0 4294967301 better not break the receiver\n$V$F$T$ICSeq: 8 INVITE\nl: 0\n\n",
    ),
    // §3.2: transaction layer.
    row(
        "badbranch",
        "4475 3.2.1",
        Err(400),
        BAD,
        "the cookie alone identifies no transaction: 400 without state, or the rules of RFC 2543; ours is 400",
        "OPTIONS sip:b@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\n$F$T$ICSeq: 8 OPTIONS\nl: 0\n\n",
    ),
    // §3.3: application layer.
    row(
        "insuf",
        "4475 3.3.1",
        Err(400),
        BAD,
        "no Call-ID, From or To: 400 with what can be copied",
        "INVITE sip:b@example.com SIP/2.0\nCSeq: 1 INVITE\n$V$L$S",
    ),
    row(
        "unkscm",
        "4475 3.3.2",
        Ok("OPTIONS"),
        Answer(416, &[]),
        "a Request-URI of a scheme that nobody knows: 416 (RFC 3261 §8.2.2.1)",
        "OPTIONS nobodyKnowsThis:totallyopaque SIP/2.0\n$V$F$T$ICSeq: 1 OPTIONS\n\n",
    ),
    row(
        "novelsc",
        "4475 3.3.3",
        Ok("OPTIONS"),
        Answer(416, &[]),
        "a scheme that is registered and not for SIP: 416",
        "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\n$V$F$T$ICSeq: 1 OPTIONS\n\n",
    ),
    row(
        "unksm2",
        "4475 3.3.4",
        Ok("REGISTER"),
        NOT_SERVED,
        "such schemes in To and From are valid; a registrar would refuse them, and we are none",
        "REGISTER sip:example.com SIP/2.0\n$VFrom: <http://www.example.com>;tag=3\nTo: isbn:2983792873\n$ICSeq: 1 REGISTER\n\
         Contact: <name:John_Smith>\nl: 0\n\n",
    ),
    row(
        "bext01",
        "4475 3.3.5",
        Ok("OPTIONS"),
        Answer(
            420,
            &[("Unsupported", "nothingSupportsThis, nothingSupportsThisEither")],
        ),
        "Require names what we do not support: 420 with Unsupported; Proxy-Require is not for us (RFC 3261 §8.2.2.3)",
        "OPTIONS sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 8 OPTIONS\nRequire: nothingSupportsThis, nothingSupportsThisEither\n\
         Proxy-Require: noProxiesSupportThis\n\n",
    ),
    row(
        "invut",
        "4475 3.3.6",
        Ok("INVITE"),
        Answer(415, &[("Accept", "application/sdp")]),
        "a body of an unknown type: 415 with what is accepted (RFC 3261 §8.2.3)",
        "INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$CContent-Type: application/unknownformat\nContent-Length: 3\n\n<a>",
    ),
    row(
        "regaut01",
        "4475 3.3.7",
        Ok("REGISTER"),
        NOT_SERVED,
        "credentials of an unknown scheme count as none; a registrar would challenge, and we are none",
        "REGISTER sip:example.com SIP/2.0\n$V$F$T$ICSeq: 9338 REGISTER\nAuthorization: NoOneKnowsThisScheme opaque-data=here\nl: 0\n\n",
    ),
    row(
        "multi01",
        "4475 3.3.8",
        Err(400),
        BAD,
        "header fields twice of which there can be one: 400; which ones the answer repeats does not matter, ours are the first",
        "INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 5 INVITE\nCSeq: 59 INVITE\nCall-ID: other\nTo: <sip:o@example.net>\n\
         From: <sip:x@example.net>;tag=2\nMax-Forwards: 5\n$C$L$S",
    ),
    row(
        "mcl01",
        "4475 3.3.9",
        Err(400),
        BAD,
        "two Content-Lengths that differ: nobody knows where the body ends; 400",
        "OPTIONS sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 1 OPTIONS\nContent-Length: 13\nContent-Length: 5\n\nhow many are there?\n",
    ),
    row(
        "bcast",
        "4475 3.3.10",
        Ok("200"),
        Drop,
        "a response with two Vias is not for us, and is never passed on to a broadcast (RFC 3261 §8.1.3.3)",
        "SIP/2.0 200 OK\n$VVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb\n$FTo: <sip:b@example.com>;tag=2\n$ICSeq: 35 INVITE\n$C$L$S",
    ),
    row(
        "zeromf",
        "4475 3.3.11",
        Ok("OPTIONS"),
        OPTIONS,
        "Max-Forwards 0 stops proxies; the end of the way answers as ever",
        "OPTIONS sip:b@example.com SIP/2.0\n$V$F$TCall-ID: own\nCSeq: 1 OPTIONS\nMax-Forwards: 0\n\n",
    ),
    row(
        "cparam01",
        "4475 3.3.12",
        Ok("REGISTER"),
        NOT_SERVED,
        "an unknown parameter of Contact is valid; we are no registrar",
        "REGISTER sip:example.com SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\nContact: sip:+1@gw1.example.net;unknown\nl: 0\n\n",
    ),
    row(
        "cparam02",
        "4475 3.3.13",
        Ok("REGISTER"),
        NOT_SERVED,
        "an unknown parameter of the URI in Contact is valid; we are no registrar",
        "REGISTER sip:example.com SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\nContact: <sip:+1@gw1.example.net;unknown>\nl: 0\n\n",
    ),
    row(
        "regescrt",
        "4475 3.3.14",
        Ok("REGISTER"),
        NOT_SERVED,
        "an escaped Route in the URI in Contact is valid and never followed; we are no registrar",
        "REGISTER sip:example.com SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\nContact: <sip:a@h?Route=%3Csip:h%3E>\nl: 0\n\n",
    ),
    row(
        "sdp01",
        "4475 3.3.15",
        Ok("INVITE"),
        Answer(406, &[]),
        "no type of answer that we have is accepted: 406 (RFC 3261 §8.2.3, §21.4.7)",
        "INVITE sip:b@example.com SIP/2.0\n$V$F$T$ICSeq: 8 INVITE\nAccept: text/nobodyKnowsThis\n$C$L$S",
    ),
    // §3.4: backward compatibility.
    row(
        "inv2543",
        "4475 3.4.1",
        Ok("INVITE"),
        Call,
        "an INVITE as RFC 2543 had them, without branch, From tag, Max-Forwards and Contact: to be accepted",
        "INVITE sip:b@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1\nFrom: <sip:+1@192.0.2.1;user=phone>\nTo: sip:b@example.com\n\
         Call-ID: own\nCSeq: 56 INVITE\nContent-Type: application/sdp\n$S",
    ),
    // RFC 5118.
    row(
        "4.1_ipv6-good",
        "5118 4.1",
        Ok("REGISTER"),
        NOT_SERVED,
        "IPv6 references in Request-URI, Via and Contact are valid; we are no registrar",
        "REGISTER sip:[2001:db8::10] SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKown\n$F$T$ICSeq: 1 REGISTER\n\
         Contact: \"C\" <sip:c@[2001:db8::1]>\n\n",
    ),
    row(
        "4.2_ipv6-bad",
        "5118 4.2",
        Err(400),
        BAD,
        "an IPv6 address in the Request-URI without brackets: 400",
        "REGISTER sip:2001:db8::10 SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\n\n",
    ),
    row(
        "4.3_port-ambiguous",
        "5118 4.3",
        Ok("REGISTER"),
        NOT_SERVED,
        "5070 is the end of the address, not a port, and valid; we are no registrar",
        "REGISTER sip:[2001:db8::10:5070] SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\n\n",
    ),
    row(
        "4.4_port-unambiguous",
        "5118 4.4",
        Ok("REGISTER"),
        NOT_SERVED,
        "5070 is the port; we are no registrar",
        "REGISTER sip:[2001:db8::10]:5070 SIP/2.0\n$V$F$T$ICSeq: 1 REGISTER\n\n",
    ),
    row(
        "4.5_via-received-param-no-delim",
        "5118 4.5",
        Ok("OPTIONS"),
        OPTIONS,
        "received without brackets is the grammar's form",
        "OPTIONS sip:[2001:db8::10] SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255; branch=z9hG4bKown\n\
         $F$T$ICSeq: 1 OPTIONS\n\n",
    ),
    row(
        "4.5_via-received-param-with-delim",
        "5118 4.5",
        Ok("BYE"),
        Answer(481, &[]),
        "received with brackets is to be read too; the BYE belongs to no dialog (RFC 3261 §15.1.2)",
        "BYE sip:[2001:db8::10] SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]; branch=z9hG4bKown\n\
         $FTo: <sip:b@example.com>;tag=2\n$ICSeq: 1 BYE\n\n",
    ),
    row(
        "4.6_ipv6-in-sdp",
        "5118 4.6",
        Err(400),
        BAD,
        "IPv6 in SDP is valid, but Content-Length says more than the file has, and that is 400",
        "INVITE sip:b@[2001:db8::10] SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$CContent-Type: application/sdp\nContent-Length: 268\n\n\
         v=0\no=a 1 1 IN IP6 2001:db8::20\ns=-\nc=IN IP6 2001:db8::20\nt=0 0\nm=audio 6000 RTP/AVP 0\n",
    ),
    row(
        "4.7_mult-ip-in-header",
        "5118 4.7",
        Ok("BYE"),
        Answer(481, &[]),
        "Vias of both families in one request are valid; the BYE belongs to no dialog",
        "BYE sip:b@example.com SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKown\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb\n\
         Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bKc; received=192.0.2.200\n$FTo: <sip:b@example.com>;tag=2\n$ICSeq: 1 BYE\n\n",
    ),
    row(
        "4.8_mult-ip-in-sdp",
        "5118 4.8",
        Ok("INVITE"),
        Call,
        "media lines of both families in one SDP are valid; who answers takes the stream that it can",
        "INVITE sip:b@[2001:db8::10] SIP/2.0\n$V$F$T$ICSeq: 1 INVITE\n$CContent-Type: application/sdp\n\n\
         v=0\no=b 1 1 IN IP4 h.example.com\ns=\nt=0 0\nm=audio 22334 RTP/AVP 0\nc=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\n\
         c=IN IP6 2001:db8::1\na=rtpmap:107 H263-1998/90000\n",
    ),
    row(
        "4.9_ipv4-mapped-ipv6",
        "5118 4.9",
        Ok("INVITE"),
        Call,
        "addresses that map IPv4 into IPv6 are valid in every place",
        "INVITE sip:b@example.com SIP/2.0\nVia: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKown\n\
         Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKb\n$F$T$ICSeq: 1 INVITE\nContact: \"T.\" <sip:t@[::ffff:192.0.2.2]>\n\
         Content-Type: application/sdp\n\nv=0\no=a 1 1 IN IP6 ::ffff:192.0.2.2\ns=-\nc=IN IP6 ::ffff:192.0.2.2\nt=0 0\nm=audio 6000 RTP/AVP 0\n",
    ),
    row(
        "4.10_ipv6-bug-abnf-3-colons",
        "5118 4.10",
        Ok("OPTIONS"),
        OPTIONS,
        "three colons come from an error in RFC 3261's grammar: to be read as two",
        "OPTIONS sip:b@[2001:db8:::192.0.2.1] SIP/2.0\n$V$FTo: sip:b@[2001:db8:::192.0.2.1]\n$ICSeq: 1 OPTIONS\n\n",
    ),
    row(
        "4.10_ipv6-correct-abnf-2-colons",
        "5118 4.10",
        Ok("OPTIONS"),
        OPTIONS,
        "two colons are right",
        "OPTIONS sip:b@[2001:db8::192.0.2.1] SIP/2.0\n$V$FTo: sip:b@[2001:db8::192.0.2.1]\n$ICSeq: 1 OPTIONS\n\n",
    ),
];
