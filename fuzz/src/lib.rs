//! What holds for any input of the functions that read what strangers send: ids, keys, money, cursors, billing events. The
//! fuzz targets assert it over what libFuzzer finds, and the property tests over what they make up. Nothing here is shipped.

use actix_web::dev::Payload;
use actix_web::http::{Uri, header};
use actix_web::rt::Runtime;
use actix_web::test::TestRequest;
use actix_web::{FromRequest, Responder};
use rust_decimal::Decimal;
use serde_json::Value;
use stape_api::api_keys::secret;
use stape_api::billing::ingest::BillingEvents;
use stape_api::billing::{Element, EventData};
use stape_api::error::{Code, Error, Problem, Result};
use stape_api::http::{Batch, Page};
use stape_api::id::{AccountId, CommissionId};
use stape_api::money::{Currency, MAX_AMOUNT_MINOR, Money, Rate, pro_rata, round};

/// An id is read only in the spelling in which it is written, and as an id of its own kind.
pub fn id(text: &str) {
    let Ok(id) = text.parse::<AccountId>() else { return };
    assert_eq!(id.to_string(), text);
    assert_eq!(AccountId::from_digits(id.digits()), Some(id));
    assert_eq!(serde_json::from_value::<AccountId>(Value::from(text)).ok(), Some(id));
    assert!(text.parse::<CommissionId>().is_err());
}

/// A key has 38 letters and digits behind its prefix, and none of them can be another one.
pub fn key(text: &str) {
    if !secret::is_well_formed(text) {
        return;
    }
    let rest = text.strip_prefix(secret::PREFIX).expect("the prefix");
    assert!(rest.len() == 38 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
    for place in secret::PREFIX.len()..text.len() {
        let other = if text[place..].starts_with('x') { "y" } else { "x" };
        let mut mistyped = text.to_owned();
        mistyped.replace_range(place..=place, other);
        assert!(!secret::is_well_formed(&mistyped), "{mistyped}");
    }
}

/// `USD 24.00 32.5 8.00`: what is read is written as it was, a rate of it is rounded to the nearest, and a part of it takes
/// no more than the whole.
pub fn money(text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    let Some(Ok(currency)) = words.first().map(|code| code.parse::<Currency>()) else { return };
    assert_eq!(words.first(), Some(&currency.as_str()));
    let Some(base) = words.get(1).and_then(|amount| amount_of(amount, currency)) else { return };
    let Some(rate) = words.get(2).and_then(|percent| rate_of(percent)) else { return };
    let unrounded = rate.of(base);
    let share = round(unrounded, currency).expect("a share of an amount is an amount");
    let error = (share.decimal() - unrounded).abs() * Decimal::TWO;
    assert!(error <= Decimal::new(1, u32::from(currency.digits())), "{unrounded} became {share}");
    let part = words.get(3).and_then(|amount| amount_of(amount, currency));
    if let Some(part) = part.filter(|part| base.minor > 0 && (0..=base.minor).contains(&part.minor)) {
        let taken = pro_rata(share, part.minor, base.minor).expect("a total above zero");
        assert!((0..=share.minor).contains(&taken.minor), "{part} of {base} takes {taken} of {share}");
        assert_eq!(pro_rata(share, base.minor, base.minor).ok(), Some(share));
    }
}

fn amount_of(text: &str, currency: Currency) -> Option<Money> {
    let money = match Money::parse(text, currency) {
        Ok(money) => money,
        Err(reason) => {
            assert!(!reason.is_empty());
            return None;
        }
    };
    assert!(money.minor.abs() <= MAX_AMOUNT_MINOR);
    assert_eq!(significant(&money.decimal().to_string()), significant(text));
    let written = serde_json::to_value(money).expect("money is JSON");
    assert_eq!(serde_json::from_value::<Money>(written).ok(), Some(money));
    Some(money)
}

/// A decimal number without the zeros that say nothing.
fn significant(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.trim_start_matches('-').trim_start_matches('0');
    let number = format!("{digits}.{}", fraction.trim_end_matches('0'));
    if text.starts_with('-') && number != "." { format!("-{number}") } else { number }
}

fn rate_of(text: &str) -> Option<Rate> {
    let rate = text.parse::<Rate>().ok()?;
    assert!((0..=10_000).contains(&rate.bps()));
    assert_eq!(rate.to_string().parse(), Ok(rate));
    Some(rate)
}

/// A line with the query of a list, and one with the key of a row: the cursor behind that row leads on with these filters
/// and with no others. What is refused is refused as the request's fault.
pub fn cursor(text: &str) {
    let (query, key) = text.split_once('\n').unwrap_or((text, "1"));
    let Ok(uri) = format!("/v3/things?{query}").parse::<Uri>() else { return };
    let first = match page(&uri) {
        Ok(page) => page,
        Err(error) => return of_the_request(&error),
    };
    assert!((1..=100).contains(&first.limit));
    let rows = vec![0_u8; usize::try_from(first.fetch()).expect("a few rows")];
    let request = TestRequest::default().to_http_request();
    let answer = first.listing(rows, |_| key).respond_to(&request);
    let link = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok()).expect("a link");
    let next = link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("an address").0;
    let followed = page(&next.parse().expect("an address")).expect("the page that the link leads to");
    assert_eq!((followed.after.as_deref(), followed.limit), (Some(key), first.limit), "{next}");
    match page(&format!("{next}&stray=1").parse().expect("an address")) {
        Ok(_) => panic!("{next} leads on with another filter, too"),
        Err(error) => of_the_request(&error),
    }
}

