-- The sums over all days stand under a day that no payment has: a payment of 1970-01-01 counts on that day.
UPDATE link_statistics SET day = '1969-12-31 00:00:00' WHERE day = '1970-01-01 00:00:00';
