-- The newest entry of a balance: another server that posts next makes greater ids.
ALTER TABLE ledger_balances ADD COLUMN last_entry_id TEXT COLLATE "C";
UPDATE ledger_balances SET last_entry_id = (
    SELECT max(entry.id) FROM ledger_entries AS entry
    WHERE entry.account_id = ledger_balances.account_id AND entry.currency = ledger_balances.currency
);
