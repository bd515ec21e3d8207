#!/usr/bin/env python3
"""A billing system's month: payments, subscriptions and a refund for containers, sent so that nothing counts twice.

    STAPE_URL=http://127.0.0.1:8080 STAPE_OPERATOR_KEY=stp_… python3 billing_system.py 2026-01 ctr_… ctr_…

Needs requests, nothing else. Every event has an id that follows from what happened, never from when it is sent: after a
lost answer the same batch is sent again, and what was applied is answered as duplicate.
"""

import os
import re
import sys
import time
from collections import Counter

import requests

TRIES = 5
BATCH = 1000


def setting(name):
    """A variable of the environment that must be there."""
    value = os.environ.get(name)
    if not value:
        sys.exit(f"set {name}: `stape-api operator-key create --name billing` makes a key")
    return value


def usd(amount):
    return {"amount": amount, "currency": "USD"}


def month_of(month, containers):
    """The events of a month: each container is paid on the first day, and the first payment is refunded in part."""
    begin, paid_at = f"{month}-01T00:00:00Z", f"{month}-01T09:00:00Z"
    year, number = map(int, month.split("-"))
    end = f"{year + number // 12}-{number % 12 + 1:02}-01T00:00:00Z"
    for container in containers:
        yield {"id": f"{month}/{container}/subscription", "type": "subscription.changed", "occurredAt": begin, "data": {
            "containerId": container, "plan": "pro", "billingPeriod": "monthly", "price": usd("20.00"),
            "status": "active", "currentPeriodStart": begin, "currentPeriodEnd": end, "cancelAtPeriodEnd": False,
            "nextPaymentAt": end}}
        yield {"id": f"{month}/{container}/payment", "type": "payment.succeeded", "occurredAt": paid_at, "data": {
            "paymentId": f"{month}/{container}", "containerId": container, "plan": "pro", "billingPeriod": "monthly",
            "amount": usd("24.00"), "tax": usd("4.00"), "payer": "client", "periodStart": begin, "periodEnd": end,
            "reason": "renewal"}}
    yield {"id": f"{month}/{containers[0]}/refund", "type": "payment.refunded", "occurredAt": f"{month}-02T09:00:00Z",
           "data": {"refundId": f"{month}/{containers[0]}/1", "paymentId": f"{month}/{containers[0]}",
                    "amount": usd("8.00"), "reason": "refund"}}


def post(session, url, events):
    """The results of a batch; it is sent again when no answer came, or the server asks to wait."""
    for attempt in range(TRIES):
        try:
            answer = session.post(url, json={"events": events}, timeout=60)
        except (requests.ConnectionError, requests.Timeout):
            # Perhaps it was applied, perhaps not: the ids tell.
            time.sleep(2**attempt)
            continue
        if answer.status_code in (429, 503):
            time.sleep(float(answer.headers.get("Retry-After", 1)))
            continue
        if not answer.ok:
            problem = answer.json()
            sys.exit(f"{problem['status']} {problem['code']}: {problem['detail']} (request {problem['requestId']})")
        return answer.json()["results"]
    sys.exit(f"{url} does not answer after {TRIES} tries")


def send(session, url, events):
    """Sends all events in order; those that may be applied later (`retryable`) once more. Counts the outcomes."""
    outcomes, again = Counter(), []
    for event, result in results(session, url, events):
        if result["outcome"] == "rejected" and result["retryable"]:
            again.append(event)
        else:
            count(outcomes, event, result)
    for event, result in results(session, url, again):
        count(outcomes, event, result)
    return outcomes


def results(session, url, events):
    """Every event with its result; they are sent in batches of the size that the API takes."""
    for begin in range(0, len(events), BATCH):
        batch = events[begin:begin + BATCH]
        yield from zip(batch, post(session, url, batch))


def count(outcomes, event, result):
    """Counts an outcome, and shows why an event was not applied."""
    outcomes[result["outcome"]] += 1
    if result["problem"]:
        print(f"{event['id']}: {result['problem']['code']}: {result['problem']['detail']}", file=sys.stderr)


def main(month, containers):
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month) or not containers:
        sys.exit(__doc__)
    url = setting("STAPE_URL").rstrip("/") + "/v3/operator/billing-events"
    session = requests.Session()
    session.headers["X-AUTH-TOKEN"] = setting("STAPE_OPERATOR_KEY")
    events = list(month_of(month, containers))
    for turn in ("sent", "sent again"):
        outcomes = send(session, url, events)
        print(f"{turn}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))


main(*(sys.argv[1:2] or [""]), sys.argv[2:])
