DROP INDEX containers_in_error;
DROP INDEX containers_over_limit;
ALTER TABLE containers DROP COLUMN search_text;
ALTER TABLE accounts DROP COLUMN search_text;
