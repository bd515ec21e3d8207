//! The demonstration: a believable partner program, and what to try with it.
//!
//! Everything in it is made by the services that requests use, day by day through 14 months, so that histories, ledgers
//! and feeds are true to life. Started again it keeps its data and gives new keys, for keys are shown only once. It fills no
//! database but one without accounts, and goes on with no story that was interrupted.

mod payouts;
mod playback;
mod story;

use diesel::prelude::*;

use crate::accounts::{AccountKind, AccountRow};
use crate::api_keys::models::CreateApiKey;
use crate::api_keys::{self, operator_keys};
use crate::auth::{Scope, Scopes, passwords};
use crate::clock::Timestamp;
use crate::config::SettingError;
use crate::context::Context;
use crate::db::schema::{accounts, api_keys as api_keys_table, operator_keys as operator_keys_table};
use crate::db::{Conn, DatabaseUrl, Db, Options, migrate};
use crate::error::{Error, Result};
use crate::id::{AccountId, ApiKeyId, OperatorKeyId};
use crate::server::{Server, StartError};
use crate::state::AppState;
use crate::stored;

/// Name of the keys that the demonstration gives and takes back.
const KEY_NAME: &str = "Demonstration";

/// Password of every agency's and partner's owner in the demonstration. It protects made-up data alone.
const PASSWORD: &str = "harbour-lights-at-dawn";

/// Refuses a database that is not the demonstration's, before anything in it is changed.
///
/// # Errors
/// A database with accounts that no demonstration has filled, or not to the end; the database's own failure.
pub fn ensure_own(url: &DatabaseUrl) -> Result<(), StartError> {
    if url.file().is_some_and(|file| !file.exists()) {
        return Ok(());
    }
    let refused = match Db::inspect(url, Options::command())?.read_blocking(contents)? {
        Contents::Nothing | Contents::Story => return Ok(()),
        Contents::PartOfStory => format!(
            "{url} was to be filled with the demonstration, which was interrupted: delete that database, or name another one"
        ),
        Contents::Foreign => format!(
            "{url} has accounts that are not the demonstration's, which fills an empty database alone: name another one"
        ),
    };
    Err(SettingError::new("DATABASE_URL", refused).into())
}

/// What fills an empty database, before anything else works on it: the story has its own time, and what falls due by the
/// clock would happen in it too early.
///
/// # Errors
/// A password that cannot be hashed.
pub async fn filling() -> Result<impl FnOnce(&AppState) -> Result<()> + Send + 'static> {
    let password_hash = passwords::hash_new(PASSWORD.to_owned(), Vec::new()).await?;
    Ok(move |state: &AppState| {
        if !state.db.read_blocking(stored::has_accounts)? {
            playback::play(&state.db, &state.vault, state.clock.now(), &password_hash)?;
        }
        // Last: without it a part of the story would be taken for the whole.
        state.db.write_blocking(stored::mark_filled_demonstration)
    })
}

/// What a database holds, as the demonstration sees it.
enum Contents {
    /// No accounts, perhaps not even tables.
    Nothing,
    Story,
    PartOfStory,
    Foreign,
}

fn contents(conn: &mut Conn) -> Result<Contents> {
    if !migrate::has_tables(conn)? || !stored::has_accounts(conn)? {
        return Ok(Contents::Nothing);
    }
    let partner = accounts::table.filter(accounts::email.eq(first_email())).select(accounts::id);
    let is_story = !partner.load::<AccountId>(conn)?.is_empty();
    // Before there was a mark, keys were given to whom the whole story had been told.
    let key = operator_keys_table::table.filter(operator_keys_table::name.eq(KEY_NAME)).select(operator_keys_table::id);
    let has_keys = !key.load::<OperatorKeyId>(conn)?.is_empty();
    Ok(match (is_story, stored::is_filled_demonstration(conn)? || has_keys) {
        (true, true) => Contents::Story,
        (true, false) => Contents::PartOfStory,
        (false, _) => Contents::Foreign,
    })
}

/// Gives new keys, and says what a person can do with the filled database.
///
/// # Errors
/// The database's own failure.
pub async fn run(server: &Server) -> Result<String> {
    let now = server.state().clock.now();
    let keys = server.state().db.write(move |conn| keys(conn, now)).await?;
    Ok(announcement(&server.state().public_url, &keys))
}

struct Keys {
    partner: String,
    client: String,
    operator: String,
}

fn announcement(url: &str, keys: &Keys) -> String {
    let Keys { partner, client, operator } = keys;
    let email = first_email();
    format!(
        "Address:        {url}\n\
         Documentation:  {url}/docs\n\
         Partner's key:  {partner}\n\
         Client's key:   {client}\n\
         Operator's key: {operator}\n\
         Partner's login: {email} with the password {PASSWORD}\n\
         \n\
         Try:\n  \
         curl -H 'X-AUTH-TOKEN: {partner}' '{url}/v3/commissions/summary'\n  \
         curl -H 'X-AUTH-TOKEN: {partner}' '{url}/v3/commissions?status=readyToPayout&limit=3'\n  \
         curl -H 'X-AUTH-TOKEN: {client}' '{url}/v3/containers'\n"
    )
}

fn first_partner(conn: &mut Conn) -> Result<Option<AccountRow>> {
    let row = accounts::table
        .filter(accounts::email.eq(first_email()))
        .select(AccountRow::as_select())
        .get_result(conn)
        .optional()?;
    Ok(row)
}

fn first_email() -> &'static str {
    story::MANAGERS.first().map_or("", |manager| manager.email)
}

/// New keys of the first partner, its first client and an operator, instead of those given before.
fn keys(conn: &mut Conn, now: Timestamp) -> Result<Keys> {
    let context = Context::system(now);
    let partner = first_partner(conn)?.ok_or_else(|| Error::internal("the demonstration has no partner"))?;
    let client_id: AccountId = accounts::table
        .filter(accounts::manager_id.eq(partner.id))
        .order(accounts::id)
        .limit(1)
        .select(accounts::id)
        .get_result(conn)?;
    let given: Vec<OperatorKeyId> = operator_keys_table::table
        .filter(operator_keys_table::name.eq(KEY_NAME))
        .filter(operator_keys_table::revoked_at.is_null())
        .select(operator_keys_table::id)
        .load(conn)?;
    for id in given {
        operator_keys::revoke(conn, &context, id)?;
    }
    Ok(Keys {
        partner: key(conn, &context, partner.id, Scopes::of_owner(AccountKind::Partner))?,
        client: key(conn, &context, client_id, Scopes::of_owner(AccountKind::Standard))?,
        operator: operator_keys::create(conn, &context, KEY_NAME, Scopes::of_operator())?,
    })
}

fn key(conn: &mut Conn, context: &Context, account_id: AccountId, scopes: Scopes) -> Result<String> {
    let given: Vec<ApiKeyId> = api_keys_table::table
        .filter(api_keys_table::account_id.eq(account_id))
        .filter(api_keys_table::name.eq(KEY_NAME))
        .filter(api_keys_table::revoked_at.is_null())
        .select(api_keys_table::id)
        .load(conn)?;
    for id in given {
        api_keys::service::revoke(conn, context, account_id, id)?;
    }
    let scopes: Vec<Scope> = scopes.list();
    let input = CreateApiKey { name: KEY_NAME.to_owned(), scopes: scopes.clone(), expires_at: None };
    Ok(api_keys::service::create(conn, context, account_id, Scopes::of(&scopes), &input)?.1)
}
