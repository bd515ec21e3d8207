//! The model's world: who and what there is, and the histories by which the past is judged. No rules of money.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::{CURRENCIES, month};
use super::schedules::Schedule;
use crate::support::{Account, Client};

/// The products of a run with their plans.
pub const PRODUCTS: [(&str, &[&str]); 3] = [
    ("sgtmContainer", &["free", "pro", "business", "enterprise", "custom"]),
    ("signalsGateway", &["free", "ultimate", "unlimited"]),
    ("metaCapiGateway", &["free", "ultimate", "unlimited"]),
];

/// The levels' rows: paid containers, or referral value in cents.
const LEVELS: [(usize, i64); 3] = [(6, 5_000), (25, 25_000), (75, 100_000)];

/// Values from moments on, in the order in which they were set: the newest that has begun is in force.
#[derive(Debug, Clone)]
pub struct History<T>(pub Vec<(i64, T)>);

impl<T> History<T> {
    pub fn at(&self, time: i64) -> Option<&T> {
        self.0.iter().rev().find(|(from, _)| *from <= time).map(|(_, value)| value)
    }

    pub fn newest(&self) -> Option<&T> {
        self.0.last().map(|(_, value)| value)
    }

    pub fn push(&mut self, from: i64, value: T) {
        self.0.push((from, value));
    }
}

/// What one version of the program says.
#[derive(Debug, Clone)]
pub struct Program {
    pub version: i64,
    /// By level from 1, then by product or `default`.
    pub rates: [BTreeMap<String, i64>; 3],
    /// Days of review: monthly, yearly.
    pub review_days: [i64; 2],
    /// By currency.
    pub minimums: [i64; CURRENCIES.len()],
}

/// Where a ledger keeps money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pot {
    Program,
    InReview,
    Ready,
    InPayout,
    Paid,
}

/// Why money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Earned,
    Reversed,
    Adjusted,
    PaidOut,
    Within,
}

/// What a month did: posted, reversed, adjusted, paid out.
pub type MonthSums = [i64; 4];

#[derive(Debug)]
pub struct Manager {
    pub account: Account,
    /// An API key of its own.
    pub key: Client,
    /// Currencies with a payout method, and when each was set.
    pub methods: BTreeMap<usize, i64>,
    /// None where nothing is requested by itself.
    pub schedule: Option<Schedule>,
    /// By currency the next date of the schedule, and when it is taken: not before the method's hold ends.
    pub dates: BTreeMap<usize, (i64, i64)>,
    /// Empty before it became a partner: level and pin.
    pub levels: History<(usize, bool)>,
    /// Rates of its own by product or `default`; none ends one.
    pub overrides: BTreeMap<String, History<Option<i64>>>,
    pub blocked: bool,
    pub balances: [[i64; 5]; CURRENCIES.len()],
    pub months: BTreeMap<(usize, (i32, u32)), MonthSums>,
    /// Payouts requested by year.
    pub numbers: BTreeMap<i32, usize>,
    /// Postings so far; each is two entries.
    pub postings: usize,
}

#[derive(Debug)]
pub struct Customer {
    pub account: Account,
    pub key: Client,
    pub blocked: bool,
    /// Managers, each from a moment until another.
    pub links: Vec<(usize, i64, Option<i64>)>,
}

#[derive(Debug)]
pub struct Container {
    pub id: String,
    pub product: usize,
    pub owners: History<usize>,
    /// Price, currency, whether it is yearly, whether it is active or past due.
    pub subscription: (i64, usize, bool, bool),
    pub changed_at: Option<i64>,
    pub pending_transfer: Option<String>,
}

#[derive(Debug)]
pub struct Payment {
    pub external_id: String,
    pub amount: i64,
    pub currency: usize,
    pub refunded: i64,
    pub row: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    InReview,
    Ready,
    InPayout,
    Paid,
    Reversed,
    NoCommission,
}

