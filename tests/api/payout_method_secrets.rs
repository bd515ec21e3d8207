//! Nobody reads back what a bank needs: payout methods are encrypted, each for its account and currency.

use std::time::Duration;

use serde_json::json;
use stape_api::config::EncryptionKey;
use stape_api::db::Conn;
use stape_api::id::AccountId;
use stape_api::money::Currency;
use stape_api::payout_methods::{self, MethodDetails};
use stape_api::server;
use stape_api::vault::Vault;

use crate::payout_methods::{PLAIN_IBAN, ach, put, sepa};
use crate::support::{Client, PASSWORD, TestApp, both_engines};

both_engines!(
    a_method_is_encrypted_for_its_account_and_currency,
    a_server_that_lacks_the_key_does_not_start,
    the_secret_part_is_nowhere,
);

/// Everything that the API and the mails show, and on SQLite the database's files too.
async fn the_secret_part_is_nowhere(app: &TestApp) {
    let agency = app.agency().await;
    put(&agency.login, "EUR", &sepa()).await.expect(200);
    put(&agency.login, "USD", &ach()).await.expect(200);
    app.mail_to(&agency.email, "payout method for USD has changed").await;
    let mut shown = Vec::new();
    for path in ["/v3/payout-methods", "/v3/audit-log", "/v3/events", "/v3/account"] {
        shown.push(agency.login.get(path).await.expect(200).to_string().into_bytes());
    }
    let log = agency.login.list("/v3/audit-log").await;
    assert_eq!((&log[0]["action"], &log[0]["resourceId"]), (&json!("payoutMethod.changed"), &json!("USD")));
    assert_eq!(log[0]["details"], json!({"before": null, "after": {"type": "ach", "label": "•••• 6789"}}));
    let mut folders = vec![app.database.directory.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                shown.push(std::fs::read(path).expect("a file"));
            }
        }
    }
    for secret in [PLAIN_IBAN, "0532 0130", "000123456789", "021000021", "Archer Analytics GmbH", PASSWORD] {
        let bytes = secret.as_bytes();
        assert!(shown.iter().all(|text| !text.windows(bytes.len()).any(|window| window == bytes)), "{secret}");
    }
}

async fn a_method_is_encrypted_for_its_account_and_currency(app: &TestApp) {
    let agency = app.agency().await;
    put(&agency.login, "EUR", &sepa()).await.expect(200);
    let (account_id, eur): (AccountId, Currency) = (agency.id.parse().expect("an id"), "EUR".parse().expect("EUR"));
    let find = move |conn: &mut Conn| payout_methods::find(conn, account_id, eur);
    let row = app.database.connect().read_blocking(find).expect("a read").expect("a method");
    let vault = Vault::of(&app.settings.secrets);
    let MethodDetails::Sepa(details) =
        payout_methods::reveal(&vault, account_id, eur, &row.details).expect("the method opens")
    else {
        panic!("another type");
    };
    assert_eq!((details.iban.as_str(), details.holder.0.as_str()), (PLAIN_IBAN, "Archer Analytics GmbH"));
    let other = app.agency().await.id.parse().expect("an id");
    assert!(payout_methods::reveal(&vault, other, eur, &row.details).is_err());
    assert!(payout_methods::reveal(&vault, account_id, Currency::USD, &row.details).is_err());
    let find = move |conn: &mut Conn| payout_methods::find(conn, account_id, Currency::USD);
    assert_eq!(app.database.connect().read_blocking(find).expect("a read"), None);
}

async fn a_server_that_lacks_the_key_does_not_start(app: &TestApp) {
    let agency = app.agency().await;
    put(&agency.login, "EUR", &sepa()).await.expect(200);
    let mut settings = app.settings.clone();
    let old = std::mem::replace(&mut settings.secrets.encryption_key, EncryptionKey::random());
    let error = server::start(settings.clone()).await.expect_err("it has not the key").to_string();
    assert!(error.starts_with("STAPE_ENCRYPTION_KEY: "), "{error}");
    settings.secrets.encryption_key_previous = Some(old.clone());
    let rotated = server::start(settings.clone()).await.expect("it has both keys");
    let at = Client::new(format!("http://{}", rotated.address())).with(agency.login.credential());
    assert_eq!(at.list("/v3/payout-methods").await.len(), 1);
    put(&at, "USD", &ach()).await.expect(200);
    rotated.stop().await.expect("it ends in time");
    // One row under each key: neither alone is enough.
    for key in [settings.secrets.encryption_key.clone(), old] {
        let mut alone = settings.clone();
        alone.secrets.encryption_key = key;
        alone.secrets.encryption_key_previous = None;
        let started = std::time::Instant::now();
        assert!(server::start(alone).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
