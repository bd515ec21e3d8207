-- What the billing system or the operator is to carry out. account_id is the client that it is about; without a container
-- it is about the client's link. details is JSON.

CREATE TABLE operator_requests (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL UNIQUE,
    request_type TEXT NOT NULL
        CHECK (request_type IN ('planChange', 'cancel', 'reactivate', 'transfer', 'billingSwitch')),
    container_id TEXT REFERENCES containers (id),
    status TEXT NOT NULL CHECK (status IN ('open', 'done', 'declined')),
    details TEXT NOT NULL,
    reason TEXT,
    created_at TIMESTAMP NOT NULL,
    closed_at TIMESTAMP,
    PRIMARY KEY (account_id, id),
    CHECK ((status = 'open') = (closed_at IS NULL))
) WITHOUT ROWID;
CREATE UNIQUE INDEX operator_requests_one_per_container ON operator_requests (container_id)
    WHERE status = 'open' AND container_id IS NOT NULL;
CREATE UNIQUE INDEX operator_requests_one_per_account ON operator_requests (account_id)
    WHERE status = 'open' AND container_id IS NULL;
CREATE INDEX operator_requests_by_status ON operator_requests (status, id);
