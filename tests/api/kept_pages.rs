//! Pages of commissions that a server keeps for a second: never older than what has happened, on whichever server.

use serde_json::{Value, json};

use crate::payouts::partner_with;
use crate::support::{Account, TestApp, both_engines, id, payment, refund, usd};

both_engines!(
    a_kept_page_is_shown_to_nobody_else,
    a_kept_page_is_that_of_its_filters_limit_and_cursor,
    a_kept_page_shows_what_has_happened_since_on_any_server,
);

const LIST: &str = "/v3/commissions?limit=50";

/// How often one asks until the page is certainly kept: when it is asked for the second time.
const UNTIL_KEPT: usize = 3;

/// The list on each server, kept there, which must be the same everywhere and what each of its rows is by itself.
async fn kept(servers: [&TestApp; 2], partner: &Account) -> Vec<Value> {
    let mut pages = Vec::new();
    for server in servers {
        let login = server.caller(partner.login.credential());
        for _ in 0..UNTIL_KEPT {
            pages.push(login.get(LIST).await.expect(200)["data"].as_array().expect("rows").clone());
        }
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    let mut rows = Vec::new();
    for row in &pages[0] {
        rows.push(partner.login.get(&format!("/v3/commissions/{}", id(row))).await.expect(200));
    }
    assert_eq!(pages[0], rows);
    rows
}

async fn a_kept_page_shows_what_has_happened_since_on_any_server(app: &TestApp) {
    let other = app.beside().await;
    let partner = partner_with(app, "150.00").await;
    let (_, container) = app.client_with_container(&partner).await;
    let mut seen = vec![kept([app, &other], &partner).await];
    let mut changed = async |what: &str| {
        let page = kept([app, &other], &partner).await;
        assert!(!seen.contains(&page), "{what}: {page:#?}");
        seen.push(page);
    };
    let paid = payment(&container);
    app.apply(std::slice::from_ref(&paid)).await;
    changed("a payment").await;
    app.apply(&[refund(&paid, &usd("6.00"))]).await;
    changed("a refund of a part").await;
    app.apply(&[payment(&container).with("payer", "manager")]).await;
    changed("a payment that earns nothing").await;
    app.move_clock("2026-01-15T00:00:00Z").await;
    changed("the end of a review").await;
    let ready = kept([app, &other], &partner).await;
    let canceled = app.payout(&partner).await;
    changed("a payout").await;
    partner.login.post_once(&format!("/v3/payouts/{}/cancel", id(&canceled)), &json!({})).await.expect(200);
    assert_eq!(kept([app, &other], &partner).await, ready);
    let payout = app.payout(&partner).await;
    changed("another payout").await;
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    changed("the payout's end").await;
    app.apply(&[refund(&paid, &usd("12.00"))]).await;
    changed("a refund of what is paid out").await;
    app.bonus(&partner, "10.00").await;
    changed("a bonus").await;
    other.stop().await;
}

async fn a_kept_page_is_shown_to_nobody_else(app: &TestApp) {
    let partners = [partner_with(app, "150.00").await, partner_with(app, "160.00").await, app.partner().await];
    for _ in 0..UNTIL_KEPT {
        for (partner, amount) in partners.iter().zip([Some("150.00"), Some("160.00"), None]) {
            let rows = partner.login.list("/v3/commissions?kind=adjustment").await;
            let amounts: Vec<&Value> = rows.iter().map(|row| &row["amount"]["amount"]).collect();
            assert_eq!(amounts, amount.iter().collect::<Vec<_>>());
            let key = app.api_key(partner, &["payouts:read"]).await;
            key.get("/v3/commissions?kind=adjustment").await.problem("insufficientScope");
        }
    }
}

async fn a_kept_page_is_that_of_its_filters_limit_and_cursor(app: &TestApp) {
    let partner = partner_with(app, "1.00").await;
    for amount in ["2.00", "3.00", "4.00"] {
        app.bonus(&partner, amount).await;
    }
    let two = "/v3/commissions?kind=adjustment&limit=2";
    let cursor = partner.login.get(two).await.expect(200)["nextCursor"].as_str().expect("a cursor").to_owned();
    let pages = [
        (two.to_owned(), vec!["4.00", "3.00"]),
        ("/v3/commissions?limit=2&kind=adjustment".to_owned(), vec!["4.00", "3.00"]),
        ("/v3/commissions?kind=adjustment&limit=3".to_owned(), vec!["4.00", "3.00", "2.00"]),
        (format!("{two}&cursor={cursor}"), vec!["2.00", "1.00"]),
        ("/v3/commissions?kind=commission&limit=2".to_owned(), vec![]),
    ];
    for _ in 0..UNTIL_KEPT {
        for (path, amounts) in &pages {
            let answer = partner.login.get(path).await;
            let link = answer.header("link").to_owned();
            let page = answer.expect(200);
            let shown: Vec<&Value> =
                page["data"].as_array().expect("rows").iter().map(|row| &row["amount"]["amount"]).collect();
            assert_eq!(shown, amounts.iter().collect::<Vec<_>>(), "{path}");
            assert_eq!(page["hasMore"], amounts.len() > 1 && amounts[amounts.len() - 1] != "1.00", "{path}");
            assert_eq!(link.is_empty(), page["nextCursor"].is_null(), "{path}: {link}");
        }
    }
}
