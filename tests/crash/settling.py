"""After a kill: every operation is proven or sent again, and everything is counted past the server."""

# How much of everything there is, past the server.
COUNTS = {
    "payments": "SELECT COUNT(*), COUNT(DISTINCT external_id) FROM payments",
    "refunds": "SELECT COUNT(*), COUNT(DISTINCT external_id) FROM refunds",
    "adjustments": "SELECT COUNT(*), COUNT(DISTINCT id) FROM commissions WHERE reason = 'bonus'",
    "sub-accounts": "SELECT COUNT(*), COUNT(DISTINCT email) FROM accounts WHERE email LIKE 'created%'",
    "payouts": "SELECT COUNT(*), COUNT(DISTINCT account_id || number) FROM payouts",
}

# A feed without gaps ends with the number of its events.
GAPS = "SELECT account_id FROM events GROUP BY account_id HAVING COUNT(*) <> MAX(sequence)"


def settle(world, server, database, operations):
    """Gives how many operations were acknowledged, and how many had to be sent again."""
    kept = [operation for operation in operations if operation.answer is not None]
    unanswered = [operation for operation in operations if operation.answer is None]
    for operation in kept + unanswered:
        operation.settle(server)
    for operation in operations:
        operation.count(world.expected)
    for what, sql in COUNTS.items():
        (count, distinct), = database.query(sql)
        wanted = world.expected[what]
        assert int(count) >= wanted, f"LOST: {count} {what} where there must be {wanted}"
        assert int(count) == wanted and count == distinct, f"DOUBLED: {count} {what} where there must be {wanted}"
    clicks_are_there(world, database)
    gaps = database.query(GAPS)
    assert not gaps, f"the feeds of {gaps} have gaps"
    return len(kept), len(unanswered)


def clicks_are_there(world, database):
    there = {id for id, in database.query("SELECT id FROM clicks")}
    lost = world.clicks - there
    assert not lost, f"LOST: {len(lost)} clicks that were answered"
    unanswered = len(there - world.clicks)
    assert unanswered <= world.expected["unanswered clicks"], f"{unanswered} clicks that nobody made"
    (counted,), = database.query("SELECT COALESCE(SUM(clicks), 0) FROM link_statistics WHERE day > '1970-01-01 23:59:59'")
    assert int(counted) == len(there), f"{counted} clicks counted, {len(there)} there"
