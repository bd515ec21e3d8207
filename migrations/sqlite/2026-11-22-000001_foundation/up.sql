-- Accounts, credentials, the program, links, containers, billing, commissions and the ledger.
-- Ids are the 26 characters behind the prefix that the API shows. Money is in minor units of the currency beside it.
-- Hot tables (events, payments, commissions, ledger_entries) carry no foreign keys: their writers hold the account's row
-- lock, and `verify` checks the references.

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('standard', 'agency', 'partner')),
    email TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    company_name TEXT,
    blocked_at TIMESTAMP,
    manager_id TEXT REFERENCES accounts (id),
    level INTEGER,
    level_pinned BOOLEAN NOT NULL,
    event_sequence BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    email TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    password_hash TEXT,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;
CREATE INDEX users_by_account ON users (account_id, id);

-- The directory that makes e-mail addresses unique over all users, compared case-insensitively.
CREATE TABLE user_emails (
    email_key TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_hash BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE api_keys (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at TIMESTAMP,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;

-- From the SHA-256 of a key to its row: the one look-up of an authentication.
CREATE TABLE api_key_hashes (
    hash BLOB NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE operator_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    scopes TEXT NOT NULL,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

-- Written in the transaction of the effect whose answer it keeps; created_at is the machine's clock.
CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL,
    credential TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    status INTEGER NOT NULL,
    location TEXT,
    body TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, credential, operation, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE audit_log (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT,
    actor_type TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    acting_account_id TEXT,
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    details TEXT,
    request_id TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_log_by_account ON audit_log (account_id, id);

CREATE TABLE events (
    account_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, sequence)
) WITHOUT ROWID;

CREATE TABLE program_versions (
    version INTEGER NOT NULL PRIMARY KEY,
    config TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

CREATE TABLE partner_applications (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
    paid_containers BIGINT NOT NULL,
    referral_value_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    eligible BOOLEAN NOT NULL,
    reason TEXT,
    created_at TIMESTAMP NOT NULL,
    decided_at TIMESTAMP,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX partner_applications_one_open ON partner_applications (account_id) WHERE status = 'pending';

-- The history of levels: the row with the greatest (effective_from, id) not after a time is in force then. The first row
-- of an account is the moment it became a partner.
CREATE TABLE partner_levels (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    level INTEGER NOT NULL,
    pinned BOOLEAN NOT NULL,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    effective_from TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;

-- The history of rate overrides, per product or 'default'; a null rate ends the override.
CREATE TABLE rate_overrides (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    product TEXT NOT NULL,
    rate_bps INTEGER,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    effective_from TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;

-- Which client was managed by whom, and when: half-open [linked_at, detached_at).
CREATE TABLE sub_account_links (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    client_id TEXT NOT NULL REFERENCES accounts (id),
    origin TEXT NOT NULL CHECK (origin IN ('created', 'attached', 'referral', 'converted', 'operator')),
    access TEXT NOT NULL CHECK (access IN ('none', 'requested', 'granted', 'declined')),
    access_changed_at TIMESTAMP NOT NULL,
    billing TEXT NOT NULL CHECK (billing IN ('individual', 'consolidated')),
    note TEXT,
    linked_at TIMESTAMP NOT NULL,
    detached_at TIMESTAMP,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX sub_account_links_one_manager ON sub_account_links (client_id) WHERE detached_at IS NULL;
CREATE INDEX sub_account_links_by_client ON sub_account_links (client_id, linked_at);
CREATE INDEX sub_account_links_current ON sub_account_links (account_id, id) WHERE detached_at IS NULL;

CREATE TABLE containers (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    manager_id TEXT,
    name TEXT NOT NULL,
    product TEXT NOT NULL,
    zone TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('creating', 'running', 'error', 'paused', 'stopped')),
    errors TEXT NOT NULL,
    status_at TIMESTAMP,
    plan TEXT NOT NULL,
    billing_period TEXT NOT NULL CHECK (billing_period IN ('monthly', 'yearly')),
    subscription_status TEXT NOT NULL CHECK (subscription_status IN ('active', 'pastDue', 'canceled', 'none')),
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
    currency TEXT NOT NULL,
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
) WITHOUT ROWID;
CREATE INDEX containers_by_account ON containers (account_id, id);
CREATE INDEX containers_by_manager ON containers (manager_id, id) WHERE manager_id IS NOT NULL;

-- Who owned a container from when on; the first row's owner also owned it before.
CREATE TABLE container_owners (
    container_id TEXT NOT NULL REFERENCES containers (id),
    id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    owned_from TIMESTAMP NOT NULL,
    PRIMARY KEY (container_id, id)
) WITHOUT ROWID;

-- Every billing event that was applied, for ever. The fingerprint is the SHA-256 of its canonical JSON.
CREATE TABLE billing_events (
    id TEXT NOT NULL PRIMARY KEY,
    event_type TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    commission_id TEXT,
    occurred_at TIMESTAMP NOT NULL,
    received_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

CREATE TABLE payments (
    id TEXT NOT NULL PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL,
    manager_id TEXT,
    container_id TEXT NOT NULL,
    plan TEXT NOT NULL,
    billing_period TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    payer TEXT NOT NULL,
    reason TEXT NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    period_start TIMESTAMP NOT NULL,
    period_end TIMESTAMP NOT NULL,
    commission_id TEXT,
    created_at TIMESTAMP NOT NULL,
    CHECK (0 <= tax_minor AND tax_minor <= amount_minor),
    CHECK (0 <= refunded_minor AND refunded_minor <= amount_minor)
) WITHOUT ROWID;
CREATE INDEX payments_by_account ON payments (account_id, id);
CREATE INDEX payments_by_manager ON payments (manager_id, id) WHERE manager_id IS NOT NULL;

CREATE TABLE refunds (
    external_id TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    reason TEXT NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;
CREATE INDEX refunds_by_payment ON refunds (payment_id);

-- Commissions and adjustments: what a partner is owed, line by line. The client's and the container's names are kept as
-- they were when the row arose.
CREATE TABLE commissions (
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('commission', 'adjustment')),
    status TEXT NOT NULL
        CHECK (status IN ('inReview', 'readyToPayout', 'inPayout', 'paid', 'reversed', 'noCommission')),
    reason TEXT,
    client_id TEXT,
    client_email TEXT,
    client_name TEXT,
    container_id TEXT,
    container_name TEXT,
    product TEXT,
    plan TEXT,
    billing_period TEXT,
    payment_id TEXT,
    payment_external_id TEXT,
    payment_amount_minor BIGINT,
    payment_occurred_at TIMESTAMP,
    currency TEXT NOT NULL,
    base_minor BIGINT,
    rate_bps INTEGER,
    rate_source TEXT,
    level INTEGER,
    program_version INTEGER,
    review_days INTEGER,
    amount_minor BIGINT NOT NULL,
    reversed_minor BIGINT NOT NULL,
    refund_adjusted_minor BIGINT NOT NULL,
    review_until TIMESTAMP,
    ready_at TIMESTAMP,
    payout_id TEXT,
    adjusts TEXT,
    note TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE INDEX commissions_by_status ON commissions (account_id, status, id);
CREATE INDEX commissions_by_client ON commissions (account_id, client_id, id);
CREATE INDEX commissions_by_container ON commissions (account_id, container_id, id);
CREATE INDEX commissions_due ON commissions (review_until) WHERE status = 'inReview';

-- Append-only double entry: the entries of one posting sum to zero per currency. balance_minor is the ledger account's
-- balance after the entry.
CREATE TABLE ledger_entries (
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    posting_id TEXT NOT NULL,
    ledger_account TEXT NOT NULL
        CHECK (ledger_account IN ('program', 'inReview', 'ready', 'inPayout', 'paid')),
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    balance_minor BIGINT NOT NULL,
    commission_id TEXT,
    payout_id TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE INDEX ledger_entries_by_commission ON ledger_entries (account_id, commission_id, id);
CREATE INDEX ledger_entries_by_time ON ledger_entries (account_id, currency, ledger_account, created_at, id);

CREATE TABLE ledger_balances (
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    program_minor BIGINT NOT NULL,
    in_review_minor BIGINT NOT NULL,
    ready_minor BIGINT NOT NULL,
    in_payout_minor BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency),
    CHECK (program_minor + in_review_minor + ready_minor + in_payout_minor + paid_minor = 0)
) WITHOUT ROWID;

-- Counters of a manager, changed in the transaction that changes their cause and recomputed by `verify`.
CREATE TABLE container_counts (
    account_id TEXT NOT NULL,
    product TEXT NOT NULL,
    plan TEXT NOT NULL,
    containers BIGINT NOT NULL CHECK (containers >= 0),
    PRIMARY KEY (account_id, product, plan)
) WITHOUT ROWID;

CREATE TABLE paid_container_groups (
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    product TEXT NOT NULL,
    billing_period TEXT NOT NULL,
    price_minor BIGINT NOT NULL,
    containers BIGINT NOT NULL CHECK (containers >= 0),
    PRIMARY KEY (account_id, currency, product, billing_period, price_minor)
) WITHOUT ROWID;

CREATE TABLE manager_values (
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    paid_containers BIGINT NOT NULL CHECK (paid_containers >= 0),
    monthly_minor BIGINT NOT NULL,
    referral_minor BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency)
) WITHOUT ROWID;
