ALTER TABLE ledger_balances DROP COLUMN last_entry_id;
