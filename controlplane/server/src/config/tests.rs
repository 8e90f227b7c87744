mod examples;

use crate::prompts::BuiltIn;
use std::time::Duration;

use super::*;
use ::playbook::Mode;
use ::sip::endpoint::Transport;
use ::sip::sdp::Encoding;
use calls::config::Prefer;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(super) fn good(text: &str) -> Config {
    match Config::from_toml(text, Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:#?}\nin\n{text}"),
    }
}

pub(super) fn problems(text: &str) -> Vec<String> {
    match Config::from_toml(text, Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

/// Everything that a program can see of a configuration, secrets included.
pub(super) fn seen(config: &Config) -> String {
    let keys: Vec<_> = config.http.keys.iter().map(|key| key.key.reveal()).collect();
    let secrets: Vec<_> = config
        .webhooks
        .iter()
        .map(|webhook| &webhook.to)
        .chain(config.router.as_ref().map(|router| &router.to))
        .flat_map(|to| &to.secrets)
        .map(Secret::reveal)
        .collect();
    let kept: Vec<_> = config
        .hep
        .password
        .iter()
        .chain(config.otlp.headers.iter().map(|(_, value)| value))
        .map(Secret::reveal)
        .collect();
    let trunks = config.trunks.iter().map(|peer| &peer.auth);
    let agents = config.ai_agents.iter().map(|peer| &peer.auth);
    let targets = config.targets.iter().map(|peer| &peer.auth);
    let shown: Vec<_> = trunks
        .chain(agents)
        .chain(targets)
        .flatten()
        .map(|auth| (&auth.username, &auth.password))
        .collect();
    format!("{config:?}{keys:?}{secrets:?}{shown:?}{kept:?}")
}

#[test]
fn an_empty_file_is_a_server_on_loopback() {
    let config = good("");
    assert_eq!(config.sip.listen, ["127.0.0.1:5060".parse().unwrap()]);
    assert_eq!(config.http.listen, "127.0.0.1:8080".parse().unwrap());
    assert!(config.media.listen.is_loopback());
    assert!(config.http.keys.is_empty() && config.trunks.is_empty() && config.webhooks.is_empty());
    assert_eq!(config.playbook.usual.mode, Mode::Warm);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
    let found = problems("\n[sip]\nlistn = \"127.0.0.1:5060\"\n");
    assert_eq!(
        found,
        ["line 3: sip.listn: there is no such key; did you mean \"listen\"?"]
    );
    let found = problems("[spi]\n");
    assert_eq!(found, ["line 1: spi: there is no such key; did you mean \"sip\"?"]);
    let found = problems("[node]\nzzzz = 1\n");
    assert_eq!(found, ["line 2: node.zzzz: there is no such key"]);
    let found = problems("[[targets]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\nrings = 3\n");
    assert_eq!(
        found,
        ["line 4: targets[0].rings: there is no such key; did you mean \"ring_s\"?"]
    );
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let found = problems("[http]\nlisten = 8080\n[media]\nworkers = 0\n[sip]\nport = 5060\nt1_ms = \"fast\"\n");
    assert_eq!(
        found,
        [
            "line 2: http.listen: must be a string, not an integer",
            "line 4: media.workers: must be from 1 to 256",
            "line 6: sip.port: there is no such key",
            "line 7: sip.t1_ms: must be an integer, not a string",
        ]
    );
}

#[test]
fn what_is_not_toml_says_where() {
    let found = problems("[sip]\nlisten = \n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("line 2: not TOML"), "{found:?}");
}

#[test]
fn sections_of_later_versions_say_so() {
    assert_eq!(
        problems("[recording]\n"),
        ["line 1: recording: is not built yet: remove it"]
    );
}

#[test]
fn a_budget_has_fractions_and_room_for_a_call() {
    let budget = good("[budget]\ncore_share = 1\nus_per_packet = 3.25\n").budget;
    assert_eq!((budget.core_share, budget.packet), (1.0, Duration::from_nanos(3250)));
    for (text, problem) in [
        (
            "core_share = 1.1",
            "line 2: budget.core_share: must be from 0.0001 to 1",
        ),
        (
            "core_share = \"much\"",
            "line 2: budget.core_share: must be a number, not a string",
        ),
        (
            "us_per_packet = nan",
            "line 2: budget.us_per_packet: must be from 0.1 to 10000",
        ),
    ] {
        assert_eq!(problems(&format!("[budget]\n{text}\n")), [problem]);
    }
    let found = problems("[budget]\ncore_share = 0.1\nus_per_packet = 2000\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("line 3: budget.core_share: one call is expected to use 0.2000 of a core"),
        "{found:?}"
    );
}

#[test]
fn references_must_exist() {
    let found = problems(
        "[[ai_agents]]\nname = \"assistant\"\nuri = \"sip:a@127.0.0.1\"\n\
         [[trunks]]\nname = \"t\"\nai_agent = \"asistant\"\n\
         [playbook]\ntargets = [\"sales\"]\n",
    );
    assert_eq!(
        found,
        [
            "line 6: trunks[0].ai_agent: no entry of [[ai_agents]] has the name \"asistant\"; did you mean \"assistant\"?",
            "line 8: playbook.targets: no entry of [[targets]] has the name \"sales\"",
        ]
    );
}

#[test]
fn names_are_unique_and_required() {
    let found = problems(
        "[[targets]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n[[targets]]\nname = \"a\"\nuri = \"sip:b@127.0.0.1\"\n\
         [[targets]]\nuri = \"sip:c@127.0.0.1\"\n",
    );
    assert_eq!(
        found,
        [
            "line 5: targets[1].name: \"a\" is already the name in line 2",
            "line 7: targets[2].name: is missing: it has no default",
        ]
    );
}

#[test]
fn the_next_hop_comes_from_an_address_in_the_uri() {
    let hop = |uri: &str| {
        let media = "[media]\nlisten = \"::\"\nadvertise = [\"192.0.2.1\", \"2001:db8::1\"]";
        good(&format!("{media}\n[[targets]]\nname = \"a\"\nuri = {uri:?}\n")).targets[0]
            .next_hop
            .to_string()
    };
    assert_eq!(hop("sip:a@127.0.0.1:5080;transport=udp"), "127.0.0.1:5080");
    assert_eq!(hop("sip:192.0.2.7"), "192.0.2.7:5060");
    assert_eq!(hop("sip:a@[2001:db8::1]"), "[2001:db8::1]:5060");
    assert_eq!(hop("sip:a@[2001:db8::1]:5070"), "[2001:db8::1]:5070");
    let found = problems("[[targets]]\nname = \"a\"\nuri = \"sip:a@pbx.example.org\"\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("set next_hop"), "{found:?}");
    let found = problems("[[targets]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1>\\r\\nX: y\"\n");
    assert!(found[0].contains("bare URI"), "{found:?}");
}

#[test]
fn without_keys_http_stays_on_loopback() {
    let found = problems("[http]\nlisten = \"0.0.0.0:8080\"\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("line 2: http.listen: is not loopback"),
        "{found:?}"
    );
    good("[http]\nlisten = \"0.0.0.0:8080\"\n[[http.keys]]\nname = \"a\"\nkey = \"k\"\nscope = \"admin\"\n");
}

#[test]
fn an_ai_key_belongs_to_an_agent() {
    let found = problems("[[http.keys]]\nname = \"a\"\nkey = \"k\"\nscope = \"ai\"\n");
    assert!(
        found.iter().any(|problem| problem.contains("belongs to one agent")),
        "{found:?}"
    );
}

#[test]
fn a_peer_that_challenges_has_its_credentials() {
    let peers = "[[trunks]]\nname = \"t\"\nauth = { username = \"us\", password = { env = \"PATH\" } }\n\
                 [[ai_agents]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n\
                 [ai_agents.auth]\nusername = \"j\u{e4}s\u{f8}n\"\npassword = \"s3cret\"\nrealm = \"pbx\"\n\
                 [[ai_agents]]\nname = \"b\"\nuri = \"sip:b@127.0.0.1\"\n\
                 [[targets]]\nname = \"h\"\nuri = \"sip:h@127.0.0.1\"\nauth = { username = \"h\", password = \"s3cret\" }\n";
    let config = good(peers);
    let agent = config.ai_agents[0].auth.as_ref().expect("credentials");
    assert_eq!(
        (&*agent.username, &*agent.password, agent.realm.as_deref()),
        ("j\u{e4}s\u{f8}n", "s3cret", Some("pbx"))
    );
    assert_eq!(config.ai_agents[1].auth, None);
    let trunk = config.trunks[0].auth.as_ref().expect("credentials");
    assert_eq!((&*trunk.username, trunk.realm.as_deref()), ("us", None));
    assert_eq!(Some(&trunk.password), std::env::var("PATH").ok().as_ref());
    assert!(config.targets[0].auth.is_some());
    assert!(!format!("{config:?}").contains("s3cret"));

    let target = "[[targets]]\nname = \"h\"\nuri = \"sip:h@127.0.0.1\"\n";
    for (auth, expected) in [
        (
            "auth = { username = \"h\" }",
            "line 4: targets[0].auth.password: is missing",
        ),
        (
            "auth = { password = \"p\" }",
            "line 4: targets[0].auth.username: is missing",
        ),
        ("auth = { username = \"h\", password = \"\" }", "the secret is empty"),
        (
            "auth = { username = \"h\", password = \"p\", relm = \"r\" }",
            "targets[0].auth.relm: there is no such key; did you mean \"realm\"?",
        ),
        ("auth = \"h\"", "line 4: targets[0].auth: must be a section"),
    ] {
        let found = problems(&format!("{target}{auth}\n"));
        assert!(found.iter().any(|it| it.contains(expected)), "{auth}: {found:?}");
    }
}

#[test]
fn an_unreachable_address_is_not_advertised() {
    let found = problems("[sip]\nlisten = \"0.0.0.0:5060\"\n[media]\nlisten = \"::\"\n");
    assert_eq!(found.len(), 2, "{found:?}");
    good(
        "[sip]\nlisten = \"0.0.0.0:5060\"\nadvertise = \"192.0.2.1:5060\"\n[media]\nlisten = \"::\"\nadvertise = \"::1\"\n",
    );
}

#[test]
fn media_is_advertised_at_one_address_of_each_family_that_is_listened_to() {
    let read = |text: &str| good(&format!("[media]\n{text}")).media.advertise;
    let ip = |text: &str| text.parse().expect("an address");
    assert_eq!(read(""), (ip("127.0.0.1"), None));
    assert_eq!(read("listen = \"::1\"\n"), (ip("::1"), None));
    assert_eq!(read("advertise = \"192.0.2.1\"\n"), (ip("192.0.2.1"), None));
    assert_eq!(
        read("listen = \"::\"\nadvertise = [\"2001:db8::1\", \"192.0.2.1\"]\n"),
        (ip("2001:db8::1"), Some(ip("192.0.2.1")))
    );
    assert_eq!(
        read("listen = \"::\"\nadvertise = [\"192.0.2.1\"]\n"),
        (ip("192.0.2.1"), None)
    );

    for (text, wanted) in [
        ("listen = \"::\"\n", "one of each family"),
        ("listen = \"0.0.0.0\"\n", "names no address that peers could reach"),
        ("advertise = []\n", "names no address"),
        ("advertise = \"0.0.0.0\"\n", "must be an address that peers can reach"),
        (
            "listen = \"::\"\nadvertise = \"ff02::1\"\n",
            "must be an address that peers can reach",
        ),
        ("advertise = \"::ffff:192.0.2.1\"\n", "write it as 192.0.2.1"),
        ("listen = \"::ffff:127.0.0.1\"\n", "write it as 127.0.0.1"),
        (
            "advertise = [\"192.0.2.1\", \"2001:db8::1\"]\n",
            "receives only IPv4: listen on \"::\" for both",
        ),
        ("listen = \"::1\"\nadvertise = \"192.0.2.1\"\n", "receives only IPv6"),
        (
            "listen = \"::\"\nadvertise = [\"192.0.2.1\", \"192.0.2.2\"]\n",
            "two addresses of one family",
        ),
        ("advertise = \"example.com\"\n", "must be an address, as 192.0.2.1"),
        ("advertise = [1]\n", "must be a list of strings"),
    ] {
        let found = problems(&format!("[media]\n{text}"));
        assert!(matches!(&found[..], [one] if one.contains(wanted)), "{text}: {found:?}");
    }
}

#[test]
fn nobody_is_called_who_could_not_be_told_where_to_send() {
    let peer = "[[ai_agents]]\nname = \"a\"\nuri = \"sip:a@[2001:db8::9]\"\n\
                [[targets]]\nname = \"t\"\nuri = \"sip:t@198.51.100.9\"\n";
    let found = problems(peer);
    assert!(
        matches!(&found[..], [one] if one.contains("\"a\" is called at [2001:db8::9]:5060") && one.contains("no IPv6")),
        "{found:?}"
    );
    let found = problems(&format!("[media]\nlisten = \"::1\"\n{peer}"));
    assert!(
        matches!(&found[..], [one] if one.starts_with("targets: \"t\"")),
        "{found:?}"
    );
    good(&format!(
        "[media]\nlisten = \"::\"\nadvertise = [\"192.0.2.1\", \"2001:db8::1\"]\n{peer}"
    ));
}

#[test]
fn secrets_come_from_the_file_the_environment_or_another_file_and_are_never_printed() {
    let folder = std::env::temp_dir().join(format!("baton-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("key"), "from-a-file\n").expect("a file");
    let text = "[[http.keys]]\nname = \"a\"\nkey = \"in-the-text\"\nscope = \"admin\"\n\
                [[http.keys]]\nname = \"b\"\nkey = { file = \"key\" }\nscope = \"desk\"\n\
                [[http.keys]]\nname = \"c\"\nkey = { env = \"PATH\" }\nscope = \"desk\"\n";
    let config = Config::from_toml(text, &folder).expect("good");
    std::fs::remove_dir_all(&folder).expect("removed");
    let revealed: Vec<_> = config.http.keys.iter().map(|key| key.key.reveal()).collect();
    assert_eq!(
        revealed,
        ["in-the-text", "from-a-file", &std::env::var("PATH").expect("a path")]
    );
    let printed = format!("{config:?}");
    assert!(!printed.contains("in-the-text") && !printed.contains("from-a-file"));

    let found = problems("[[http.keys]]\nname = \"a\"\nscope = \"desk\"\nkey = { env = \"BATON_NO_SUCH_VARIABLE\" }\n");
    assert!(found[0].starts_with("line 4: http.keys[0].key: "), "{found:?}");
}

#[test]
fn webhook_secrets_and_types_are_checked() {
    let found = problems(
        "[[webhooks]]\nname = \"a\"\nurl = \"ftp://x\"\nsecrets = [\"plain\"]\ntypes = [\"baton.handoff.join\"]\n",
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[2].contains("did you mean \"baton.handoff.joined\"?"), "{found:?}");
    let config = good(&format!(
        "[[webhooks]]\nname = \"a\"\nurl = \"https://crm.example.org\"\nsecrets = {KEY:?}\n"
    ));
    assert_eq!(config.webhooks[0].to.secrets.len(), 1);
}

#[test]
fn webhook_types_may_be_groups() {
    let of = |types: &str| {
        let webhook = format!("[[webhooks]]\nname = \"a\"\nurl = \"https://crm.example.org\"\nsecrets = {KEY:?}\n");
        problems(&format!("{webhook}types = {types}\n"))
    };
    assert_eq!(
        of("[\"baton.handoff.*\", \"baton.*\", \"*\", \"baton.call.ended\"]"),
        [""; 0]
    );
    for (wrong, near) in [
        ("baton.handof.*", "; did you mean \"baton.handoff.*\"?"),
        ("baton.handoff.join*", ""),
        ("baton.*.ended", ""),
        ("baton.handoff", ""),
        ("baton.call.end", "; did you mean \"baton.call.ended\"?"),
    ] {
        let found = of(&format!("[{wrong:?}]"));
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        let wanted = format!("line 5: webhooks[0].types: there is no event {wrong:?}{near}");
        assert!(found[0].starts_with(&wanted), "{found:?}");
    }
}

#[test]
fn webhooks_go_to_public_addresses_unless_told_otherwise() {
    let of = |url: &str, more: &str| {
        problems(&format!(
            "[[webhooks]]\nname = \"a\"\nurl = {url:?}\nsecrets = {KEY:?}\n{more}"
        ))
    };
    for (url, why) in [
        ("http://127.0.0.1:8080/", "127.0.0.1 is loopback"),
        ("http://2130706433/", "127.0.0.1 is loopback"),
        ("https://0xa9fea9fe/latest", "169.254.169.254 is link-local"),
        ("http://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1 is private"),
        ("http://localhost/", "localhost is loopback"),
    ] {
        let wanted = format!(
            "line 3: webhooks[0].url: {why}: events go to public addresses only; where this one is meant, \
             set allow_private = true beside it"
        );
        assert_eq!(of(url, ""), [wanted]);
        assert_eq!(of(url, "allow_private = true\n"), [""; 0], "{url}");
    }
    let found = of("https://crm.example.org@127.0.0.1/", "allow_private = true\n");
    assert!(
        matches!(&found[..], [one] if one.contains("has a user or a password in it")),
        "{found:?}"
    );
    assert_eq!(of("https://crm.example.org/", ""), [""; 0]);
}

#[test]
fn a_prompt_that_cannot_be_played_is_named() {
    let found = problems("[prompts]\nhold = \"Cargo.toml\"\nbusy = \"nowhere.wav\"\n");
    assert_eq!(found.len(), 2);
    assert!(
        found[0].contains("Cargo.toml: not a WAV file") && found[0].contains("4000 to 192000 Hz"),
        "{found:?}"
    );
    assert!(found[1].contains("nowhere.wav cannot be read"), "{found:?}");
}

#[test]
fn a_prompt_that_is_to_be_uploaded_has_a_name_and_something_that_stands_in_for_it() {
    let text = "[prompts]\nhold = { uploaded = \"music\" }\n[[targets]]\nname = \"a\"\nuri = \"sip:a@192.0.2.1\"\n\
                hold = { uploaded = \"music\" }\nbriefing = { uploaded = \"who-calls\" }\n";
    let config = Config::from_toml(text, Path::new("")).expect("right");
    assert_eq!(config.prompts.hold.samples, BuiltIn::Hold.prompt().samples);
    let uploads: Vec<_> = config.uploads().into_iter().collect();
    let names = |keys: &[&str]| -> Vec<String> { keys.iter().map(|key| (*key).to_owned()).collect() };
    assert_eq!(
        uploads,
        [
            ("music".to_owned(), names(&["prompts.hold", "targets.a.hold"])),
            ("who-calls".to_owned(), names(&["targets.a.briefing"]))
        ]
    );
    for wrong in [
        "hold = { uploaded = \"Music\" }",
        "hold = { uploaded = 1 }",
        "hold = { file = \"a.wav\" }",
        "hold = { uploaded = \"a\", file = \"b\" }",
        "hold = 3",
    ] {
        assert_eq!(problems(&format!("[prompts]\n{wrong}\n")).len(), 1, "{wrong}");
    }
}

#[test]
fn the_transport_stands_in_the_uri_or_behind_the_next_hop() {
    let agent = |uri: &str, more: &str| {
        let text = format!("[[ai_agents]]\nname = \"a\"\nuri = \"{uri}\"\n{more}\n");
        Config::from_toml(&text, Path::new("")).map(|config| config.ai_agents[0].clone())
    };
    let good = |uri: &str, more: &str| {
        let agent = agent(uri, more).expect("it is right");
        assert_eq!(agent.uri, uri);
        agent.transport
    };
    let hop = |value: &str| format!("next_hop = \"{value}\"");
    let uri = "sip:a@192.0.2.1;transport=tcp";
    assert_eq!(good(uri, ""), None, "as the URI asks");
    assert_eq!(good(uri, &hop("192.0.2.2:5060")), None);
    let plain = "sip:a@192.0.2.1";
    assert_eq!(good(plain, &hop("192.0.2.2:5060;transport=TCP")), Some(Transport::Tcp));
    assert_eq!(good(uri, &hop("192.0.2.2:5060;transport=udp")), Some(Transport::Udp));
    assert_eq!(good(plain, &hop("192.0.2.2:5060")), None);
    let wrong = agent("sip:a@192.0.2.1;transport=tls", "").expect_err("no TLS yet");
    assert!(wrong[0].message.contains("transport=tls is not built yet"), "{wrong:?}");
    for value in ["192.0.2.2", "192.0.2.2:5060;transport=sctp", "tcp:192.0.2.2:5060"] {
        let wrong = agent(plain, &hop(value)).expect_err("no next hop");
        assert!(wrong[0].message.contains("192.0.2.1:5060;transport=tcp"), "{wrong:?}");
    }
}

#[test]
fn one_address_of_each_family() {
    let read = |text: &str| Config::from_toml(text, Path::new(""));
    let both = read("[sip]\nlisten = [\"127.0.0.1:5060\", \"[::1]:5060\"]\n").expect("both");
    assert_eq!(both.sip.listen.len(), 2);
    let wrong = read("[sip]\nlisten = [\"127.0.0.1:5060\", \"127.0.0.2:5060\"]\n").expect_err("one family");
    assert!(wrong[0].message.contains("two addresses of one family"), "{wrong:?}");
    // Each family needs an address that its peers can reach.
    let wrong = read("[sip]\nlisten = [\"0.0.0.0:5060\", \"[::]:5060\"]\nadvertise = \"192.0.2.1:5060\"\n");
    assert_eq!(wrong.expect_err("no IPv6 address").len(), 1);
}

#[test]
fn a_log_filter_that_cannot_be_read_is_found_before_the_start() {
    let found = problems("[node]\nlog = \"nonsense=[\"\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("line 2: node.log: must be a level or a filter"),
        "{found:?}"
    );
}

#[test]
fn secrets_that_cannot_be_read_are_not_called_empty() {
    let of = |secrets: &str| {
        problems(&format!(
            "[[webhooks]]\nname = \"a\"\nurl = \"https://crm.example.org\"\nsecrets = {secrets}\n"
        ))
    };
    let found = of("[{ file = \"not-there\" }]");
    assert!(
        matches!(&found[..], [one] if one.contains("cannot be read")),
        "{found:?}"
    );
    let found = of("[]");
    assert!(matches!(&found[..], [one] if one.contains("is empty")), "{found:?}");
}

/// The file says that only this host reaches the API, but until a restart others do.
#[test]
fn a_reload_does_not_open_an_api_that_others_reach() {
    let outside = good(
        "[http]\nlisten = \"0.0.0.0:8080\"\n[[http.keys]]\nname = \"a\"\nkey = \"0123456789abcdef\"\nscope = \"admin\"\n",
    );
    let inside = good("[http]\nlisten = \"127.0.0.1:8080\"\n");
    let difference = Difference::of(&outside, &inside);
    assert_eq!(difference.changed, [""; 0]);
    let kept: Vec<_> = difference.needs_restart.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        kept,
        ["http.keys.key", "http.keys.name", "http.keys.scope", "http.listen"]
    );
    let after = outside.reloaded(inside.clone());
    assert_eq!(after.http.keys, outside.http.keys);
    assert_eq!(Difference::of(&after, &inside), difference);
}

#[test]
fn codecs_are_read_in_their_order_and_what_is_none_is_told() {
    let config = good(
        "[media]\ncodecs = [\"pcma\", \"pcmu\"]\nprefer = \"cost\"\n[[ai_agents]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n\
         codecs = [\"pcmu\"]\n[[trunks]]\nname = \"t\"\ncodecs = [\"pcmu\", \"pcma\"]\n[[targets]]\nname = \"s\"\nuri = \"sip:s@127.0.0.1\"\n",
    );
    assert_eq!(config.media.codecs, [Encoding::Pcma, Encoding::Pcmu]);
    assert_eq!(config.media.prefer, Prefer::Cost);
    assert_eq!(config.ai_agents[0].codecs, Some(vec![Encoding::Pcmu]));
    assert_eq!(config.trunks[0].codecs, Some(vec![Encoding::Pcmu, Encoding::Pcma]));
    assert_eq!(config.targets[0].codecs, None);
    let config = good("");
    assert_eq!(config.media.prefer, Prefer::NoTranscode);
    assert_eq!(
        config.media.codecs,
        [Encoding::Pcmu, Encoding::Pcma, Encoding::G722, Encoding::Opus]
    );
    let all = good("[media]\ncodecs = [\"l16-16000\", \"l16\", \"opus\", \"g722\", \"pcma\", \"pcmu\"]\n")
        .media
        .codecs;
    assert_eq!(all.first(), Some(&Encoding::L16Wide));
    assert_eq!(all.len(), Encoding::ALL.len());

    let media = |value: &str| problems(&format!("[media]\ncodecs = {value}\n"));
    for (value, message) in [
        ("[]", "names no codec"),
        ("[\"pcmu\", \"pcmu\"]", "names \"pcmu\" twice"),
        ("[\"pcnu\"]", "did you mean \"pcmu\"?"),
        ("[\"PCMU\"]", "\"PCMU\" is none"),
        ("[\"g729\"]", "did you mean \"g722\"?"),
        ("[8]", "a list of strings"),
        ("\"pcmu\"", "a list of strings"),
    ] {
        let told = media(value);
        assert!(told.len() == 1 && told[0].contains(message), "{value}: {told:?}");
        assert!(told[0].contains("media.codecs"), "{told:?}");
    }
    let trunk =
        "[[ai_agents]]\nname = \"a\"\nuri = \"sip:a@127.0.0.1\"\n[[trunks]]\nname = \"t\"\ncodecs = [\"pcma\"]\n";
    assert_eq!(problems(trunk), [""; 0]);
    let told = problems(&format!("[media]\ncodecs = [\"pcmu\"]\n{trunk}"));
    assert!(
        told.len() == 1 && told[0].contains("\"pcma\" is not in media.codecs"),
        "{told:?}"
    );
    let told = problems("[media]\nprefer = \"qualitty\"\n");
    assert!(
        told.len() == 1 && told[0].contains("did you mean \"quality\"?"),
        "{told:?}"
    );
}

#[test]
fn opus_is_encoded_as_is_said() {
    let opus =
        good("[opus]\nnarrow_kbits = 16\nnarrow_complexity = 10\nfec = true\nexpected_loss = 5\ndtx = true\n").opus;
    let settings = opus.settings;
    assert_eq!((settings.narrow.bitrate, settings.narrow.complexity), (16_000, 10));
    assert_eq!((settings.wide.bitrate, settings.wide.complexity), (40_000, 5));
    assert_eq!((settings.fec, settings.expected_loss, settings.dtx), (true, 5, true));
    assert_eq!(opus.auto, [false, true]);
    let opus = good("[opus]\nnarrow_complexity = \"auto\"\nwide_complexity = 3\n").opus;
    assert_eq!((opus.settings.narrow.complexity, opus.settings.wide.complexity), (5, 3));
    assert_eq!(opus.auto, [true, false]);
    assert_eq!(good("").opus, Opus::default());
    assert_eq!(good("").opus.settings, ::media::codec::opus::Settings::default());
    assert_eq!(good("[budget]\ntranscode_share = 1\n").share.transcode, 1.0);
    for (text, problem) in [
        (
            "[opus]\nnarrow_kbits = 5",
            "line 2: opus.narrow_kbits: must be from 6 to 128",
        ),
        (
            "[opus]\nwide_complexity = 11",
            "line 2: opus.wide_complexity: must be from 0 to 10",
        ),
        (
            "[opus]\nwide_complexity = \"atuo\"",
            "line 2: opus.wide_complexity: must be \"auto\", or from 0 to 10",
        ),
        (
            "[budget]\ntranscode_share = 1.5",
            "line 2: budget.transcode_share: must be from 0 to 1",
        ),
    ] {
        assert_eq!(problems(&format!("{text}\n")), [problem]);
    }
}
