//! The table itself.

mod http;
mod machines;
mod media;
mod node;
mod outside;
mod peers;
mod playbook;
mod prompts;

use super::{Key, Section, key};

const SOCKETS: &str = "sockets are opened at the start";
const ENDPOINT: &str = "the SIP endpoint and its timers are made with it";
const WORKERS: &str = "the media workers are started with it";
const CODERS: &str = "the coder states are made at the start";
const STORE: &str = "the store is opened with it";
const COLLECTOR: &str = "what is sent to the collector is set up at the start";
const TLS: &str = "the files may be renewed, but not named anew";

const CREDENTIALS: &str = "What it is shown where it challenges our requests (digest: MD5, SHA-256, SHA-512-256).";
const AUTH: &[Key] = &[
    key("username", r#""baton""#, "").example(),
    key(
        "password",
        r#""choose-a-long-random-one""#,
        r#"Or { env = "NAME" }, or { file = "PATH" }."#,
    )
    .example(),
    key("realm", r#""pbx.example.org""#, "Default: whatever realm asks.").example(),
];
const URI: &str = "With ;transport=tcp at its end its calls run over TCP. \"tel:+49301234567\" is a phone number, \"tel:204\" an extension, of \
                   the gateway or PBX at `next_hop`.";
const NEXT_HOP: &str = "Where its INVITE is sent; ;transport=tcp may follow here, too. Default: the host of `uri`, \
                        where that is an address.";

const OPEN: &str = "Hours of a week, as \"Mon-Fri 09:00-12:30 13:30-17:00\" or \"Fri,Sat 22:00-06:00\" (over midnight: until six on the \
                    next day). Closed at all other times; [] is closed on all days but those of holidays that have hours.";

const HOLIDAYS: &str = "Dates on which these do not hold: closed all day, as \"2026-12-25\", or with hours of their own, as \
                        \"2026-12-24 09:00-12:00\".";

const OWN_CODECS: &str = "What is spoken with it, of media.codecs, best first. Default: all of them, in their order.";

const REINVITE: &str = "Whether it may be sent a re-INVITE where that spares a transcode (media.prefer): with a codec that its own last \
                        description has. One that refuses it, or does not answer, goes on as before; false for one that does \
                        worse.";

const KEYS: &str = "How it is told the keys that whom it hears presses: \"rtp\" (in its audio: telephone-event, or tones where it has \
                    none) or \"info\" (SIP INFO, application/dtmf-relay). Keys of its own are taken in either form.";

/// In the order of the example.
pub(super) fn sections() -> impl Iterator<Item = &'static Section> {
    [
        node::SECTIONS,
        media::SECTIONS,
        http::SECTIONS,
        peers::SECTIONS,
        playbook::SECTIONS,
        machines::SECTIONS,
        prompts::SECTIONS,
        outside::SECTIONS,
    ]
    .into_iter()
    .flatten()
}
