//! What the operator decides about one partner: its level, whether the level is pinned, and rates of its own. In force at
//! once; each change is a row of a history, with author and reason.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::Validate;

use super::level;
use super::portfolio;
use super::terms::{LevelRow, OverrideRow, Terms};
use crate::accounts::models::Account;
use crate::accounts::{self, AccountKind, AccountRow};
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::rate_overrides;
use crate::error::{Code, Error, Problem, Result, Violation, pointer_to};
use crate::events::EventType;
use crate::http::{present, trimmed};
use crate::id::AccountId;
use crate::money::Rate;
use crate::program::{self, ProgramConfig, is_rate_key};
use crate::{audit, events};

/// A decision about a partner: JSON Merge Patch, with a reason.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePartner {
    /// A level of the program. One below the level that the figures earn is pinned.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 20, example = 2)]
    pub level: Option<i32>,
    /// Whether the level stays whatever the figures say. A pin that is taken off lets the level rise at once to what they earn.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, example = true)]
    pub pinned: Option<bool>,
    /// Percent by product, or `default` for every other; null ends an override.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = rate_overrides_schema)]
    pub rate_overrides: Option<BTreeMap<String, Option<Rate>>>,
    /// Why, for the audit log and the histories.
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S", example = "agreed in the yearly talk")]
    pub reason: String,
}

/// A partner, with what the operator decided about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Partner {
    /// The account, with the partner's level.
    #[serde(flatten)]
    pub account: Account,
    /// Whether the level stays whatever the figures say.
    #[schema(example = false)]
    pub pinned: bool,
    /// Rates of its own in percent, by product, or `default` for every other.
    #[schema(value_type = BTreeMap<String, Rate>, example = json!({"default": "32.5"}))]
    pub rate_overrides: BTreeMap<String, Rate>,
}

/// Carries out a decision about a partner; its values follow.
///
/// # Errors
/// 404; 403 `notPartner`; 422 for a level or product that the program does not have, and for a level below the earned one
/// that shall not be pinned.
pub fn decide(conn: &mut Conn, context: &Context, account_id: AccountId, input: &UpdatePartner) -> Result<Partner> {
    let (context, account) = &accounts::service::lock_one(conn, context, account_id)?;
    if account.kind != AccountKind::Partner {
        return Err(Error::refused(Code::NotPartner, format!("the account is of the kind {}", account.kind)));
    }
    let program = program::service::current(conn)?.config;
    let (paid_containers, referral_minor) = portfolio::stored_figures(conn, account_id, &program)?;
    let earned = program.highest_met(paid_containers, referral_minor).map_or(0, |level| level.level);
    let violations = violations(input, account, earned, &program);
    if !violations.is_empty() {
        return Err(Problem::validation(violations).into());
    }
    let terms = Terms::of(conn, account_id)?;
    set_level(conn, context, account, &terms, earned, input)?;
    set_overrides(conn, context, account_id, &terms, input)?;
    let terms = Terms::of(conn, account_id)?;
    portfolio::revalue(conn, &[(account_id, &terms)], &program)?;
    let account = accounts::service::find(conn, account_id)?;
    Ok(Partner { pinned: account.level_pinned, rate_overrides: terms.present_overrides(), account: account.into() })
}

fn rate_overrides_schema() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let rate = OneOfBuilder::new().item(null).item(Rate::schema()).build();
    ObjectBuilder::new()
        .description(Some("Percent by product, or `default` for every other; null ends an override."))
        .additional_properties(Some(RefOr::T(Schema::OneOf(rate))))
        .examples([json!({"default": "32.5", "signalsGateway": null})])
        .into()
}

fn violations(input: &UpdatePartner, account: &AccountRow, earned: i32, program: &ProgramConfig) -> Vec<Violation> {
    let mut violations = Vec::new();
    if input.level.is_some_and(|level| program.level(level).is_none()) {
        violations.push(Violation::at("/level", "unknown", "is not a level of the program"));
    }
    let is_below = input.level.or(account.level).is_some_and(|level| level < earned);
    if input.pinned == Some(false) && input.level.is_some() && is_below {
        let detail = format!("must not be false for a level below {earned}, which the figures earn");
        violations.push(Violation::at("/pinned", "contradiction", detail));
    }
    let keys = input.rate_overrides.iter().flat_map(BTreeMap::keys);
    violations
        .extend(keys.filter(|key| !is_rate_key(key)).map(|key| {
            Violation::at(pointer_to("/rateOverrides", key), "unknown", "is neither a product nor default")
        }));
    violations
}

fn set_level(
    conn: &mut Conn,
    context: &Context,
    account: &AccountRow,
    terms: &Terms,
    earned: i32,
    input: &UpdatePartner,
) -> Result<()> {
    let present = account.level.unwrap_or(1);
    let wanted = input.level.unwrap_or(present);
    let pinned = match (input.pinned, input.level) {
        (Some(pinned), _) => pinned,
        (None, Some(level)) if level < earned => true,
        (None, _) => account.level_pinned,
    };
    // What is not pinned any more rises at once.
    let rises = input.pinned == Some(false) && account.level_pinned;
    let level = if rises { wanted.max(earned) } else { wanted };
    if (level, pinned) == (present, account.level_pinned) {
        return Ok(());
    }
    let (id, effective_from) = terms.next(context.now);
    let row = LevelRow {
        account_id: account.id,
        id,
        level,
        pinned,
        reason: input.reason.clone(),
        author: context.actor.id.clone(),
        effective_from,
    };
    level::record(conn, context, &row)
}

fn set_overrides(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    terms: &Terms,
    input: &UpdatePartner,
) -> Result<()> {
    let Some(wanted) = &input.rate_overrides else { return Ok(()) };
    let present = terms.present_overrides();
    let changed: BTreeMap<_, _> = wanted.iter().filter(|(key, rate)| present.get(*key) != rate.as_ref()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    for (product, rate) in &changed {
        let (id, effective_from) = terms.next(context.now);
        let row = OverrideRow {
            account_id,
            id,
            product: (*product).clone(),
            rate_bps: rate.map(Rate::bps),
            reason: input.reason.clone(),
            author: context.actor.id.clone(),
            effective_from,
        };
        diesel::insert_into(rate_overrides::table).values(&row).execute(conn)?;
    }
    let details = json!({"rateOverrides": changed, "reason": input.reason});
    audit::record(conn, context, Some(account_id), "rates.changed", account_id, Some(details))?;
    events::record(conn, context, account_id, EventType::RatesChanged, account_id)
}
