//! The rest of a body that nobody read: it is read and dropped before the answer, so that a client that is still sending
//! sees the answer instead of a broken connection.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt};

/// Most bytes that are dropped.
const DRAIN_LIMIT_BYTES: usize = 64 << 20;
/// How long a client may take to send them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's body, of which the middleware keeps hold while an extractor reads it.
#[derive(Clone)]
pub(super) struct SharedPayload(Rc<RefCell<Payload>>);

impl SharedPayload {
    /// Puts itself between `request` and its body; none where there is no body.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        let headers = request.headers();
        let has_body = headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        has_body.then(|| {
            let shared = Self(Rc::new(RefCell::new(request.take_payload())));
            request.set_payload(Payload::Stream { payload: Box::pin(shared.clone()) });
            shared
        })
    }

    /// Reads and drops what is left, within bounds; beyond them the connection ends with the answer.
    pub(super) async fn drain(self) {
        let in_time = tokio::time::timeout(DRAIN_TIMEOUT, self.read_rest()).await.is_ok();
        if !in_time {
            log::debug!("a client took too long to send the rest of a body");
        }
    }

    async fn read_rest(mut self) {
        let mut dropped = 0;
        while let Some(Ok(chunk)) = self.next().await {
            dropped += chunk.len();
            if dropped > DRAIN_LIMIT_BYTES {
                return;
            }
        }
    }
}

impl Stream for SharedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(context)
    }
}
