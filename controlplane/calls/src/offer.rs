//! The first exchange: callers that come, and what humans are sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use playbook::caller::{number, verstat};
use sip::endpoint::DialogId;
use sip::header::NameAddr;
use sip::message::Message;
use sip::sdp::{Encoding, Incompatible, Local};
use sip::uri::Uri;

use crate::call::Call;
use crate::codecs::{self, Plan};
use crate::leg::{Leg, LegState};
use crate::node::{Arrival, Live, Node, RETRY_AFTER};
use crate::notice::{CallId, HandoffId, Party};
use crate::ports::NoRoom;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::spare::Spare;

/// The header that every leg carries.
pub(crate) const CALL: &str = "X-Baton-Call";

/// The header that a human's leg carries.
const HANDOFF: &str = "X-Baton-Handoff";

/// The header of a leg that is no part of the conversation.
const ROLE: &str = "X-Baton-Role";

/// What a call needs: the caller's port and the AI's.
const PORTS: usize = 2;

/// A caller that is not taken.
struct Refused {
    why: Refusal,
    status: u16,
    headers: Vec<(String, String)>,
}

impl Node {
    /// A new caller: from a trunk, with a description that fits, with room and an agent for it; or refused.
    ///
    /// Nothing is taken from the request but its offer and From, and what the carrier says of the number where it is believed: `X-Baton-*` of
    /// callers means nothing and goes nowhere.
    pub(crate) fn handle_invite(&mut self, now: Instant, dialog: DialogId, from: SocketAddr, request: &Message) {
        if let Err(refused) = self.take_call(now, dialog, from, request) {
            self.refusals.count(refused.why, 1);
            let _ = self.endpoint.reject(now, dialog, refused.status, &refused.headers);
        }
        self.refuse_or_not();
    }

    fn take_call(
        &mut self,
        now: Instant,
        dialog: DialogId,
        from: SocketAddr,
        request: &Message,
    ) -> Result<(), Refused> {
        let headers = |name: &str, value: String| vec![(name.to_owned(), value)];
        let refused = |why, status, headers| Refused { why, status, headers };
        let busy = |why| refused(why, 503, headers("Retry-After", RETRY_AFTER.to_string()));
        let trunk = self
            .config
            .trunks
            .iter()
            .find(|trunk| trunk.addresses.contains(&from.ip()));
        let trunk = trunk.ok_or_else(|| refused(Refusal::Trunk, 403, vec![]))?;
        let agents: Vec<usize> = match &trunk.ai_agent {
            Some(name) => self
                .config
                .ai_agents
                .iter()
                .position(|agent| agent.name == *name)
                .into_iter()
                .collect(),
            None => (0..self.config.ai_agents.len()).collect(),
        };
        if agents.is_empty() {
            return Err(refused(Refusal::Agent, 480, vec![]));
        }
        if !request.body().is_empty() && request.sdp().is_none() {
            // RFC 3261 §8.2.3.
            let accept = headers("Accept", "application/sdp".to_owned());
            return Err(refused(Refusal::Offer, 415, accept));
        }
        let credentials = trunk.auth.iter().cloned().collect();
        let mut plan = codecs::plan_of(&self.config, trunk.codecs.as_deref(), None);
        drop(self.coders.promise(None, &mut plan.encodings));
        if plan.encodings.is_empty() {
            return Err(busy(Refusal::Load));
        }
        let (trunk, keys, reinvites, believed) = (trunk.name.clone(), trunk.dtmf, trunk.reinvite, trunk.verstat);
        let session = session(&mut self.random);
        let worker = self.ports.open(PORTS).map_err(|why| match why {
            NoRoom::Load => busy(Refusal::Load),
            NoRoom::Ports => busy(Refusal::Ports),
        })?;
        let Some(taken) = self.ports.take(worker) else {
            self.ports.close(worker, None);
            return Err(busy(Refusal::Ports));
        };

        let mut local = self.local(taken.port, plan, session);
        let first = match request.sdp() {
            Some(offer) => local
                .answer(&offer)
                .map(|(answer, agreed)| (Some(answer), Some(agreed))),
            // Our offer goes with the 200, to where the INVITE came from.
            None => local.face(from.ip()).map(|()| (None, None)),
        };
        let (answer, agreed) = match first {
            Ok(first) => first,
            Err(error) => {
                self.ports.release(now, taken);
                self.ports.close(worker, None);
                return Err(refused(Refusal::Offer, 488, self.warning(error, &local.encodings)));
            }
        };
        let id = self.new_call();
        let exchange = u32::from(agreed.is_some());
        let call_id = request.call_id().unwrap_or_default().into_owned();
        let (party, state) = (Party::Caller, LegState::Inviting);
        let leg = media::command::LegId(0);
        let caller = Leg {
            id: leg,
            party,
            name: trunk,
            keys,
            dialog,
            call_id,
            taken,
            local,
            agreed,
            exchange,
            offered: false,
            reoffers: false,
            pressed: Default::default(),
            reinvites,
            spare: Spare::Untried,
            resumes: false,
            quiet: None,
            probed: None,
            promise: None,
            seat: None,
            invited: now,
            state,
        };
        let _ = self.endpoint.set_credentials(dialog, credentials);
        self.registry.bind(dialog, id, leg);

        let (call, actions) = Call::new(agents.len());
        let (from, uri) = identity(request.from());
        let arrival = Arrival {
            id,
            worker,
            verified: believed.then(|| vouched_for(request, &uri)).flatten(),
            from,
            caller: uri,
            agents,
            answer,
        };
        let live = Live::new(now, Arc::clone(&self.config), call, caller, arrival);
        self.carry_out(now, Box::new(live), actions);
        Ok(())
    }

