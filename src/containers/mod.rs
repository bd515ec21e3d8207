//! Containers: what clients own and pay for, and what they bring their managers.

mod handlers;
mod models;
pub mod service;
pub mod slots;

pub use handlers::routes;
pub use models::{
    BillingPeriod, Container, ContainerCommission, ContainerError, ContainerRow, ContainerStatus, CreateContainer,
    OwnershipRow, Product, Subscription, SubscriptionStatus, Usage,
};
