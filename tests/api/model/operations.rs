//! The random operations: each is done to the server through its API and to the model, and both must answer the same.

use std::collections::{BTreeSet, VecDeque};

use reqwest::Method;
use serde_json::{Value, json};

use super::chance::Chance;
use super::events;
use super::figures::{CURRENCIES, DAY, HOUR, MINUTE, money, percent, time};
use super::world::{PRODUCTS, Program, World};
use crate::support::{Answer, PASSWORD, TestApp, id};

/// The rate that gives everything away.
const RATE_OF_ALL: i64 = 10_000;

/// How many of the last operations a failure tells.
const REMEMBERED: usize = 20;

/// A run: the server, the model, and what has been done so far.
pub struct Play<'a> {
    pub app: &'a TestApp,
    pub world: World,
    pub chance: Chance,
    /// How many operations.
    pub done: usize,
    /// Some of the events that were applied, to be sent again.
    pub applied_events: VecDeque<crate::support::Event>,
    /// Adjustments that a blocked manager hides, so that their ids are not known yet.
    pub hidden_rows: BTreeSet<usize>,
    last: VecDeque<String>,
}

impl<'a> Play<'a> {
    pub fn new(app: &'a TestApp, world: World, chance: Chance) -> Self {
        let (applied_events, last) = (VecDeque::new(), VecDeque::new());
        Self { app, world, chance, done: 0, applied_events, hidden_rows: BTreeSet::new(), last }
    }

    /// Counts an operation and remembers what it is.
    pub fn tell(&mut self, what: &str) {
        self.done += 1;
        self.note(what);
    }