    /// Our side of a leg before its first description.
    pub(crate) fn local(&self, port: u16, plan: Plan, session: u64) -> Local {
        Local {
            also: self.config.media_also,
            mux_only: self.config.rtcp_mux_only,
            order: plan.order,
            wanted: plan.wanted,
            heard_hz: plan.heard_hz,
            ..Local::new(self.config.media_address, port, &plan.encodings, session)
        }
    }

    /// Why a description was refused, for whoever looks for the mistake (RFC 3261 §20.43).
    pub(crate) fn warning(&self, error: Incompatible, ours: &[Encoding]) -> Vec<(String, String)> {
        let (code, text) = match error {
            Incompatible::NoAddress => (301, "No media address of that family here".to_owned()),
            Incompatible::NoCodec => (305, format!("{} is wanted", codecs::names(ours))),
            Incompatible::NoAudio => (304, "An audio stream over RTP/AVP is wanted".to_owned()),
            Incompatible::Malformed => (399, "The session description cannot be read".to_owned()),
        };
        let warning = format!("{code} {} \"{text}\"", self.config.sip.advertise);
        vec![("Warning".to_owned(), warning)]
    }

    pub(crate) fn new_call(&mut self) -> CallId {
        loop {
            let id = CallId(self.random.draw());
            if self.registry.call(id).is_none() {
                return id;
            }
        }
    }
}

/// An `o=` session id: positive in 64 bits, as many parsers want it (RFC 8866 §5.2).
pub(crate) fn session(random: &mut Random) -> u64 {
    (random.draw() >> 1).max(1)
}

/// The caller's From without its parameters, and its URI.
fn identity(from: Option<NameAddr>) -> (String, String) {
    let Some(from) = from else {
        // RFC 3261 §8.1.1.3.
        let anonymous = "sip:anonymous@anonymous.invalid".to_owned();
        return (format!("\"Anonymous\" <{anonymous}>"), anonymous);
    };
    let uri = from.uri.as_str().to_owned();
    let plain = NameAddr {
        display: from.display,
        ..NameAddr::new(from.uri)
    };
    (plain.to_string(), uri)
}

/// What the carrier says of the caller's number: in the header that only it writes, else in From.
fn vouched_for(request: &Message, caller: &str) -> Option<bool> {
    let number = number(caller)?;
    ["P-Asserted-Identity", "From"]
        .iter()
        .find_map(|name| verstat(&request.header(name)?, &number))
}

/// Whom a carrier shall call, and what its INVITE shall carry: the same as ours would (RFC 3261 §19.1.5).
pub(crate) fn refer_to(uri: &str, references: &[(String, String)]) -> String {
    match Uri::parse(uri) {
        Ok(uri) => uri.with_headers(references.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        Err(_) => uri.to_owned(),
    }
}

/// Of these, what whoever is asked to call needs for its own logs: no way to the context.
pub(crate) fn ids(references: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_id = |name: &str| name == CALL || name == HANDOFF;
    references.into_iter().filter(|(name, _)| is_id(name)).collect()
}

/// What tells a supervisor's phone that nobody waits for it.
pub(crate) fn supervisor_headers(call: CallId) -> Vec<(String, String)> {
    vec![
        (CALL.to_owned(), call.to_string()),
        (ROLE.to_owned(), Party::Supervisor.name().to_owned()),
    ]
}

/// What a human's INVITE carries: whose call it is, and where its context is. The context itself goes by HTTPS.
pub(crate) fn context_headers(
    call: CallId,
    handoff: HandoffId,
    public_url: &str,
    token: &str,
) -> Vec<(String, String)> {
    let hex: String = handoff.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
    let url = format!(
        "{}/v1/handoffs/{handoff}/context?token={token}",
        public_url.trim_end_matches('/')
    );
    [
        (CALL, call.to_string()),
        (HANDOFF, handoff.to_string()),
        // RFC 7433 §4.1: a reference only.
        ("User-to-User", format!("{hex};encoding=hex")),
        // RFC 3261 §20.9.
        ("Call-Info", format!("<{url}>;purpose=info")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
