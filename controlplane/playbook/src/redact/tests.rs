use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::context::Role;

fn kept(text: &str) -> String {
    Redact::default().text(text).into_owned()
}

#[test]
fn a_card_s_number_is_kept_by_its_last_four_however_it_is_written() {
    for (said, left) in [
        ("4111111111111111", "************1111"),
        (
            "my card is 4111 1111 1111 1111, yes",
            "my card is **** **** **** 1111, yes",
        ),
        ("4111-1111-1111-1111", "****-****-****-1111"),
        ("4111. 1111. 1111. 1111.", "****. ****. ****. 1111."),
        ("4111, 1111, 1111, 1111", "****, ****, ****, 1111"),
        ("3782 822463 10005", "**** ****** *0005"),
        ("4 2 2 2 2 2 2 2 2 2 2 2 2", "* * * * * * * * * 2 2 2 2"),
        ("card6304000000000000000x", "card***************0000x"),
        ("４１１１ １１１１ １１１１ １１１１", "**** **** **** １１１１"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "**** **** **** ١١١١"),
        // Two, and one with what stands on its back.
        ("4111111111111111 5555555555554444", "************1111 ************4444"),
        ("4111 1111 1111 1111 123", "**** **** **** 1111 123"),
        ("17 4111111111111111", "17 ************1111"),
        // Its last four and what follows would pass as well.
        ("4111111111111111 222333449", "**************** 222333449"),
        ("+4111111111111111", "+************1111"),
    ] {
        assert_eq!(kept(said), left, "{said}");
        assert_eq!(kept(left), left, "twice is once");
    }
}

#[test]
fn what_is_no_card_s_number_stays() {
    for said in [
        "",
        "no digits",
        "4111 1111 1111 1112",
        "123456789012",
        // Digits that other things stand between, or too much.
        "4111/1111/1111/1111",
        "4111 and 1111 and 1111 and 1111",
        "4111    1111    1111    1111",
        // One piece of more than 19 digits is none.
        "41111111111111110000",
        // A telephone number that would pass the check.
        "+4915112345678",
        "+49 1511 2345678",
    ] {
        assert!(matches!(Redact::default().text(said), Cow::Borrowed(_)), "{said}");
    }
    assert_eq!(kept("4915112345678"), "*********5678");
    let none = Redact::cards(false);
    assert_eq!(none.text("4111111111111111"), "4111111111111111");
}

#[test]
fn where_numbers_hang_together_by_chance_no_digit_of_a_card_is_shown_but_its_last_four() {
    // 13 digits from the first on pass, and so do the 16 from the fifth on.
    let spelled: Vec<String> = "00004111111111111111".chars().map(String::from).collect();
    let said = spelled.join(" ");
    let shown = kept(&said);
    assert!(shown.ends_with("* * 1 1 1 1"), "{shown}");
    assert_eq!(shown.matches('1').count(), 4, "{shown}");
}

