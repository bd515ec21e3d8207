//! Operator requests as rows and as the API shows them. No rules.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::containers::BillingPeriod;
use crate::db::schema::operator_requests;
use crate::error::{Error, Result};
use crate::id::{AccountId, ContainerId, OperatorRequestId, Resource};
use crate::sub_accounts::Billing;

crate::text_enum! {
    /// What is asked for.
    pub enum OperatorRequestType {
        /// Another plan or billing period for a container.
        PlanChange = "planChange",
        /// The end of a subscription.
        Cancel = "cancel",
        /// A subscription that ended, or is about to, shall go on.
        Reactivate = "reactivate",
        /// A container has a new owner, who has to subscribe.
        Transfer = "transfer",
        /// Another payer for a client's containers.
        BillingSwitch = "billingSwitch",
    }
}

crate::text_enum! {
    /// Where a request stands.
    pub enum OperatorRequestStatus {
        /// Waits for the operator.
        Open = "open",
        /// Carried out.
        Done = "done",
        /// Turned down.
        Declined = "declined",
    }
}

/// A request as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = operator_requests, primary_key(account_id, id))]
pub struct OperatorRequestRow {
    /// The client that it is about; of a transfer the old owner.
    pub account_id: AccountId,
    /// Its id.
    pub id: OperatorRequestId,
    /// What is asked for.
    pub request_type: OperatorRequestType,
    /// The container that it is about; none for a billing switch.
    pub container_id: Option<ContainerId>,
    /// Where it stands.
    pub status: OperatorRequestStatus,
    /// [`RequestDetails`] as JSON.
    pub details: String,
    /// Why it was declined.
    pub reason: Option<String>,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When it was carried out or declined.
    pub closed_at: Option<Timestamp>,
}

impl OperatorRequestRow {
    /// What it is asked for in particular.
    ///
    /// # Errors
    /// Details that cannot be read.
    pub fn details(&self) -> Result<RequestDetails> {
        serde_json::from_str(&self.details).map_err(Error::internal)
    }

    /// The container or client whose `pendingRequest` it is, as events name it.
    #[must_use]
    pub fn subject(&self) -> Resource {
        self.container_id.map_or_else(|| self.account_id.into(), Resource::from)
    }
}

/// What is asked for in particular; null where it does not belong to the type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestDetails {
    /// Of a plan change: the wanted plan.
    #[schema(required = true, example = "business")]
    pub plan: Option<String>,
    /// Of a plan change: how often it shall be paid.
    #[schema(required = true)]
    pub billing_period: Option<BillingPeriod>,
    /// Of a transfer: the new owner.
    #[schema(required = true)]
    pub new_owner_id: Option<AccountId>,
    /// Of a billing switch: who shall pay.
    #[schema(required = true)]
    pub billing: Option<Billing>,
}

/// Something that the operator is to carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorRequest {
    /// Its id; the `subscription.changed` that carries it out names it as `requestId`.
    pub id: OperatorRequestId,
    /// What is asked for.
    #[serde(rename = "type")]
    pub request_type: OperatorRequestType,
    /// The client that it is about; of a transfer the old owner.
    pub account_id: AccountId,
    /// The container that it is about; null for a billing switch.
    #[schema(required = true)]
    pub container_id: Option<ContainerId>,
    /// Where it stands.
    pub status: OperatorRequestStatus,
    /// What is asked for in particular.
    pub details: RequestDetails,
    /// Why it was declined; null unless it was.
    #[schema(required = true, example = json!(null))]
    pub reason: Option<String>,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When it was carried out or declined; null while it is open.
    #[schema(required = true, example = json!(null))]
    pub closed_at: Option<Timestamp>,
}

impl TryFrom<OperatorRequestRow> for OperatorRequest {
    type Error = Error;

    fn try_from(row: OperatorRequestRow) -> Result<Self> {
        Ok(Self {
            details: row.details()?,
            id: row.id,
            request_type: row.request_type,
            account_id: row.account_id,
            container_id: row.container_id,
            status: row.status,
            reason: row.reason,
            created_at: row.created_at,
            closed_at: row.closed_at,
        })
    }
}
