//! The HTTP side that all features share: extractors, answers, middleware.

pub mod address;
pub mod contract;
mod elements;
mod etag;
pub mod export;
mod extract;
pub mod json;
pub mod limit;
pub mod middleware;
mod page;
mod patch;
mod payload;
mod problem;
mod query;
mod reply;
mod request;
pub mod routes;
mod strict;
mod unique;

pub use etag::{IfMatch, conditional, conditional_bytes, conditional_tagged, etag, etag_in_two};
pub use extract::{
    Batch, Body, Command, CommandRule, KeyRule, NoFields, OfElements, Optional, OrNothing, Refused, Required,
};
pub use page::{Listing, Page, Rows, list_type};
pub use patch::{Patch, Trim, present, trimmed, trimmed_present};
pub use problem::PROBLEM_JSON;
pub use query::{Filter, MAX_VALUES, OneOf, Query, SearchWords, invalid_parameter};
pub use reply::Reply;
pub use request::{RequestId, came_as_head};
