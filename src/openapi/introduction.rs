//! What a reader learns before the operations: the conventions of the API, and its areas in the order of a partner's work.

use utoipa::openapi::Tag;
use utoipa::openapi::tag::TagBuilder;

/// The document's introduction, Markdown.
pub(super) const TEXT: &str = "\
The backend of a partner program for a hosting company: agencies manage their clients' containers, partners earn a \
commission at every payment, and are paid out.

## Authentication

Send an API key as `X-AUTH-TOKEN: stp_…`, or an API key or access token as `Authorization: Bearer …`. Access tokens come \
from `POST /v3/sessions` and live for 15 minutes; `POST /v3/sessions/refresh` gives new ones. API keys are made by an \
owner's login with `POST /v3/api-keys` and have scopes. Each operation says in **Who**, and in `security` and `x-accounts` \
for programs, which scope and which kind of account it needs; operations with the scope `owner` need the login of an owner \
of the account. A resource of another account looks the same as a missing one: 404.

No credential, or a bad one, is 401. A credential that may not do this is 403, and its `code` says why: \
`insufficientScope` (the `detail` names the scope), `ownerRequired`, `notPartner` (an agency has to join the program first), \
`wrongAccountKind`, `accountBlocked`.

## Lists

Lists are in pages of `limit` rows (1 to 100, 25 by default), newest first: `{\"data\": […], \"hasMore\": true, \
\"nextCursor\": \"…\"}`. Send `nextCursor` as `cursor`, with the same filters, for the next page; the `Link` header has its \
address. A cursor belongs to its list and filters. Rows that arise meanwhile do not shift the pages. Several values of one \
filter are separated by commas; `…After` is inclusive, `…Before` exclusive. A parameter that an operation does not have is \
refused. There are no totals; `GET /v3/events` is a feed without gaps for programs that keep up instead of listing again.

## Errors

Every refusal and failure is `application/problem+json` (RFC 9457) with a `code` for programs, a `detail` for people, and \
`errors` that point at each field (`pointer`) or parameter (`parameter`) that broke a rule. `type` leads to a page about the \
code. All codes are listed at `/docs/errors`; each operation names those of its answers. Tell the support the `requestId`, \
which is also in the header `X-Request-Id`; send your own if you like.

## Idempotency

Send `Idempotency-Key` with a value of your own on a `POST`, and repeat the request with the same one when no answer came: \
it happens once, and the first answer comes again with `Idempotent-Replayed: true`, for at least 7 days, to who may still do it. \
Another request \
with the same key is refused (422 `idempotencyKeyReused`), and so is one that comes while the first still runs (409 \
`idempotencyInFlight`; try again after `Retry-After`). Where the header is required, the operation moves money. Operations \
that answer a secret refuse it; batches of the billing system do without, for each element has an id of its own.

## Money, rates and time

Money is `{\"amount\": \"17.00\", \"currency\": \"USD\"}`: a decimal string with exactly the currency's digits, never a JSON \
number; zeros at its end may be left out where it is sent. Rates are percent as decimal strings (`\"32.5\"`). Times are RFC 3339 in UTC with milliseconds.

## Limits

Each credential has a token bucket, told in the headers `RateLimit-Policy` and `RateLimit`, whose `t` is the seconds until it is \
full; an empty one is 429 with `Retry-After` in seconds, which `t` repeats there. Sign-in, sign-up, passwords, invitations and new sub-accounts have limits of their own: with their \
429 the two headers tell the one that refused, by its name. Bodies have at most 1 MiB, operator's batches 4 MiB. 503 with \
`Retry-After` means that the server is busy, or did not hear from its database whether the change was made: repeat the \
request with the same `Idempotency-Key`, for it may have happened.

## Changes

`PATCH` takes a JSON Merge Patch (RFC 7396), as `application/json` or `application/merge-patch+json`: what is absent stays, \
null clears. A body that names a member of an object twice is refused. Resources with an `ETag` can be read with \
`If-None-Match` and changed with `If-Match`, so that nobody overwrites a change that they have not seen.

## Versions

All paths of this version begin with `/v3`. Within it, paths, fields and values are added, never taken away, and no field \
changes its meaning: ignore fields that you do not know, and expect new values where a vocabulary describes events or states. \
What has to break gets a new prefix beside this one. `info.version` tells the release of the server.
";

/// The areas of the API.
pub(super) fn tags() -> Vec<Tag> {
    TAGS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build()).collect()
}

const TAGS: &[(&str, &str)] = &[
    ("Account", "Sign up, and look after the account."),
    ("Sessions", "Sign in and out; passwords."),
    ("API keys", "Credentials for programs."),
    ("Members", "The people of a manager's account."),
    ("Program", "Levels, rates, plans and minimums of the partner program."),
    ("Partner program", "How an agency becomes a partner."),
    ("Dashboard", "Everything that the partner's home page shows, in one call."),
    ("Sub-accounts", "The clients of an agency or partner."),
    ("Containers", "What clients host: plans, usage, errors."),
    ("Payments", "What clients paid."),
    ("Commissions", "What a partner earned, why, and when it is ready."),
    ("Ledger", "Double-entry accounts behind every balance, and monthly statements."),
    ("Payouts", "Requesting a payout, its lines and its state; methods and schedule."),
    ("Referral links", "Links that bring clients, and their statistics."),
    ("Badge", "The partner's badge for web sites."),
    ("Events", "The feed of what changed, for programs that keep up."),
    ("Audit log", "Who did what."),
    ("Manager", "A client's side: its manager and what that manager may do."),
    ("Operator: billing", "For the billing system: payments, subscriptions, usage, states, requests."),
    ("Operator: accounts", "For the operator's support: accounts, links, applications, partners."),
    ("Operator: payouts", "For the operator's finance: payouts, batches, adjustments."),
    ("Operator: program", "The configuration of the program, in versions."),
    ("Service", "Health, metrics and documentation of the server."),
];
