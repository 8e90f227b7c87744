use serde_json::json;

use super::*;
use crate::context::Sentiment;

const MINUTE: Duration = Duration::from_secs(60);

/// A call that is judged turn by turn.
struct Call {
    rules: Rules,
    memory: Memory,
    members: Map<String, Value>,
    earlier: Vec<Duration>,
    elapsed: Duration,
}

impl Call {
    fn new(rules: Vec<Rule>) -> Call {
        let requests = Requests {
            phrases: ["a human", "einen Menschen", "I don't want a bot", "", "!?", "人と話"]
                .map(str::to_owned)
                .into(),
            intents: vec!["Agent".to_owned()],
        };
        Call {
            rules: Rules::new(requests, rules).expect("rules"),
            memory: Memory::default(),
            members: Map::new(),
            earlier: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    fn of(trigger: Trigger) -> Call {
        Call::new(vec![rule("it", [trigger], None)])
    }

    fn judge(&mut self, occasion: Occasion<'_>, may: bool) -> Option<Fired> {
        let scene = Scene {
            elapsed: self.elapsed,
            caller: "sip:a@192.0.2.1",
            earlier: &self.earlier,
            members: &self.members,
        };
        self.rules.judge(&mut self.memory, &scene, occasion, may)
    }

    /// Why it is handed off, and that it was.
    fn why(&mut self, occasion: Occasion<'_>) -> Option<String> {
        let fired = self.judge(occasion, true)?;
        self.memory.handed_off(&fired);
        Some(format!("{}: {}", fired.rule, fired.because))
    }

    fn turn(&mut self, turn: Turn) -> Option<String> {
        self.why(Occasion::Turn(&turn))
    }

    fn says(&mut self, text: &str) -> Option<String> {
        self.turn(caller(text))
    }

    fn context(&mut self, members: Value) -> Option<String> {
        self.members = members.as_object().expect("an object").clone();
        self.why(Occasion::Context)
    }
}

fn rule(name: &str, triggers: impl Into<Vec<Trigger>>, condition: Option<&str>) -> Rule {
    let condition = condition.map(|source| Expression::new(source).expect("a condition"));
    Rule {
        name: name.to_owned(),
        triggers: triggers.into(),
        condition,
    }
}

fn caller(text: &str) -> Turn {
    Turn::new(Role::Caller, text)
}

fn ai(text: &str) -> Turn {
    Turn {
        role: Role::Ai,
        ..caller(text)
    }
}

fn sure(confidence: f64) -> Turn {
    Turn {
        confidence: Some(confidence),
        ..caller("")
    }
}

fn feels(label: &str, score: Option<f64>) -> Turn {
    let label = label.to_owned();
    Turn {
        sentiment: Some(Sentiment { label, score }),
        ..caller("")
    }
}

fn wants(intent: &str) -> Turn {
    Turn {
        intent: Some(intent.to_owned()),
        ..caller("")
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_caller_who_asks_for_a_human_is_heard_at_once_in_any_language_and_every_time() {
    for (text, phrase) in [
        ("Give me A HUMAN, now!", Some("a human")),
        ("ich möchte einen  menschen", Some("einen Menschen")),
        ("I don’t want a bot.", Some("I don't want a bot")),
        ("えっと人と話したい", Some("人と話")),
        ("a humane treatment", None),
        ("human, a", None),
        ("", None),
        ("!? …", None),
    ] {
        let mut call = Call::new(Vec::new());
        for turn in [1, 2] {
            let why = phrase.map(|phrase| format!("explicit-request: \"{phrase}\", turn {turn}"));
            assert_eq!(call.says(text), why, "{text}");
        }
        assert_eq!(call.turn(ai(text)), None, "the AI asks for nothing by speaking of it");
    }
    let mut call = Call::new(Vec::new());
    assert_eq!(
        call.turn(wants("agent")).as_deref(),
        Some("explicit-request: intent Agent, turn 1")
    );
    assert_eq!(call.turn(wants("agents")), None);
}

#[test]
fn a_request_comes_before_a_flag_and_a_flag_before_the_others() {
    let topic = rule(
        "topic",
        [Trigger::Topic {
            topics: names(&["fraud"]),
            phrases: names(&["stolen"]),
        }],
        None,
    );
    let flag = rule(
        "flag",
        [Trigger::Flag {
            flags: names(&["fraud"]),
            phrases: names(&["stolen card"]),
        }],
        None,
    );
    let mut call = Call::new(vec![topic, flag]);
    assert_eq!(
        call.says("my stolen card! a human!").as_deref(),
        Some("explicit-request: \"a human\", turn 1")
    );
    assert_eq!(
        call.says("my stolen card!").as_deref(),
        Some("flag: flag \"stolen card\", turn 2")
    );
    assert_eq!(
        call.says("it was stolen").as_deref(),
        Some("topic: topic \"stolen\", turn 3")
    );
    assert_eq!(call.says("it was stolen"), None, "once in a call");
    assert_eq!(
        call.says("a stolen card").as_deref(),
        Some("flag: flag \"stolen card\", turn 5"),
        "a flag again"
    );
    let told = Turn {
        flags: names(&["x", "FRAUD"]),
        ..ai("")
    };
    assert_eq!(call.turn(told).as_deref(), Some("flag: flag fraud, turn 6"));
    assert_eq!(call.context(json!({"flags": ["fraud"]})), None, "known");
    assert_eq!(
        Call::new(call.rules.iter().cloned().collect())
            .context(json!({"flags": ["fraud"]}))
            .as_deref(),
        Some("flag: flag fraud")
    );
}

#[test]
fn of_several_phrases_of_a_rule_the_one_that_was_said_first_is_told() {
    let phrases = names(&["one", "two", "three", "four"]);
    let flags = Vec::new();
    let mut call = Call::of(Trigger::Flag { flags, phrases });
    for (turn, said) in (1..).zip(["one two three four", "three four two one", "four one two", "two one"]) {
        let first = said.split(' ').next().unwrap_or_default();
        let why = format!("it: flag \"{first}\", turn {turn}");
        assert_eq!(call.says(said), Some(why));
    }
}

#[test]
fn confidence_must_be_low_in_every_one_of_the_last_turns_that_have_it() {
    let mut call = Call::of(Trigger::Confidence { below: 0.6, turns: 2 });
    assert_eq!(call.turn(sure(0.3)), None);
    assert_eq!(call.turn(sure(0.6)), None);
    assert_eq!(call.turn(sure(0.59)), None);
    assert_eq!(call.turn(caller("")), None);
    assert_eq!(
        call.turn(sure(0.1)).as_deref(),
        Some("it: confidence 0.59, 0.1 below 0.6, turn 5")
    );
}

#[test]
fn a_sentiment_counts_by_label_or_score_and_only_the_callers() {
    let trigger = Trigger::Sentiment {
        labels: names(&["angry"]),
        below: Some(-0.5),
        turns: 2,
    };
    let mut call = Call::of(trigger.clone());
    assert_eq!(call.turn(feels("ANGRY", None)), None);
    assert_eq!(
        call.turn(Turn {
            role: Role::Ai,
            ..feels("fine", Some(1.0))
        }),
        None
    );
    assert_eq!(call.turn(caller("")), None);
    assert_eq!(
        call.turn(feels("sad", Some(-0.6))).as_deref(),
        Some("it: sentiment sad (-0.6), 2 times, turn 4")
    );
    let mut call = Call::of(trigger);
    assert_eq!(call.turn(feels("angry", None)), None);
    assert_eq!(call.turn(feels("sad", Some(-0.5))), None);
    assert_eq!(call.turn(feels("angry", None)), None);
    // By the context as well, and the same told twice is told once.
    let angry = json!({"sentiment": {"label": "angry"}, "goal": 1});
    assert_eq!(
        call.context(angry.clone()).as_deref(),
        Some("it: sentiment angry, 2 times")
    );
    let mut call = Call::of(Trigger::Sentiment {
        labels: names(&["angry"]),
        below: None,
        turns: 2,
    });
    assert_eq!(call.context(angry.clone()), None);
    assert_eq!(call.context(angry), None);
    assert_eq!(call.context(json!({"sentiment": "angry"})), None);
    assert_eq!(
        call.context(json!({"sentiment": {"label": "angry", "score": -1}}))
            .as_deref(),
        Some("it: sentiment angry (-1), 2 times")
    );
}

#[test]
fn a_mood_that_falls_is_seen_against_the_best_of_the_last_ones() {
    let mut call = Call::of(Trigger::Falling { by: 0.8 });
    for score in [0.5, 0.0, -0.2] {
        assert_eq!(call.turn(feels("", Some(score))), None);
    }
    assert_eq!(call.turn(caller("")), None);
    assert_eq!(
        call.turn(feels("", Some(-0.5))).as_deref(),
        Some("it: sentiment fell from 0.5 to -0.5, turn 5")
    );
    let mut call = Call::of(Trigger::Falling { by: 0.8 });
    call.turn(feels("", Some(0.9)));
    for _ in 0..WINDOW - 1 {
        assert_eq!(call.turn(feels("", Some(0.2))), None);
    }
    assert_eq!(call.turn(feels("", Some(-0.5))), None, "the best is too long ago");
}

#[test]
fn an_intent_may_be_one_that_the_ai_is_to_end_soon_or_not_to_begin() {
    let mut call = Call::of(Trigger::Intent {
        intents: names(&["Refund"]),
        turns: 1,
    });
    assert_eq!(call.turn(wants("order")), None);
    assert_eq!(call.turn(wants("refund")).as_deref(), Some("it: intent Refund, turn 2"));
    let mut call = Call::of(Trigger::Intent {
        intents: names(&["refund"]),
        turns: 1,
    });
    assert_eq!(
        call.context(json!({"intent": "refund"})).as_deref(),
        Some("it: intent refund")
    );
    let mut call = Call::of(Trigger::Intent {
        intents: names(&["refund"]),
        turns: 3,
    });
    assert_eq!(call.turn(wants("refund")), None);
    assert_eq!(call.turn(ai("")), None);
    assert_eq!(call.says(""), None);
    assert_eq!(call.turn(wants("order")), None);
    assert_eq!(
        call.turn(Turn {
            role: Role::Ai,
            ..wants("refund")
        }),
        None
    );
    assert_eq!(call.says(""), None);
    assert_eq!(call.turn(wants("refund")), None);
    assert_eq!(
        call.says("").as_deref(),
        Some("it: intent refund for 3 turns of the caller, turn 8")
    );
}

#[test]
fn a_topic_comes_from_the_turn_the_context_or_what_the_caller_says() {
    let billing = || {
        Call::of(Trigger::Topic {
            topics: names(&["billing"]),
            phrases: names(&["wrong invoice"]),
        })
    };
    assert_eq!(
        billing().says("That is the wrong invoice.").as_deref(),
        Some("it: topic \"wrong invoice\", turn 1")
    );
    assert_eq!(billing().turn(ai("the wrong invoice?")), None);
    assert_eq!(
        billing()
            .turn(Turn {
                topic: Some("Billing".into()),
                ..ai("")
            })
            .as_deref(),
        Some("it: topic billing, turn 1")
    );
    assert_eq!(
        billing().context(json!({"topic": "billing"})).as_deref(),
        Some("it: topic billing")
    );
    let mut call = billing();
    call.members.insert("topic".into(), json!("billing"));
    assert_eq!(
        call.turn(Turn {
            topic: Some("delivery".into()),
            ..caller("")
        }),
        None,
        "it has changed"
    );
}

#[test]
fn who_says_the_same_again_goes_round_in_circles() {
    let mut call = Call::of(Trigger::Loop {
        who: Role::Ai,
        times: 3,
    });
    assert_eq!(call.says("my parcel has not arrived"), None);
    assert_eq!(call.turn(ai("Please tell me your order number.")), None);
    assert_eq!(call.says("My parcel has NOT arrived yet!"), None);
    assert_eq!(call.turn(ai("Please tell me your order number")), None);
    assert_eq!(call.says("yes"), None);
    assert_eq!(
        call.turn(ai("please tell me YOUR order number")).as_deref(),
        Some("it: the AI said the same 3 times, turn 6")
    );
    let mut call = Call::of(Trigger::Loop {
        who: Role::Ai,
        times: 2,
    });
    for _ in 0..3 {
        assert_eq!(call.says("the same again and again"), None);
    }
    assert_eq!(call.turn(ai("the same again and again")), None, "of each its own");
    let mut call = Call::of(Trigger::Loop {
        who: Role::Caller,
        times: 2,
    });
    for _ in 0..3 {
        assert_eq!(call.says("yes, please"), None);
    }
}

#[test]
fn a_caller_who_called_before_is_known_for_a_while() {
    let mut call = Call::of(Trigger::Repeat {
        calls: 2,
        within: 60 * MINUTE,
    });
    call.earlier = vec![5 * MINUTE, 61 * MINUTE];
    assert_eq!(call.says(""), None);
    call.earlier.push(60 * MINUTE);
    assert_eq!(
        call.says("").as_deref(),
        Some("it: called 2 times in the last 60 min, turn 2")
    );
}

#[test]
fn time_alone_hands_off_and_says_when_it_will() {
    let later = rule("later", [Trigger::Elapsed { after: 10 * MINUTE }], None);
    let gold = rule(
        "gold",
        [Trigger::Elapsed { after: MINUTE }],
        Some("customer.tier == 'gold'"),
    );
    let mut call = Call::new(vec![later, gold]);
    assert_eq!(call.rules.due(&call.memory, Duration::ZERO), Some(MINUTE));
    call.elapsed = MINUTE;
    assert_eq!(call.why(Occasion::Clock), None);
    assert_eq!(call.rules.due(&call.memory, call.elapsed), Some(10 * MINUTE));
    assert_eq!(
        call.context(json!({"customer": {"tier": "gold"}})).as_deref(),
        Some("gold: 60 s of the call are over and customer.tier == 'gold'")
    );
    call.elapsed = 10 * MINUTE;
    assert_eq!(
        call.why(Occasion::Clock).as_deref(),
        Some("later: 10 min of the call are over")
    );
    assert_eq!(call.why(Occasion::Clock), None);
    assert_eq!(call.rules.due(&call.memory, call.elapsed), None);
}

#[test]
fn a_condition_that_sees_the_time_is_looked_at_every_second() {
    let mut call = Call::new(vec![rule("slow", [], Some("call.seconds >= 90 && call.turns < 2"))]);
    call.elapsed = Duration::from_millis(89_500);
    assert_eq!(
        call.rules.due(&call.memory, call.elapsed),
        Some(Duration::from_secs(90))
    );
    assert_eq!(call.why(Occasion::Clock), None);
    call.elapsed = Duration::from_secs(90);
    assert_eq!(
        call.why(Occasion::Clock).as_deref(),
        Some("slow: call.seconds >= 90 && call.turns < 2")
    );
    assert_eq!(call.rules.due(&call.memory, call.elapsed), None);
}

#[test]
fn attempts_that_failed_are_counted_by_the_ai_or_by_us() {
    let call = || Call::of(Trigger::Failed { attempts: 2 });
    assert_eq!(
        call().context(json!({"actions_tried": [{"ok": false}, {"ok": true}, "x"]})),
        None
    );
    assert_eq!(
        call()
            .context(json!({"actions_tried": [{"ok": false}, {"ok": false}]}))
            .as_deref(),
        Some("it: 2 attempts failed")
    );
    assert_eq!(
        call().context(json!({"fields": {"failed_attempts": 3}})).as_deref(),
        Some("it: 3 attempts failed")
    );
}

#[test]
fn a_key_hands_off_each_time() {
    let mut call = Call::of(Trigger::Key { keys: vec!['0', '#'] });
    assert!(call.rules.wants_keys() && !Call::new(Vec::new()).rules.wants_keys());
    assert_eq!(call.why(Occasion::Key('1')), None);
    for _ in 0..2 {
        assert_eq!(call.why(Occasion::Key('0')).as_deref(), Some("it: key 0"));
    }
    assert_eq!(call.why(Occasion::Clock), None);
}

#[test]
fn a_condition_narrows_every_trigger_and_so_does_another_trigger() {
    let topic = Trigger::Topic {
        topics: Vec::new(),
        phrases: names(&["invoice"]),
    };
    let mut call = Call::new(vec![rule("it", [topic.clone()], Some("order.value > 500"))]);
    assert_eq!(call.says("my invoice"), None);
    call.members = json!({"fields": {"order": {"value": 501}}})
        .as_object()
        .expect("one")
        .clone();
    assert_eq!(call.says("hello"), None);
    assert_eq!(
        call.says("my invoice").as_deref(),
        Some("it: topic \"invoice\" and order.value > 500, turn 3")
    );
    let angry = Trigger::Sentiment {
        labels: names(&["angry"]),
        below: None,
        turns: 1,
    };
    let mut call = Call::new(vec![rule("it", [topic, angry], None)]);
    assert_eq!(call.says("my invoice"), None);
    assert_eq!(call.turn(feels("angry", None)), None);
    let both = Turn {
        text: "My invoice!".to_owned(),
        ..feels("angry", None)
    };
    let why = "it: topic \"invoice\" and sentiment angry, turn 3";
    assert_eq!(call.turn(both).as_deref(), Some(why));
}

#[test]
fn what_is_told_while_a_handoff_runs_is_remembered_and_one_that_did_not_begin_is_asked_for_again() {
    let mut call = Call::of(Trigger::Confidence { below: 0.6, turns: 2 });
    assert!(
        call.judge(Occasion::Turn(&caller("a human")), false).is_some(),
        "who asks is heard"
    );
    assert_eq!(call.judge(Occasion::Turn(&sure(0.1)), false), None);
    for turn in [3, 4] {
        let because = format!("confidence 0.1, 0.1 below 0.6, turn {turn}");
        assert_eq!(
            call.judge(Occasion::Turn(&sure(0.1)), true).map(|fired| fired.because),
            Some(because)
        );
    }
}

#[test]
fn names_are_used_once() {
    let twice = |name: &str| {
        let rules = ["a", name].map(|name| rule(name, [], Some("true")));
        Rules::new(Requests::default(), rules.into()).map(|_| ())
    };
    assert_eq!(twice("b"), Ok(()));
    assert_eq!(twice("a"), Err(NoRules::Twice("a".into())));
    assert_eq!(twice(EXPLICIT_REQUEST), Err(NoRules::Twice(EXPLICIT_REQUEST.into())));
    let many = (0..=RULES_MAX).map(|at| rule(&at.to_string(), [], Some("true")));
    assert_eq!(Rules::new(Requests::default(), many.collect()), Err(NoRules::TooMany));
}
