use super::*;

#[test]
fn targets_come_in_order_and_a_wish_stands_alone() {
    let playbook = Playbook {
        mode: Mode::Warm,
        accept: Accept::Answer,
        cold_hears: ColdHears::Hold,
        targets: vec!["sales".into(), "support".into()],
        rules: Rules::default(),
        required: vec![],
        redact: Redact::default(),
        caller_id_field: None,
    };
    assert_eq!(playbook.order(None), ["sales", "support"]);
    assert_eq!(playbook.order(Some("support")), ["support"]);
    assert_eq!(playbook.resolve(None), Mode::Warm);
    assert_eq!(playbook.resolve(Some(Mode::Cold)), Mode::Cold);
}
