//! The table of problem codes: what the API can refuse, with which status, and how a caller mends it.

/// Declares [`Code`] from one table: variant, wire name, HTTP status, title, and what to do about it.
macro_rules! codes {
    ($($variant:ident, $name:literal, $status:literal, $title:literal, $remedy:literal;)+) => {
        /// A problem's machine-readable code; the wire names never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code with this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }

            /// The name on the wire, camelCase.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// A short summary, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// What the caller does about it; shown on the code's page under `/docs/errors/`.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

codes! {
    InvalidJson, "invalidJson", 400, "The body is not JSON", "Send one well-formed JSON document, encoded as UTF-8.";
    InvalidParameter, "invalidParameter", 400, "A parameter has a bad value", "Correct the query parameter or header that `errors` names.";
    UnknownParameter, "unknownParameter", 400, "There is no such parameter", "Leave out the parameter that `errors` names; the document lists those that exist.";
    InvalidCursor, "invalidCursor", 400, "The cursor does not belong to this list", "Use `nextCursor` unchanged, with the same filters as the page it came from, or start again without a cursor.";
    InvalidRequest, "invalidRequest", 400, "The request could not be understood", "Send a well-formed HTTP request.";
    IdempotencyKeyRequired, "idempotencyKeyRequired", 400, "This operation wants an idempotency key", "Send an `Idempotency-Key` header with a value of your own, and the same one when you repeat the request.";
    InvalidIdempotencyKey, "invalidIdempotencyKey", 400, "The idempotency key is malformed", "Use 1 to 255 printable ASCII characters.";
    IdempotencyKeyNotAllowed, "idempotencyKeyNotAllowed", 400, "This operation takes no idempotency key", "Leave out `Idempotency-Key`: the answer holds a secret that is not kept, or the body has ids of its own.";
    AuthenticationRequired, "authenticationRequired", 401, "Authentication is required", "Send an API key in `X-AUTH-TOKEN`, or an API key or access token in `Authorization: Bearer`.";
    InvalidCredentials, "invalidCredentials", 401, "The credentials are not valid", "Use a key or token that is complete, current and not revoked; sign in again, or make a new key.";
    ConflictingCredentials, "conflictingCredentials", 401, "Two different credentials were sent", "Send one credential, in one header.";
    InsufficientScope, "insufficientScope", 403, "The credential lacks a scope", "Use a credential with the scope that `detail` names.";
    NotPartner, "notPartner", 403, "Only partners can do this", "The account has to join the partner program first: see `POST /v3/partner-applications`.";
    WrongAccountKind, "wrongAccountKind", 403, "Another kind of account is needed", "Use a credential of the kind of account that `detail` names; an operator names an account of that kind.";
    OwnerRequired, "ownerRequired", 403, "Only an owner's login can do this", "Sign in as an owner of the account; keys, members and sessions on behalf of a client cannot.";
    LoginRequired, "loginRequired", 403, "Only a person's login can do this", "Sign in with e-mail address and password; keys and sessions on behalf of a client cannot.";
    AccountBlocked, "accountBlocked", 403, "The account is blocked", "Ask the operator's support why the account is blocked. Where somebody else acts on a blocked account, as with its payouts, the status is 409.";
    AccessNotGranted, "accessNotGranted", 403, "The client has not granted access", "Request access; the client approves or declines.";
    NotFound, "notFound", 404, "There is no such resource", "Check the path and the id; a resource of another account looks the same as a missing one.";
    RequestTimeout, "requestTimeout", 408, "The body came too slowly", "Send the whole body within 30 seconds.";
    MethodNotAllowed, "methodNotAllowed", 405, "The resource does not take this method", "Use one of the methods that the `Allow` header lists.";
    AlreadyPartner, "alreadyPartner", 409, "The account is a partner already", "Nothing to do: the account earns commissions.";
    ApplicationPending, "applicationPending", 409, "An application is open already", "Wait for the decision on the open application.";
    ApplicationDecided, "applicationDecided", 409, "The application was decided already", "Read the application for its decision.";
    NotEligible, "notEligible", 409, "The threshold of the partner program is not reached", "Bring more paid containers or more referral value; `detail` says how much is missing.";
    ApiKeyLimitReached, "apiKeyLimitReached", 409, "The account has as many active API keys as it may", "Revoke a key that is no longer used.";
    EmailTaken, "emailTaken", 409, "The e-mail address belongs to a user already", "Use another address; to manage an existing client, attach it.";
    ReferralCodeTaken, "referralCodeTaken", 409, "The code is or was a referral link's", "Choose another code: codes are unique over all accounts and never used again.";
    ReferralLinkLimitReached, "referralLinkLimitReached", 409, "The account has as many referral links as it may", "Change a link that is no longer needed: its name, source and target.";
    DefaultReferralLink, "defaultReferralLink", 409, "The default referral link cannot be disabled", "Leave it enabled; make another link for what shall end one day.";
    LastOwner, "lastOwner", 409, "An account keeps an owner", "Make another member an owner first, one who has accepted the invitation.";
    MemberLimitReached, "memberLimitReached", 409, "The team is as large as it may be", "Remove a member who is no longer needed.";
    InvitationNotNeeded, "invitationNotNeeded", 409, "The client has a password", "Nothing to do: the client can sign in; if it forgot its password, it asks for a new one itself.";
    AccessAlreadyGranted, "accessAlreadyGranted", 409, "Access is granted already", "Nothing to do: the client has granted access.";
    AccessAlreadyRequested, "accessAlreadyRequested", 409, "Access is requested already", "Wait for the client's answer.";
    AccessRequestTooSoon, "accessRequestTooSoon", 409, "The client declined a short while ago", "Ask again 24 hours after the client declined or took access back; `detail` says when.";
    AccessRequestClosed, "accessRequestClosed", 409, "The request is answered already", "Read the request for its answer.";
    AlreadyManaged, "alreadyManaged", 409, "The client has a manager already", "Detach the client from its manager first.";
    NotManaged, "notManaged", 409, "The account has no manager", "Nothing to detach.";
    SubscriptionActive, "subscriptionActive", 409, "The container has a subscription", "Cancel the subscription first, and wait for its end.";
    PlanUnchanged, "planUnchanged", 409, "The container has this plan already", "Ask for another plan or billing period.";
    NothingToCancel, "nothingToCancel", 409, "There is no subscription to cancel", "Nothing to do: it does not run, or ends with its period already.";
    NothingToReactivate, "nothingToReactivate", 409, "There is no subscription to reactivate", "Nothing to do while it goes on; without one, change the plan.";
    RequestPending, "requestPending", 409, "An operator request is open already", "Wait until the operator has carried out or declined the open request; it is shown as `pendingRequest`.";
    BelowMinimum, "belowMinimum", 409, "Too little is ready for a payout", "Wait until more is ready; `detail` says both figures.";
    PayoutMethodMissing, "payoutMethodMissing", 409, "There is no payout method for the currency", "Set one with `PUT /v3/payout-methods/{currency}`.";
    InvalidTransition, "invalidTransition", 409, "The payout does not take this step now", "Read the payout; `detail` says its present status and from which the step is possible.";
    PayoutReturnedAlready, "payoutReturnedAlready", 409, "The payout's return is booked already", "Nothing to do: the bank returns a payout once.";
    BatchEmpty, "batchEmpty", 409, "No payout can be sent in such a batch", "Approve payouts of the currency first; PayPal's file takes payouts to PayPal alone, Wise's all others.";
    RequestClosed, "requestClosed", 409, "The operator request is closed", "Nothing to do: the request was carried out or declined before.";
    TestClockRewound, "testClockRewound", 409, "The test clock only goes forward", "Set a time that is not before the clock's present one.";
    TestClockMissing, "testClockMissing", 409, "The server runs on the machine's clock", "Start it with `--test-clock` on a new database.";
    IdempotencyInFlight, "idempotencyInFlight", 409, "A request with this key is still running", "Wait as `Retry-After` says, then send it again.";
    PreconditionFailed, "preconditionFailed", 412, "The resource has changed", "Read it again, look at the change, and repeat with its new `ETag`.";
    PreconditionRequired, "preconditionRequired", 428, "The change needs a condition", "Read the resource, and send its `ETag` in `If-Match`.";
    PayloadTooLarge, "payloadTooLarge", 413, "The body is too large", "Send at most 1 MiB; an operator's batch at most 4 MiB.";
    UnsupportedMediaType, "unsupportedMediaType", 415, "The body has the wrong content type", "Send `Content-Type: application/json`.";
    ValidationFailed, "validationFailed", 422, "The body breaks a rule", "Correct each field that `errors` points at.";
    AttachRefused, "attachRefused", 422, "No account can be attached like this", "Check e-mail address and container name with the client; an account can be attached for some days after it signed up, while it has no manager.";
    InvalidToken, "invalidToken", 422, "The token is not valid", "Ask for a new password reset, or for a new invitation; only the newest mail's link works, and only once.";
    IdempotencyKeyReused, "idempotencyKeyReused", 422, "The idempotency key was used for another request", "Use a new key for a new request.";
    PlanUnknown, "planUnknown", 422, "The program has no such plan for the product", "Use a plan that `GET /v3/program` lists for the container's product.";
    TransferRefused, "transferRefused", 422, "The container cannot be transferred to this address", "Use the e-mail address of another standard account; which ones cannot take it is not told.";
    CurrencyNotSupported, "currencyNotSupported", 422, "The program does not list the currency", "Use a currency that `GET /v3/program` lists.";
    CurrencyMismatch, "currencyMismatch", 422, "The currencies differ", "Use the payment's currency.";
    OccurredInFuture, "occurredInFuture", 422, "The element lies in the future", "Send times at most five minutes ahead of the server's.";
    ContainerUnknown, "containerUnknown", 422, "There is no such container", "Send the event again when the container exists.";
    PaymentUnknown, "paymentUnknown", 422, "There is no such payment", "Send the refund again when its payment has been applied.";
    PaymentExists, "paymentExists", 409, "Another event has this paymentId", "A paymentId is unique for ever; send a new one.";
    RefundExists, "refundExists", 409, "Another event has this refundId", "A refundId is unique for ever; send a new one.";
    RefundExceedsPayment, "refundExceedsPayment", 422, "The refunds exceed the payment", "Refund at most what is left of the payment.";
    EventConflict, "eventConflict", 409, "The event id was applied with other content", "Give a new event a new id; a repeated event must be the same to the letter.";
    RateLimited, "rateLimited", 429, "Too many requests", "Wait as `Retry-After` says.";
    InternalError, "internalError", 500, "The server failed", "Try again; if it stays, tell the support the `requestId`.";
    ServiceUnavailable, "serviceUnavailable", 503, "The service cannot answer now", "Repeat the request as `Retry-After` says, with the same `Idempotency-Key`: it may have happened.";
}
