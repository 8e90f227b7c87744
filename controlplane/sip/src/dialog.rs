//! Dialogs (RFC 3261 §12): what both sides know of each other.

use std::net::IpAddr;

use crate::endpoint::hop::{Hop, Transport};
use crate::uri::Uri;

/// The state of a dialog, or of one that an INVITE of ours would make.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    /// Call-ID.
    pub(crate) call_id: String,
    /// Our side as it stands in From of our requests, our tag included.
    pub(crate) local: String,
    /// Our tag.
    pub(crate) local_tag: String,
    /// Their side as it stands in To of our requests, their tag included.
    pub(crate) remote: String,
    /// Their tag; `None` until a 2xx to our INVITE named it, empty where they have none (RFC 2543).
    pub(crate) remote_tag: Option<String>,
    /// CSeq number of our last request.
    pub(crate) local_cseq: u32,
    /// CSeq number of their last request.
    pub(crate) remote_cseq: Option<u32>,
    /// Route set, in the order in which our requests name it; each as a header value.
    pub(crate) routes: Vec<String>,
    /// Remote target: their Contact's URI.
    pub(crate) target: String,
    /// Where they were when the dialog was established, and the connection that their last request came on.
    pub(crate) peer: Hop,
}

impl Dialog {
    /// Request-URI and Route headers of a request in the dialog.
    ///
    /// §12.2.1.1: with a loose router in front, the target and the whole route set; with a strict one (no `lr`), the router's URI and
    /// the rest of the set, the target at its end.
    pub(crate) fn route(&self) -> (String, Vec<String>) {
        let Some((first, rest)) = self.routes.split_first() else {
            return (self.target.clone(), Vec::new());
        };
        match uri_of(first) {
            Some(uri) if uri.param("lr").is_none() => {
                let mut routes = rest.to_vec();
                routes.push(format!("<{}>", self.target));
                (uri.as_str().to_owned(), routes)
            }
            _ => (self.target.clone(), self.routes.clone()),
        }
    }

    /// Where a request in the dialog is sent: the first route, else the target, if it is an address; else where the peer was. Over
    /// the transport that the URI asks for, else the one that the dialog runs over; on the dialog's connection, as long as it is
    /// there and leads to the same host. A private address that came from a public one is behind a NAT: there is no other way to it
    /// than its connection.
    pub(crate) fn destination(&self) -> Hop {
        let next = match self.routes.first() {
            Some(route) => uri_of(route),
            None => Uri::parse(&self.target).ok(),
        };
        let Some((uri, address)) = next.and_then(|uri| uri.socket_addr().map(|address| (uri, address))) else {
            return self.peer;
        };
        match Transport::of(&uri) {
            Some(Transport::Udp) => Hop::udp(address),
            None if self.peer.transport == Transport::Udp => Hop::udp(address),
            _ if self.peer.flow.is_some() && is_private(address.ip()) && is_public(self.peer.address.ip()) => self.peer,
            asked => Hop {
                address,
                transport: Transport::Tcp,
                flow: self.peer.flow.filter(|_| self.peer.address.ip() == address.ip()),
                or_udp: self.peer.or_udp && asked.is_none(),
            },
        }
    }

    /// Their Contact in a target refresh request or in its 2xx (§12.2).
    pub(crate) fn refresh(&mut self, contact: Option<&str>) {
        if let Some(contact) = contact {
            self.target = contact.to_owned();
        }
    }
}

/// RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 §2.5.6.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_link_local() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_public(ip: IpAddr) -> bool {
    !is_private(ip) && !ip.is_loopback()
}

/// The URI of a name-addr.
fn uri_of(value: &str) -> Option<Uri> {
    let inner = match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => value.trim(),
    };
    Uri::parse(inner).ok()
}

#[cfg(test)]
mod tests {
    use super::Dialog;
    use crate::endpoint::flow::FlowId;
    use crate::endpoint::hop::{Hop, Transport};

    fn dialog(routes: &[&str], target: &str) -> Dialog {
        Dialog {
            call_id: "c".into(),
            local: "<sip:a@h>;tag=1".into(),
            local_tag: "1".into(),
            remote: "<sip:b@h>;tag=2".into(),
            remote_tag: Some("2".into()),
            local_cseq: 1,
            remote_cseq: None,
            routes: routes.iter().map(|&route| route.to_owned()).collect(),
            target: target.into(),
            peer: Hop::udp("192.0.2.9:5060".parse().expect("address")),
        }
    }

