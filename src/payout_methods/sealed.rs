//! The encrypted columns as they lie in the tables: whether this server can open them, and how they come under the present
//! key. Never tells what is in them.
//!
//! Copies go one way, from a method to a payout, under the lock of the account. So the methods come first: when they are
//! done, no new payout gets what the former key sealed, and the payouts follow.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Binary;

use super::service;
use crate::accounts;
use crate::config::SettingError;
use crate::db::schema::{payout_methods, payouts};
use crate::db::{Conn, Db};
use crate::error::Result;
use crate::id::{AccountId, PayoutId};
use crate::money::Currency;
use crate::vault::{Mark, Vault};

/// Rows that one transaction seals at most: as many accounts wait for it.
const ROWS_PER_TRANSACTION: i64 = 200;

/// The beginning of a sealed text ([`Mark`]), as the indexes have it: word for word, or they would not serve.
const METHOD_MARK: &str = "substr(details, 1, 9)";
const PAYOUT_MARK: &str = "substr(method_details, 1, 9)";

/// Refuses a server that could not open every method and payout. Costs a few looks into an index.
///
/// # Errors
/// `Ok(Err(…))` naming the setting; the database's failure.
pub fn ensure_openable(conn: &mut Conn, vault: &Vault) -> Result<Result<(), SettingError>> {
    let marks = vault.known_marks();
    for (above, below) in gaps(&marks) {
        if Column::Methods.has_between(conn, above, below)? || Column::Payouts.has_between(conn, above, below)? {
            let reason = "payout methods in the database are encrypted with another key; set that one as \
                STAPE_ENCRYPTION_KEY_PREVIOUS, and run `stape-api reencrypt` to do without it";
            return Ok(Err(SettingError::new("STAPE_ENCRYPTION_KEY", reason)));
        }
    }
    Ok(Ok(()))
}

/// Between which marks there is nothing that is known: below the first, from each to the next, above the last.
fn gaps(marks: &[Mark]) -> impl Iterator<Item = (Option<Mark>, Option<Mark>)> {
    let bounds = || marks.iter().copied().map(Some);
    std::iter::once(None).chain(bounds()).zip(bounds().chain(std::iter::once(None)))
}

/// What sealing anew has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that are under the present key now and were not before.
    pub changed: u64,
    /// Rows that cannot be opened, and why.
    pub unopenable: Vec<String>,
}

/// Seals every method and payout under the present key that is not yet. Servers may run meanwhile, if they know both keys
/// and seal under the present one. `progress` is told how many are done.
///
/// # Errors
/// The database's failure; what was sealed before stays so.
pub fn reseal(db: &Db, vault: &Vault, mut progress: impl FnMut(u64)) -> Result<Resealed> {
    let mut all = Resealed::default();
    for column in [Column::Methods, Column::Payouts] {
        let mut after: Option<Place> = None;
        loop {
            let mark = vault.present_mark();
            let page = db.read_blocking(move |conn| column.others(conn, mark, after.as_ref()))?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let vault = vault.clone();
            let done = db.write_blocking(move |conn| reseal_rows(conn, &vault, column, &page))?;
            all.changed += done.changed;
            all.unopenable.extend(done.unopenable);
            progress(all.changed);
        }
    }
    Ok(all)
}

fn reseal_rows(conn: &mut Conn, vault: &Vault, column: Column, page: &[Place]) -> Result<Resealed> {
    let mut accounts: Vec<AccountId> = page.iter().map(|place| place.account_id).collect();
    accounts.dedup();
    accounts::lock_rows(conn, &accounts)?;
    let mut done = Resealed::default();
    for place in page {
        // Removed or set anew meanwhile, perhaps.
        let Some((currency, sealed)) = column.read(conn, place)? else { continue };
        if sealed.starts_with(&vault.present_mark()) {
            continue;
        }
        let bound_to = service::place(place.account_id, currency);
        match vault.open(&bound_to, &sealed) {
            Ok(text) => {
                column.write(conn, place, &vault.seal(&bound_to, &text)?)?;
                done.changed += 1;
            }
            Err(error) => done.unopenable.push(format!("{}: {error}", column.name(place))),
        }
    }
    Ok(done)
}

/// Which table.
#[derive(Debug, Clone, Copy)]
enum Column {
    Methods,
    Payouts,
}

/// A row's primary key: behind the account the currency of a method, or the id of a payout.
#[derive(Debug, Clone, Queryable)]
struct Place {
    account_id: AccountId,
    key: String,
}

impl Column {
    /// Whether there is a row whose mark lies between the two.
    fn has_between(self, conn: &mut Conn, above: Option<Mark>, below: Option<Mark>) -> Result<bool> {
        macro_rules! look {
            ($table:ident, $mark:expr) => {{
                let mut query = $table::table.select($table::account_id).limit(1).into_boxed();
                if let Some(above) = above {
                    query = query.filter(sql::<Binary>($mark).gt(above.to_vec()));
                }
                if let Some(below) = below {
                    query = query.filter(sql::<Binary>($mark).lt(below.to_vec()));
                }
                let found: Vec<AccountId> = query.load(conn)?;
                !found.is_empty()
            }};
        }
        Ok(match self {
            Self::Methods => look!(payout_methods, METHOD_MARK),
            Self::Payouts => look!(payouts, PAYOUT_MARK),
        })
    }

    /// The first rows behind `after` that have another mark.
    fn others(self, conn: &mut Conn, mark: Mark, after: Option<&Place>) -> Result<Vec<Place>> {
        macro_rules! look {
            ($table:ident, $key:ident, $mark:expr) => {{
                let mut query = $table::table
                    .filter(sql::<Binary>($mark).ne(mark.to_vec()))
                    .order(($table::account_id, $table::$key))
                    .limit(ROWS_PER_TRANSACTION)
                    .select(($table::account_id, $table::$key))
                    .into_boxed();
                if let Some(Place { account_id, key }) = after {
                    let beside = $table::account_id.eq(*account_id).and($table::$key.gt(key.clone()));
                    query = query.filter($table::account_id.gt(*account_id).or(beside));
                }
                query.load(conn)?
            }};
        }
        Ok(match self {
            Self::Methods => look!(payout_methods, currency, METHOD_MARK),
            Self::Payouts => look!(payouts, id, PAYOUT_MARK),
        })
    }

    fn read(self, conn: &mut Conn, place: &Place) -> Result<Option<(Currency, Vec<u8>)>> {
        let key = (place.account_id, place.key.as_str());
        let found = match self {
            Self::Methods => payout_methods::table
                .find(key)
                .select((payout_methods::currency, payout_methods::details))
                .get_result(conn)
                .optional(),
            Self::Payouts => payouts::table
                .find(key)
                .select((payouts::currency, payouts::method_details))
                .get_result(conn)
                .optional(),
        };
        Ok(found?)
    }

    fn write(self, conn: &mut Conn, place: &Place, sealed: &[u8]) -> Result<()> {
        let key = (place.account_id, place.key.as_str());
        match self {
            Self::Methods => {
                let row = diesel::update(payout_methods::table.find(key));
                row.set(payout_methods::details.eq(sealed)).execute(conn)?
            }
            Self::Payouts => {
                diesel::update(payouts::table.find(key)).set(payouts::method_details.eq(sealed)).execute(conn)?
            }
        };
        Ok(())
    }

    fn name(self, place: &Place) -> String {
        let Place { account_id, key } = place;
        match self {
            Self::Methods => format!("the payout method for {key} of {account_id}"),
            Self::Payouts => format!("payout {}_{key} of {account_id}", PayoutId::PREFIX),
        }
    }
}
