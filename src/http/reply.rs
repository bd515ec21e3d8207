//! What a write answers, in a form that can be kept and replayed.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

use crate::error::{Error, Result};

/// Marks an answer that an earlier request with the same idempotency key got first.
pub const REPLAYED_HEADER: &str = "Idempotent-Replayed";

/// Status, location and body of a successful write. Never `Debug`: its body may hold a key or a token that is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Path of the new resource.
    pub location: Option<String>,
    /// JSON.
    pub body: Option<String>,
}

impl Reply {
    /// 200 with the whole resource.
    ///
    /// # Errors
    /// A body that cannot be serialised.
    pub fn ok(body: &impl Serialize) -> Result<Self> {
        Ok(Self { status: 200, location: None, body: Some(json(body)?) })
    }

    /// 201 with the whole new resource, which is at `location`.
    ///
    /// # Errors
    /// A body that cannot be serialised.
    pub fn created(location: String, body: &impl Serialize) -> Result<Self> {
        Ok(Self { status: 201, location: Some(location), body: Some(json(body)?) })
    }

    /// 201 with the whole new resource, which is at no path for the caller.
    ///
    /// # Errors
    /// A body that cannot be serialised.
    pub fn created_elsewhere(body: &impl Serialize) -> Result<Self> {
        Ok(Self { status: 201, location: None, body: Some(json(body)?) })
    }

    /// 202: something is under way.
    ///
    /// # Errors
    /// A body that cannot be serialised.
    pub fn accepted(body: &impl Serialize) -> Result<Self> {
        Ok(Self { status: 202, location: None, body: Some(json(body)?) })
    }

    /// 202 without a body.
    #[must_use]
    pub const fn accepted_silently() -> Self {
        Self { status: 202, location: None, body: None }
    }

    /// 204.
    #[must_use]
    pub const fn no_content() -> Self {
        Self { status: 204, location: None, body: None }
    }

    /// The answer on the wire.
    ///
    /// # Errors
    /// A status that is none, which no constructor gives.
    pub fn into_response(self, replayed: bool) -> Result<HttpResponse> {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).map_err(Error::internal)?);
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if replayed {
            response.insert_header((REPLAYED_HEADER, "true"));
        }
        Ok(match self.body {
            Some(body) => response.content_type(header::ContentType::json()).body(body),
            None => response.finish(),
        })
    }
}

fn json(body: &impl Serialize) -> Result<String> {
    serde_json::to_string(body).map_err(Error::internal)
}