#[test]
fn a_pattern_s_name_stands_for_what_it_finds() {
    let mut redact = Redact::default();
    redact
        .pattern("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
        .expect("a pattern");
    redact.pattern("code", r"(?i)code \w+").expect("a pattern");
    for (said, left) in [
        ("it is DE89 3704 0044 0532 0130 00, yes", "it is [iban], yes"),
        ("Code abc and code d", "[code] and [code]"),
        // What overlaps is one place: nothing of either is left.
        ("code DE89370400440532013000", "[code]"),
        ("it is code DE89 3704 0044 0532 0130 00.", "it is [code]."),
        ("[iban] 4111111111111111", "[iban] ************1111"),
        ("nothing", "nothing"),
    ] {
        assert_eq!(redact.text(said), left, "{said}");
    }
    let mut wrong = Redact::default();
    let long = "a".repeat(PATTERN_MAX + 1);
    for (name, pattern, why) in [
        ("a", "(", "unclosed group"),
        ("a", "x*", "it is found where nothing is"),
        ("a", "(?:a{1000}){1000}", "the pattern is too large"),
        ("a", &*long, "a pattern has at most 1000 bytes"),
        ("a b", "x", "a name has 1 to 32 letters, digits, dashes and underscores"),
    ] {
        assert_eq!(wrong.pattern(name, pattern), Err(NoRedact(why.to_owned())));
    }
}

#[test]
fn members_are_kept_by_their_class_wherever_a_path_leads() {
    let mut redact = Redact::default();
    for path in [
        "authentication.pin",
        "fields.*.ssn",
        "actions_tried.token",
        "fields.hidden",
    ] {
        redact.secret(path).expect("a path");
    }
    for path in ["fields.account", "fields.hidden_in"] {
        redact.masked(path).expect("a path");
    }
    redact.secret("fields.hidden_in.deep").expect("a path");
    let mut patch = json!({
        "authentication": { "PIN": 4711, "level": 2, "pin_tries": 1 },
        "fields": {
            "customer": { "ssn": "078-05-1120", "name": "Ada" },
            "account": "DE-1234-5678",
            "hidden": { "a": [1, true, null, ""], "b": "x" },
            "hidden_in": { "deep": "abcdefghijkl", "other": "abcdefghijkl", "short": 1234567 },
            "ssn": "not at the path",
        },
        "actions_tried": [{ "token": "abc", "ok": false }, "words"],
        "summary": "card 4111 1111 1111 1111",
    });
    redact.members(&mut patch);
    assert_eq!(
        patch,
        json!({
            "authentication": { "PIN": "[secret]", "level": 2, "pin_tries": 1 },
            "fields": {
                "customer": { "ssn": "[secret]", "name": "Ada" },
                "account": "**-****-5678",
                "hidden": { "a": ["[secret]", "[secret]", null, ""], "b": "[secret]" },
                "hidden_in": { "deep": "[secret]", "other": "********ijkl", "short": "*******" },
                "ssn": "not at the path",
            },
            "actions_tried": [{ "token": "[secret]", "ok": false }, "words"],
            "summary": "card **** **** **** 1111",
        })
    );
    for wrong in ["", "a..b", ".a", "a."] {
        assert!(Redact::default().secret(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn cards_are_found_in_numbers_and_names_and_in_every_text_of_a_turn() {
    let mut value = json!({ "4111111111111111": [4_111_111_111_111_111_u64, 4.5], "n": 12345 });
    Redact::default().words(&mut value);
    assert_eq!(
        value,
        json!({ "************1111": ["************1111", 4.5], "n": 12345 })
    );
    let card = || "4111111111111111".to_owned();
    let mut turn = Turn {
        intent: Some(card()),
        topic: Some(card()),
        flags: vec![card()],
        sentiment: Some(crate::context::Sentiment {
            label: card(),
            score: None,
        }),
        ..Turn::new(Role::Caller, card())
    };
    Redact::default().turn(&mut turn);
    let text = serde_json::to_string(&turn).expect("JSON");
    assert_eq!((text.matches("4111").count(), text.matches("****1111").count()), (0, 5));
    // What a pattern makes longer stays within the bounds.
    let mut long = Redact::default();
    long.pattern("a-long-name", "a").expect("a pattern");
    let mut turn = Turn::new(Role::Caller, "a".repeat(TEXT_MAX));
    long.turn(&mut turn);
    assert_eq!(turn.text.len(), TEXT_MAX);
}

/// A reading of the rule that shares nothing with the code: each stretch of whole groups of digits, tried one by one.
fn has_card(text: &str) -> bool {
    let signs: Vec<char> = text.chars().collect();
    (0..signs.len()).any(|from| {
        let begins = signs[from].is_ascii_digit() && (from == 0 || !signs[from - 1].is_ascii_digit());
        begins && (from + 13..=signs.len()).any(|to| is_card(&signs, from, to))
    })
}

fn is_card(signs: &[char], from: usize, to: usize) -> bool {
    let ends = signs[to - 1].is_ascii_digit() && signs.get(to).is_none_or(|c| !c.is_ascii_digit());
    let text: String = signs[from..to].iter().collect();
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let gaps = text.split(|c: char| c.is_ascii_digit());
    let gaps = gaps
        .into_iter()
        .all(|gap| gap.len() <= 3 && gap.chars().all(|c| " -.,".contains(c)));
    let doubled = |(at, digit): (usize, &u32)| match (digits.len() - at) % 2 {
        0 => (2 * digit) / 10 + (2 * digit) % 10,
        _ => *digit,
    };
    let sum: u32 = digits.iter().enumerate().map(doubled).sum();
    ends && gaps && (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// A number that passes the check, in groups.
fn card() -> impl Strategy<Value = String> {
    let digits = proptest::collection::vec(0_u8..10, 12..19);
    (
        digits,
        proptest::collection::vec(
            prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("-"), 1 => Just(". ")],
            19,
        ),
    )
        .prop_map(|(mut digits, gaps)| {
            let made = |digits: &[u8]| -> Vec<Digit> {
                let digit = |value: &u8| Digit {
                    at: 0,
                    value: *value,
                    joined: true,
                };
                digits.iter().map(digit).collect()
            };
            let last = (0..10).find(|last| {
                let number = made(&[&digits[..], &[*last]].concat());
                Sums::new(&number).pass(0, number.len())
            });
            digits.push(last.expect("one of ten passes"));
            let parts = digits.iter().zip(gaps).map(|(digit, gap)| format!("{gap}{digit}"));
            parts.collect::<String>().trim_start_matches(['.', ' ', '-']).to_owned()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_number_that_passes_the_check_is_left_and_its_first_digits_are_gone(
        before in "[a-z0-9 .,-]{0,24}", card in card(), after in "[a-z0-9 .,-]{0,24}",
    ) {
        let left = kept(&format!("{before} {card} {after}"));
        prop_assert!(!has_card(&left), "{left}");
        prop_assert_eq!(kept(&left), left.clone());
        let digits: String = card.chars().filter(char::is_ascii_digit).collect();
        // In its own place, not in what stands around it.
        let place: String = left.chars().skip(before.chars().count() + 1).take(card.chars().count()).collect();
        let shown = place.chars().filter(char::is_ascii_digit).count();
        prop_assert!(shown <= 4 && digits.len() >= 13, "{left}");
    }

    #[test]
    fn a_text_without_one_is_untouched(text in "[a-z0-9 .,-]{0,60}") {
        let same = matches!(Redact::default().text(&text), Cow::Borrowed(_));
        prop_assert_eq!(same, !has_card(&text), "{}", text);
    }
}
