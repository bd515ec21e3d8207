//! What holds for any input of the functions that read what strangers send: ids, keys, money, cursors, billing events. Most
//! of it the fuzz targets assert as well, over other inputs.

#[path = "../../fuzz/src/lib.rs"]
mod promises;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stape_api::api_keys::secret;
use stape_api::billing::Element;
use stape_api::clock::Timestamp;
use stape_api::id::AccountId;
use stape_api::money::Money;

/// Any JSON, not too deep, with the names and texts of billing events among others.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[\\PC]{0,12}",
        prop::sample::select(vec!["USD", "24.00", "-1", "1e9", "payment.succeeded", "2026-01-01T00:00:00Z", "client"])
            .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[\\PC]{0,6}",
        prop::sample::select(vec!["id", "type", "occurredAt", "data", "amount", "currency", "paymentId", "tax"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn payment() -> Value {
    json!({"id": "evt-1", "type": "payment.succeeded", "occurredAt": "2026-01-01T00:00:00Z", "data": {
        "paymentId": "pay-1", "containerId": "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "plan": "pro", "billingPeriod": "monthly",
        "amount": {"amount": "24.00", "currency": "USD"}, "tax": {"amount": "4.00", "currency": "USD"}, "payer": "client",
        "periodStart": "2026-01-01T00:00:00Z", "periodEnd": "2026-02-01T00:00:00Z", "reason": "first"}})
}

proptest! {
    #[test]
    fn an_id_is_read_only_in_the_spelling_that_is_written(text in "(acc|com|)_?[0-9A-Za-z]{0,28}", other in "\\PC{0,40}") {
        promises::id(&text);
        promises::id(&other);
    }

    #[test]
    fn ids_increase_whatever_the_clock_does(days in prop::collection::vec(-2_000_i64..2_000, 1..50)) {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let ids: Vec<AccountId> = days.iter().map(|days| AccountId::new(start.plus_days(*days))).collect();
        prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1] && pair[0].to_string() < pair[1].to_string()));
        prop_assert!(ids.iter().all(|id| id.to_string().parse().ok() == Some(*id)));
    }

    #[test]
    fn a_key_of_other_characters_is_never_well_formed(text in "\\PC{0,60}", tail in "[0-9A-Za-z]{0,40}") {
        prop_assert!(!secret::is_well_formed(&text));
        let is_key = secret::is_well_formed(&format!("stp_{tail}"));
        prop_assert!(!is_key || tail.len() == 38);
    }

    #[test]
    fn a_mistyped_key_is_noticed(_try in 0..20) {
        promises::key(&secret::Secret::generate().into_text());
    }

    #[test]
    fn money_is_read_as_it_is_written_and_shared_without_a_loss(
        amount in "-?[0-9]{1,16}(\\.[0-9]{0,4})?",
        currency in "USD|JPY|KWD|EUR",
        percent in "[0-9]{1,3}(\\.[0-9]{1,2})?",
        part in "[0-9]{1,6}(\\.[0-9]{0,3})?",
    ) {
        promises::money(&format!("{currency} {amount} {percent} {part}"));
    }

    #[test]
    fn any_text_is_money_or_none(amount in "\\PC{0,30}", currency in "\\PC{0,5}") {
        let sent = json!({"amount": amount, "currency": currency});
        if let Ok(money) = serde_json::from_value::<Money>(sent) {
            let written = serde_json::to_value(money).expect("JSON");
            prop_assert_eq!(written["currency"].as_str(), Some(currency.as_str()));
        }
    }

    #[test]
    fn a_cursor_leads_on_with_its_filters_alone(query in "[a-z=&%+ÄäC0-9]{0,40}", key in "\\PC{1,30}") {
        promises::cursor(&format!("{query}\n{key}"));
    }

    #[test]
    fn any_json_is_an_event_or_none_and_its_order_is_no_content(event in any_json()) {
        promises::element(&event);
        let id = Element::read(event.clone()).id;
        prop_assert_eq!(id.is_some(), event["id"].as_str().is_some_and(|id| (1..=255).contains(&id.chars().count()) && !id.contains('\0')));
    }

    #[test]
    fn any_json_in_a_batch_fails_by_itself(events in prop::collection::vec(any_json(), 0..4), cut in any::<prop::sample::Index>()) {
        let text = json!({"events": events}).to_string();
        promises::events(text.as_bytes());
        promises::events(text.get(..cut.index(text.len())).unwrap_or_default().as_bytes());
    }

    #[test]
    fn a_payment_with_anything_in_one_field_is_understood_or_told_where_it_is_wrong(
        field in prop::sample::select(vec![
            "paymentId", "containerId", "plan", "billingPeriod", "amount", "tax", "payer", "periodStart", "periodEnd", "reason",
        ]),
        value in any_json(),
    ) {
        let mut event = payment();
        let before = Element::read(event.clone());
        event["data"][field] = value;
        let after = Element::read(event.clone());
        prop_assert_eq!(before.fingerprint == after.fingerprint, event == payment());
        if let Err(problem) = after.content {
            let body = serde_json::to_value(&problem.violations).expect("JSON").to_string();
            prop_assert!(body.contains("/data"), "{}", body);
        }
    }
}
