//! The outbox: letters that wait for delivery. Any number of servers deliver from it; a row is one server's from a claim
//! until the claim's lease ends.

use diesel::prelude::*;

use super::Letter;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::mails;
use crate::error::{Error, Result};
use crate::id::{MailId, UserId};

/// Attempts before a letter is abandoned: about ten hours after the first.
const MAX_ATTEMPTS: i32 = 20;
/// Seconds before the second attempt; each further wait is twice as long, up to the longest.
const FIRST_WAIT_S: i64 = 5;
const LONGEST_WAIT_S: i64 = 3_600;

/// To whom a letter goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A user, at its address when the letter is delivered.
    User(UserId),
    /// Whoever has this e-mail address; nobody, perhaps, and then the letter is dropped.
    Email(String),
}

/// A letter that waits.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = mails)]
pub struct MailRow {
    /// Its id.
    pub id: MailId,
    /// The recipient, where it is known to be a user.
    pub user_id: Option<UserId>,
    /// The recipient's e-mail address, where it is not.
    pub email: Option<String>,
    /// [`Letter`] as JSON.
    pub letter: String,
    /// Claims so far.
    pub attempts: i32,
    /// When it may be claimed, by the machine's clock.
    pub next_attempt_at: Timestamp,
    /// When it was written, in the domain's time.
    pub created_at: Timestamp,
}

impl MailRow {
    /// The letter.
    ///
    /// # Errors
    /// JSON that is no letter.
    pub fn letter(&self) -> Result<Letter> {
        serde_json::from_str(&self.letter).map_err(Error::internal)
    }
}

/// Puts a letter into the outbox; it leaves after the commit.
///
/// # Errors
/// The database's failure.
pub fn enqueue(conn: &mut Conn, context: &Context, to: Recipient, letter: &Letter) -> Result<()> {
    let (user_id, email) = match to {
        Recipient::User(id) => (Some(id), None),
        // As addresses are compared, so that the letters to one are found.
        Recipient::Email(email) => (None, Some(email.to_ascii_lowercase())),
    };
    let row = MailRow {
        id: MailId::new(context.now),
        user_id,
        email,
        letter: serde_json::to_string(letter).map_err(Error::internal)?,
        attempts: 0,
        next_attempt_at: Timestamp::machine(),
        created_at: context.now,
    };
    diesel::insert_into(mails::table).values(row).execute(conn)?;
    Ok(())
}

/// Up to `limit` letters that may be claimed, the longest due first.
///
/// # Errors
/// The database's failure.
pub fn due(conn: &mut Conn, limit: i64) -> Result<Vec<MailRow>> {
    Ok(mails::table
        .filter(mails::next_attempt_at.le(Timestamp::machine()))
        .order((mails::next_attempt_at, mails::id))
        .limit(limit)
        .select(MailRow::as_select())
        .load(conn)?)
}

/// Claims a letter for so many seconds; false where somebody else did since it was read.
///
/// # Errors
/// The database's failure.
pub fn claim(conn: &mut Conn, row: &MailRow, lease_s: i64) -> Result<bool> {
    let unchanged = mails::table.find(row.id).filter(mails::attempts.eq(row.attempts));
    let changes =
        (mails::attempts.eq(row.attempts + 1), mails::next_attempt_at.eq(Timestamp::machine().plus_seconds(lease_s)));
    Ok(diesel::update(unchanged).set(changes).execute(conn)? == 1)
}

/// Takes a letter out: it is delivered, or nobody is to get it.
///
/// # Errors
/// The database's failure.
pub fn remove(conn: &mut Conn, id: MailId) -> Result<()> {
    diesel::delete(mails::table.find(id)).execute(conn)?;
    Ok(())
}

/// Takes out, unsent, the letters that would give a user a link for setting its password, also those that are claimed: all
/// of them, or those that are older than the letter `before`.
///
/// # Errors
/// The database's failure.
pub fn withdraw_links(conn: &mut Conn, user_id: UserId, email: &str, before: Option<MailId>) -> Result<()> {
    let columns = (mails::id, mails::letter);
    let mut letters: Vec<(MailId, String)> =
        mails::table.filter(mails::user_id.eq(user_id)).select(columns).load(conn)?;
    let to_address = mails::table.filter(mails::email.eq(email.to_ascii_lowercase()));
    letters.extend(to_address.select(columns).load::<(MailId, String)>(conn)?);
    // The newest first: a courier holds a letter that is newer than those which it takes out, so nobody waits in a circle.
    letters.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
    let has_link = |letter: &str| serde_json::from_str::<Letter>(letter).is_ok_and(|it| it.token_kind().is_some());
    for (id, letter) in letters {
        if before.is_none_or(|before| id < before) && has_link(&letter) {
            remove(conn, id)?;
        }
    }
    Ok(())
}

/// How many letters wait, and when the oldest of them was written, in the domain's time.
///
/// # Errors
/// The database's failure.
pub fn waiting(conn: &mut Conn) -> Result<(i64, Option<Timestamp>)> {
    let oldest = mails::table.order(mails::id).limit(1).select(mails::created_at).get_result(conn).optional()?;
    let Some(oldest) = oldest else { return Ok((0, None)) };
    Ok((mails::table.count().get_result(conn)?, Some(oldest)))
}

/// Takes every letter out, unsent.
///
/// # Errors
/// The database's failure.
pub fn clear(conn: &mut Conn) -> Result<()> {
    diesel::delete(mails::table).execute(conn)?;
    Ok(())
}

/// What becomes of a letter whose delivery failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Postponed {
    /// It waits for another attempt.
    Waits,
    /// That was the last attempt.
    Abandoned,
    /// It was taken out meanwhile, or another server has it.
    Gone,
}

/// Lets a letter wait after an attempt that failed, each time for longer, or takes it out. `row` is as it was before the
/// claim.
///
/// # Errors
/// The database's failure.
pub fn postpone(conn: &mut Conn, row: &MailRow) -> Result<Postponed> {
    let attempts = row.attempts + 1;
    let claimed = mails::table.find(row.id).filter(mails::attempts.eq(attempts));
    let (changed, outcome) = if attempts >= MAX_ATTEMPTS {
        (diesel::delete(claimed).execute(conn)?, Postponed::Abandoned)
    } else {
        let next = Timestamp::machine().plus_seconds(wait_s(attempts));
        (diesel::update(claimed).set(mails::next_attempt_at.eq(next)).execute(conn)?, Postponed::Waits)
    };
    Ok(if changed == 1 { outcome } else { Postponed::Gone })
}

fn wait_s(attempts: i32) -> i64 {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(20);
    (FIRST_WAIT_S << doublings).min(LONGEST_WAIT_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        assert_eq!([1, 2, 3, 4].map(wait_s), [5, 10, 20, 40]);
        assert_eq!([11, 20, i32::MAX].map(wait_s), [3_600; 3]);
        let all: i64 = (1..MAX_ATTEMPTS).map(wait_s).sum();
        assert_eq!(all / 3_600, 10);
    }
}
