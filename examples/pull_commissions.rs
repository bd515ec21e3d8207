//! Pulls all commissions of a partner, page by page, and prints their sums by status and currency.
//!
//!     STAPE_URL=http://127.0.0.1:8080 STAPE_KEY=stp_… cargo run --example pull_commissions
//!
//! It waits when the server limits it or is busy, and shows what a problem says.

#![expect(clippy::print_stdout, reason = "the sums are what the example is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use rust_decimal::Decimal;
use serde::Deserialize;

const TRIES: u32 = 5;

/// One page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    data: Vec<Commission>,
    next_cursor: Option<String>,
}

/// What this program needs of a commission; other fields are ignored.
#[derive(Deserialize)]
struct Commission {
    status: String,
    net: Money,
}

/// A decimal text with exactly the currency's digits: never a float.
#[derive(Deserialize)]
struct Money {
    amount: String,
    currency: String,
}

/// What every refusal of the API looks like (RFC 9457).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    code: String,
    detail: String,
    request_id: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, key) = (setting("STAPE_URL")?, setting("STAPE_KEY")?);
    let client = Client::new();
    let (mut sums, mut count) = (BTreeMap::<(String, String), Decimal>::new(), 0);
    let mut cursor = None;
    loop {
        let page = page(&client, &url, &key, cursor.as_deref()).await?;
        count += page.data.len();
        for Commission { status, net } in page.data {
            *sums.entry((status, net.currency)).or_default() += net.amount.parse::<Decimal>()?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    println!("{count} commissions");
    for ((status, currency), total) in sums {
        println!("{status}: {total} {currency}");
    }
    Ok(())
}

fn setting(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("set {name}: the server prints its address, owners make keys"))
}

/// A page of commissions; waits while the server asks for it.
async fn page(client: &Client, url: &str, key: &str, cursor: Option<&str>) -> Result<Page, Box<dyn Error>> {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    for _ in 0..TRIES {
        let request = client.get(format!("{url}/v3/commissions?limit=100{cursor}")).header("X-AUTH-TOKEN", key);
        let answer = request.send().await?;
        match answer.status() {
            StatusCode::OK => return Ok(answer.json().await?),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(1))).await;
            }
            status => {
                let Problem { code, detail, request_id } = answer.json().await?;
                return Err(format!("{status}, {code}: {detail} (request {request_id})").into());
            }
        }
    }
    Err(format!("the server is still busy after {TRIES} tries").into())
}
