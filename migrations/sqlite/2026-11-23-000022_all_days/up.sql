-- The sums over all days stand under a day that no payment has: a payment of 1970-01-01 counts on that day.
UPDATE link_statistics SET day = '1969-12-31 00:00:00' WHERE day = '1970-01-01 00:00:00';

-- A client counts on the day of its earliest payment, in whatever order its payments arrived.
UPDATE referrals SET first_paid_at = (
    SELECT min(payments.occurred_at) FROM payments
    WHERE payments.account_id = referrals.client_id AND payments.payer = 'client' AND payments.amount_minor > 0
)
WHERE first_paid_at IS NOT NULL;

UPDATE link_statistics SET paying_clients = 0;

INSERT INTO link_statistics (account_id, link_id, day, clicks, unique_visitors, sign_ups, paying_clients)
SELECT account_id, link_id, strftime('%Y-%m-%d 00:00:00', first_paid_at), 0, 0, 0, count(*)
FROM referrals
WHERE first_paid_at IS NOT NULL
GROUP BY 1, 2, 3
ON CONFLICT (account_id, link_id, day) DO UPDATE SET paying_clients = excluded.paying_clients;

UPDATE link_statistics SET paying_clients = (
    SELECT count(*) FROM referrals
    WHERE referrals.account_id = link_statistics.account_id AND referrals.link_id = link_statistics.link_id
        AND referrals.first_paid_at IS NOT NULL
)
WHERE day = '1969-12-31 00:00:00';
