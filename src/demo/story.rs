//! What happens in the demonstration: who takes part, which containers they have, and on which day things happen. Data and
//! arithmetic only, always the same.

use crate::accounts::AccountKind;
use crate::containers::{BillingPeriod, Product};
use crate::payout_methods::{AccountType, AchDetails, MethodDetails, PlainName, SepaDetails};

/// Days that the story lasts: 14 months.
pub const DAYS: i64 = 425;

/// Days between two monthly payments in the story.
const MONTH_DAYS: i64 = 30;

/// Days between two yearly payments in the story.
const YEAR_DAYS: i64 = 365;

/// An agency of the story.
#[derive(Debug)]
pub struct Manager {
    /// Company.
    pub company: &'static str,
    /// Its owner.
    pub owner: (&'static str, &'static str),
    /// E-mail address of its owner.
    pub email: &'static str,
    /// How many clients it has at the end.
    pub clients: usize,
    /// What its clients' containers are, and how many of each.
    pub containers: &'static [(Kind, usize)],
    /// Whether its first application is turned down.
    pub rejected_first: bool,
}

/// A kind of container: product, plan, and price in cents per month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its product.
    pub product: Product,
    /// Its plan.
    pub plan: &'static str,
    /// Price in cents.
    pub monthly_minor: i64,
}

const fn sgtm(plan: &'static str, monthly_minor: i64) -> Kind {
    Kind { product: Product::SgtmContainer, plan, monthly_minor }
}

const FREE: Kind = sgtm("free", 0);
const PRO: Kind = sgtm("pro", 2_000);
const BUSINESS: Kind = sgtm("business", 10_000);
const ENTERPRISE: Kind = sgtm("enterprise", 20_000);
const CUSTOM: Kind = sgtm("custom", 35_000);
const META_ULTIMATE: Kind = Kind { product: Product::MetaCapiGateway, plan: "ultimate", monthly_minor: 1_000 };
const META_UNLIMITED: Kind = Kind { product: Product::MetaCapiGateway, plan: "unlimited", monthly_minor: 10_000 };

/// Three partners, one of each level, and an agency one paid container short of the threshold.
pub const MANAGERS: &[Manager] = &[
    Manager {
        company: "Northlight Analytics",
        owner: ("Maya", "Lindqvist"),
        email: "maya@northlight.example",
        clients: 28,
        containers: &[
            (PRO, 20),
            (BUSINESS, 16),
            (FREE, 10),
            (ENTERPRISE, 10),
            (META_UNLIMITED, 2),
            (META_ULTIMATE, 2),
            (CUSTOM, 2),
        ],
        rejected_first: false,
    },
    Manager {
        company: "Harbour Digital",
        owner: ("Tomás", "Ferreira"),
        email: "tomas@harbour.example",
        clients: 17,
        containers: &[(PRO, 16), (FREE, 8), (BUSINESS, 5), (META_ULTIMATE, 2), (ENTERPRISE, 1)],
        rejected_first: false,
    },
    Manager {
        company: "Pixelroots",
        owner: ("Aiko", "Brandt"),
        email: "aiko@pixelroots.example",
        clients: 10,
        containers: &[(PRO, 9), (FREE, 8), (BUSINESS, 1)],
        rejected_first: true,
    },
    Manager {
        company: "Tagsmith",
        owner: ("Oluwaseun", "Marsh"),
        email: "oluwaseun@tagsmith.example",
        clients: 5,
        containers: &[(PRO, 5), (FREE, 3)],
        rejected_first: false,
    },
];

/// A referral link of the story.
#[derive(Debug)]
pub struct Link {
    /// What its manager calls it.
    pub name: &'static str,
    /// Its source.
    pub source: &'static str,
    /// Where it leads.
    pub target_url: &'static str,
}

/// The links that each manager makes besides the default one.
pub const LINKS: &[Link] = &[
    Link { name: "Newsletter", source: "newsletter", target_url: "https://stape.io/pricing" },
    Link { name: "Conference talk", source: "talk", target_url: "https://stape.io/server-side-tracking" },
];

