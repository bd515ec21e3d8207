//! Plays the story into a database, day by day, through the product's own services.

mod arrivals;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::payouts::Payouts;
use super::story::{self, Client, Container, DAYS, MANAGERS};
use crate::accounts::service::NewAccount;
use crate::batch::{Outcome, Verdict};
use crate::billing::Element;
use crate::billing::ingest::{Batch, apply_batches};
use crate::clock::{Clock, Timestamp};
use crate::commissions::maturity;
use crate::containers::{CreateContainer, reports};
use crate::context::Context;
use crate::db::Db;
use crate::error::{Code, Error, Result};
use crate::id::{AccountId, ApplicationId, ClickId, ContainerId, ReferralLinkId};
use crate::partners::applications;
use crate::progress::Progress;
use crate::referrals::ReferralLinkRow;
use crate::vault::Vault;
use crate::{accounts, containers};

/// Days from an application to its decision.
const DECISION_DAYS: i64 = 2;

/// Every so many payments one is refunded: most in part, some in full, some by the bank.
const REFUND_EVERY: usize = 23;

/// What exists so far.
struct Scene<'a> {
    db: &'a Db,
    start: Timestamp,
    managers: Vec<(AccountId, Membership)>,
    /// The links of each manager, the default one first.
    links: Vec<Vec<ReferralLinkRow>>,
    /// The newest click on each link that led to no sign-up yet.
    clicks: HashMap<ReferralLinkId, ClickId>,
    clients: Vec<AccountId>,
    containers: Vec<Option<ContainerId>>,
    payments: usize,
    refunds_due: Vec<(i64, Value)>,
}

/// How far a manager is on its way into the program.
enum Membership {
    Agency { rejected_before: bool },
    Applied { on: i64, id: ApplicationId },
    Partner,
}

/// Plays the whole story, which ends at `now`.
///
/// # Errors
/// The database's own failure; a refusal, which the story does not mean.
pub fn play(db: &Db, vault: &Vault, now: Timestamp, password_hash: &str) -> Result<()> {
    let clients = story::clients();
    let containers = story::containers(&clients);
    let mut progress = Progress::start("days of the demonstration", u64::try_from(DAYS).ok());
    let mut scene = Scene {
        db,
        start: now.plus_days(-DAYS),
        managers: Vec::new(),
        links: Vec::new(),
        clicks: HashMap::new(),
        clients: Vec::new(),
        containers: containers.iter().map(|_| None).collect(),
        payments: 0,
        refunds_due: Vec::new(),
    };
    scene.sign_up_managers(password_hash)?;
    let mut payouts = Payouts::new(db, vault);
    let mut arrivals: Vec<usize> = (0..clients.len()).collect();
    arrivals.sort_by_key(|index| clients.get(*index).map(|client| client.day));
    scene.clients = vec![AccountId::new(scene.start); clients.len()];
    for day in 1..=DAYS {
        for index in &arrivals {
            if let Some(client) = clients.get(*index).filter(|client| client.day == day) {
                scene.welcome(day, *index, client)?;
            }
        }
        scene.bill(day, &clients, &containers)?;
        scene.visit(day)?;
        scene.decide_memberships(day)?;
        while maturity::mature_due(db, &Clock::standing_at(scene.at(day, 23)))? > 0 {}
        payouts.of_day(day, scene.at(day, 23), &scene.partners())?;
        progress.reach(u64::try_from(day).unwrap_or(0));
    }
    scene.report(now, &containers)
}

