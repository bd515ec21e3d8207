-- Clicks on referral links, what came of them, and the counters of each link.

-- No address is kept: visitor_hash is an HMAC under a key of the day, which is deleted when the day is over.
CREATE TABLE clicks (
    account_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    link_id TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C",
    visitor_hash BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX clicks_by_age ON clicks (created_at);

-- The visitors of a link on a day (its first moment, UTC): who is here already is not unique.
CREATE TABLE link_visitors (
    account_id TEXT COLLATE "C" NOT NULL,
    link_id TEXT COLLATE "C" NOT NULL,
    day TIMESTAMP NOT NULL,
    visitor_hash BYTEA NOT NULL,
    PRIMARY KEY (account_id, link_id, day, visitor_hash)
);
CREATE INDEX link_visitors_by_day ON link_visitors (day);

CREATE TABLE visitor_keys (
    day TIMESTAMP NOT NULL PRIMARY KEY,
    key BYTEA NOT NULL
);

-- Clients that came with a code. first_paid_at is the time of their first payment of their own.
CREATE TABLE referrals (
    client_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    link_id TEXT COLLATE "C" NOT NULL,
    click_id TEXT COLLATE "C",
    signed_up_at TIMESTAMP NOT NULL,
    first_paid_at TIMESTAMP
);
CREATE INDEX referrals_by_link ON referrals (account_id, link_id, signed_up_at);
-- A click leads to one sign-up at most.
CREATE UNIQUE INDEX referrals_by_click ON referrals (click_id);

-- Counters per link and UTC day, and over all days in the row of 1970-01-01: changed in the transaction that changes their
-- cause, recomputed by `verify` where their cause is still there.
CREATE TABLE link_statistics (
    account_id TEXT COLLATE "C" NOT NULL,
    link_id TEXT COLLATE "C" NOT NULL,
    day TIMESTAMP NOT NULL,
    clicks BIGINT NOT NULL,
    unique_visitors BIGINT NOT NULL,
    sign_ups BIGINT NOT NULL,
    paying_clients BIGINT NOT NULL,
    PRIMARY KEY (account_id, link_id, day)
);
