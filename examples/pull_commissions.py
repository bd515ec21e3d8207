#!/usr/bin/env python3
"""Pulls all commissions of a partner, page by page, as CSV; their sums by status and currency go to standard error.

    STAPE_URL=http://127.0.0.1:8080 STAPE_KEY=stp_… python3 pull_commissions.py [status …] >commissions.csv

Needs requests, nothing else. It waits when the server limits it or is busy, and shows what a problem says.
"""

import csv
import os
import sys
import time
from collections import defaultdict
from decimal import Decimal

import requests

TRIES = 5
STATUSES = ["inReview", "readyToPayout", "inPayout", "paid", "reversed", "noCommission"]


def setting(name):
    """A variable of the environment that must be there."""
    value = os.environ.get(name)
    if not value:
        sys.exit(f"set {name}: the server prints its address, and keys are made with POST /v3/api-keys")
    return value


def get(session, url, parameters):
    """The JSON of an answer; waits while the server asks for it."""
    for _ in range(TRIES):
        answer = session.get(url, params=parameters, timeout=30)
        if answer.status_code in (429, 503):
            time.sleep(float(answer.headers.get("Retry-After", 1)))
            continue
        if answer.ok:
            return answer.json()
        if answer.headers.get("Content-Type") == "application/problem+json":
            problem = answer.json()
            sys.exit(f"{problem['status']} {problem['code']}: {problem['detail']} (request {problem['requestId']})")
        sys.exit(f"{answer.status_code} from {url}: is this a Stape server?")
    sys.exit(f"{url} is still busy after {TRIES} tries")


def commissions(session, base, statuses):
    """Every commission, newest first."""
    parameters = {"limit": 100}
    if statuses:
        parameters["status"] = ",".join(statuses)
    while True:
        page = get(session, f"{base}/v3/commissions", parameters)
        yield from page["data"]
        if not page["hasMore"]:
            return
        parameters["cursor"] = page["nextCursor"]


def main(statuses):
    unknown = [status for status in statuses if status not in STATUSES]
    if unknown:
        sys.exit(f"{', '.join(unknown)}: a status is one of {', '.join(STATUSES)}")
    base = setting("STAPE_URL").rstrip("/")
    session = requests.Session()
    session.headers["X-AUTH-TOKEN"] = setting("STAPE_KEY")

    table = csv.writer(sys.stdout)
    table.writerow(["id", "createdAt", "status", "client", "container", "ratePercent", "net", "currency"])
    sums = defaultdict(Decimal)
    for row in commissions(session, base, statuses):
        client = (row["subAccount"] or {}).get("email")
        container = (row["container"] or {}).get("name")
        # Money is text with exactly the currency's digits: never make a float of it.
        net = row["net"]
        table.writerow([row["id"], row["createdAt"], row["status"], client, container, row["ratePercent"],
                        net["amount"], net["currency"]])
        sums[row["status"], net["currency"]] += Decimal(net["amount"])
    for (status, currency), total in sorted(sums.items()):
        print(f"{status}: {total} {currency}", file=sys.stderr)


try:
    main(sys.argv[1:])
except (requests.ConnectionError, requests.Timeout) as error:
    sys.exit(f"nothing answers at {os.environ['STAPE_URL']}: {error}")
