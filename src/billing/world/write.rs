//! Writes what a batch changed in memory.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{self, Array, Text};

use super::World;
use crate::batch::Tracked;
use crate::clock::Timestamp;
use crate::containers::alerts;
use crate::context::Context;
use crate::db::schema::{billing_events, commissions, containers, payments, refunds};
use crate::db::{Conn, KeepPrepared, insert_rows};
use crate::error::Result;
use crate::id::ContainerId;
use crate::referrals::attribution;
use crate::sub_accounts::links;
use crate::{events, operator_requests};

impl World {
    /// Writes all changes.
    ///
    /// # Errors
    /// The database's own failure; a unique violation where another server applied the same ids meanwhile.
    pub fn write(self, conn: &mut Conn, context: &Context) -> Result<()> {
        insert_rows!(conn, billing_events::table, self.applied);
        let (new_payments, changed_payments) = Tracked::split(self.payments.into_values());
        insert_rows!(conn, payments::table, new_payments);
        for row in changed_payments {
            diesel::update(payments::table.find(row.id))
                .set(payments::refunded_minor.eq(row.refunded_minor))
                .kept()
                .execute(conn)?;
        }
        insert_rows!(conn, refunds::table, self.new_refunds);
        let (mut new_commissions, changed_commissions) = Tracked::split(self.commissions.into_values());
        new_commissions.sort_by_key(|row| row.id);
        new_commissions.extend(self.new_adjustments);
        insert_rows!(conn, commissions::table, new_commissions);
        for row in changed_commissions {
            diesel::update(commissions::table.find((row.account_id, row.id)))
                .set((
                    commissions::status.eq(row.status),
                    commissions::reversed_minor.eq(row.reversed_minor),
                    commissions::refund_adjusted_minor.eq(row.refund_adjusted_minor),
                ))
                .kept()
                .execute(conn)?;
        }
        let (_, changed_containers) = Tracked::split(self.containers.into_values());
        for row in changed_containers {
            diesel::update(containers::table.find(row.id)).set(&row).kept().execute(conn)?;
        }
        write_last_payments(conn, &self.last_payments)?;
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
        let referrals = self.unpaid_referrals;
        let first_payments = self.first_payments.into_iter();
        let first_payments = first_payments.filter_map(|(id, time)| Some((*referrals.get(&id)?, time)));
        attribution::record_first_payments(conn, &first_payments.collect::<Vec<_>>())?;
        events::record_many(conn, context.now, &self.new_events)
    }
}

fn write_last_payments(conn: &mut Conn, last_payments: &BTreeMap<ContainerId, Timestamp>) -> Result<()> {
    match conn {
        Conn::Postgres(conn) => {
            if last_payments.is_empty() {
                return Ok(());
            }
            let ids: Vec<ContainerId> = last_payments.keys().copied().collect();
            let times: Vec<Timestamp> = last_payments.values().copied().collect();
            diesel::sql_query(
                "UPDATE containers SET last_payment_at = paid.time \
                 FROM unnest($1::text[], $2::timestamp[]) AS paid (container_id, time) WHERE containers.id = paid.container_id",
            )
            .bind::<Array<Text>, _>(ids)
            .bind::<Array<sql_types::Timestamp>, _>(times)
            .kept()
            .execute(conn)?;
        }
        Conn::Sqlite(conn) => {
            for (id, time) in last_payments {
                let container = containers::table.find(id);
                diesel::update(container).set(containers::last_payment_at.eq(time)).kept().execute(conn)?;
            }
        }
    }
    Ok(())
}
