use std::collections::BTreeSet;
use std::path::Path;

use super::super::tests::{good, seen};
use super::super::{Difference, check};
use super::*;

const COMMITTED: &str = include_str!("../../../baton.example.toml");

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The dotted names of the table.
fn names() -> Vec<String> {
    let keys = sections().flat_map(|section| section.keys.iter().map(move |key| (section, key)));
    keys.map(|(section, key)| format!("{}.{}", section.name, key.name))
        .collect()
}

#[test]
fn the_example_is_made_from_the_table() {
    let path = folder().join("baton.example.toml");
    if std::env::var_os("BATON_WRITE").is_some() {
        std::fs::write(&path, example()).expect("written");
        return;
    }
    assert!(
        example() == COMMITTED,
        "baton.example.toml is old: BATON_WRITE=1 cargo test -p baton-server the_example_is_made_from_the_table"
    );
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(seen(&good(COMMITTED)), seen(&good("")));
}

/// The example with every key switched on, and the keys that name sounds pointed at files that are there.
fn in_full() -> String {
    let mut text = String::new();
    for line in example().lines() {
        let line = match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => rest,
            _ => line,
        };
        match line.split_once(" = ") {
            Some(("estimate_minutes", minutes)) => {
                text += &format!(
                    "estimate_minutes = {}\n",
                    minutes.replace("minutes_", "prompts/minutes_")
                );
            }
            Some(("place_numbers", numbers)) => {
                text += &format!("place_numbers = {}\n", numbers.replace("place_", "prompts/place_"));
            }
            Some((key @ ("numbers" | "dates"), files)) => {
                let files = files.replace("= \"", "= \"prompts/");
                text += &format!("{key} = {files}\n");
            }
            Some((key, path)) if path.ends_with(".wav\"") => {
                let file = if path == "\"support.wav\"" {
                    "briefing.wav"
                } else {
                    path.trim_matches('"')
                };
                text += &format!("{key} = \"prompts/{file}\"\n");
            }
            _ => text += &format!("{line}\n"),
        }
    }
    text
}

/// The text with another value of a key, or without it.
fn with(text: &str, dotted: &str, value: Option<&str>) -> String {
    let (section, name) = dotted.rsplit_once('.').expect("dotted");
    let mut here = false;
    let mut changed = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            here = line.trim_matches(['[', ']']) == section;
        }
        if !(here && line.starts_with(&format!("{name} = "))) {
            changed += &format!("{line}\n");
        } else if let Some(value) = value {
            changed += &format!("{name} = {value}\n");
        }
    }
    assert_ne!(changed, text, "{dotted} was found");
    changed
}

#[test]
fn the_table_names_every_key_that_is_read_and_only_those() {
    let (_, problems, known) = check(&in_full(), folder());
    assert!(problems.is_empty(), "{problems:#?}");
    let named: BTreeSet<String> = names().into_iter().collect();
    assert_eq!(named.len(), names().len(), "one is named twice");
    assert_eq!(named, known.into_iter().collect());
}

