-- A new password, or a newer link, takes the waiting letters of a user along that would bring another link.
CREATE INDEX mails_by_user ON mails (user_id);
CREATE INDEX mails_by_email ON mails (email);
