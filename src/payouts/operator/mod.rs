//! The operator's operations on payouts, batches and adjustments: where they are. No operation itself.

mod adjustments;
mod batches;
mod payouts;
mod steps;

use crate::http::routes::{ServiceConfig, scope};

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            scope("/v3/operator/payouts")
                .service(payouts::list_all_payouts)
                .service(payouts::request_payout_for_partner)
                .service(payouts::get_payout_as_operator)
                .service(steps::approve_payout)
                .service(steps::reject_payout)
                .service(steps::start_payout)
                .service(steps::confirm_payout)
                .service(steps::fail_payout),
        )
        .service(
            scope("/v3/operator/payout-batches")
                .service(batches::create_payout_batch)
                .service(batches::get_payout_batch)
                .service(batches::get_payout_batch_file),
        )
        .service(scope("/v3/operator/adjustments").service(adjustments::create_adjustment));
}
