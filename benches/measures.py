"""The rows of the table: what is asked, what it is compared with, and what must hold."""

import functools
import json

from machine import middle, say, spread


class Table:
    """Results as they come, each with its target."""

    def __init__(self, judged):
        self.rows, self.judged = [], judged

    def add(self, name, values, unit, target=None, at_least=True):
        values = values if isinstance(values, list) else [values]
        value = middle(values)
        holds = None if target is None else (value >= target if at_least else value <= target)
        self.rows.append({"name": name, "value": round(value, 4), "spread": round(spread(values), 3), "unit": unit,
                          "target": target, "direction": "at least" if at_least else "at most", "holds": holds})
        say(self.line(self.rows[-1]))

    def line(self, row):
        target = "" if row["target"] is None else f"{row['direction']} {row['target']:g}"
        verdict = {None: "", True: "holds", False: "MISSED"}[row["holds"] if self.judged else None]
        value = f"{row['value']:,.0f}" if row["value"] >= 1000 else f"{row['value']:.3g}"
        return f"{row['name']:<62} {value:>9} {row['unit']:<8} ±{row['spread']:>4.0%}  {target:<16} {verdict}".rstrip()


class Bench:
    """One server on one engine with a seeded database. `postgres` is None on SQLite."""

    def __init__(self, engine, server, bare, postgres, query, seeded, table, rounds, seconds):
        self.engine, self.server, self.bare, self.postgres, self.query = engine, server, bare, postgres, query
        self.seeded, self.table, self.rounds, self.seconds = seeded, table, rounds, seconds
        self.partners = {partner["id"].removeprefix("acc_"): partner for partner in seeded["partners"]}

    def load(self, requests, connections):
        return self.server.wrk(requests, connections, self.seconds)

    def add(self, name, values, unit, *target, **how):
        self.table.add(f"{self.engine}: {name}", values, unit, *target, **how)

    def compared(self, name, requests, connections, scripts, target):
        """Interleaved rounds of the API and, on PostgreSQL, of pgbench with the same SQL. Answers wrk's results."""
        measured, floors = [], []
        for _ in range(self.rounds):
            measured.append(self.load(requests, connections))
            if self.postgres:
                floors.append(self.postgres.pgbench(scripts, connections, self.seconds))
        self.add(f"{name}, {connections} connections", [result["rate"] for result in measured], "/s")
        if floors:
            self.add(f"{name}, pgbench, {connections} connections", floors, "/s")
            ratios = [result["rate"] / floor for result, floor in zip(measured, floors)]
            self.add(f"{name}, share of pgbench, {connections} connections", ratios, "", target)
        return measured

    def all(self):
        self.without_database()
        self.by_id()
        self.lists()
        self.dashboard()
        self.export()
        self.redirects()
        self.single_events()
        self.batches()
        self.add("memory after load", self.server.memory_mib(), "MiB", 100, at_least=False)

    def without_database(self):
        rates, ceilings = [], []
        for _ in range(self.rounds):
            rates.append(self.load([("GET", "/health/live", "", "")], 64)["rate"])
            ceilings.append(self.bare.wrk([("GET", "/", "", "")], 64, self.seconds)["rate"])
        self.add("a route without database, share of bare actix-web",
                 [rate / ceiling for rate, ceiling in zip(rates, ceilings)], "", 0.5)
        self.add("bare actix-web", ceilings, "/s")

    @functools.cached_property
    def some_commissions(self):
        ids = ", ".join(f"'{id}'" for id in self.partners)
        sql = f"SELECT account_id, id FROM commissions WHERE account_id IN ({ids})"
        rows = self.query(f"{sql} ORDER BY substr(id, 20) LIMIT 128")
        return [(account_id, id) for account_id, id in rows]

    @functools.cached_property
    def reads(self):
        """What everybody asks again and again, by name. Chosen once: what pgbench writes later is nothing that the API could show."""
        # Behind the 26 digits of a stored id stands what kind of row it is.
        by_id = [("GET", f"/v3/commissions/com_{id[:26]}", self.partners[account]["key"], "")
                 for account, id in self.some_commissions]
        of_all = lambda path: [("GET", path, partner["key"], "") for partner in self.partners.values()]
        return {"a commission by id": by_id, "50 commissions": of_all("/v3/commissions?limit=50"),
                "the summary": of_all("/v3/commissions/summary"), "the dashboard": of_all("/v3/dashboard")}

    def against(self, smaller):
        """The slowest reads here and, in turn, with another bench whose database is a part of this one's size."""
        for name, requests in self.reads.items():
            pairs = [(self.load(requests, 8)["p99"], smaller.load(smaller.reads[name], 8)["p99"]) for _ in range(self.rounds)]
            self.add(f"{name}, p99 against a hundredth of the rows", [large / small for large, small in pairs], "", 1.3,
                     at_least=False)

    def by_id(self):
        requests = self.reads["a commission by id"]
        scripts = [f"SELECT {self.columns()} FROM commissions WHERE account_id = '{account}' AND id = '{id}';\n"
                   for account, id in self.some_commissions]
        few = self.compared("a commission by id", requests, 8, scripts, 0.3)
        self.add("a commission by id, p99 at 8 connections", [result["p99"] for result in few], "ms", 5, at_least=False)
        self.compared("a commission by id", requests, 64, scripts, 0.3)
        if not self.postgres:
            self.add("a commission by id on SQLite", [result["rate"] for result in few], "/s", 30_000)

    def columns(self):
        sql = "SELECT column_name FROM information_schema.columns WHERE table_name = 'commissions' ORDER BY ordinal_position"
        return ", ".join(name for name, in self.query(sql)) if self.postgres else ""

    def lists(self):
        scripts = [f"SELECT {self.columns()} FROM commissions WHERE account_id = '{account}' ORDER BY id DESC LIMIT 51;\n"
                   for account in self.partners]
        self.compared("50 commissions", self.reads["50 commissions"], 8, scripts, 0.55)
        # A plan that nobody has changes nothing but makes each page another one, which the server has not kept.
        once = [("GET", "/v3/commissions?limit=50&plan=pro,@", partner["key"], "") for partner in self.partners.values()]
        self.compared("50 commissions, no page twice", once, 8, scripts, None)
        key = self.seeded["largest"]["key"]
        cursor, pages = self.far_page(key)
        first = [("GET", "/v3/commissions?limit=50", key, "")]
        far = [("GET", f"/v3/commissions?limit=50&cursor={cursor}", key, "")]
        pairs = [(self.load(first, 8)["rate"], self.load(far, 8)["rate"]) for _ in range(self.rounds)]
        self.add(f"first page against page {pages:,}", [one / other for one, other in pairs], "", 1.2, at_least=False)

    def far_page(self, key):
        """The cursor of the 10,000th page of 50, or of the last one."""
        cursor, rows = "", 0
        while rows < 500_000:
            _, body, _ = self.server.get(f"/v3/commissions?limit=100{cursor and '&cursor=' + cursor}", key)
            page = json.loads(body)
            if not page["hasMore"]:
                break
            cursor, rows = page["nextCursor"], rows + 100
        # The cursor holds for any limit, as it is bound to the filters alone.
        return cursor, rows // 50

    def dashboard(self):
        small = next(iter(self.partners.values()))["key"]
        large = self.seeded["largest"]["key"]
        ask = lambda key: self.load([("GET", "/v3/dashboard", key, "")], 8)["rate"]
        pairs = [(ask(small), ask(large)) for _ in range(self.rounds)]
        self.add("dashboard, 8 connections", [one for one, _ in pairs], "/s")
        self.add("dashboard, 6 containers against the largest partner", [one / other for one, other in pairs], "", 1.5,
                 at_least=False)

    def export(self):
        before = self.server.memory_mib()
        status, body, first = self.server.get("/v3/commissions/export", self.seeded["largest"]["key"])
        assert status == 200, status
        rows = body.count(b"\n") - 1
        self.add(f"export of {rows:,} commissions, memory", self.server.memory_mib() - before, "MiB", 16,
                 at_least=False)
        self.add("export, first byte", first * 1000, "ms", 100, at_least=False)

    def redirects(self):
        ids = ", ".join(f"'{id}'" for id in self.partners)
        codes = [code for code, in self.query(f"SELECT code FROM referral_links WHERE account_id IN ({ids})")]
        requests = [("GET", f"/r/{code}", "", "") for code in codes]
        measured = [self.load(requests, 64) for _ in range(self.rounds)]
        self.add("redirects with their click durable, 64 connections", [result["rate"] for result in measured], "/s", 8_000)
        self.add("redirect, p99", [result["p99"] for result in measured], "ms", 10, at_least=False)

    def payment(self, container):
        return {"id": "bench-@", "type": "payment.succeeded", "occurredAt": "@now", "data": {
            "paymentId": "bench-@", "containerId": container, "plan": "pro", "billingPeriod": "monthly",
            "amount": {"amount": "24.00", "currency": "USD"}, "tax": {"amount": "4.00", "currency": "USD"},
            "payer": "client", "periodStart": "@now", "periodEnd": "2099-01-01T00:00:00.000Z", "reason": "renewal"}}

    def events(self, containers):
        body = json.dumps({"events": [self.payment(container) for container in containers]}, separators=(",", ":"))
        return ("POST", "/v3/operator/billing-events", self.seeded["operator"], body)

    def single_events(self):
        containers = [container for partner in self.partners.values() for container in partner["containers"]]
        requests = [self.events([container]) for container in containers]
        scripts = [payment_sql(account) for account in self.partners]
        measured = self.compared("billing event, one by one", requests, 8, scripts, 0.5)
        if not self.postgres:
            self.add("billing event, one by one, on SQLite", [result["rate"] for result in measured], "/s", 5_000)

    def batches(self):
        containers = [container for partner in self.partners.values() for container in partner["containers"]]
        size = 500
        batch = (containers * (size // len(containers) + 1))[:size]
        measured = [self.load([self.events(batch)], 2) for _ in range(self.rounds)]
        self.add(f"payments in batches of {size}", [result["rate"] * size for result in measured], "/s", 10_000)


def payment_sql(account):
    """What one payment inserts and updates, for pgbench: the same tables, the same number of rows."""
    id = "lpad(:n::text || :m::text, 26, '0')"
    month = "date_trunc('month', now()::timestamp)"
    return f"""\\set n random(1, 1000000000000)
\\set m random(1, 1000000000)
BEGIN;
SELECT event_sequence FROM accounts WHERE id = '{account}' FOR NO KEY UPDATE;
INSERT INTO billing_events VALUES ('floor-' || :n || '-' || :m, 'payment.succeeded', '\\x00', {id}, now(), now());
INSERT INTO payments VALUES ({id}, 'floor-' || :n || '-' || :m, '{account}', '{account}', '{account}', 'pro', 'monthly',
 'USD', 2400, 400, 0, 'client', 'renewal', now(), now(), now(), {id}, now());
INSERT INTO commissions VALUES ('{account}', {id}, 'commission', 'noCommission', NULL, '{account}', 'floor@example.com',
 'Robin Doe', '{account}', 'shop.example.com', 'sgtmContainer', 'pro', 'monthly', {id}, 'floor', 2400, now(), 'USD', 2000,
 3000, 'levelDefault', 1, 1, 14, 600, 0, 0, now(), NULL, NULL, NULL, NULL, now());
INSERT INTO ledger_entries VALUES ('{account}', {id}, {id}, 'program', 'commissionEarned', 'USD', -600, 0, {id}, NULL, now()),
 ('{account}', 'f' || substr({id}, 2), {id}, 'inReview', 'commissionEarned', 'USD', 600, 0, {id}, NULL, now());
UPDATE ledger_balances SET program_minor = program_minor - 600, in_review_minor = in_review_minor + 600
 WHERE account_id = '{account}' AND currency = 'USD';
INSERT INTO ledger_months VALUES ('{account}', 'USD', {month}, 600, 600, 0, 0, 0)
 ON CONFLICT (account_id, currency, month) DO UPDATE SET earned_minor = ledger_months.earned_minor + 600,
 posted_minor = ledger_months.posted_minor + 600;
UPDATE accounts SET event_sequence = event_sequence + 1 WHERE id = '{account}';
INSERT INTO events SELECT id, event_sequence, 'commission.created', 'commission', {id}, now() FROM accounts
 WHERE id = '{account}';
INSERT INTO audit_log VALUES ({id}, NULL, 'operator', 'floor', NULL, 'billingEvents.applied', 'billingEvents', 'floor',
 NULL, 'floor', now());
COMMIT;
"""
