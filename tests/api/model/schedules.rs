//! Payouts that request themselves: schedules and methods are set, and the dates that have come are taken when the clock
//! moves. A date is a day of the month (UTC); a method that was set less than 72 hours before holds it back; of several
//! missed dates only the latest counts; what cannot be requested waits for the next date.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::figures::{CURRENCIES, DAY, after, money, month, start_of_month, time};
use super::operations::{Play, refused};
use super::world::World;
use crate::support::{Client, PASSWORD, id};

/// How long a method holds back what nobody asks for.
const HOLD: i64 = 3 * DAY;

/// When payouts are requested by themselves.
#[derive(Debug, Clone)]
pub struct Schedule {
    every_months: u32,
    day: i64,
    /// Own minimums by currency.
    minimums: BTreeMap<usize, i64>,
}

impl Schedule {
    fn date_in(&self, month: (i32, u32)) -> Option<i64> {
        (month.1 - 1).is_multiple_of(self.every_months).then(|| start_of_month(month) + (self.day - 1) * DAY)
    }

    fn next_after(&self, now: i64) -> i64 {
        let months = std::iter::successors(Some(month(now)), |month| Some(after(*month)));
        months.filter_map(|month| self.date_in(month)).find(|date| *date > now).expect("there is always another month")
    }

    fn body(&self) -> Value {
        let minimums: Vec<Value> = self.minimums.iter().map(|(currency, minor)| money(*minor, *currency)).collect();
        let rhythm = if self.every_months == 1 { "monthly" } else { "quarterly" };
        json!({"type": rhythm, "dayOfMonth": self.day, "minimums": minimums})
    }
}

impl World {
    /// The dates follow a new schedule, or a method that was set or removed.
    fn renew_dates(&mut self, manager: usize) {
        let now = self.now;
        let row = &mut self.managers[manager];
        let old = std::mem::take(&mut row.dates);
        let Some(schedule) = &row.schedule else { return };
        for (currency, set_at) in &row.methods {
            // A date that has come and is held back goes on waiting.
            let waits = |date: &i64| *date <= now && schedule.date_in(month(*date)) == Some(*date);
            let date = old.get(currency).map(|(date, _)| *date).filter(waits);
            let date = date.unwrap_or_else(|| schedule.next_after(now));
            row.dates.insert(*currency, (date, date.max(set_at + HOLD)));
        }
    }

    /// Takes the dates of a manager that have come: first those that came first, then by the letters of the currency. Gives
    /// the payouts that they made.
    fn take_dates(&mut self, manager: usize) -> Vec<usize> {
        let Some(schedule) = self.managers[manager].schedule.clone() else { return Vec::new() };
        let dates = self.managers[manager].dates.iter();
        let come = dates.filter(|(_, (_, due))| *due <= self.now).map(|(currency, (_, due))| (*due, *currency));
        let mut come: Vec<(i64, usize)> = come.collect();
        come.sort_by_key(|(due, currency)| (*due, CURRENCIES[*currency].0));
        let mut made = Vec::new();
        for (_, currency) in come {
            let own = schedule.minimums.get(&currency).copied().unwrap_or(0);
            if self.balance(manager, currency, super::world::Pot::Ready) > own {
                made.extend(self.request(manager, currency).ok());
            }
            let next = schedule.next_after(self.now);
            self.managers[manager].dates.insert(currency, (next, next));
        }
        made
    }
}

