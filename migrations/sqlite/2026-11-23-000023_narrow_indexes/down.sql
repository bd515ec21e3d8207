DROP INDEX audit_log_by_account;
CREATE INDEX audit_log_by_account ON audit_log (account_id, id);

DROP INDEX ledger_entries_by_time;
CREATE INDEX ledger_entries_by_time ON ledger_entries (account_id, currency, ledger_account, created_at, id);