/// A commission or an adjustment.
#[derive(Debug, Clone)]
pub struct Row {
    /// Empty until the server has told it.
    pub id: String,
    pub manager: usize,
    pub is_adjustment: bool,
    pub status: Status,
    pub reason: Option<String>,
    pub client: Option<usize>,
    pub currency: usize,
    pub base: Option<i64>,
    pub rate: Option<i64>,
    pub level: Option<usize>,
    pub version: Option<i64>,
    pub amount: i64,
    pub reversed: i64,
    /// What refunds took by adjustments, as a positive sum.
    pub taken_by_adjustments: i64,
    pub review_until: Option<i64>,
    pub ready_at: Option<i64>,
    pub payout: Option<usize>,
    pub adjusts: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutStatus {
    Requested,
    Approved,
    Processing,
    Paid,
    Canceled,
    Rejected,
    Failed,
}

#[derive(Debug)]
pub struct Payout {
    pub id: String,
    pub number: String,
    pub manager: usize,
    pub currency: usize,
    pub amount: i64,
    pub lines: Vec<usize>,
    pub status: PayoutStatus,
    pub requested_at: i64,
    /// Whether it requested itself.
    pub by_schedule: bool,
    pub closed_at: Option<i64>,
    pub returned: bool,
}

/// Everything, and what has been touched since it was last compared.
#[derive(Debug)]
pub struct World {
    pub now: i64,
    pub programs: History<Program>,
    pub managers: Vec<Manager>,
    pub clients: Vec<Customer>,
    pub containers: Vec<Container>,
    pub payments: Vec<Payment>,
    pub rows: Vec<Row>,
    pub payouts: Vec<Payout>,
    /// Rows in review by the time at which they get ready.
    pub review: BTreeSet<(i64, usize)>,
    pub touched_rows: BTreeSet<usize>,
    pub touched_payouts: BTreeSet<usize>,
    pub touched_managers: BTreeSet<usize>,
}

impl World {
    /// The program in force at a time; the first one is in force since ever.
    pub fn program_at(&self, time: i64) -> &Program {
        self.programs.at(time).unwrap_or(&self.programs.0[0].1)
    }

    pub fn program(&self) -> &Program {
        self.programs.newest().expect("a program")
    }

    /// Who owned a container at a time; before its first owner, the first owner.
    pub fn owner_at(&self, container: usize, time: i64) -> usize {
        let owners = &self.containers[container].owners;
        *owners.at(time).unwrap_or(&owners.0[0].1)
    }

    pub fn owner(&self, container: usize) -> usize {
        *self.containers[container].owners.newest().expect("an owner")
    }

    /// Who managed a client at a time.
    pub fn manager_at(&self, client: usize, time: i64) -> Option<usize> {
        let links = self.clients[client].links.iter().rev();
        let held = |(_, from, to): &&(usize, i64, Option<i64>)| *from <= time && to.is_none_or(|to| time < to);
        links.clone().find(held).map(|(manager, ..)| *manager)
    }

    pub fn manager(&self, client: usize) -> Option<usize> {
        self.clients[client].links.last().filter(|(_, _, to)| to.is_none()).map(|(manager, ..)| *manager)
    }

    /// How much of everything there is: a run that met nothing shows it.
    pub fn census(&self) -> String {
        let of = |status| self.rows.iter().filter(|row| row.status == status).count();
        let paid = self.payouts.iter().filter(|payout| payout.status == PayoutStatus::Paid).count();
        let by_schedule = self.payouts.iter().filter(|payout| payout.by_schedule).count();
        let adjustments = self.rows.iter().filter(|row| row.is_adjustment).count();
        let levels: usize = self.managers.iter().map(|manager| manager.levels.0.len()).sum();
        format!(
            "{} payments, {} rows ({} paid, {} reversed, {} of nothing, {adjustments} adjustments), {} payouts ({paid} \
             paid, {by_schedule} by schedule), {levels} levels, {} programs",
            self.payments.len(),
            self.rows.len(),
            of(Status::Paid),
            of(Status::Reversed),
            of(Status::NoCommission),
            self.payouts.len(),
            self.programs.0.len(),
        )
    }

