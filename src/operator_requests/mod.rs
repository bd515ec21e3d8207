//! Operator requests: what a client or manager wants and only the operator's billing system can carry out.
//!
//! A request is open until a `subscription.changed` names it, or the operator declines it with a reason. At most one is
//! open per container, and one per client that is about no container (who pays).

mod handlers;
mod models;
pub mod service;

pub use handlers::operator_routes;
pub use models::{OperatorRequest, OperatorRequestRow, OperatorRequestStatus, OperatorRequestType, RequestDetails};
