//! Keys of the playbook's rules and of the lines of its matrix.

use super::{Key, key};

/// When a line of the matrix counts, and what it changes.
pub(super) const DECISION: &[Key] = &[
    key("name", r#""angry-billing""#, "Its name in the record. Required.").example(),
    key("intents", r#"["billing"]"#, "What the caller wants is one of these.").example(),
    key("sentiments", r#"["angry"]"#, "How the caller feels is one of these.").example(),
    key(
        "rules",
        r#"["explicit-request", "asked-for"]"#,
        "One of these rules hands off; \"explicit-request\": the caller asks for a human; \"asked-for\": the AI, a desk or a REFER does.",
    )
    .example(),
    key("if", r#""customer.tier == 'gold'""#, "And this condition, as in a rule; it sees no turn.").example(),
    key("mode", r#""warm""#, "").example(),
    key("accept", r#""key""#, "").example(),
    key("targets", r#"["support"]"#, "").example(),
    key("priority", "5", "").example(),
    key("required", r#"["summary"]"#, "").example(),
    key("required_wait_s", "3", "").example(),
    key("context", r#""acknowledged""#, "").example(),
    key("acknowledge_s", "5", "").example(),
    key("ai_stays_s", "20", "").example(),
    key(
        "announcement",
        r#""announcement.wav""#,
        "In place of that of [prompts]: why, and to whom the caller is being connected.",
    )
    .example(),
    key("hold", r#""hold.wav""#, "").example(),
    key("disclosure", r#""announcement.wav""#, "").example(),
];

/// What a rule waits for.
pub(super) const RULE: &[Key] = &[
    key("name", r#""billing-dispute""#, "Its name in the record. Required.").example(),
    key(
        "topics",
        r#"["billing"]"#,
        "The turn's topic, or the context's, is one of these.",
    ).example(),
    key(
        "phrases",
        r#"["wrong invoice", "charged twice"]"#,
        "… or the caller says one of these: whole words, case does not matter.",
    ).example(),
    key(
        "flags",
        "[]",
        "In place of topics: the turn's or the context's flags have one of these, or the caller says one of the phrases. \
         Comes before all rules without flags, and again with each turn that has one: for what the law wants a human for.",
    ),
    key(
        "intents",
        r#"["refund"]"#,
        "The caller wants one of these: what the AI is not to do alone.",
    ).example(),
    key("intent_turns", "1", "… for so many turns of the caller, 1-1000."),
    key(
        "confidence_below",
        "0.6",
        "The last turns that have a confidence have all less than this, 0-1.",
    ).example(),
    key("confidence_turns", "2", "… so many of them, 1-16."),
    key(
        "sentiments",
        r#"["negative", "angry"]"#,
        "The caller's last turns that have a sentiment have one of these labels",
    ).example(),
    key("score_below", "-0.5", "… or a score below this, -1 to 1.").example(),
    key("sentiment_turns", "1", "… so many of them, 1-16."),
    key(
        "score_falls",
        "0.8",
        "The caller's score is lower by this than at its best of the last 16.",
    ).example(),
    key(
        "caller_repeats",
        "3",
        "The caller says the same so often, 2-16, of its last 16 turns (four fifths of the words; three words at least).",
    ).example(),
    key("ai_repeats", "3", "… the AI does.").example(),
    key(
        "calls",
        "2",
        "The caller called so often before, 1-16, as far as the store has its calls; who hides its number never did.",
    ).example(),
    key("within_h", "24", "… within so many hours before this call, 1-720."),
    key("after_s", "300", "The call has lasted so long, seconds.").example(),
    key(
        "failed_attempts",
        "3",
        "So many attempts failed: entries of actions_tried with \"ok\": false, or fields.failed_attempts.",
    ).example(),
    key(
        "keys",
        r##"["0"]"##,
        "The caller presses one of these, again and again; the AI hears them all the same.",
    )
    .example(),
    key(
        "if",
        r#""customer.tier == \"gold\" && order.value > 500""#,
        "And this holds: a condition in CEL (cel.dev) over members of the context or of its fields, turn.… and call.…; \
         see controlplane/README.md, \"Conditions\".",
    ).example(),
];
