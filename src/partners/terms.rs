//! What a partner is paid: its level and rate overrides, as histories. Pure once loaded.
//!
//! A row is in force from its `effective_from` on, until the next one of its kind: half-open intervals. The first level
//! row is the moment the account became a partner; there is no way out again. No row begins before the one before it, whatever
//! the clock of the server says that writes it: so the last rows are those in force at present.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::containers::Product;
use crate::db::schema::{partner_levels, rate_overrides};
use crate::db::{Conn, KeepPrepared, few_sizes, with_conn};
use crate::error::Result;
use crate::id::{AccountId, TermId};
use crate::money::Rate;
use crate::program::{DEFAULT_RATE, Level, ProgramConfig};

/// A level that an account had from a time on.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = partner_levels)]
pub struct LevelRow {
    /// The partner.
    pub account_id: AccountId,
    /// Orders rows of the same moment.
    pub id: TermId,
    /// The level.
    pub level: i32,
    /// Whether it stays whatever the figures say.
    pub pinned: bool,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub author: String,
    /// From then on.
    pub effective_from: Timestamp,
}

/// A rate of its own that an account had from a time on.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = rate_overrides)]
pub struct OverrideRow {
    /// The partner.
    pub account_id: AccountId,
    /// Orders rows of the same moment.
    pub id: TermId,
    /// A product, or `default`.
    pub product: String,
    /// Basis points; none ends the override.
    pub rate_bps: Option<i32>,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub author: String,
    /// From then on.
    pub effective_from: Timestamp,
}

crate::text_enum! {
    /// Which rule gave a rate; the first that fits wins, in this order.
    pub enum RateSource {
        /// The partner's override for the product.
        PartnerProduct = "partnerProduct",
        /// The partner's override for every product.
        PartnerDefault = "partnerDefault",
        /// The level's rate for the product.
        LevelProduct = "levelProduct",
        /// The level's rate for every product.
        LevelDefault = "levelDefault",
    }
}

/// A rate, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedRate {
    /// The rate.
    pub rate: Rate,
    /// The rule that gave it.
    pub source: RateSource,
    /// The level in force.
    pub level: i32,
}

/// The histories of one account; empty for one that was never a partner.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    levels: Vec<LevelRow>,
    overrides: Vec<OverrideRow>,
}

impl Terms {
    /// The histories of each of `accounts`.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn load(conn: &mut Conn, accounts: &[AccountId]) -> Result<HashMap<AccountId, Self>> {
        let mut terms: HashMap<AccountId, Self> = accounts.iter().map(|id| (*id, Self::default())).collect();
        let levels: Vec<LevelRow> = with_conn!(conn, c => partner_levels::table
            .filter(partner_levels::account_id.eq_any(few_sizes(accounts)))
            .order((partner_levels::account_id, partner_levels::effective_from, partner_levels::id))
            .select(LevelRow::as_select())
            .kept()
            .load(c))?;
        let overrides: Vec<OverrideRow> = with_conn!(conn, c => rate_overrides::table
            .filter(rate_overrides::account_id.eq_any(few_sizes(accounts)))
            .order((rate_overrides::account_id, rate_overrides::effective_from, rate_overrides::id))
            .select(OverrideRow::as_select())
            .kept()
            .load(c))?;
        for row in levels {
            terms.entry(row.account_id).or_default().levels.push(row);
        }
        for row in overrides {
            terms.entry(row.account_id).or_default().overrides.push(row);
        }
        Ok(terms)
    }

    /// The histories of one account.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn of(conn: &mut Conn, account_id: AccountId) -> Result<Self> {
        Ok(Self::load(conn, &[account_id])?.remove(&account_id).unwrap_or_default())
    }

    /// Adds the newest level row.
    pub fn push_level(&mut self, row: LevelRow) {
        self.levels.push(row);
    }

    /// The level row in force; `None` before the account is a partner.
    #[must_use]
    pub fn present_level(&self) -> Option<&LevelRow> {
        self.levels.last()
    }

    /// The rate overrides in force, by product or `default`.
    #[must_use]
    pub fn present_overrides(&self) -> BTreeMap<String, Rate> {
        let newest: BTreeMap<&str, Option<i32>> =
            self.overrides.iter().map(|row| (row.product.as_str(), row.rate_bps)).collect();
        let in_force = newest.into_iter().filter_map(|(product, bps)| Some((product.to_owned(), Rate::from_bps(bps?))));
        in_force.collect()
    }

    /// Id and beginning of a row that is added now, under the account's lock.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> (TermId, Timestamp) {
        let level = self.levels.last().map(|row| (row.id, row.effective_from));
        let own_rate = self.overrides.last().map(|row| (row.id, row.effective_from));
        TermId::following(now, level.into_iter().chain(own_rate))
    }

    /// The rate for `product` at `time` under `program`; `None` before the account was a partner.
    #[must_use]
    pub fn rate_at(&self, time: Timestamp, program: &ProgramConfig, product: Product) -> Option<AppliedRate> {
        self.rate(program, product, |effective_from| effective_from <= time)
    }

    /// The rate by the last rows among those that have `begun`.
    fn rate(
        &self,
        program: &ProgramConfig,
        product: Product,
        begun: impl Fn(Timestamp) -> bool,
    ) -> Option<AppliedRate> {
        let level = self.levels.iter().rev().find(|row| begun(row.effective_from))?.level;
        let own = |name: &str| {
            let rows = self.overrides.iter().rev();
            rows.filter(|row| row.product == name).find(|row| begun(row.effective_from)).and_then(|row| row.rate_bps)
        };
        if let Some(bps) = own(product.as_str()) {
            return Some(AppliedRate { rate: Rate::from_bps(bps), source: RateSource::PartnerProduct, level });
        }
        if let Some(bps) = own(DEFAULT_RATE) {
            return Some(AppliedRate { rate: Rate::from_bps(bps), source: RateSource::PartnerDefault, level });
        }
        let (rate, of_product) = what_is_left_of(program, level)?.rate(product);
        let source = if of_product { RateSource::LevelProduct } else { RateSource::LevelDefault };
        Some(AppliedRate { rate, source, level })
    }

    /// The rate in force for every product without one of its own, at `level`.
    #[must_use]
    pub fn present_default_rate(&self, program: &ProgramConfig, level: i32) -> Rate {
        let own = self.present_overrides().get(DEFAULT_RATE).copied();
        let of_level = || what_is_left_of(program, level).map(Level::default_rate);
        own.or_else(of_level).unwrap_or(Rate::from_bps(0))
    }

    /// The rate at which a manager's containers are valued: its own, or an agency's, which is level 1's.
    #[must_use]
    pub fn present_rate(&self, program: &ProgramConfig, product: Product) -> Rate {
        let own = self.rate(program, product, |_| true).map(|applied| applied.rate);
        own.unwrap_or_else(|| level_one_rate(program, product))
    }
}

/// The level, or where the program has dropped it since, the next lower one that it still has.
fn what_is_left_of(program: &ProgramConfig, level: i32) -> Option<&Level> {
    program.levels.iter().rev().find(|row| row.level <= level).or(program.first_level())
}

/// Level 1's rate for `product`, without overrides: what referral value counts.
#[must_use]
pub fn level_one_rate(program: &ProgramConfig, product: Product) -> Rate {
    program.first_level().map_or(Rate::from_bps(0), |level| level.rate(product).0)
}