impl Scene<'_> {
    /// The story's time, at an hour of a day, never after its end.
    fn at(&self, day: i64, hour: i64) -> Timestamp {
        self.start.plus_days(day - 1).plus_seconds(hour * 3_600)
    }

    /// The managers that are in the program, each with its place in the story.
    fn partners(&self) -> Vec<(usize, AccountId)> {
        let managers = self.managers.iter().enumerate();
        let partner = |(place, (id, membership)): (usize, &(AccountId, Membership))| {
            matches!(membership, Membership::Partner).then_some((place, *id))
        };
        managers.filter_map(partner).collect()
    }

    fn sign_up_managers(&mut self, password_hash: &str) -> Result<()> {
        let context = Context::system(self.start);
        for manager in MANAGERS {
            let (context, password_hash) = (context.clone(), password_hash.to_owned());
            let create = move |conn: &mut _| {
                let (first_name, last_name) = manager.owner;
                let new = NewAccount {
                    kind: story::MANAGER_KIND,
                    email: manager.email.to_owned(),
                    first_name: first_name.to_owned(),
                    last_name: last_name.to_owned(),
                    company_name: Some(manager.company.to_owned()),
                    password_hash: Some(password_hash.clone()),
                };
                accounts::service::create(conn, &context, new).map(|account| account.id)
            };
            let account_id = self.db.write_blocking(create)?;
            self.links.push(self.make_links(account_id)?);
            self.managers.push((account_id, Membership::Agency { rejected_before: !manager.rejected_first }));
        }
        Ok(())
    }

    /// Makes the day's new containers and posts the day's billing events as one batch.
    fn bill(&mut self, day: i64, clients: &[Client], containers: &[Container]) -> Result<()> {
        let mut events = Vec::new();
        for (index, container) in containers.iter().enumerate() {
            if container.day == day {
                let id = self.make_container(day, clients, container)?;
                if let Some(place) = self.containers.get_mut(index) {
                    *place = Some(id);
                }
            }
            let Some(id) = self.containers.get(index).copied().flatten() else { continue };
            if let Some(number) = container.payment_on(day) {
                events.push(self.subscription(day, id, container, "active"));
                events.push(self.payment(day, id, container, number));
            } else if container.cancelled == Some(day) {
                events.push(self.subscription(day, id, container, "canceled"));
            }
        }
        let (due, later) = std::mem::take(&mut self.refunds_due).into_iter().partition(|(on, _)| *on <= day);
        self.refunds_due = later;
        events.extend(Vec::into_iter(due).map(|(on, data)| {
            let refund_id = data.get("refundId").unwrap_or(&Value::Null);
            self.event(on, &format!("refund-{on}-{refund_id}"), "payment.refunded", &data)
        }));
        self.post(day, events)
    }

    /// What the platform reports at the end: everything runs, but for some in error; some are over their limit.
    fn report(&self, now: Timestamp, containers: &[Container]) -> Result<()> {
        let (mut usage, mut states) = (Vec::new(), Vec::new());
        for (index, (container, id)) in containers.iter().zip(&self.containers).enumerate() {
            let Some(id) = id else { continue };
            usage.push(json!({
                "containerId": id,
                "periodStart": now.plus_days(-12),
                "periodEnd": now.plus_days(18),
                "requests": container.usage(index),
                "reportedAt": now,
            }));
            let broken = index % 17 == 5;
            let error = json!({
                "code": "dnsNotVerified", "message": "The custom domain does not point to the container",
            });
            states.push(json!({
                "containerId": id,
                "status": if broken { "error" } else { "running" },
                "errors": if broken { vec![error] } else { Vec::new() },
                "at": now,
            }));
        }
        let context = Context { request_id: "demo-reports".to_owned(), ..Context::system(now) };
        let work = move |conn: &mut _| {
            let mut verdicts = reports::apply_usage(conn, &context, usage.clone())?;
            verdicts.extend(reports::apply_states(conn, &context, states.clone())?);
            Ok(verdicts)
        };
        expect_applied(&self.db.write_blocking(work)?)
    }

    fn make_container(&self, day: i64, clients: &[Client], container: &Container) -> Result<ContainerId> {
        let owner_id = self.clients.get(container.client).copied().ok_or_else(|| Error::internal("no such client"))?;
        let shop = clients.get(container.client).map_or("Shop", |client| client.shop);
        let input = CreateContainer {
            name: format!("{shop} {}", container.kind.plan),
            product: container.kind.product,
            zone: None,
            account_id: None,
        };
        let context = Context::system(self.at(day, 9));
        let create = move |conn: &mut _| containers::service::create(conn, &context, owner_id, false, &input);
        Ok(self.db.write_blocking(create)?.id)
    }

    fn post(&self, day: i64, events: Vec<Value>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let clock = Clock::standing_at(self.at(day, 12));
        let context = Context { request_id: format!("demo-{day}"), ..Context::system(clock.now()) };
        let batch = [Batch { context, elements: events.into_iter().map(Element::read).collect() }];
        let verdicts = self.db.write_blocking(move |conn| apply_batches(conn, &clock, &batch))?;
        expect_applied(verdicts.iter().flatten())
    }

    fn subscription(&self, day: i64, id: ContainerId, container: &Container, status: &str) -> Value {
        let data = json!({
            "containerId": id,
            "plan": container.kind.plan,
            "billingPeriod": container.period,
            "price": money(container.price_minor(), container),
            "status": status,
            "currentPeriodStart": self.at(day, 10),
            "currentPeriodEnd": self.at(day + container.period_days(), 10),
            "cancelAtPeriodEnd": false,
            "nextPaymentAt": (status == "active").then(|| self.at(day + container.period_days(), 10)),
        });
        self.event(day, &format!("subscription-{day}-{id}"), "subscription.changed", &data)
    }

    /// A payment; every so often it is remembered to be refunded some days later.
    fn payment(&mut self, day: i64, id: ContainerId, container: &Container, number: i64) -> Value {
        self.payments += 1;
        let payment_id = format!("demo-payment-{}", self.payments);
        let tax_minor = container.price_minor() * container.tax_percent / 100;
        let amount_minor = container.price_minor() + tax_minor;
        if self.payments.is_multiple_of(REFUND_EVERY) {
            let times = self.payments / REFUND_EVERY;
            let (share, reason) = match times % 4 {
                0 => (1, "chargeback"),
                1 => (1, "refund"),
                _ => (3, "refund"),
            };
            let refunded = money(amount_minor / share, container);
            let days_later = if times.is_multiple_of(3) { 21 } else { 5 };
            let data = json!({
                "refundId": format!("demo-refund-{times}"), "paymentId": payment_id, "amount": refunded, "reason": reason,
            });
            self.refunds_due.push((day + days_later, data));
        }
        let data = json!({
            "paymentId": payment_id,
            "containerId": id,
            "plan": container.kind.plan,
            "billingPeriod": container.period,
            "amount": money(amount_minor, container),
            "tax": money(tax_minor, container),
            "payer": "client",
            "periodStart": self.at(day, 10),
            "periodEnd": self.at(day + container.period_days(), 10),
            "reason": if number == 0 { "first" } else { "renewal" },
        });
        self.event(day, &format!("event-of-{payment_id}"), "payment.succeeded", &data)
    }

    fn event(&self, day: i64, id: &str, event_type: &str, data: &Value) -> Value {
        json!({"id": id, "type": event_type, "occurredAt": self.at(day, 10), "data": data})
    }

    /// Agencies apply as soon as they may; the operator decides two days later.
    fn decide_memberships(&mut self, day: i64) -> Result<()> {
        let context = Context::system(self.at(day, 15));
        for (account_id, membership) in &mut self.managers {
            let (id, context) = (*account_id, context.clone());
            match membership {
                Membership::Agency { rejected_before } => {
                    let filed = self.db.write_blocking(move |conn| applications::file(conn, &context, id));
                    match filed {
                        Ok(application) if *rejected_before => {
                            *membership = Membership::Applied { on: day, id: application.id };
                        }
                        Ok(application) => {
                            let context = Context::system(self.start.plus_days(day - 1).plus_seconds(16 * 3_600));
                            let reason = "Please complete the company's data first";
                            let reject =
                                move |conn: &mut _| applications::reject(conn, &context, application.id, reason);
                            self.db.write_blocking(reject)?;
                            *membership = Membership::Agency { rejected_before: true };
                        }
                        Err(error) if error.problem().code == Code::NotEligible => {}
                        Err(error) => return Err(error),
                    }
                }
                Membership::Applied { on, id } if day >= *on + DECISION_DAYS => {
                    let application_id = *id;
                    self.db.write_blocking(move |conn| applications::approve(conn, &context, application_id))?;
                    *membership = Membership::Partner;
                }
                Membership::Applied { .. } | Membership::Partner => {}
            }
        }
        Ok(())
    }
}

fn expect_applied<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Result<()> {
    match verdicts.into_iter().find(|verdict| verdict.outcome != Outcome::Applied) {
        Some(verdict) => Err(Error::internal(format!("the demonstration's event was not applied: {verdict:?}"))),
        None => Ok(()),
    }
}

fn money(minor: i64, container: &Container) -> Value {
    let currency = if container.in_euros { "EUR" } else { "USD" };
    json!({"amount": format!("{}.{:02}", minor / 100, minor % 100), "currency": currency})
}
