//! When, to whom, with what.

use super::{HOLIDAYS, OPEN};
use crate::config::keys::playbook::{DECISION, RULE};
use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "playbook",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "mode",
                r#""warm""#,
                "Where a request says \"auto\": \"warm\" (the human is briefed first) or \"cold\" (joined at the \
                 answer).",
            ),
            key(
                "accept",
                r#""answer""#,
                r#"How a human takes a warm call: "answer", "key" (1 takes, 2 declines) or "api"."#,
            ),
            key(
                "cold_hears",
                r#""hold""#,
                "What the caller hears on a cold handoff until the human is heard: \"hold\" (the announcement, then \
                 hold audio) or \"ai\" (the two talk on; hold audio as soon as the AI hangs up).",
            ),
            key(
                "ai_gone",
                r#""end""#,
                "What becomes of a caller whose AI is gone (none answers, or the one that did does not say any more that \
                 it is there): \"end\" (refused with 480 or 503, or BYE) or \"human\" (handed off at once, as by a rule \
                 \"ai-gone\", which decisions may name). An AI that hangs up has ended the call.",
            ),
            key(
                "targets",
                r#"["support"]"#,
                "Targets in the order in which they are tried. Default: all, in the order of this file.",
            ),
            key(
                "request_phrases",
                "[\"speak to a human\", \"talk to a human\", \"speak to a person\", \"talk to a person\", \"real \
                 person\", \"human agent\"]",
                "Phrases by which a caller asks for a human: whole words, in any language, case does not matter. Who \
                 asks is handed off at once, whatever else holds.",
            ),
            key(
                "request_intents",
                "[]",
                "Intents of the caller's turns that ask for a human, as \"human\".",
            ),
            key("priority", "0", "Of callers who wait, the higher comes first: 0 to 9."),
            key(
                "required",
                r#"["summary", "intent"]"#,
                "Elements without which a context is not complete: members or paths with dots, as fields.account, and caller, \
                 caller_id, brief, transcript. disclosure is there only where the caller was told.",
            ),
            key(
                "caller_id_field",
                r#""fields.customer.phone""#,
                "Where the context has the number that the AI has on file: caller_id.matches says whether it is the caller's. No \
                 default: nobody looks.",
            )
            .example(),
            key(
                "required_wait_s",
                "0",
                "How long a human who took the call waits for those that are missing, seconds, at most 60; caller and human hear hold \
                 audio until then. 0: not at all. Either way the record says which were missing.",
            ),
            key(
                "context",
                r#""sent""#,
                "\"acknowledged\": a human who took the call waits until a webhook has answered 2xx to the event with the context, or \
                 somebody has said so by POST /v1/handoffs/{id}/acknowledge; \"sent\": nobody waits for that.",
            ),
            key("acknowledge_s", "5", "… and so long at the most, seconds, 1 to 60. The record says which it was."),
            key(
                "ai_stays_s",
                "0",
                "How long the AI stays with caller and human after the join of a warm handoff, seconds, at most 600: all three hear \
                 each other until it hangs up. 0: it leaves at once.",
            ),
            key("ai_answer_s", "10", "An AI agent must answer within, seconds."),
            key(
                "caller_answer_s",
                "45",
                "A caller who is called back must answer within, seconds, 5 to 120.",
            ),
            key("accept_s", "30", "A human who answered must accept within, seconds."),
            key(
                "first_packet_s",
                "5",
                "The first audio packet of a human who accepted must come within, seconds; until then the caller \
                 hears hold audio.",
            ),
            key(
                "reach_s",
                "120",
                "A human must be reached within, over all targets, seconds.",
            ),
            key(
                "refer_s",
                "30",
                "A trunk that takes REFER must say what became of it within, seconds from each sign of life.",
            ),
            key(
                "evidence_s",
                "15",
                "The evidence of a join must come within, seconds. It is measured for 10 s at the most.",
            ),
            key("goodbye_s", "30", "A goodbye must be over within, seconds."),
        ],
    },
    Section {
        name: "playbook.redact",
        kind: Kind::Table,
        about: "What is cut out of all that is told, before it is stored or leaves: turns, contexts, reasons, notes.",
        keys: &[
            key(
                "cards",
                "true",
                "Numbers of 13 to 19 digits that pass the check of payment cards (Luhn), also with blanks, dashes, dots or commas \
                 in between: the last four digits are kept. A number that begins with + and has at most 15 digits is a telephone's.",
            ),
            key(
                "secret",
                "[]",
                "Members of the context that are never kept, only that they were told: paths with dots, * is any member, a list is \
                 its elements, as authentication.pin or fields.*.ssn.",
            ),
            key(
                "masked",
                "[]",
                "Members of the context of which the last four letters and digits are kept.",
            ),
        ],
    },
    Section {
        name: "playbook.redact.patterns",
        kind: Kind::List,
        about: "Further patterns, at most 32: [name] stands for what each finds.",
        keys: &[
            key("name", r#""iban""#, "").example(),
            key(
                "pattern",
                r#"'\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b'"#,
                "In the syntax of Rust's crate regex, which takes no longer than the text is long.",
            )
            .example(),
        ],
    },
    Section {
        name: "playbook.rules",
        kind: Kind::List,
        about: "When to hand off without being asked: a rule does so once in a call when all that it names is there at once. \
                It is asked at every turn, at every change of the context and when its time has come; those with flags \
                first, then in this order. The record says by which rule, and why.",
        keys: RULE,
    },
    Section {
        name: "playbook.decisions",
        kind: Kind::List,
        about: "How a handoff goes, by what the caller wants, how it feels and why it is handed off: the first line of which all that \
                it names holds. What it does not change is as in [playbook]; a mode or target that a request names goes before \
                it. The record says by which line.",
        keys: DECISION,
    },
    Section {
        name: "hours",
        kind: Kind::Table,
        about: "When humans may be called, by the clock on the wall of the time zone. Zones come with the program (IANA), whatever the host \
                has.",
        keys: &[
            key("time_zone", r#""UTC""#, "An IANA name, as \"Europe/Berlin\"."),
            key("open", r#"["Mon-Sun 00:00-24:00"]"#, OPEN),
            key("holidays", "[]", HOLIDAYS),
        ],
    },
    Section {
        name: "hours.calendars",
        kind: Kind::List,
        about: "Hours of those that have others than the house: a target names them (hours).",
        keys: &[
            key("name", r#""hotline""#, "").example(),
            key(
                "time_zone",
                r#""America/New_York""#,
                "Default: that of the house, as of the two below.",
            )
            .example(),
            key("open", r#"["Mon-Fri 08:00-20:00", "Sat 22:00-02:00"]"#, "").example(),
            key("holidays", r#"["2026-12-25", "2026-12-24 09:00-12:00"]"#, "").example(),
        ],
    },
];
