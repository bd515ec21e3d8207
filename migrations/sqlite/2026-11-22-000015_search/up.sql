-- What searches look into: lower-cased by the server, for neither engine knows all alphabets.
ALTER TABLE accounts ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
UPDATE accounts SET search_text =
    lower(email || char(10) || first_name || ' ' || last_name || char(10) || coalesce(company_name, ''));

ALTER TABLE containers ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
UPDATE containers SET search_text = lower(name);

-- The rare containers that filters of clients ask for.
CREATE INDEX containers_over_limit ON containers (manager_id, account_id) WHERE limit_exceeded_at IS NOT NULL;
CREATE INDEX containers_in_error ON containers (manager_id, account_id) WHERE errors <> '[]';