impl Play<'_> {
    /// The dates that have come with the clock's last move.
    pub async fn take_dates(&mut self) {
        for manager in 0..self.world.managers.len() {
            let made = self.world.take_dates(manager);
            let shown = if made.is_empty() { Vec::new() } else { self.newest_payouts(manager, made.len()).await };
            for (payout, shown) in made.into_iter().zip(shown) {
                self.note(&format!("payout {payout} requests itself"));
                assert_eq!(shown["requestedBy"], "schedule", "{shown:#}");
                self.world.payouts[payout].id = id(&shown);
                self.world.payouts[payout].by_schedule = true;
            }
        }
    }

    /// The newest payouts of a manager, the oldest of them first.
    async fn newest_payouts(&self, manager: usize, count: usize) -> Vec<Value> {
        let page = self.world.managers[manager].key.get(&format!("/v3/payouts?limit={count}")).await.expect(200);
        page["data"].as_array().expect("payouts").iter().rev().cloned().collect()
    }

    async fn owner(&self, manager: usize) -> Client {
        self.app.sign_in(&self.world.managers[manager].account.email, PASSWORD).await
    }

    pub async fn set_schedule(&mut self) {
        let manager = self.chance.below(self.world.managers.len());
        if self.world.managers[manager].blocked {
            return;
        }
        let schedule = (!self.chance.one_in(6)).then(|| self.any_schedule());
        self.tell(&format!("schedule of manager {manager}: {schedule:?}"));
        let body = schedule.as_ref().map_or_else(|| json!({"type": "manual"}), Schedule::body);
        let answer = self.owner(manager).await.put("/v3/payout-schedule", &body).await;
        let minimums = &self.world.program().minimums;
        let is_below = |schedule: &Schedule| schedule.minimums.iter().any(|(currency, own)| *own < minimums[*currency]);
        if schedule.as_ref().is_some_and(is_below) {
            return refused(&answer, "validationFailed");
        }
        let shown = answer.expect(200);
        self.world.managers[manager].schedule = schedule;
        self.world.renew_dates(manager);
        self.dates_agree(manager, &shown);
    }

    fn any_schedule(&mut self) -> Schedule {
        let mut minimums = BTreeMap::new();
        for currency in 0..CURRENCIES.len() {
            if self.chance.one_in(4) {
                let programs = self.world.program().minimums[currency];
                let more = if self.chance.one_in(10) { -1 } else { self.chance.within(0, 20_000) };
                minimums.insert(currency, programs + more);
            }
        }
        let every_months = *self.chance.of(&[1, 1, 1, 3]);
        Schedule { every_months, day: self.chance.within(1, 28), minimums }
    }

    /// A method is set once more, which holds back the dates of its currency, or it is removed.
    pub async fn set_method(&mut self) {
        let manager = self.chance.below(self.world.managers.len());
        if self.world.managers[manager].blocked {
            return;
        }
        let currency = self.chance.below(CURRENCIES.len());
        let is_there = self.world.managers[manager].methods.contains_key(&currency);
        let remove = is_there && self.chance.one_in(4);
        let code = CURRENCIES[currency].0;
        self.tell(&format!("method of manager {manager} for {code}, removed: {remove}"));
        let owner = self.owner(manager).await;
        let path = format!("/v3/payout-methods/{code}");
        if remove {
            owner.delete(&path).await.expect(204);
            self.world.managers[manager].methods.remove(&currency);
        } else {
            let details = json!({"email": "payouts@example.com", "holder": "Robin Doe"});
            let method = json!({"type": "wise", "details": details, "password": PASSWORD});
            owner.put(&path, &method).await.expect(200);
            self.world.managers[manager].methods.insert(currency, self.world.now);
        }
        self.world.renew_dates(manager);
        let shown = owner.get("/v3/payout-schedule").await.expect(200);
        self.dates_agree(manager, &shown);
    }

    fn dates_agree(&self, manager: usize, shown: &Value) {
        let mut dates: Vec<Value> = Vec::new();
        for (currency, (date, due)) in &self.world.managers[manager].dates {
            let code = CURRENCIES[*currency].0;
            dates.push(json!({"currency": code, "scheduledFor": time(*date), "dueAt": time(*due)}));
        }
        dates.sort_by_key(|date| date["currency"].to_string());
        assert_eq!(shown["nextDates"], json!(dates), "{shown:#}");
    }
}
