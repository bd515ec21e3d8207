-- Referral links. A null target is the program's default target, whatever it is at the time of the click.

CREATE TABLE referral_links (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C",
    target_url TEXT COLLATE "C",
    is_default BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL CHECK (enabled OR NOT is_default),
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX referral_links_one_default ON referral_links (account_id) WHERE is_default;

-- The directory that makes codes unique over all accounts, for ever.
CREATE TABLE referral_codes (
    code TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL,
    link_id TEXT COLLATE "C" NOT NULL
);
