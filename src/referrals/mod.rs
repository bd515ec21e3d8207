//! Referral links: every manager has a default one from the start (domain section 6). Codes are unique over all accounts
//! and never used again, also after a link is disabled.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::crypto;
use crate::db::schema::{referral_codes, referral_links};
use crate::db::{Conn, with_conn};
use crate::error::{Error, Result};
use crate::events::{self, EventType};
use crate::id::{AccountId, ReferralLinkId};

const CODE_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const CODE_LENGTH: usize = 10;
/// With 36^10 codes a second attempt is improbable, and a third one a fault.
const CODE_ATTEMPTS: usize = 3;
const DEFAULT_NAME: &str = "Default";

/// A referral link as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = referral_links)]
pub struct ReferralLinkRow {
    /// The manager.
    pub account_id: AccountId,
    /// Its id.
    pub id: ReferralLinkId,
    /// What stands in its address.
    pub code: String,
    /// What its manager calls it.
    pub name: String,
    /// Added to the target as `rs`.
    pub source: Option<String>,
    /// Where it leads; none for the program's default target.
    pub target_url: Option<String>,
    /// Whether it is the link that the manager had from the start.
    pub is_default: bool,
    /// Whether it works.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes the default link of a new manager, with a random code.
///
/// # Errors
/// The database's failure.
pub fn create_default_link(conn: &mut Conn, context: &Context, account_id: AccountId) -> Result<ReferralLinkRow> {
    let id = ReferralLinkId::new(context.now);
    let row = ReferralLinkRow {
        account_id,
        id,
        code: take_random_code(conn, account_id, id)?,
        name: DEFAULT_NAME.to_owned(),
        source: None,
        target_url: None,
        is_default: true,
        enabled: true,
        created_at: context.now,
    };
    diesel::insert_into(referral_links::table).values(row.clone()).execute(conn)?;
    events::record(conn, context, account_id, EventType::ReferralLinkCreated, id)?;
    Ok(row)
}

fn take_random_code(conn: &mut Conn, account_id: AccountId, link_id: ReferralLinkId) -> Result<String> {
    for _ in 0..CODE_ATTEMPTS {
        let code = crypto::random_text::<CODE_LENGTH>(CODE_ALPHABET);
        let entry = (
            referral_codes::code.eq(&code),
            referral_codes::account_id.eq(account_id),
            referral_codes::link_id.eq(link_id),
        );
        let insert = diesel::insert_into(referral_codes::table).values(entry).on_conflict_do_nothing();
        if with_conn!(conn, c => insert.execute(c))? == 1 {
            return Ok(code);
        }
    }
    Err(Error::internal("no free referral code"))
}
