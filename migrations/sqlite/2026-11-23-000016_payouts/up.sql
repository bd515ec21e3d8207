-- Payouts: money leaves once. A payout's amount is the sum of its lines; its method is kept as it was at the request.

-- One method per account and currency. details is encrypted (AEAD); label is what may be shown of it.
CREATE TABLE payout_methods (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    currency TEXT NOT NULL,
    method_type TEXT NOT NULL CHECK (method_type IN ('swift', 'ach', 'sepa', 'paypal', 'wise')),
    label TEXT NOT NULL,
    details BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, currency)
) WITHOUT ROWID;
-- By the key that encrypted the details: the first bytes tell it. Every start looks for keys that it does not have.
CREATE INDEX payout_methods_by_key ON payout_methods (substr(details, 1, 9));

CREATE TABLE payouts (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL UNIQUE,
    number TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('requested', 'approved', 'processing', 'paid', 'canceled', 'rejected', 'failed')),
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    line_count BIGINT NOT NULL CHECK (line_count > 0),
    method_type TEXT NOT NULL,
    method_label TEXT NOT NULL,
    method_details BLOB NOT NULL,
    requested_by TEXT NOT NULL CHECK (requested_by IN ('partner', 'operator', 'schedule')),
    requested_at TIMESTAMP NOT NULL,
    approved_at TIMESTAMP,
    started_at TIMESTAMP,
    paid_at TIMESTAMP,
    closed_at TIMESTAMP,
    reference TEXT,
    reason TEXT,
    batch_id TEXT,
    returned_by TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, number)
) WITHOUT ROWID;
CREATE INDEX payouts_by_status ON payouts (status, id);
CREATE INDEX payouts_by_batch ON payouts (batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX payouts_by_key ON payouts (substr(method_details, 1, 9));

-- What each payout took, also after its rows went back to ready. line_id is the commission or adjustment.
CREATE TABLE payout_lines (
    account_id TEXT NOT NULL,
    payout_id TEXT NOT NULL,
    line_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (account_id, payout_id, line_id)
) WITHOUT ROWID;

-- The last number that a partner's payouts have in a year.
CREATE TABLE payout_numbers (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    year INTEGER NOT NULL,
    last_number BIGINT NOT NULL CHECK (last_number > 0),
    PRIMARY KEY (account_id, year)
) WITHOUT ROWID;

-- minimums is JSON: minor units by currency.
CREATE TABLE payout_schedules (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    schedule_type TEXT NOT NULL CHECK (schedule_type IN ('manual', 'monthly', 'quarterly')),
    day_of_month INTEGER CHECK (day_of_month BETWEEN 1 AND 28),
    minimums TEXT NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    CHECK ((schedule_type = 'manual') = (day_of_month IS NULL))
) WITHOUT ROWID;

-- The next date of each currency that has a method, and the time from which on it is due: the date's beginning, or the end
-- of the hold after a change of the method. A row is taken under its account's lock, once.
CREATE TABLE scheduled_payouts (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    currency TEXT NOT NULL,
    scheduled_for TIMESTAMP NOT NULL,
    due_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, currency)
) WITHOUT ROWID;
CREATE INDEX scheduled_payouts_by_due ON scheduled_payouts (due_at);

-- The payouts that were given to a bank in one file. Its rows never change, so the file never does.
CREATE TABLE payout_batches (
    id TEXT NOT NULL PRIMARY KEY,
    format TEXT NOT NULL CHECK (format IN ('wiseCsv', 'paypalCsv')),
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    payout_count BIGINT NOT NULL CHECK (payout_count > 0),
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

-- What happened to a partner's money in each UTC month (its first moment), changed with the ledger entries that it sums up.
-- earned_minor is by the time of the payment; the others are by the time of posting, and over all months they are what is
-- in review, ready and in payouts: a statement.
CREATE TABLE ledger_months (
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    month TIMESTAMP NOT NULL,
    earned_minor BIGINT NOT NULL,
    posted_minor BIGINT NOT NULL,
    reversed_minor BIGINT NOT NULL,
    adjusted_minor BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency, month)
) WITHOUT ROWID;

INSERT INTO ledger_months
SELECT entry.account_id, entry.currency, strftime('%Y-%m-01 00:00:00', entry.created_at),
    0,
    sum(CASE WHEN entry.kind = 'commissionEarned' THEN -entry.amount_minor ELSE 0 END),
    sum(CASE WHEN entry.kind = 'commissionReversed' THEN entry.amount_minor ELSE 0 END),
    sum(CASE WHEN entry.kind = 'refundAdjustment' THEN -entry.amount_minor ELSE 0 END),
    0
FROM ledger_entries AS entry
WHERE entry.ledger_account = 'program'
GROUP BY 1, 2, 3;

INSERT INTO ledger_months
SELECT account_id, currency, strftime('%Y-%m-01 00:00:00', payment_occurred_at), sum(amount_minor), 0, 0, 0, 0
FROM commissions
WHERE kind = 'commission' AND status <> 'noCommission'
GROUP BY 1, 2, 3
ON CONFLICT (account_id, currency, month) DO UPDATE SET earned_minor = excluded.earned_minor;

CREATE INDEX commissions_by_payout ON commissions (account_id, payout_id, id) WHERE payout_id IS NOT NULL;
-- Earnings over time.
CREATE INDEX commissions_by_payment_time ON commissions (account_id, currency, payment_occurred_at)
    WHERE kind = 'commission';
