-- Referral links. A null target is the program's default target, whatever it is at the time of the click.

CREATE TABLE referral_links (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT,
    target_url TEXT,
    is_default BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL CHECK (enabled OR NOT is_default),
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX referral_links_one_default ON referral_links (account_id) WHERE is_default;

-- The directory that makes codes unique over all accounts, for ever.
CREATE TABLE referral_codes (
    code TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    link_id TEXT NOT NULL
) WITHOUT ROWID;
