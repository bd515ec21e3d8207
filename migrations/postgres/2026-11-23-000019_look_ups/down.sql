DROP INDEX accounts_by_kind;
DROP INDEX sessions_by_end;
DROP INDEX sessions_by_expiry;
DROP INDEX user_emails_by_user;