/// Clicks on a link on a day, from none to a dozen: fewer at the weekend, more as time goes by.
#[must_use]
pub fn clicks(manager: usize, link: usize, day: i64) -> usize {
    let number = usize::try_from(day).unwrap_or(0);
    let weekday = if number % 7 > 4 { 1 } else { 3 };
    let popularity = [4, 3, 2, 1].get(manager).copied().unwrap_or(1);
    (number * 13 + link * 5) % (weekday + popularity) * (number + 150) / 400 / (link + 1)
}

/// Where a payout of the story ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits for the operator.
    Requested,
    /// It waits to be sent.
    Approved,
    /// It is on its way.
    Processing,
    /// It arrives.
    Paid,
    /// The partner withdraws it.
    Canceled,
    /// The operator refuses it.
    Rejected,
    /// The bank sends it back.
    Failed,
}

/// Days before the end on which the newest payouts are requested.
const NEWEST_PAYOUT_DAYS: i64 = 9;

/// Whether a partner requests a payout on a day: each month, and the first partner once more shortly before the end.
#[must_use]
pub const fn requests_payout(manager: usize, day: i64) -> bool {
    day % MONTH_DAYS == 12 || manager == 0 && day == DAYS - NEWEST_PAYOUT_DAYS
}

/// What becomes of the `number`th payout: most arrive; those of the last month are still open, each partner's in another state.
#[must_use]
pub const fn fate(manager: usize, day: i64, number: usize) -> Fate {
    if day > DAYS - MONTH_DAYS {
        return match manager {
            0 if day == DAYS - NEWEST_PAYOUT_DAYS => Fate::Requested,
            0 => Fate::Processing,
            _ => Fate::Approved,
        };
    }
    match number {
        3 => Fate::Canceled,
        6 => Fate::Rejected,
        10 => Fate::Failed,
        _ => Fate::Paid,
    }
}

/// How a manager is paid, per currency.
#[must_use]
pub fn payout_methods(manager: &Manager) -> Vec<(&'static str, MethodDetails)> {
    let holder = PlainName(manager.company.to_owned());
    let dollars = MethodDetails::Ach(AchDetails {
        holder: holder.clone(),
        routing_number: "021000021".to_owned(),
        account_number: "000123456789".to_owned(),
        account_type: AccountType::Checking,
    });
    let euros = MethodDetails::Sepa(SepaDetails { holder, iban: "DE89370400440532013000".to_owned() });
    vec![("USD", dollars), ("EUR", euros)]
}

const FIRST_NAMES: &[&str] = &[
    "Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farah", "Gustav", "Hana", "Ivo", "Jutta", "Kofi", "Lena", "Marek",
    "Nour", "Oskar", "Priya", "Quentin", "Rosa", "Stefan", "Tuva",
];
const LAST_NAMES: &[&str] =
    &["Abbott", "Bianchi", "Castro", "Dufour", "Eriksen", "Fischer", "Garcia", "Haas", "Ibsen", "Jansen", "Kowalski"];
const SHOPS: &[&str] = &[
    "Lumen Lamps",
    "Tidepool Surf",
    "Fable Books",
    "Copper Kettle",
    "Orchard Kids",
    "Summit Gear",
    "Velvet Paw",
    "Juniper Tea",
    "Nimbus Bikes",
    "Saffron Table",
    "Atlas Shoes",
    "Willow Home",
];

/// A client of the story.
#[derive(Debug, Clone)]
pub struct Client {
    /// Which manager's.
    pub manager: usize,
    /// First name.
    pub first_name: &'static str,
    /// Last name.
    pub last_name: &'static str,
    /// Shop, which names its containers.
    pub shop: &'static str,
    /// E-mail address.
    pub email: String,
    /// The day on which it comes.
    pub day: i64,
    /// Which of its manager's links it comes by; none for one that the manager creates.
    pub link: Option<usize>,
}