    #[test]
    fn no_route_goes_to_the_target() {
        let dialog = dialog(&[], "sip:b@192.0.2.1:5070");
        assert_eq!(dialog.route(), ("sip:b@192.0.2.1:5070".to_owned(), vec![]));
        assert_eq!(dialog.destination().address.to_string(), "192.0.2.1:5070");
    }

    #[test]
    fn a_loose_route_is_put_in_front() {
        let dialog = dialog(&["<sip:192.0.2.2;lr>", "<sip:p.example;lr>"], "sip:b@192.0.2.1");
        let (uri, routes) = dialog.route();
        assert_eq!(uri, "sip:b@192.0.2.1");
        assert_eq!(routes, ["<sip:192.0.2.2;lr>", "<sip:p.example;lr>"]);
        assert_eq!(dialog.destination().address.to_string(), "192.0.2.2:5060");
    }

    #[test]
    fn a_strict_route_becomes_the_request_uri() {
        let dialog = dialog(&["<sip:192.0.2.2>", "<sip:p.example;lr>"], "sip:b@192.0.2.1");
        let (uri, routes) = dialog.route();
        assert_eq!(uri, "sip:192.0.2.2");
        assert_eq!(routes, ["<sip:p.example;lr>", "<sip:b@192.0.2.1>"]);
        assert_eq!(dialog.destination().address.to_string(), "192.0.2.2:5060");
    }

    #[test]
    fn a_name_goes_to_where_the_peer_was() {
        assert_eq!(
            dialog(&[], "sip:b@pbx.example").destination().address.to_string(),
            "192.0.2.9:5060"
        );
        assert_eq!(
            dialog(&["<sip:p.example;lr>"], "sip:b@192.0.2.1")
                .destination()
                .address
                .to_string(),
            "192.0.2.9:5060"
        );
    }

    #[test]
    fn the_uri_says_the_transport_and_the_dialog_where_it_says_none() {
        let flow = Some(FlowId(7));
        let mut over_tcp = dialog(&[], "sip:b@192.0.2.9");
        over_tcp.peer = Hop::tcp("192.0.2.9:5060".parse().expect("address"), flow);
        let peer = over_tcp.peer;
        let mut hop = |target: &str| {
            over_tcp.target = target.into();
            over_tcp.destination()
        };
        let at = |text: &str| text.parse().expect("address");
        assert_eq!(hop("sip:b@192.0.2.9:5070"), Hop::tcp(at("192.0.2.9:5070"), flow));
        assert_eq!(
            hop("sip:b@192.0.2.9;transport=TCP"),
            Hop::tcp(at("192.0.2.9:5060"), flow)
        );
        assert_eq!(hop("sip:b@192.0.2.9;transport=udp"), Hop::udp(at("192.0.2.9:5060")));
        // The connection leads to another host.
        assert_eq!(hop("sip:b@192.0.2.10"), Hop::tcp(at("192.0.2.10:5060"), None));
        assert_eq!(hop("sip:b@pbx.example"), peer);
        // It is behind a NAT.
        for private in ["10.0.0.7:5070", "192.168.1.7;transport=tcp", "100.64.0.7", "[fd00::7]"] {
            assert_eq!(hop(&format!("sip:b@{private}")), peer, "{private}");
        }
        assert_eq!(hop("sip:b@100.128.0.7"), Hop::tcp(at("100.128.0.7:5060"), None));
        assert_eq!(hop("sip:b@10.0.0.7;transport=udp"), Hop::udp(at("10.0.0.7:5060")));
        over_tcp.peer = Hop::tcp(at("10.0.0.9:5060"), flow);
        over_tcp.target = "sip:b@10.0.0.7".into();
        assert_eq!(
            over_tcp.destination(),
            Hop::tcp(at("10.0.0.7:5060"), None),
            "in one private network"
        );

        let over_udp = dialog(&["<sip:192.0.2.2;transport=tcp;lr>"], "sip:b@192.0.2.9");
        assert_eq!(over_udp.destination(), Hop::tcp(at("192.0.2.2:5060"), None));
        assert_eq!(
            dialog(&[], "sip:b@[2001:db8::9];transport=tcp").destination(),
            Hop::tcp(at("[2001:db8::9]:5060"), None)
        );
        assert_eq!(dialog(&[], "sip:b@192.0.2.9").destination().transport, Transport::Udp);
    }
}