fn page(uri: &Uri) -> Result<Page> {
    let request = TestRequest::with_uri(&uri.to_string()).to_http_request();
    Page::from_request(&request, &mut Payload::None).into_inner()
}

thread_local! {
    static RUNTIME: Runtime = Runtime::new().expect("a runtime");
}

/// A body either fails whole, because it is no batch, or each of its elements is understood or told where it is wrong.
pub fn events(bytes: &[u8]) {
    let (request, mut payload) = TestRequest::post()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .set_payload(bytes.to_vec())
        .to_http_parts();
    let read = Batch::<BillingEvents>::from_request(&request, &mut payload);
    match RUNTIME.with(|runtime| runtime.block_on(read)) {
        Ok(batch) => batch.input.events.into_iter().for_each(|fields| element(&Value::Object(fields))),
        Err(error) => {
            of_the_request(&error);
            assert!(!is_batch(bytes), "{error}");
        }
    }
}

fn is_batch(bytes: &[u8]) -> bool {
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else { return false };
    let events = body.get("events").and_then(Value::as_array).filter(|_| body.len() == 1);
    events.is_some_and(|events| events.iter().all(Value::is_object))
}

/// An element has the identity of its content, in whatever order its fields come, and keeps every rule or is told which it
/// breaks.
pub fn element(value: &Value) {
    let read = Element::read(value.clone());
    assert_eq!(read.fingerprint, Element::read(reversed(value)).fingerprint);
    let (_, data) = match read.content {
        Ok(content) => content,
        Err(problem) => return told(&problem),
    };
    assert!(read.id.is_some(), "{value}");
    match data {
        EventData::Payment(payment) => {
            assert!((0..=payment.amount.minor).contains(&payment.tax.minor), "{value}");
            assert_eq!(payment.amount.currency, payment.tax.currency);
            assert!(payment.period_start < payment.period_end, "{value}");
        }
        EventData::Refund(refund) => assert!(refund.amount.minor > 0, "{value}"),
        EventData::Subscription(subscription) => {
            assert!(subscription.price.minor >= 0, "{value}");
            assert!(subscription.current_period_start < subscription.current_period_end, "{value}");
        }
    }
}

/// The same JSON with the fields of every object in the opposite order.
#[must_use]
pub fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect(),
        Value::Array(items) => items.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

fn of_the_request(error: &Error) {
    match error {
        Error::Problem(problem) => assert!((400..500).contains(&problem.code.status()), "{error}"),
        other => panic!("{other}"),
    }
}

fn told(problem: &Problem) {
    assert_eq!(problem.code, Code::ValidationFailed, "{problem:?}");
    assert!(!problem.violations.is_empty(), "{problem:?}");
    for violation in &problem.violations {
        let pointer = violation.pointer.as_deref().unwrap_or("no pointer");
        assert!(pointer.is_empty() || pointer.starts_with('/'), "{violation:?}");
    }
}