/// Every client, by manager.
#[must_use]
pub fn clients() -> Vec<Client> {
    let mut clients = Vec::new();
    for (manager, of) in MANAGERS.iter().enumerate() {
        for index in 0..of.clients {
            let number = clients.len();
            let pick =
                |names: &[&'static str], step: usize| names.get(number * step % names.len()).copied().unwrap_or("");
            let (first_name, last_name, shop) = (pick(FIRST_NAMES, 1), pick(LAST_NAMES, 3), pick(SHOPS, 5));
            let host = shop.to_lowercase().replace(' ', "-");
            clients.push(Client {
                manager,
                first_name,
                last_name,
                shop,
                email: format!("{}{number}@{host}.example", first_name.to_lowercase()),
                day: 1 + spread(index, of.clients, DAYS * 3 / 5),
                link: (index % 3 == 2).then_some(index / 3 % (LINKS.len() + 1)),
            });
        }
    }
    clients
}

/// A container of the story.
#[derive(Debug)]
pub struct Container {
    /// Which client's, by its place in [`clients`].
    pub client: usize,
    /// What it is.
    pub kind: Kind,
    /// How often it is paid.
    pub period: BillingPeriod,
    /// Whether it is paid in euros.
    pub in_euros: bool,
    /// Percent of tax on top of the price.
    pub tax_percent: i64,
    /// The day on which it is made, and paid for the first time.
    pub day: i64,
    /// The day on which it is cancelled.
    pub cancelled: Option<i64>,
}

/// Every container.
#[must_use]
pub fn containers(clients: &[Client]) -> Vec<Container> {
    let mut containers = Vec::new();
    for (manager, of) in MANAGERS.iter().enumerate() {
        let own: Vec<usize> = clients
            .iter()
            .enumerate()
            .filter(|(_, client)| client.manager == manager)
            .map(|(index, _)| index)
            .collect();
        let kinds = of.containers.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
        let total: usize = of.containers.iter().map(|(_, count)| count).sum();
        for (index, kind) in kinds.enumerate() {
            let Some(client) = own.get(index * 3 % own.len().max(1)).copied() else { continue };
            let came = clients.get(client).map_or(1, |client| client.day);
            let paid = kind.monthly_minor > 0;
            containers.push(Container {
                client,
                kind,
                period: if paid && index % 5 == 4 { BillingPeriod::Yearly } else { BillingPeriod::Monthly },
                in_euros: manager == 1 && kind == PRO && index % 4 == 3,
                tax_percent: if index % 3 == 0 { 20 } else { 0 },
                day: came + 1 + spread(index, total, DAYS * 7 / 10 - came).max(0),
                cancelled: (manager == 0 && paid && index % 19 == 18).then_some(DAYS - 40),
            });
        }
    }
    containers
}

impl Container {
    /// Requests of the usage period at the end of the story; `index` spreads them from few to more than the plan has.
    #[must_use]
    pub fn usage(&self, index: usize) -> i64 {
        let limit = match self.kind.plan {
            "free" => 10_000,
            "pro" => 500_000,
            "business" => 5_000_000,
            _ => 20_000_000,
        };
        let percent = i64::try_from(index * 37 % 113).unwrap_or(0);
        limit * percent / 100
    }

    /// Price per billing period in minor units; a year costs ten months.
    #[must_use]
    pub const fn price_minor(&self) -> i64 {
        match self.period {
            BillingPeriod::Monthly => self.kind.monthly_minor,
            BillingPeriod::Yearly => self.kind.monthly_minor * 10,
        }
    }

    /// Days from one payment to the next.
    #[must_use]
    pub const fn period_days(&self) -> i64 {
        match self.period {
            BillingPeriod::Monthly => MONTH_DAYS,
            BillingPeriod::Yearly => YEAR_DAYS,
        }
    }

    /// Whether a payment is made on `day`, and which one, from 0.
    #[must_use]
    pub fn payment_on(&self, day: i64) -> Option<i64> {
        let since = day - self.day;
        let live = self.kind.monthly_minor > 0 && since >= 0 && self.cancelled.is_none_or(|end| day < end);
        (live && since % self.period_days() == 0).then_some(since / self.period_days())
    }
}

/// The `index`th of `count` places on a stretch of `days`.
fn spread(index: usize, count: usize, days: i64) -> i64 {
    let (index, count) = (i64::try_from(index).unwrap_or(0), i64::try_from(count).unwrap_or(1).max(1));
    index * days / count
}

/// The kind of account that managers sign up as.
pub const MANAGER_KIND: AccountKind = AccountKind::Agency;
