//! The configuration file.

use std::path::Path;

use baton_server::config::Config;

pub(crate) const WORDS: &[&str] = &[
    "[sip]\n",
    "[[trunks]]\n",
    "[[targets]]\nname = \"support\"\n",
    "[[ai_agents]]\n",
    "[[webhooks]]\n",
    "[playbook]\n",
    "[[playbook.rules]]\nname = \"a\"\n",
    "if = \"a.b > 1 && !has(c.d)\"\n",
    "phrases = [\"x y\"]\n",
    "listen = \"127.0.0.1:0\"\n",
    "uri = \"sip:a@192.0.2.1\"\n",
    "advertise = \"[::1]:99999\"\n",
    "t1_ms = -1\n",
    "first_port = 65535\n",
    "addresses = [\"0.0.0.0/0\", 1]\n",
    "secrets = [{ env = \"\" }]\n",
    "\"\"\"",
    "'''",
    "= [[",
    "1979-05-27T07:32:00Z",
    "inf",
];

pub(crate) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A file that is named is looked for and not found.
    match Config::from_toml(&text, Path::new("/nonexistent")) {
        Ok(config) => drop(format!("{config:?}")),
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal says why");
            let lines = text.lines().count() + 1;
            for problem in problems {
                assert!((1..=lines).contains(&problem.line), "{problem:?} of {lines}");
                assert!(!problem.message.is_empty());
                drop(problem.to_string());
            }
        }
    }
}
