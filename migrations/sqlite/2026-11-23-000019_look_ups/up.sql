-- The deletion of a user looks for its e-mail addresses.
CREATE INDEX user_emails_by_user ON user_emails (user_id);

-- Sessions that are over are looked for every ten minutes.
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

-- The operator looks for partners or agencies, and a new version of the program concerns all of them.
CREATE INDEX accounts_by_kind ON accounts (kind, id);
