//! What each run of the demo is: who is told to do what, and the server's configuration.

use std::net::SocketAddr;

use crate::cli::{DemoArgs, DemoCodec, DemoFail, DemoMode};

/// A run that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Warm,
    Cold,
    Busy,
    NoAnswer,
    Reject,
    Unreachable,
    CallerHangup,
    WebhookDown,
    Voicemail,
    AfterHours,
}

impl Case {
    /// What the command line asks for.
    ///
    /// # Errors
    /// What of it is not built yet.
    pub(super) fn of(args: &DemoArgs) -> Result<Case, String> {
        match (args.mode, args.fail) {
            (DemoMode::Warm, None) => Ok(Case::Warm),
            (DemoMode::Cold, None) => Ok(Case::Cold),
            (_, Some(DemoFail::Busy)) => Ok(Case::Busy),
            (_, Some(DemoFail::NoAnswer)) => Ok(Case::NoAnswer),
            (_, Some(DemoFail::Reject)) => Ok(Case::Reject),
            (_, Some(DemoFail::TargetUnreachable)) => Ok(Case::Unreachable),
            (_, Some(DemoFail::CallerHangup)) => Ok(Case::CallerHangup),
            (_, Some(DemoFail::WebhookDown)) => Ok(Case::WebhookDown),
            (_, Some(DemoFail::Voicemail)) => Ok(Case::Voicemail),
            (_, Some(DemoFail::AfterHours)) => Ok(Case::AfterHours),
        }
    }

    /// Whether caller and human are to be joined.
    pub(super) fn joins(self) -> bool {
        matches!(self, Case::Warm | Case::Cold | Case::WebhookDown)
    }

    /// Whether the caller comes back to the AI.
    pub(super) fn returns(self) -> bool {
        matches!(
            self,
            Case::Busy | Case::NoAnswer | Case::Reject | Case::Unreachable | Case::Voicemail | Case::AfterHours
        )
    }

    /// Whether the human's phone rings.
    pub(super) fn rings(self) -> bool {
        self.joins() || matches!(self, Case::NoAnswer | Case::CallerHangup | Case::Voicemail)
    }
}

/// A codec's name, for a party.
pub(super) fn codec_name(codec: DemoCodec) -> &'static str {
    match codec {
        DemoCodec::Pcmu => "pcmu",
        DemoCodec::Pcma => "pcma",
        DemoCodec::G722 => "g722",
        DemoCodec::Opus => "opus",
        DemoCodec::L16 => "l16",
        DemoCodec::L16Wide => "l16-16000",
    }
}

pub(super) fn mode_name(mode: DemoMode) -> &'static str {
    match mode {
        DemoMode::Warm => "warm",
        DemoMode::Cold => "cold",
    }
}

