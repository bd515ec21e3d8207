-- Managed clients that want attention: those with a container over its limit or with an error. A client without either has
-- no row. The counts of a manager's change with them.
CREATE TABLE client_alerts (
    client_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    limit_exceeded BOOLEAN NOT NULL,
    with_errors BOOLEAN NOT NULL
) WITHOUT ROWID;
CREATE INDEX client_alerts_by_manager ON client_alerts (account_id, client_id);

CREATE TABLE manager_alerts (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    limit_exceeded BIGINT NOT NULL CHECK (limit_exceeded >= 0),
    with_errors BIGINT NOT NULL CHECK (with_errors >= 0)
) WITHOUT ROWID;

INSERT INTO client_alerts
SELECT account_id, manager_id, max(limit_exceeded_at IS NOT NULL), max(errors <> '[]')
FROM containers
WHERE manager_id IS NOT NULL AND (limit_exceeded_at IS NOT NULL OR errors <> '[]')
GROUP BY account_id, manager_id;

INSERT INTO manager_alerts
SELECT account_id, sum(limit_exceeded), sum(with_errors) FROM client_alerts GROUP BY account_id;
