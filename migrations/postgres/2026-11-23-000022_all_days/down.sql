DELETE FROM link_statistics WHERE day = '1970-01-01 00:00:00';
UPDATE link_statistics SET day = '1970-01-01 00:00:00' WHERE day = '1969-12-31 00:00:00';
