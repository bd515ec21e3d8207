//! Fills a new database for the bench, through the product's own services: what `stape-api verify` passes.
//!
//! Partners join the program by the rules, each with a client whose containers are paid month by month; the last partner is
//! the largest, with more commissions and containers than all others. Prints the keys to call the API with, as JSON.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the bench reads the keys; whoever waits sees how far it is"
)]

use std::sync::Arc;

use clap::Parser;
use diesel::RunQueryDsl;
use serde_json::{Value, json};
use stape_api::accounts::{self, AccountKind, service::NewAccount};
use stape_api::api_keys::{self, models::CreateApiKey, operator_keys};
use stape_api::auth::Scopes;
use stape_api::batch::{Outcome, Verdict};
use stape_api::billing::Element;
use stape_api::billing::ingest::{Batch, apply_batches};
use stape_api::clock::{Clock, Timestamp};
use stape_api::commissions::maturity;
use stape_api::containers::{self, ContainerRow, CreateContainer, OwnershipRow, Product, slots};
use stape_api::context::Context;
use stape_api::db::schema::{container_owners, containers as containers_table, mails};
use stape_api::db::{Conn, Db, Options, with_conn};
use stape_api::error::{Error, Result};
use stape_api::id::{AccountId, ContainerId, OwnershipId};
use stape_api::partners::applications;
use stape_api::partners::portfolio::Portfolio;
use stape_api::sub_accounts::{Access, Billing, Origin, links};
use stape_api::{program, server, stored};

/// Containers that each partner's client pays for: what the threshold wants.
const CONTAINERS: usize = 6;

/// Months over which the payments are spread, and where the first of them lies.
const MONTHS: i64 = 12;
const FIRST_DAY: i64 = -370;

/// Payments of one batch, and rows of one insert.
const BATCH: usize = 1_000;
const ROWS: usize = 500;

/// Partners that get an API key.
const KEYS: usize = 64;

#[derive(Parser)]
struct Size {
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Partners in the program
    #[arg(long, default_value_t = 10_000)]
    partners: usize,
    /// Commissions of all partners but the largest
    #[arg(long, default_value_t = 4_000_000)]
    commissions: usize,
    /// Commissions of the largest partner
    #[arg(long, default_value_t = 1_000_000)]
    largest: usize,
    /// Containers of the largest partner
    #[arg(long, default_value_t = 100_000)]
    containers: usize,
}

struct Partner {
    id: AccountId,
    client_id: AccountId,
    containers: Vec<ContainerId>,
    key: Option<String>,
}

struct Seeding {
    db: Db,
    now: Timestamp,
    payments: usize,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let size = Size::parse();
    let (db, _) = server::migrated(&size.database_url.parse()?, Options::command())?;
    let now = Timestamp::machine();
    db.write_blocking(move |conn| stored::settle_clock(conn, None))??;
    db.write_blocking(move |conn| program::service::ensure_first_version(conn, now.plus_days(FIRST_DAY)))?;
    let mut seeding = Seeding { db, now, payments: 0 };
    let partners = seeding.partners(size.partners.max(2))?;
    let (largest, others) = partners.split_last().ok_or("no partner")?;
    for month in 0..MONTHS {
        let time = now.plus_days(FIRST_DAY + 10 + month * 30);
        seeding.pay(others, size.commissions / usize::try_from(MONTHS)?, time)?;
        seeding.pay(std::slice::from_ref(largest), size.largest / usize::try_from(MONTHS)?, time)?;
        while maturity::mature_due(&seeding.db, &Clock::standing_at(time))? > 0 {}
        eprintln!("month {} of {MONTHS}: {} payments", month + 1, seeding.payments);
    }
    while maturity::mature_due(&seeding.db, &Clock::standing_at(now))? > 0 {}
    seeding.enlarge(largest, size.containers)?;
    let operator = {
        let context = Context::system(now);
        seeding.db.write_blocking(move |conn| operator_keys::create(conn, &context, "bench", Scopes::of_operator()))?
    };
    // Nobody waits for the letters.
    seeding.db.write_blocking(|conn| Ok(diesel::delete(mails::table).execute(conn)?))?;
    seeding.db.write_blocking(move |conn| stored::raise_id_floor(conn, now))?;
    println!("{}", summary(&operator, others, largest));
    Ok(())
}

