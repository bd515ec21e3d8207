-- Of the two sides of most postings one is in review. Its past balance is what the others leave of zero, so that it need not be
-- found by time. And nobody asks for the log of no account.
DROP INDEX ledger_entries_by_time;
CREATE INDEX ledger_entries_by_time ON ledger_entries (account_id, currency, ledger_account, created_at, id)
    WHERE ledger_account <> 'inReview';

DROP INDEX audit_log_by_account;
CREATE INDEX audit_log_by_account ON audit_log (account_id, id) WHERE account_id IS NOT NULL;