    pub fn is_partner(&self, manager: usize) -> bool {
        !self.managers[manager].levels.0.is_empty()
    }

    /// Moves money between two pots of a manager.
    pub fn post(&mut self, manager: usize, currency: usize, amount: i64, from: Pot, to: Pot, why: Move) {
        let now = self.now;
        let manager_row = &mut self.managers[manager];
        manager_row.balances[currency][from as usize] -= amount;
        manager_row.balances[currency][to as usize] += amount;
        manager_row.postings += 1;
        let sums = manager_row.months.entry((currency, month(now))).or_default();
        match why {
            Move::Earned => sums[0] += amount,
            Move::Reversed => sums[1] += amount,
            Move::Adjusted => sums[2] += amount,
            Move::PaidOut => sums[3] += amount,
            Move::Within => {}
        }
        self.touched_managers.insert(manager);
    }

    pub fn balance(&self, manager: usize, currency: usize, pot: Pot) -> i64 {
        self.managers[manager].balances[currency][pot as usize]
    }

    /// The paid containers of a manager: price, currency, yearly, product.
    fn paid_containers(&self, manager: usize) -> impl Iterator<Item = (i64, usize, bool, usize)> {
        let is_its = move |(index, container): &(usize, &Container)| {
            let (price, .., live) = container.subscription;
            live && price > 0 && self.manager(self.owner(*index)) == Some(manager)
        };
        self.containers.iter().enumerate().filter(is_its).map(|(_, container)| {
            let (price, currency, yearly, _) = container.subscription;
            (price, currency, yearly, container.product)
        })
    }

    /// Monthly commissions of all paid containers at the manager's own rates, or an agency's at level 1, by currency.
    pub fn monthly_values(&self, manager: usize) -> [i64; CURRENCIES.len()] {
        let mut values = [0; CURRENCIES.len()];
        for (price, currency, yearly, product) in self.paid_containers(manager) {
            let own = self.rate_at(manager, self.now, product).map(|(rate, _)| rate);
            let rate = own.unwrap_or_else(|| level_rate(self.program(), 1, product));
            values[currency] += monthly(price, yearly, rate);
        }
        values
    }

    /// The level that a manager's figures reach, 0 for none.
    pub fn earned_level(&self, manager: usize) -> usize {
        let count = self.paid_containers(manager).count();
        let in_program_currency = self.paid_containers(manager).filter(|(_, currency, ..)| *currency == 0);
        let value: i64 = in_program_currency
            .map(|(price, _, yearly, product)| monthly(price, yearly, level_rate(self.program(), 1, product)))
            .sum();
        let met = LEVELS.iter().rposition(|(containers, worth)| count >= *containers || value >= *worth);
        met.map_or(0, |index| index + 1)
    }

    /// A manager's rate for a product at a time, and its level; none before it was a partner.
    pub fn rate_at(&self, manager: usize, time: i64, product: usize) -> Option<(i64, usize)> {
        let manager_row = &self.managers[manager];
        let (level, _) = *manager_row.levels.at(time)?;
        let own = |key: &str| manager_row.overrides.get(key).and_then(|history| *history.at(time)?);
        let rate = own(PRODUCTS[product].0).or_else(|| own("default"));
        Some((rate.unwrap_or_else(|| level_rate(self.program_at(time), level, product)), level))
    }
}

fn monthly(price: i64, yearly: bool, rate: i64) -> i64 {
    super::figures::rounded(i128::from(price) * i128::from(rate), if yearly { 120_000 } else { 10_000 })
}

fn level_rate(program: &Program, level: usize, product: usize) -> i64 {
    let rates = &program.rates[level - 1];
    rates.get(PRODUCTS[product].0).copied().unwrap_or_else(|| rates["default"])
}
