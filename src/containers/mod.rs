//! Containers: what clients own and pay for, and what they bring their managers.

pub mod alerts;
mod change_handlers;
mod changes;
mod handlers;
mod models;
pub mod reports;
pub mod service;
pub mod slots;
mod transfer;
pub mod usage;

pub use handlers::routes;
pub use models::{
    BillingPeriod, Container, ContainerCommission, ContainerError, ContainerRow, ContainerStatus, CreateContainer,
    OwnershipRow, Product, Subscription, SubscriptionStatus, Usage,
};
pub use reports::operator_routes;