    /// Remembers what came of an operation.
    pub fn note(&mut self, what: &str) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(format!("{} {} {what}", self.done, time(self.world.now)));
    }

    /// The last operations, one in a line.
    pub fn story(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Does something random: one operation, or a batch of events.
    pub async fn act(&mut self) {
        match self.chance.weighted(&[54, 8, 9, 13, 2, 4, 4, 2, 2, 1, 2, 1, 3]) {
            0 => events::send(self).await,
            1 => self.move_clock().await,
            2 => self.request_payout().await,
            3 => self.take_step().await,
            4 => self.send_batch().await,
            5 => self.adjust().await,
            6 => self.link_or_detach().await,
            7 => self.decide().await,
            8 => self.block_or_unblock().await,
            9 => self.transfer().await,
            10 => self.set_schedule().await,
            11 => self.set_method().await,
            _ if self.chance.one_in(3) => self.change_program().await,
            _ => {
                let manager = self.chance.below(self.world.managers.len());
                self.apply_for_partnership(manager).await;
            }
        }
    }

    async fn move_clock(&mut self) {
        let by = match self.chance.weighted(&[5, 4, 1]) {
            0 => self.chance.within(0, 10 * MINUTE),
            1 => self.chance.within(HOUR, DAY),
            _ => self.chance.within(DAY, 20 * DAY),
        };
        let now = self.world.now + by;
        self.tell(&format!("clock to {}", time(now)));
        self.app.move_clock(&time(now)).await;
        self.world.move_clock(now);
        self.take_dates().await;
    }

    async fn link_or_detach(&mut self) {
        let client = self.chance.below(self.world.clients.len());
        let Some(manager) = self.world.manager(client) else {
            let manager = self.chance.below(self.world.managers.len());
            return self.link(client, manager).await;
        };
        // A client stays for a while, so that there is something to earn.
        if !self.chance.one_in(4) {
            return;
        }
        self.tell(&format!("client {client} leaves manager {manager}"));
        let path = format!("/v3/operator/accounts/{}/detach", self.world.clients[client].account.id);
        self.app.operator().await.post(&path, &json!({})).await.expect(200);
        let now = self.world.now;
        self.world.clients[client].links.last_mut().expect("a link").2 = Some(now);
        self.world.rise(manager);
        self.world.touched_managers.insert(manager);
    }

    /// Links a client that nobody manages.
    pub async fn link(&mut self, client: usize, manager: usize) {
        self.tell(&format!("client {client} joins manager {manager}"));
        self.app.link(&self.world.clients[client].account.id, &self.world.managers[manager].account.id).await;
        let now = self.world.now;
        self.world.clients[client].links.push((manager, now, None));
        self.world.rise(manager);
        self.world.touched_managers.insert(manager);
    }

    async fn decide(&mut self) {
        let manager = self.chance.below(self.world.managers.len());
        let path = format!("/v3/operator/partners/{}", self.world.managers[manager].account.id);
        let operator = self.app.operator().await;
        if self.chance.one_in(2) {
            let level = self.chance.one_in(2).then(|| 1 + self.chance.below(3));
            let pinned = *self.chance.of(&[None, Some(true), Some(false)]);
            self.tell(&format!("level {level:?}, pinned {pinned:?} for manager {manager}"));
            let mut body = json!({"reason": "a test"});
            if let Some(level) = level {
                body["level"] = json!(level);
            }
            if let Some(pinned) = pinned {
                body["pinned"] = json!(pinned);
            }
            let answer = operator.patch(&path, &body).await;
            return accepted(answer, 200, self.world.decide(manager, level, pinned));
        }
        let key = rate_key(&mut self.chance);
        let rate = (!self.chance.one_in(3)).then(|| rate(&mut self.chance));
        self.tell(&format!("rate {rate:?} of {key} for manager {manager}"));
        let body = json!({"reason": "a test", "rateOverrides": {key: rate.map(percent)}});
        let answer = operator.patch(&path, &body).await;
        if !self.world.is_partner(manager) {
            return refused(&answer, "notPartner");
        }
        answer.expect(200);
        let now = self.world.now;
        let history = self.world.managers[manager].overrides.entry(key.to_owned());
        history.or_insert(super::world::History(Vec::new())).push(now, rate);
        self.world.touched_managers.insert(manager);
    }

    async fn block_or_unblock(&mut self) {
        let number = self.chance.below(self.world.managers.len() + self.world.clients.len());
        let (account, blocked) = match number.checked_sub(self.world.managers.len()) {
            None => {
                let row = &mut self.world.managers[number];
                (&row.account, &mut row.blocked)
            }
            Some(client) => {
                let row = &mut self.world.clients[client];
                (&row.account, &mut row.blocked)
            }
        };
        // Blocked accounts cannot be looked at: they do not stay so for long.
        let block = !*blocked && self.chance.one_in(3);
        *blocked = block;
        let path = format!("/v3/operator/accounts/{}", account.id);
        let (path, body) = if block {
            (format!("{path}/block"), json!({"reason": "a test"}))
        } else {
            (format!("{path}/unblock"), json!({}))
        };
        self.tell(&path);
        self.app.operator().await.post(&path, &body).await.expect(200);
    }

    async fn transfer(&mut self) {
        let container = self.chance.below(self.world.containers.len());
        let to = self.chance.below(self.world.clients.len());
        let owner = self.world.owner(container);
        self.tell(&format!("container {container} goes from client {owner} to {to}"));
        let row = &self.world.containers[container];
        let body = json!({"email": self.world.clients[to].account.email});
        let path = format!("/v3/containers/{}/transfer", row.id);
        let answer = self.world.clients[owner].key.post(&path, &body).await;
        if self.world.clients[owner].blocked {
            return refused(&answer, "accountBlocked");
        }
        if row.pending_transfer.is_some() {
            return refused(&answer, "requestPending");
        }
        if owner == to || self.world.clients[to].blocked {
            return refused(&answer, "transferRefused");
        }
        let moved = answer.expect(202);
        let now = self.world.now;
        let row = &mut self.world.containers[container];
        row.pending_transfer = Some(id(&moved["pendingRequest"]));
        row.owners.push(now, to);
        row.subscription.3 = false;
        row.changed_at = Some(now);
        for client in [owner, to] {
            self.world.touched_managers.extend(self.world.manager(client));
        }
    }

    async fn change_program(&mut self) {
        let mut program: Program = self.world.program().clone();
        program.version += 1;
        let (level, key) = (self.chance.below(3), rate_key(&mut self.chance));
        program.rates[level].insert(key.to_owned(), rate(&mut self.chance));
        program.review_days = [self.chance.within(0, 20), self.chance.within(0, 70)];
        let currency = self.chance.below(CURRENCIES.len());
        program.minimums[currency] = self.chance.within(0, 20_000);
        self.tell(&format!("program {program:?}"));
        let operator = self.app.operator().await;
        let answer = operator.get("/v3/operator/program").await;
        let tag = answer.header("etag").to_owned();
        let mut body = answer.expect(200);
        body["levels"][level]["rates"][key] = json!(percent(program.rates[level][key]));
        body["reviewDays"] = json!({"monthly": program.review_days[0], "yearly": program.review_days[1]});
        body["currencies"][currency]["minimumPayout"] = money(program.minimums[currency], currency);
        let put = operator.request(Method::PUT, "/v3/operator/program").header("if-match", &tag).json(&body);
        let changed = put.send().await.expect(200);
        if changed["version"] == json!(program.version - 1) {
            // By chance it was the same as before.
            return;
        }
        assert_eq!(changed["version"], program.version);
        let now = self.world.now;
        self.world.programs.push(now, program);
        self.world.touched_managers.extend(0..self.world.managers.len());
    }

    /// An agency asks to become a partner, and the operator decides.
    pub async fn apply_for_partnership(&mut self, manager: usize) {
        if self.world.is_partner(manager) || self.world.managers[manager].blocked {
            return;
        }
        self.tell(&format!("manager {manager} applies"));
        let email = self.world.managers[manager].account.email.clone();
        let login = self.app.sign_in(&email, PASSWORD).await;
        let answer = login.post_nothing("/v3/partner-applications").await;
        let earned = self.world.earned_level(manager);
        if earned == 0 {
            return refused(&answer, "notEligible");
        }
        let path = format!("/v3/operator/partner-applications/{}", id(&answer.expect(201)));
        let operator = self.app.operator().await;
        if self.chance.one_in(3) {
            operator.post(&format!("{path}/reject"), &json!({"reason": "a test"})).await.expect(200);
            return;
        }
        operator.post_nothing(&format!("{path}/approve")).await.expect(200);
        let now = self.world.now;
        self.world.managers[manager].levels.push(now, (earned, false));
        self.world.touched_managers.insert(manager);
    }
}

fn rate_key(chance: &mut Chance) -> &'static str {
    ["default", PRODUCTS[0].0, PRODUCTS[1].0][chance.below(3)]
}

fn rate(chance: &mut Chance) -> i64 {
    match chance.below(12) {
        0 => 0,
        1 => chance.within(0, RATE_OF_ALL),
        _ => chance.within(20, 50) * 100,
    }
}

/// What the model says of the answer: taken, or refused with a code.
pub fn accepted(answer: Answer, status: u16, expected: Result<(), &'static str>) {
    match expected {
        Ok(()) => drop(answer.expect(status)),
        Err(code) => refused(&answer, code),
    }
}

pub fn refused(answer: &Answer, code: &str) {
    assert!(answer.status >= 400, "{code} was expected: {} {}", answer.status, answer.text);
    let body: Value = answer.body();
    assert_eq!(body["code"], code, "{body:#}");
}
