DROP INDEX mails_by_email;
DROP INDEX mails_by_user;