fn summary(operator: &str, others: &[Partner], largest: &Partner) -> Value {
    let partner = |partner: &Partner| json!({"id": partner.id, "key": partner.key, "containers": partner.containers});
    json!({
        "operator": operator,
        "partners": others.iter().filter(|other| other.key.is_some()).map(partner).collect::<Vec<_>>(),
        "largest": partner(largest),
    })
}

impl Seeding {
    /// Agencies that came above the threshold and were admitted.
    fn partners(&self, count: usize) -> Result<Vec<Partner>> {
        let context = Arc::new(Context::system(self.now.plus_days(FIRST_DAY)));
        (0..count)
            .map(|number| {
                if number % 1_000 == 999 {
                    eprintln!("{} of {count} partners", number + 1);
                }
                let has_key = number < KEYS || number + 1 == count;
                let context = context.clone();
                self.db.write_blocking(move |conn| join(conn, &context, number, has_key))
            })
            .collect()
    }

    /// So many payments at a time, the partners in turn, batch by batch, applied shortly after they happened.
    fn pay(&mut self, partners: &[Partner], count: usize, time: Timestamp) -> Result<()> {
        let containers: Vec<ContainerId> = partners.iter().flat_map(|partner| partner.containers.clone()).collect();
        // The payments of one partner follow each other, as in a batch that a billing system sends by account.
        let rounds = count.div_ceil(containers.len().max(1));
        let payments = containers.iter().flat_map(|container| std::iter::repeat_n(*container, rounds)).take(count);
        let all: Vec<Value> = payments
            .map(|container| {
                self.payments += 1;
                payment(self.payments, container, time)
            })
            .collect();
        let context = Context { request_id: "seed".to_owned(), ..Context::system(time.plus_seconds(60)) };
        for batch in all.chunks(BATCH) {
            apply(&self.db, &context, batch)?;
        }
        Ok(())
    }

    /// Gives a partner's client so many containers, on the free plan, running.
    fn enlarge(&self, partner: &Partner, count: usize) -> Result<()> {
        let (id, client_id, now) = (partner.id, partner.client_id, self.now);
        let model = partner.containers.first().copied().ok_or_else(|| Error::internal("no container"))?;
        let missing = count.saturating_sub(partner.containers.len());
        self.db.write_blocking(move |conn| {
            let locked = accounts::lock_rows(conn, &[id, client_id])?;
            let managers: Vec<_> = locked.into_iter().filter(|row| row.id == id).collect();
            let mut portfolios = Portfolio::load(conn, &managers)?;
            let portfolio = portfolios.get_mut(&id).ok_or_else(|| Error::internal("no portfolio"))?;
            let program = program::service::current(conn)?.config;
            let model = free_container(containers::service::reachable(conn, client_id, false, model)?);
            let mut left = missing;
            while left > 0 {
                let rows: Vec<ContainerRow> =
                    (0..left.min(ROWS)).map(|_| ContainerRow { id: ContainerId::new(now), ..model.clone() }).collect();
                let owner = |row: &ContainerRow| OwnershipRow {
                    container_id: row.id,
                    id: OwnershipId::new(now),
                    account_id: client_id,
                    owned_from: now,
                };
                let owners: Vec<OwnershipRow> = rows.iter().map(owner).collect();
                with_conn!(conn, c => diesel::insert_into(containers_table::table).values(&rows).execute(c))?;
                with_conn!(conn, c => diesel::insert_into(container_owners::table).values(&owners).execute(c))?;
                for row in &rows {
                    portfolio.add(&slots::slot(row, Billing::Individual), &program)?;
                }
                left -= rows.len();
            }
            let portfolio = portfolios.remove(&id).ok_or_else(|| Error::internal("no portfolio"))?;
            portfolio.write(conn, &Context::system(now), &program)
        })
    }
}

