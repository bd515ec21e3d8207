-- What a manager asks a client: for access to its account, or to manage it at all. account_id is the client. A request that
-- nobody is to see (status void) stands under the manager itself until its letter is dropped: a wrong e-mail address costs
-- as much as a right one.
CREATE TABLE access_requests (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    manager_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('access', 'link')),
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'approved', 'declined', 'withdrawn', 'void')),
    created_at TIMESTAMP NOT NULL,
    decided_at TIMESTAMP,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX access_requests_one_pending ON access_requests (account_id, manager_id, kind)
    WHERE status = 'pending';
