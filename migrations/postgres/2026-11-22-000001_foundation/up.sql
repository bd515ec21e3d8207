-- Accounts, credentials, the program, links, containers, billing, commissions and the ledger.
-- Ids are the 26 characters behind the prefix that the API shows. Money is in minor units of the currency beside it.
-- Hot tables (events, payments, commissions, ledger_entries) carry no foreign keys: their writers hold the account's row
-- lock, and `verify` checks the references.

CREATE TABLE settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE accounts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('standard', 'agency', 'partner')),
    email TEXT COLLATE "C" NOT NULL,
    first_name TEXT COLLATE "C" NOT NULL,
    last_name TEXT COLLATE "C" NOT NULL,
    company_name TEXT COLLATE "C",
    blocked_at TIMESTAMP,
    manager_id TEXT COLLATE "C" REFERENCES accounts (id),
    level INTEGER,
    level_pinned BOOLEAN NOT NULL,
    event_sequence BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    email TEXT COLLATE "C" NOT NULL,
    first_name TEXT COLLATE "C" NOT NULL,
    last_name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('owner', 'member')),
    password_hash TEXT COLLATE "C",
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX users_by_account ON users (account_id, id);

-- The directory that makes e-mail addresses unique over all users, compared case-insensitively.
CREATE TABLE user_emails (
    email_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_hash BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP
);
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE api_keys (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hint TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    expires_at TIMESTAMP,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- From the SHA-256 of a key to its row: the one look-up of an authentication.
CREATE TABLE api_key_hashes (
    hash BYTEA NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE operator_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    hint TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL
);

-- Written in the transaction of the effect whose answer it keeps; created_at is the machine's clock.
CREATE TABLE idempotency_keys (
    account_id TEXT COLLATE "C" NOT NULL,
    credential TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    status INTEGER NOT NULL,
    location TEXT COLLATE "C",
    body TEXT COLLATE "C",
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, credential, operation, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE audit_log (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C",
    actor_type TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C" NOT NULL,
    acting_account_id TEXT COLLATE "C",
    action TEXT COLLATE "C" NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    details TEXT COLLATE "C",
    request_id TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX audit_log_by_account ON audit_log (account_id, id);

CREATE TABLE events (
    account_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, sequence)
);

CREATE TABLE program_versions (
    version INTEGER NOT NULL PRIMARY KEY,
    config TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE partner_applications (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
    paid_containers BIGINT NOT NULL,
    referral_value_minor BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    eligible BOOLEAN NOT NULL,
    reason TEXT COLLATE "C",
    created_at TIMESTAMP NOT NULL,
    decided_at TIMESTAMP,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX partner_applications_one_open ON partner_applications (account_id) WHERE status = 'pending';

-- The history of levels: the row with the greatest (effective_from, id) not after a time is in force then. The first row
-- of an account is the moment it became a partner.
CREATE TABLE partner_levels (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL,
    level INTEGER NOT NULL,
    pinned BOOLEAN NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    effective_from TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- The history of rate overrides, per product or 'default'; a null rate ends the override.
CREATE TABLE rate_overrides (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    rate_bps INTEGER,
    reason TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    effective_from TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- Which client was managed by whom, and when: half-open [linked_at, detached_at).
CREATE TABLE sub_account_links (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('created', 'attached', 'referral', 'converted', 'operator')),
    access TEXT COLLATE "C" NOT NULL CHECK (access IN ('none', 'requested', 'granted', 'declined')),
    access_changed_at TIMESTAMP NOT NULL,
    billing TEXT COLLATE "C" NOT NULL CHECK (billing IN ('individual', 'consolidated')),
    note TEXT COLLATE "C",
    linked_at TIMESTAMP NOT NULL,
    detached_at TIMESTAMP,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX sub_account_links_one_manager ON sub_account_links (client_id) WHERE detached_at IS NULL;
CREATE INDEX sub_account_links_by_client ON sub_account_links (client_id, linked_at);
CREATE INDEX sub_account_links_current ON sub_account_links (account_id, id) WHERE detached_at IS NULL;

CREATE TABLE containers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    manager_id TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    zone TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('creating', 'running', 'error', 'paused', 'stopped')),
    errors TEXT COLLATE "C" NOT NULL,
    status_at TIMESTAMP,
    plan TEXT COLLATE "C" NOT NULL,
    billing_period TEXT COLLATE "C" NOT NULL CHECK (billing_period IN ('monthly', 'yearly')),
    subscription_status TEXT COLLATE "C" NOT NULL CHECK (subscription_status IN ('active', 'pastDue', 'canceled', 'none')),
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
    currency TEXT COLLATE "C" NOT NULL,
    current_period_start TIMESTAMP,
    current_period_end TIMESTAMP,
    cancel_at_period_end BOOLEAN NOT NULL,
    next_payment_at TIMESTAMP,
    subscription_changed_at TIMESTAMP,
    last_payment_at TIMESTAMP,
    usage_requests BIGINT NOT NULL CHECK (usage_requests >= 0),
    usage_period_start TIMESTAMP,
    usage_period_end TIMESTAMP,
    limit_exceeded_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP
);
CREATE INDEX containers_by_account ON containers (account_id, id);
CREATE INDEX containers_by_manager ON containers (manager_id, id) WHERE manager_id IS NOT NULL;

-- Who owned a container from when on; the first row's owner also owned it before.
CREATE TABLE container_owners (
    container_id TEXT COLLATE "C" NOT NULL REFERENCES containers (id),
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    owned_from TIMESTAMP NOT NULL,
    PRIMARY KEY (container_id, id)
);

-- Every billing event that was applied, for ever. The fingerprint is the SHA-256 of its canonical JSON.
CREATE TABLE billing_events (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    event_type TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    commission_id TEXT COLLATE "C",
    occurred_at TIMESTAMP NOT NULL,
    received_at TIMESTAMP NOT NULL
);

CREATE TABLE payments (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    external_id TEXT COLLATE "C" NOT NULL UNIQUE,
    account_id TEXT COLLATE "C" NOT NULL,
    manager_id TEXT COLLATE "C",
    container_id TEXT COLLATE "C" NOT NULL,
    plan TEXT COLLATE "C" NOT NULL,
    billing_period TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    amount_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    payer TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    period_start TIMESTAMP NOT NULL,
    period_end TIMESTAMP NOT NULL,
    commission_id TEXT COLLATE "C",
    created_at TIMESTAMP NOT NULL,
    CHECK (0 <= tax_minor AND tax_minor <= amount_minor),
    CHECK (0 <= refunded_minor AND refunded_minor <= amount_minor)
);
CREATE INDEX payments_by_account ON payments (account_id, id);
CREATE INDEX payments_by_manager ON payments (manager_id, id) WHERE manager_id IS NOT NULL;

CREATE TABLE refunds (
    external_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    payment_id TEXT COLLATE "C" NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX refunds_by_payment ON refunds (payment_id);

-- Commissions and adjustments: what a partner is owed, line by line. The client's and the container's names are kept as
-- they were when the row arose.
CREATE TABLE commissions (
    account_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('commission', 'adjustment')),
    status TEXT COLLATE "C" NOT NULL
        CHECK (status IN ('inReview', 'readyToPayout', 'inPayout', 'paid', 'reversed', 'noCommission')),
    reason TEXT COLLATE "C",
    client_id TEXT COLLATE "C",
    client_email TEXT COLLATE "C",
    client_name TEXT COLLATE "C",
    container_id TEXT COLLATE "C",
    container_name TEXT COLLATE "C",
    product TEXT COLLATE "C",
    plan TEXT COLLATE "C",
    billing_period TEXT COLLATE "C",
    payment_id TEXT COLLATE "C",
    payment_external_id TEXT COLLATE "C",
    payment_amount_minor BIGINT,
    payment_occurred_at TIMESTAMP,
    currency TEXT COLLATE "C" NOT NULL,
    base_minor BIGINT,
    rate_bps INTEGER,
    rate_source TEXT COLLATE "C",
    level INTEGER,
    program_version INTEGER,
    review_days INTEGER,
    amount_minor BIGINT NOT NULL,
    reversed_minor BIGINT NOT NULL,
    refund_adjusted_minor BIGINT NOT NULL,
    review_until TIMESTAMP,
    ready_at TIMESTAMP,
    payout_id TEXT COLLATE "C",
    adjusts TEXT COLLATE "C",
    note TEXT COLLATE "C",
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX commissions_by_status ON commissions (account_id, status, id);
CREATE INDEX commissions_by_client ON commissions (account_id, client_id, id);
CREATE INDEX commissions_by_container ON commissions (account_id, container_id, id);
CREATE INDEX commissions_due ON commissions (review_until) WHERE status = 'inReview';

-- Append-only double entry: the entries of one posting sum to zero per currency. balance_minor is the ledger account's
-- balance after the entry.
CREATE TABLE ledger_entries (
    account_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    posting_id TEXT COLLATE "C" NOT NULL,
    ledger_account TEXT COLLATE "C" NOT NULL
        CHECK (ledger_account IN ('program', 'inReview', 'ready', 'inPayout', 'paid')),
    kind TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    amount_minor BIGINT NOT NULL,
    balance_minor BIGINT NOT NULL,
    commission_id TEXT COLLATE "C",
    payout_id TEXT COLLATE "C",
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX ledger_entries_by_commission ON ledger_entries (account_id, commission_id, id);
CREATE INDEX ledger_entries_by_time ON ledger_entries (account_id, currency, ledger_account, created_at, id);

CREATE TABLE ledger_balances (
    account_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    program_minor BIGINT NOT NULL,
    in_review_minor BIGINT NOT NULL,
    ready_minor BIGINT NOT NULL,
    in_payout_minor BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency),
    CHECK (program_minor + in_review_minor + ready_minor + in_payout_minor + paid_minor = 0)
);

-- Counters of a manager, changed in the transaction that changes their cause and recomputed by `verify`.
CREATE TABLE container_counts (
    account_id TEXT COLLATE "C" NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    plan TEXT COLLATE "C" NOT NULL,
    containers BIGINT NOT NULL CHECK (containers >= 0),
    PRIMARY KEY (account_id, product, plan)
);

CREATE TABLE paid_container_groups (
    account_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    billing_period TEXT COLLATE "C" NOT NULL,
    price_minor BIGINT NOT NULL,
    containers BIGINT NOT NULL CHECK (containers >= 0),
    PRIMARY KEY (account_id, currency, product, billing_period, price_minor)
);

CREATE TABLE manager_values (
    account_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    paid_containers BIGINT NOT NULL CHECK (paid_containers >= 0),
    monthly_minor BIGINT NOT NULL,
    referral_minor BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency)
);
