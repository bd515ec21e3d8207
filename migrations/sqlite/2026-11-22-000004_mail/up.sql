-- Letters that wait for delivery, each to a user or to an e-mail address that may be one's. A row is deleted when its
-- letter is delivered or given up. letter is JSON without any secret. created_at is the domain's time, next_attempt_at the
-- machine's; attempts is what servers claim a row by.
CREATE TABLE mails (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT,
    email TEXT,
    letter TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    CHECK ((user_id IS NULL) <> (email IS NULL))
) WITHOUT ROWID;
CREATE INDEX mails_by_attempt ON mails (next_attempt_at, id);

-- The one token, as SHA-256, by which a user can set a password without knowing the old one.
CREATE TABLE password_tokens (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('reset', 'invitation')),
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;