/// One partner with a client and its paid containers, in one transaction.
fn join(conn: &mut Conn, context: &Context, number: usize, has_key: bool) -> Result<Partner> {
    let person = |kind: AccountKind, role: &str| NewAccount {
        kind,
        email: format!("{role}{number}@example.com"),
        first_name: "Robin".to_owned(),
        last_name: format!("Doe {number}"),
        company_name: (kind != AccountKind::Standard).then(|| format!("Agency {number}")),
        password_hash: None,
    };
    let id = accounts::service::create(conn, context, person(AccountKind::Agency, "partner"))?.id;
    let client_id = accounts::service::create(conn, context, person(AccountKind::Standard, "client"))?.id;
    links::link(conn, context, client_id, id, Origin::Created, Access::Granted)?;
    let mut made = Vec::new();
    for place in 0..CONTAINERS {
        let input = CreateContainer {
            name: format!("shop-{number}-{place}.example.com"),
            product: Product::SgtmContainer,
            zone: None,
            account_id: None,
        };
        made.push(containers::service::create(conn, context, client_id, false, &input)?.id);
    }
    let elements = made.iter().map(|container| Element::read(subscription(*container, context.now))).collect();
    expect_applied(&apply_batches(
        conn,
        &Clock::standing_at(context.now),
        &[Batch { context: context.clone(), elements }],
    )?)?;
    let application = applications::file(conn, context, id)?;
    applications::approve(conn, context, application.id)?;
    let scopes = Scopes::of_owner(AccountKind::Partner);
    let wanted = CreateApiKey { name: "bench".to_owned(), scopes: scopes.list(), expires_at: None };
    let key = has_key.then(|| api_keys::service::create(conn, context, id, scopes, &wanted)).transpose()?;
    Ok(Partner { id, client_id, containers: made, key: key.map(|(_, key)| key) })
}

fn free_container(row: ContainerRow) -> ContainerRow {
    ContainerRow {
        plan: "free".to_owned(),
        subscription_status: containers::SubscriptionStatus::None,
        price_minor: 0,
        current_period_start: None,
        current_period_end: None,
        next_payment_at: None,
        subscription_changed_at: None,
        last_payment_at: None,
        ..row
    }
}

fn apply(db: &Db, context: &Context, events: &[Value]) -> Result<()> {
    let batch = [Batch { context: context.clone(), elements: events.iter().cloned().map(Element::read).collect() }];
    let clock = Clock::standing_at(context.now);
    expect_applied(&db.write_blocking(move |conn| apply_batches(conn, &clock, &batch))?)
}

fn expect_applied(verdicts: &[Vec<Verdict>]) -> Result<()> {
    let refused = verdicts.iter().flatten().filter(|verdict| verdict.outcome != Outcome::Applied).count();
    if refused == 0 { Ok(()) } else { Err(Error::internal(format!("{refused} events were not applied"))) }
}

fn payment(number: usize, container: ContainerId, time: Timestamp) -> Value {
    json!({"id": format!("seed-{number}"), "type": "payment.succeeded", "occurredAt": time, "data": {
        "paymentId": format!("seed-{number}"),
        "containerId": container,
        "plan": "pro",
        "billingPeriod": "monthly",
        "amount": {"amount": "24.00", "currency": "USD"},
        "tax": {"amount": "4.00", "currency": "USD"},
        "payer": "client",
        "periodStart": time,
        "periodEnd": time.plus_days(30),
        "reason": "renewal",
    }})
}

fn subscription(container: ContainerId, time: Timestamp) -> Value {
    json!({"id": format!("seed-{container}"), "type": "subscription.changed", "occurredAt": time, "data": {
        "containerId": container,
        "plan": "pro",
        "billingPeriod": "monthly",
        "price": {"amount": "20.00", "currency": "USD"},
        "status": "active",
        "currentPeriodStart": time,
        "currentPeriodEnd": time.plus_days(30),
        "cancelAtPeriodEnd": false,
        "nextPaymentAt": time.plus_days(30),
    }})
}
