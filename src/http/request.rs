//! What the outermost middleware notes about a request for those further in.

use actix_web::{HttpMessage, HttpRequest};

/// The request's id: the client's own or a made one. In every answer, log line, problem and audit row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id of `request`; empty only where the middleware did not run.
    #[must_use]
    pub fn of(request: &HttpRequest) -> String {
        request.extensions().get::<Self>().map(|id| id.0.clone()).unwrap_or_default()
    }
}

/// Left on a request that came as HEAD and is handled as GET.
#[derive(Debug, Clone, Copy)]
pub(super) struct CameAsHead;

/// Whether the client sent HEAD, which is routed as GET: for operations that record a visit.
#[must_use]
pub fn came_as_head(request: &HttpRequest) -> bool {
    request.extensions().contains::<CameAsHead>()
}
