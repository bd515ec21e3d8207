//! Where a run begins: two partners and an agency, eight clients with containers, five currencies, payout methods.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use super::chance::Chance;
use super::figures::{CURRENCIES, parse};
use super::operations::Play;
use super::world::{Container, Customer, History, Manager, PRODUCTS, Program, World};
use crate::support::{START, TestApp, id, subscription};

/// Currencies for which each manager has a payout method.
const METHODS: [&[usize]; 3] = [&[0, 1, 2, 3, 4], &[0, 1, 3], &[0]];

const CLIENTS: usize = 8;

const CONTAINERS_OF_A_CLIENT: usize = 4;

/// Makes accounts and containers, lists yen and dinars in the program, and gives the model the same.
pub async fn set_up(app: &TestApp, chance: Chance) -> Play<'_> {
    let now = parse(START);
    let program = list_currencies(app).await;
    let first = Program { version: 1, ..program.clone() };
    let mut world = World {
        now,
        programs: History(vec![(now, first), (now, program)]),
        managers: Vec::new(),
        clients: Vec::new(),
        containers: Vec::new(),
        payments: Vec::new(),
        rows: Vec::new(),
        payouts: Vec::new(),
        review: BTreeSet::new(),
        touched_rows: BTreeSet::new(),
        touched_payouts: BTreeSet::new(),
        touched_managers: BTreeSet::new(),
    };
    for methods in METHODS {
        world.managers.push(manager(app, now, methods).await);
    }
    for _ in 0..CLIENTS {
        let client = client(app).await;
        for number in 0..CONTAINERS_OF_A_CLIENT {
            let product = (world.clients.len() + number) % PRODUCTS.len();
            let container = json!({"name": "shop.example.com", "product": PRODUCTS[product].0});
            let made = client.account.login.post("/v3/containers", &container).await.expect(201);
            world.containers.push(Container {
                id: id(&made),
                product,
                owners: History(vec![(now, world.clients.len())]),
                subscription: (0, 0, false, false),
                changed_at: None,
                pending_transfer: None,
            });
        }
        world.clients.push(client);
    }
    let mut play = Play::new(app, world, chance);
    begin_business(&mut play).await;
    play
}

/// Gives each manager two clients who pay, and makes partners of two of them; the third may become one by and by.
async fn begin_business(play: &mut Play<'_>) {
    let subscriptions: Vec<_> = (0..play.world.containers.len())
        .map(|container| {
            play.world.subscribe(container, play.world.now, (2_000, 0, false, true));
            let row = &play.world.containers[container];
            subscription(&row.id).with("plan", PRODUCTS[row.product].1[1])
        })
        .collect();
    play.app.apply(&subscriptions).await;
    for client in 0..6 {
        play.link(client, client % 3).await;
    }
    for manager in 0..2 {
        while !play.world.is_partner(manager) {
            play.apply_for_partnership(manager).await;
        }
    }
}

/// Version 2 of the program: the first one with JPY and KWD.
async fn list_currencies(app: &TestApp) -> Program {
    let operator = app.operator().await;
    let answer = operator.get("/v3/operator/program").await;
    let tag = answer.header("etag").to_owned();
    let mut body = answer.expect(200);
    let currencies = body["currencies"].as_array_mut().expect("currencies");
    for (currency, minimum) in [("JPY", "10000"), ("KWD", "30.000")] {
        currencies.push(json!({"currency": currency, "minimumPayout": {"amount": minimum, "currency": currency}}));
    }
    let put = operator.request(Method::PUT, "/v3/operator/program").header("if-match", &tag).json(&body);
    put.send().await.expect(200);
    Program {
        version: 2,
        rates: [3_000, 3_500, 4_000].map(|rate| BTreeMap::from([("default".to_owned(), rate)])),
        review_days: [14, 60],
        minimums: [10_000, 10_000, 10_000, 10_000, 30_000],
    }
}

async fn manager(app: &TestApp, now: i64, methods: &[usize]) -> Manager {
    let account = app.agency().await;
    let scopes = ["commissions:read", "payouts:read", "payouts:write", "events:read"];
    let key = app.api_key(&account, &scopes).await;
    for currency in methods {
        app.payout_method(&account, CURRENCIES[*currency].0).await;
    }
    Manager {
        account,
        key,
        methods: methods.iter().map(|currency| (*currency, now)).collect(),
        schedule: None,
        dates: BTreeMap::new(),
        levels: History(Vec::new()),
        overrides: BTreeMap::new(),
        blocked: false,
        balances: Default::default(),
        months: BTreeMap::new(),
        numbers: BTreeMap::new(),
        postings: 0,
    }
}

async fn client(app: &TestApp) -> Customer {
    let account = app.standard().await;
    let key = app.api_key(&account, &["containers:read", "containers:write"]).await;
    Customer { account, key, blocked: false, links: Vec::new() }
}
