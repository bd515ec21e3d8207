//! The terms of a currency, also of one that has left the program: what a partner has in it is its own for ever, can be paid
//! out and be set right.

use diesel::prelude::*;

use super::config::CurrencyTerms;
use super::service::{self, VersionRow};
use crate::db::Conn;
use crate::db::schema::{ledger_balances, program_versions};
use crate::error::Result;
use crate::id::AccountId;
use crate::money::Currency;

/// Versions that are read between two looks for more.
const VERSIONS_PER_PAGE: i64 = 20;

/// The terms of `currency` in the present version; where that does not list it and the account has a balance in it, in the last
/// version that did. None otherwise.
///
/// # Errors
/// The database's own failure.
pub fn terms_for(conn: &mut Conn, account_id: AccountId, currency: Currency) -> Result<Option<CurrencyTerms>> {
    let present = service::current(conn)?;
    if let Some(terms) = present.config.currency_terms(currency) {
        return Ok(Some(terms.clone()));
    }
    let balance = ledger_balances::table.find((account_id, currency));
    if !diesel::select(diesel::dsl::exists(balance)).get_result::<bool>(conn)? {
        return Ok(None);
    }
    last_listed(conn, present.version, currency)
}

fn last_listed(conn: &mut Conn, mut before: i32, currency: Currency) -> Result<Option<CurrencyTerms>> {
    loop {
        let page: Vec<VersionRow> = program_versions::table
            .filter(program_versions::version.lt(before))
            .order(program_versions::version.desc())
            .limit(VERSIONS_PER_PAGE)
            .load(conn)?;
        let Some(oldest) = page.last() else { return Ok(None) };
        before = oldest.version;
        for row in page {
            if let Some(terms) = service::parse(row)?.config.currency_terms(currency) {
                return Ok(Some(terms.clone()));
            }
        }
    }
}
