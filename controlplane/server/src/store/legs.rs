//! The legs of a live call as its row keeps them: so much that another server can end them (RFC 3261 §15).

use calls::notice::{Party, StandingLeg};
use serde_json::{Value, json};
use sip::endpoint::{Standing, Transport};

use crate::records::party_name;

/// As JSON.
pub(crate) fn write(legs: &[StandingLeg]) -> Value {
    legs.iter().map(leg).collect()
}

fn leg(leg: &StandingLeg) -> Value {
    // What is not written cannot be read.
    let Standing {
        call_id,
        local,
        local_tag,
        remote,
        remote_tag,
        local_cseq,
        routes,
        target,
        peer,
        transport,
    } = &leg.dialog;
    json!({
        "party": party_name(leg.party),
        "name": leg.name,
        "call_id": call_id,
        "local": local,
        "local_tag": local_tag,
        "remote": remote,
        "remote_tag": remote_tag,
        "local_cseq": local_cseq,
        "routes": routes,
        "target": target,
        "peer": peer.to_string(),
        "transport": match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        },
    })
}

/// Those that can be read: another version may have written others.
pub(crate) fn read(value: &Value) -> Vec<StandingLeg> {
    let legs = value.as_array().map(Vec::as_slice).unwrap_or_default();
    legs.iter().filter_map(read_leg).collect()
}

fn read_leg(value: &Value) -> Option<StandingLeg> {
    let text = |key: &str| Some(value[key].as_str()?.to_owned());
    let party = [Party::Caller, Party::Ai, Party::Human, Party::Supervisor]
        .into_iter()
        .find(|party| value["party"] == party_name(*party))?;
    let routes = value["routes"].as_array()?.iter();
    Some(StandingLeg {
        party,
        name: text("name")?,
        dialog: Standing {
            call_id: text("call_id")?,
            local: text("local")?,
            local_tag: text("local_tag")?,
            remote: text("remote")?,
            remote_tag: text("remote_tag")?,
            local_cseq: value["local_cseq"].as_u64()?.try_into().ok()?,
            routes: routes
                .map(|route| Some(route.as_str()?.to_owned()))
                .collect::<Option<_>>()?,
            target: text("target")?,
            peer: value["peer"].as_str()?.parse().ok()?,
            transport: match value["transport"].as_str()? {
                "udp" => Transport::Udp,
                "tcp" => Transport::Tcp,
                _ => return None,
            },
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::store) fn caller() -> StandingLeg {
        StandingLeg {
            party: Party::Caller,
            name: "carrier".into(),
            dialog: Standing {
                call_id: "a\"b@c".into(),
                local: "\"ÿ\" <sip:us@192.0.2.1>;tag=1".into(),
                local_tag: "1".into(),
                remote: "<sip:them@192.0.2.9>".into(),
                remote_tag: String::new(),
                local_cseq: u32::MAX,
                routes: vec!["<sip:192.0.2.3;lr>".into(), "<sip:p.example;lr>".into()],
                target: "sip:them@[2001:db8::9]:5070;transport=tcp".into(),
                peer: "[2001:db8::9]:49152".parse().expect("an address"),
                transport: Transport::Tcp,
            },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let human = StandingLeg {
            party: Party::Human,
            dialog: Standing {
                transport: Transport::Udp,
                peer: "192.0.2.9:5060".parse().expect("an address"),
                routes: Vec::new(),
                ..caller().dialog
            },
            ..caller()
        };
        let legs = [caller(), human];
        let text = write(&legs).to_string();
        assert_eq!(read(&serde_json::from_str(&text).expect("JSON")), legs);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(read(&Value::Null), []);
        let good = write(&[caller()])[0].clone();
        let Value::Object(keys) = &good else { panic!("{good}") };
        for key in keys.keys() {
            let mut wrong = good.clone();
            wrong[key] = json!({ "of": "another version" });
            assert_eq!(read(&json!([wrong, good])), [caller()], "{key}");
        }
    }
}
