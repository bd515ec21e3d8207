//! A new version of the program: checked as a whole, in force at once for what happens from now on, with all managers'
//! values recalculated. Nothing that was made under an older version changes, and no level by itself: it rises with the
//! next subscription that changes, link or unlink.

use diesel::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, SchemaType};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::service::{self, VersionRow};
use super::{Program, ProgramConfig, rules};
use crate::accounts::{self, AccountKind};
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts as accounts_table, containers, ledger_balances, program_versions};
use crate::error::{Error, Problem, Result, Violation};
use crate::http::{IfMatch, json};
use crate::id::{AccountId, Resource};
use crate::money::Currency;
use crate::partners::{Terms, portfolio};
use crate::{audit, containers::Product};

/// What the server adds to a configuration; a client may send it back as it got it.
const READ_ONLY: [&str; 3] = ["version", "author", "createdAt"];

/// Managers whose values are recalculated between two looks for more.
const MANAGERS_PER_PAGE: usize = 500;

/// A configuration as it was sent, with or without what the server adds to it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct SentProgram(Map<String, Value>);

impl PartialSchema for SentProgram {
    fn schema() -> RefOr<Schema> {
        let ignored = |name: &str| {
            let description = format!("`{name}` as it was read; it is ignored.");
            ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description))
        };
        let added = READ_ONLY.iter().fold(ObjectBuilder::new(), |object, name| object.property(*name, ignored(name)));
        AllOfBuilder::new()
            .item(Ref::from_schema_name(ProgramConfig::name()))
            .item(added)
            .description(Some("The configuration of the program, as it shall be from now on."))
            .into()
    }
}

impl ToSchema for SentProgram {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ProgramConfig::name().into_owned(), ProgramConfig::schema()));
        ProgramConfig::schemas(schemas);
    }
}

impl Validate for SentProgram {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

impl SentProgram {
    /// The configuration in it.
    ///
    /// # Errors
    /// 422 for a wrong shape.
    pub fn config(&self) -> Result<ProgramConfig> {
        let fields = self.0.iter().filter(|(name, _)| !READ_ONLY.contains(&name.as_str()));
        let fields: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(json::of_shape(Value::Object(fields))?)
    }
}

/// Puts what was sent in force; the same one as before makes no new version.
///
/// # Errors
/// 428 `preconditionRequired` and 412 `preconditionFailed`, also where another change was faster; 422 with every broken rule.
pub fn replace(conn: &mut Conn, context: &Context, condition: &IfMatch, sent: &SentProgram) -> Result<Program> {
    service::take(conn)?;
    let current = service::current(conn)?;
    // A body of a wrong shape is told whatever the tag names.
    condition.required()?;
    let config = &sent.config()?;
    condition.check(&current)?;
    let mut violations = rules::violations(config);
    violations.extend(in_use(conn, &current.config, config)?);
    if !violations.is_empty() {
        return Err(Problem::validation(violations).into());
    }
    if *config == current.config {
        return Ok(current);
    }
    revalue_all(conn, config)?;
    // Until all were locked, payments were rated by the present version, and somebody may have begun to use what goes.
    let context = &context.under_locks();
    let violations = in_use(conn, &current.config, config)?;
    if !violations.is_empty() {
        return Err(Problem::validation(violations).into());
    }
    let row = VersionRow {
        version: current.version + 1,
        config: serde_json::to_string(config).map_err(Error::internal)?,
        author: context.actor.id.clone(),
        created_at: context.now.max(current.created_at),
    };
    diesel::insert_into(program_versions::table).values(&row).execute(conn)?;
    let version = Resource { kind: "programVersion", id: row.version.to_string() };
    audit::record(conn, context, None, "program.changed", version, Some(json!({"version": row.version})))?;
    service::parse(row)
}

/// What would go although it is in use.
fn in_use(conn: &mut Conn, before: &ProgramConfig, after: &ProgramConfig) -> Result<Vec<Violation>> {
    let mut violations = plans_in_use(conn, before, after)?;
    violations.extend(currencies_in_use(conn, before, after)?);
    Ok(violations)
}

/// Plans that would go although containers have them.
fn plans_in_use(conn: &mut Conn, before: &ProgramConfig, after: &ProgramConfig) -> Result<Vec<Violation>> {
    let removed = before.plans.iter().filter(|plan| after.plan(plan.product, &plan.plan).is_none());
    let mut violations = Vec::new();
    for plan in removed {
        let users = containers::table
            .filter(containers::product.eq(plan.product))
            .filter(containers::plan.eq(&plan.plan))
            .filter(containers::deleted_at.is_null());
        if diesel::select(diesel::dsl::exists(users)).get_result(conn)? {
            violations.push(plan_in_use(plan.product, &plan.plan));
        }
    }
    Ok(violations)
}

fn plan_in_use(product: Product, plan: &str) -> Violation {
    Violation::at("/plans", "inUse", format!("must hold the plan {plan} of {product}: containers have it"))
}

/// Currencies that would go although containers are priced in them or balances are open.
fn currencies_in_use(conn: &mut Conn, before: &ProgramConfig, after: &ProgramConfig) -> Result<Vec<Violation>> {
    let removed = before.currencies.iter().map(|terms| terms.currency);
    let mut violations = Vec::new();
    for currency in removed.filter(|currency| after.currency_terms(*currency).is_none()) {
        if is_in_use(conn, currency)? {
            let detail = format!("must hold {currency}: containers are priced in it, or balances are open");
            violations.push(Violation::at("/currencies", "inUse", detail));
        }
    }
    Ok(violations)
}

fn is_in_use(conn: &mut Conn, currency: Currency) -> Result<bool> {
    let priced = containers::table
        .filter(containers::currency.eq(currency))
        .filter(containers::price_minor.gt(0))
        .filter(containers::deleted_at.is_null());
    let open = ledger_balances::table.filter(ledger_balances::currency.eq(currency)).filter(
        ledger_balances::in_review_minor
            .ne(0)
            .or(ledger_balances::ready_minor.ne(0))
            .or(ledger_balances::in_payout_minor.ne(0)),
    );
    Ok(diesel::select(diesel::dsl::exists(priced)).get_result(conn)?
        || diesel::select(diesel::dsl::exists(open)).get_result(conn)?)
}

/// Values every manager's paid containers by the new rates, under the locks of their accounts in the order of their ids.
fn revalue_all(conn: &mut Conn, config: &ProgramConfig) -> Result<()> {
    let managers: Vec<AccountId> = accounts_table::table
        .filter(accounts_table::kind.eq_any([AccountKind::Agency, AccountKind::Partner]))
        .order(accounts_table::id)
        .select(accounts_table::id)
        .load(conn)?;
    for page in managers.chunks(MANAGERS_PER_PAGE) {
        accounts::lock_rows(conn, page)?;
        let terms = Terms::load(conn, page)?;
        let managers: Vec<_> = page.iter().filter_map(|id| Some((*id, terms.get(id)?))).collect();
        portfolio::revalue(conn, &managers, config)?;
    }
    Ok(())
}