/// Of each key by itself: in a file with all others, it makes no difference whether it is there.
#[test]
fn a_default_of_the_example_is_what_is_so_without_it() {
    let text = in_full();
    let before = seen(&good(&text));
    let mut wrong = Vec::new();
    for section in sections() {
        for key in section.keys {
            let name = format!("{}.{}", section.name, key.name);
            let (config, problems, _) = check(&with(&text, &name, None), folder());
            let same = problems.is_empty() && seen(&config.expect("TOML")) == before;
            // The sounds in full are those that come with the program.
            let sound = key.value.ends_with(".wav\"");
            if same != key.is_default && !(sound && same) {
                wrong.push((name, problems));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lines_of_a_comment_are_full_and_not_too_long() {
    assert_eq!(comment(""), "");
    assert_eq!(comment("one line"), "# one line\n");
    let text = "four ".repeat(100);
    let lines: Vec<_> = comment(&text).lines().map(str::to_owned).collect();
    assert_eq!(lines.concat().matches("four").count(), 100);
    assert!(lines.iter().all(|line| line.starts_with("# four") && line.len() <= 120));
    assert!(
        lines[..lines.len() - 1].iter().all(|line| line.len() > 115),
        "{lines:?}"
    );
}

/// Each key with another value than the example's.
const CHANGES: &[(&str, &str)] = &[
    ("node.name", "\"other\""),
    ("node.drain_s", "601"),
    ("node.hand_over_s", "14401"),
    ("node.control", "\"other.sock\""),
    ("node.stop_s", "3"),
    ("node.log", "\"debug\""),
    ("node.log_json", "true"),
    ("sip.listen", "\"127.0.0.1:5061\""),
    ("sip.advertise", "\"192.0.2.2:5060\""),
    ("sip.tcp", "false"),
    ("sip.tcp_connections", "1001"),
    ("sip.tcp_connections_per_peer", "101"),
    ("sip.tcp_idle_s", "181"),
    ("sip.tcp_message_s", "11"),
    ("sip.tcp_connect_ms", "2001"),
    ("sip.tcp_stall_s", "11"),
    ("sip.tcp_queue_kib", "257"),
    ("sip.user_agent", "\"other\""),
    ("sip.t1_ms", "501"),
    ("sip.t2_ms", "4001"),
    ("sip.t4_ms", "5001"),
    ("sip.transactions", "20001"),
    ("sip.trace_kib", "65537"),
    ("sip.trace_keep_s", "601"),
    ("hep.collector", "\"homer.example.org:9061\""),
    ("hep.capture_id", "2002"),
    ("hep.node", "\"other\""),
    ("hep.password", "\"other\""),
    ("hep.with_credentials", "true"),
    ("otlp.endpoint", "\"http://127.0.0.1:4319\""),
    ("otlp.percent", "99"),
    ("otlp.headers.name", "\"x-other\""),
    ("otlp.headers.value", "\"other\""),
    ("media.listen", "\"127.0.0.2\""),
    ("media.advertise", "\"192.0.2.2\""),
    ("media.first_port", "20002"),
    ("media.other_first_port", "31000"),
    ("media.ports_per_worker", "501"),
    ("media.workers", "2"),
    ("media.cores", "[1]"),
    ("media.sessions_per_worker", "1025"),
    ("media.buffers_per_worker", "8192"),
    ("media.io", "\"epoll\""),
    ("media.rtcp", "\"mux\""),
    ("media.latch", "\"nat\""),
    ("media.codecs", "[\"pcma\", \"pcmu\"]"),
    ("media.prefer", "\"quality\""),
    ("media.applied_ms", "501"),
    ("media.silence_ms", "1001"),
    ("media.silence_probe_s", "31"),
    ("budget.core_share", "0.6"),
    ("budget.us_per_packet", "6.0"),
    ("budget.transcode_share", "0.6"),
    ("budget.mixed_listeners", "33"),
    ("budget.added_latency_ms", "81"),
    ("opus.narrow_kbits", "16"),
    ("opus.narrow_complexity", "3"),
    ("opus.wide_kbits", "32"),
    ("opus.wide_complexity", "6"),
    ("opus.fec", "true"),
    ("opus.expected_loss", "5"),
    ("opus.dtx", "true"),
    ("http.listen", "\"127.0.0.1:8081\""),
    ("http.public_url", "\"https://other.example.org\""),
    ("http.body_limit", "262145"),
    ("http.request_s", "16"),
    ("http.context_s", "301"),
    ("http.tls.cert", "\"other.pem\""),
    ("http.tls.key", "\"other.pem\""),
    ("http.event_readers", "65"),
    ("http.heartbeat_s", "16"),
    ("http.keys.name", "\"other\""),
    ("http.keys.key", "\"other\""),
    ("http.keys.scope", "\"desk\""),
    ("http.keys.agent", "\"second\""),
    ("http.keys.per_second", "2001"),
    ("http.keys.burst", "4001"),
    ("trunks.name", "\"other\""),
    ("trunks.addresses", "[\"192.0.2.2\"]"),
    ("trunks.ai_agent", "\"second\""),
    ("trunks.refer", "true"),
    ("trunks.codecs", "[\"pcmu\"]"),
    ("trunks.dtmf", "\"info\""),
    ("trunks.reinvite", "false"),
    ("trunks.verstat", "true"),
    ("trunks.outbound.uri", "\"sip:{digits}@other.example\""),
    ("trunks.outbound.from", "\"sip:+4930112@other.example\""),
    ("trunks.outbound.next_hop", "\"203.0.113.6:5060\""),
    ("trunks.auth.username", "\"other\""),
    ("trunks.auth.password", "\"other\""),
    ("trunks.auth.realm", "\"other\""),
    ("ai_agents.name", "\"third\""),
    ("ai_agents.uri", "\"sip:other@127.0.0.1\""),
    ("ai_agents.next_hop", "\"127.0.0.1:5071\""),
    ("ai_agents.codecs", "[\"pcmu\"]"),
    ("ai_agents.dtmf", "\"info\""),
    ("ai_agents.auth.username", "\"other\""),
    ("ai_agents.auth.password", "\"other\""),
    ("ai_agents.auth.realm", "\"other\""),
    ("targets.name", "\"third\""),
    ("targets.uri", "\"sip:other@127.0.0.1\""),
    ("targets.next_hop", "\"127.0.0.1:5081\""),
    ("targets.voicemail", "true"),
    ("targets.callback", "true"),
    ("voicemail.folder", "\"other\""),
    ("voicemail.greeting", "\"prompts/busy.wav\""),
    ("voicemail.max_s", "181"),
    ("voicemail.silence_s", "7"),
    ("voicemail.respond_within_h", "5"),
    ("callback.target", "\"other\""),
    ("callback.slot_min", "20"),
    ("callback.lead_min", "11"),
    ("callback.days_ahead", "8"),
    ("callback.handle_s", "301"),
    ("callback.share", "0.4"),
    ("callback.attempts", "4"),
    ("callback.retry_min", "11"),
    ("callback.shared_numbers", "true"),
    ("callback.prompts.offer", "\"prompts/busy.wav\""),
    ("callback.prompts.instead", "\"prompts/busy.wav\""),
    ("callback.prompts.no_later", "\"prompts/busy.wav\""),
    ("callback.prompts.choices", "\"prompts/busy.wav\""),
    ("callback.prompts.agreed", "\"prompts/busy.wav\""),
    ("callback.prompts.declined", "\"prompts/busy.wav\""),
    ("callback.prompts.today", "\"prompts/busy.wav\""),
    ("callback.prompts.tomorrow", "\"prompts/busy.wav\""),
    ("callback.prompts.monday", "\"prompts/busy.wav\""),
    ("callback.prompts.tuesday", "\"prompts/busy.wav\""),
    ("callback.prompts.wednesday", "\"prompts/busy.wav\""),
    ("callback.prompts.thursday", "\"prompts/busy.wav\""),
    ("callback.prompts.friday", "\"prompts/busy.wav\""),
    ("callback.prompts.saturday", "\"prompts/busy.wav\""),
    ("callback.prompts.sunday", "\"prompts/busy.wav\""),
    ("callback.prompts.between", "\"prompts/busy.wav\""),
    ("callback.prompts.and", "\"prompts/busy.wav\""),
    ("callback.prompts.oclock", "\"prompts/busy.wav\""),
    ("callback.prompts.oh", "\"prompts/busy.wav\""),
    ("callback.prompts.night", "\"prompts/busy.wav\""),
    ("callback.prompts.morning", "\"prompts/busy.wav\""),
    ("callback.prompts.afternoon", "\"prompts/busy.wav\""),
    ("callback.prompts.evening", "\"prompts/busy.wav\""),
    ("callback.prompts.numbers", "{ 9 = \"prompts/busy.wav\" }"),
    ("callback.prompts.dates", "{ 9 = \"prompts/busy.wav\" }"),
    ("targets.ring_s", "21"),
    ("targets.hours", "\"other\""),
    ("targets.patterns", "[\"sip:+49*@pbx.example.com\"]"),
    ("targets.codecs", "[\"pcmu\"]"),
    ("targets.dtmf", "\"info\""),
    ("targets.reinvite", "false"),
    ("targets.briefing", "\"prompts/busy.wav\""),
    ("targets.hold", "\"prompts/busy.wav\""),
    ("targets.queue.skills", "{ billing = 6 }"),
    ("targets.queue.strategy", "\"in-order\""),
    ("targets.queue.at_once", "2"),
    ("targets.queue.max_wait_s", "121"),
    ("targets.queue.wrap_up_s", "1"),
    ("targets.queue.set_aside_s", "61"),
    ("targets.auth.username", "\"other\""),
    ("targets.auth.password", "\"other\""),
    ("targets.auth.realm", "\"other\""),
    ("playbook.mode", "\"cold\""),
    ("playbook.accept", "\"key\""),
    ("playbook.cold_hears", "\"ai\""),
    ("playbook.ai_gone", "\"human\""),
    ("playbook.targets", "[]"),
    ("playbook.request_phrases", "[]"),
    ("playbook.request_intents", "[\"agent\"]"),
    ("playbook.priority", "1"),
    ("playbook.required", "[]"),
    ("playbook.required_wait_s", "1"),
    ("playbook.context", "\"acknowledged\""),
    ("playbook.acknowledge_s", "6"),
    ("playbook.ai_stays_s", "1"),
    ("playbook.ai_answer_s", "11"),
    ("playbook.caller_answer_s", "46"),
    ("playbook.accept_s", "31"),
    ("playbook.first_packet_s", "6"),
    ("playbook.reach_s", "91"),
    ("playbook.refer_s", "31"),
    ("playbook.evidence_s", "16"),
    ("playbook.goodbye_s", "31"),
    ("playbook.caller_id_field", "\"fields.phone\""),
    ("playbook.redact.cards", "false"),
    ("playbook.redact.secret", "[\"authentication.pin\"]"),
    ("playbook.redact.masked", "[\"fields.account\"]"),
    ("playbook.redact.patterns.name", "\"other\""),
    ("playbook.redact.patterns.pattern", "\"secret \\\\w+\""),
    ("playbook.rules.name", "\"other\""),
    ("playbook.rules.topics", "[\"delivery\"]"),
    ("playbook.rules.phrases", "[]"),
    ("playbook.rules.flags", "[\"gdpr\"]"),
    ("playbook.rules.intents", "[\"claim\"]"),
    ("playbook.rules.intent_turns", "2"),
    ("playbook.rules.confidence_below", "0.5"),
    ("playbook.rules.confidence_turns", "3"),
    ("playbook.rules.sentiments", "[\"sad\"]"),
    ("playbook.rules.score_below", "-0.6"),
    ("playbook.rules.sentiment_turns", "3"),
    ("playbook.rules.score_falls", "0.9"),
    ("playbook.rules.caller_repeats", "4"),
    ("playbook.rules.ai_repeats", "4"),
    ("playbook.rules.calls", "3"),
    ("playbook.rules.within_h", "48"),
    ("playbook.rules.after_s", "301"),
    ("playbook.rules.failed_attempts", "4"),
    ("playbook.rules.keys", "[\"0\", \"#\"]"),
    ("playbook.rules.if", "\"call.seconds > 5\""),
    ("playbook.decisions.name", "\"other\""),
    ("playbook.decisions.intents", "[\"claim\"]"),
    ("playbook.decisions.sentiments", "[\"sad\"]"),
    ("playbook.decisions.rules", "[\"asked-for\"]"),
    ("playbook.decisions.if", "\"call.seconds > 5\""),
    ("playbook.decisions.mode", "\"cold\""),
    ("playbook.decisions.accept", "\"api\""),
    ("playbook.decisions.targets", "[]"),
    ("playbook.decisions.priority", "6"),
    ("playbook.decisions.required", "[]"),
    ("playbook.decisions.required_wait_s", "4"),
    ("playbook.decisions.context", "\"sent\""),
    ("playbook.decisions.acknowledge_s", "6"),
    ("playbook.decisions.ai_stays_s", "21"),
    ("playbook.decisions.announcement", "\"prompts/busy.wav\""),
    ("playbook.decisions.hold", "\"prompts/busy.wav\""),
    ("playbook.decisions.disclosure", "\"prompts/busy.wav\""),
    ("prompts.disclosure", "\"prompts/busy.wav\""),
    ("hours.time_zone", "\"Asia/Kolkata\""),
    ("hours.open", "[]"),
    ("hours.holidays", "[\"2027-01-01\"]"),
    ("hours.calendars.name", "\"third\""),
    ("hours.calendars.time_zone", "\"Asia/Kolkata\""),
    ("hours.calendars.open", "[\"Sun 09:00-12:00\"]"),
    ("hours.calendars.holidays", "[\"2027-01-02\"]"),
    ("prompts.announcement", "\"prompts/busy.wav\""),
    ("prompts.hold", "\"prompts/busy.wav\""),
    ("prompts.briefing", "\"prompts/busy.wav\""),
    ("prompts.busy", "\"prompts/hold.wav\""),
    ("prompts.no_answer", "\"prompts/busy.wav\""),
    ("prompts.failed", "\"prompts/busy.wav\""),
    ("prompts.after_hours", "\"prompts/busy.wav\""),
    ("prompts.goodbye", "\"prompts/busy.wav\""),
    ("prompts.called_back", "\"prompts/busy.wav\""),
    ("prompts.estimate_every_s", "30"),
    ("prompts.estimate_soon", "\"prompts/busy.wav\""),
    ("prompts.estimate_intro", "\"prompts/busy.wav\""),
    ("prompts.estimate_minutes", "{ 2 = \"prompts/busy.wav\" }"),
    ("prompts.place_every_s", "60"),
    ("prompts.place_intro", "\"prompts/busy.wav\""),
    ("prompts.place_numbers", "{ 2 = \"prompts/busy.wav\" }"),
    ("router.url", "\"https://other.example.org\""),
    ("router.allow_private", "true"),
    ("router.secrets", "[\"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"]"),
    ("router.timeout_ms", "801"),
    ("webhooks.name", "\"other\""),
    ("webhooks.url", "\"http://127.0.0.1:1\""),
    ("webhooks.allow_private", "true"),
    ("webhooks.secrets", "[\"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"]"),
    ("webhooks.acknowledges", "false"),
    ("webhooks.types", "[\"baton.call.ended\"]"),
    ("webhooks.timeout_ms", "10001"),
    ("webhooks.retry_ms", "1001"),
    ("webhooks.retry_max_ms", "3600001"),
    ("webhooks.give_up_s", "86401"),
    ("store.url", "\"sqlite:other.db\""),
    ("store.queue", "100001"),
    ("store.commit_ms", "2001"),
    ("store.keep_days", "31"),
];

#[test]
fn every_key_changes_the_configuration() {
    let text = in_full();
    let before = seen(&good(&text));
    for key in names() {
        // References that the change breaks are problems of their own; what the key says must be seen all the same.
        let (after, _, _) = check(&with(&text, &key, Some(change(&key))), folder());
        assert_ne!(seen(&after.expect("TOML")), before, "{key} changes nothing");
    }
    assert_eq!(CHANGES.len(), names().len());
}

fn change(key: &str) -> &'static str {
    let change = CHANGES.iter().find(|(name, _)| *name == key);
    change.unwrap_or_else(|| panic!("{key} has no change")).1
}

#[test]
fn a_reload_finds_each_key_that_differs_and_no_other_and_does_what_the_table_says() {
    let text = in_full();
    let before = good(&text);
    let keys = |difference: &Difference| -> Vec<String> {
        let fixed = difference.needs_restart.iter().map(|(key, _)| key.clone());
        difference.changed.iter().cloned().chain(fixed).collect()
    };
    assert_eq!(Difference::of(&before, &before), Difference::default());
    for key in names() {
        let (after, _, _) = check(&with(&text, &key, Some(change(&key))), folder());
        let after = after.expect("TOML");
        let difference = Difference::of(&before, &after);
        assert_eq!(keys(&difference), [key.as_str()]);
        let changes = fixed(&key).is_none();
        assert_eq!(difference.changed.len(), usize::from(changes), "{key}");
        let reloaded = before.reloaded(after.clone());
        assert_eq!(seen(&reloaded) != seen(&before), changes, "{key}");
        // What cannot change is named again the next time.
        let again = Difference::of(&reloaded, &after);
        assert_eq!(again.changed, [""; 0]);
        assert_eq!(again.needs_restart.len(), usize::from(!changes), "{key}");
    }
    // A default that is written out is no change.
    assert_eq!(keys(&Difference::of(&good(""), &good("[sip]\nt1_ms = 500\n"))), [""; 0]);
}
