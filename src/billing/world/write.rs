//! Writes what a batch changed in memory.

use diesel::prelude::*;

use super::World;
use crate::batch::Tracked;
use crate::containers::alerts;
use crate::context::Context;
use crate::db::schema::{billing_events, commissions, containers, payments, refunds};
use crate::db::{Conn, insert_rows};
use crate::error::Result;
use crate::referrals::attribution;
use crate::sub_accounts::links;
use crate::{events, operator_requests};

/// Rows of one insert statement: below the engines' limits on bound values, 36 columns each.
const ROWS_PER_INSERT: usize = 500;

impl World {
    /// Writes all changes.
    ///
    /// # Errors
    /// The database's own failure; a unique violation where another server applied the same ids meanwhile.
    pub fn write(self, conn: &mut Conn, context: &Context) -> Result<()> {
        insert_rows!(conn, billing_events::table, self.applied, ROWS_PER_INSERT);
        let (new_payments, changed_payments) = Tracked::split(self.payments.into_values());
        insert_rows!(conn, payments::table, new_payments, ROWS_PER_INSERT);
        for row in changed_payments {
            diesel::update(payments::table.find(row.id))
                .set(payments::refunded_minor.eq(row.refunded_minor))
                .execute(conn)?;
        }
        insert_rows!(conn, refunds::table, self.new_refunds, ROWS_PER_INSERT);
        let (mut new_commissions, changed_commissions) = Tracked::split(self.commissions.into_values());
        new_commissions.sort_by_key(|row| row.id);
        new_commissions.extend(self.new_adjustments);
        insert_rows!(conn, commissions::table, new_commissions, ROWS_PER_INSERT);
        for row in changed_commissions {
            diesel::update(commissions::table.find((row.account_id, row.id)))
                .set((
                    commissions::status.eq(row.status),
                    commissions::reversed_minor.eq(row.reversed_minor),
                    commissions::refund_adjusted_minor.eq(row.refund_adjusted_minor),
                ))
                .execute(conn)?;
        }
        let (_, changed_containers) = Tracked::split(self.containers.into_values());
        for row in changed_containers {
            diesel::update(containers::table.find(row.id)).set(&row).execute(conn)?;
        }
        alerts::refresh(conn, &self.alerted)?;
        for link in &self.switched_links {
            links::store_billing(conn, context, link)?;
        }
        for (row, told) in &self.carried_out {
            operator_requests::service::complete(conn, context, row, told)?;
        }
        self.journal.write(conn)?;
        let program = self.programs.newest()?;
        let mut portfolios: Vec<_> = self.portfolios.into_iter().collect();
        portfolios.sort_by_key(|(id, _)| *id);
        for (_, portfolio) in portfolios {
            portfolio.write(conn, context, &program.config)?;
        }
        attribution::record_first_payments(conn, &self.first_payments)?;
        events::record_many(conn, context.now, &self.new_events)
    }
}