/// Options of the human in this case.
pub(super) fn human(case: Case, mode: DemoMode) -> Vec<String> {
    let words: &[&str] = match (case, mode) {
        (Case::Busy, _) => &["--busy"],
        (Case::Reject, _) => &["--reject"],
        (Case::NoAnswer | Case::CallerHangup, _) => &["--no-answer"],
        (Case::Voicemail, _) => &["--answer-after", "3600", "--accept", "never"],
        // Long enough for the announcement to end and a second of hold audio to be heard.
        (_, DemoMode::Cold) => &["--answer-after", "3600", "--accept", "none", "--no-briefing"],
        // The briefing (2.5 s) is repeated until the key comes, so its end is no silence: what is counted is sound.
        (_, DemoMode::Warm) => &["--answer-after", "1200", "--accept", "key", "--press-after", "2500"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Options of the caller in this case.
pub(super) fn caller(case: Case) -> Vec<String> {
    let words: &[&str] = match case {
        // The announcement, and 1.3 s of hold audio.
        Case::CallerHangup => &["--say", "caller-1,caller-2", "--hangup-heard-ms", "3500"],
        case if case.returns() => &["--say", "caller-1,caller-2,caller-4"],
        _ => &["--say", "caller-1,caller-2,caller-3"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Addresses and secrets of a run.
pub(super) struct Places {
    pub(super) sip: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) first_rtp: u16,
    pub(super) ai: SocketAddr,
    pub(super) human: SocketAddr,
    pub(super) webhook: String,
    pub(super) ai_key: String,
    pub(super) admin_key: String,
    pub(super) webhook_secret: String,
}

/// Pairs of RTP ports of the server: three legs, and some in quarantine.
pub(super) const PORT_PAIRS: u16 = 16;

/// The server's configuration file.
pub(super) fn config(case: Case, mode: DemoMode, codecs: [DemoCodec; 3], places: &Places) -> String {
    let Places {
        sip,
        http,
        first_rtp,
        ai,
        human,
        webhook,
        ai_key,
        admin_key,
        webhook_secret,
    } = places;
    let mode = mode_name(mode);
    // Each party speaks one of them; what nobody speaks is not offered.
    let mut names = codecs.map(codec_name).to_vec();
    names.sort_unstable();
    names.dedup();
    let accept = if case == Case::Cold { "answer" } else { "key" };
    // Nobody answers at all: transaction timer B (RFC 3261 §17.1.1.2) is 64 × T1, so 3.8 s instead of 32 s: the
    // announcement, and more than a second of hold audio.
    let t1_ms = if case == Case::Unreachable { 60 } else { 500 };
    let ring_s = if case == Case::NoAnswer { 4 } else { 20 };
    // Twice the briefing, and what answered has not pressed the key: it is a machine.
    // The house is closed all day.
    let hours = if case == Case::AfterHours {
        "[hours]\nopen = []\n\n"
    } else {
        ""
    };
    let accept_s = if case == Case::Voicemail { 6 } else { 30 };
    format!(
        "[node]\nname = \"demo\"\n\n\
         [sip]\nlisten = \"{sip}\"\nt1_ms = {t1_ms}\n\n\
         [media]\nfirst_port = {first_rtp}\nports_per_worker = {PORT_PAIRS}\ncodecs = {names:?}\n\n\
         [http]\nlisten = \"{http}\"\n\n\
         [[http.keys]]\nname = \"assistant\"\nkey = \"{ai_key}\"\nscope = \"ai\"\nagent = \"assistant\"\n\n\
         [[http.keys]]\nname = \"demo\"\nkey = \"{admin_key}\"\nscope = \"admin\"\n\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai}\"\n\n\
         [[trunks]]\nname = \"demo\"\naddresses = [\"127.0.0.1\"]\nai_agent = \"assistant\"\n\n\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@{human}\"\nring_s = {ring_s}\n\n\
         {hours}[playbook]\nmode = \"{mode}\"\naccept = \"{accept}\"\naccept_s = {accept_s}\n\
         # The AI asks by the API: what the caller says does not decide.\nrequest_phrases = []\n\n\
         [[webhooks]]\nname = \"demo\"\nurl = \"{webhook}\"\nallow_private = true\nsecrets = [\"{webhook_secret}\"]\n\
         retry_ms = 100\nretry_max_ms = 500\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const ALL: [Case; 10] = [
        Case::Warm,
        Case::Cold,
        Case::Busy,
        Case::NoAnswer,
        Case::Reject,
        Case::Unreachable,
        Case::CallerHangup,
        Case::WebhookDown,
        Case::Voicemail,
        Case::AfterHours,
    ];

    #[test]
    fn the_server_takes_every_configuration() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let places = Places {
            sip: address(5),
            http: address(6),
            first_rtp: 20_000,
            ai: address(7),
            human: address(8),
            webhook: "http://127.0.0.1:9/baton".to_owned(),
            ai_key: super::super::secret("key_", 24),
            admin_key: super::super::secret("key_", 24),
            webhook_secret: super::super::secret("whsec_", 24),
        };
        let codecs = [
            [DemoCodec::Pcmu, DemoCodec::Pcma, DemoCodec::G722],
            [DemoCodec::Opus, DemoCodec::L16, DemoCodec::L16Wide],
            [DemoCodec::Opus; 3],
        ];
        for (n, case) in ALL.into_iter().enumerate() {
            for mode in [DemoMode::Warm, DemoMode::Cold] {
                let text = config(case, mode, codecs[n % 3], &places);
                let config = Config::from_toml(&text, std::path::Path::new("")).unwrap_or_else(|problems| {
                    panic!(
                        "{case:?}: {}",
                        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
                    )
                });
                assert_eq!(config.sip.listen, [address(5)]);
                assert_eq!(config.targets[0].next_hop, address(8));
            }
        }
    }

    #[test]
    fn a_case_ends_in_one_way() {
        for case in ALL {
            assert_eq!(
                usize::from(case.joins()) + usize::from(case.returns()),
                usize::from(case != Case::CallerHangup)
            );
        }
    }
}
