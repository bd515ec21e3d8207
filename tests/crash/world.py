"""The situation that every run begins with: two partners with clients, containers, payout methods, keys, referral links."""

import itertools
import time

PASSWORD = "a quiet harbour at dawn"

SCOPES = ["subAccounts:read", "subAccounts:write", "commissions:read", "payouts:read", "payouts:write", "events:read",
          "referralLinks:read"]


def now(ahead=0):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + ahead))


class Partner:
    """An account that earns: its key, its containers, its link's code."""

    def __init__(self, account_id, key, containers, code):
        self.account_id = account_id
        self.key = key
        self.containers = containers
        self.code = code


class World:
    """What the load works with, and how much of everything must be there after each settling."""

    def __init__(self, server):
        self.numbers = itertools.count(1)
        self.operator_key = server.operator_key()
        self.operator = server.client(self.operator_key)
        self.expected = {"payments": 0, "refunds": 0, "adjustments": 0, "sub-accounts": 0, "payouts": 0,
                         "unanswered clicks": 0}
        self.clicks = set()
        self.review_nothing()
        self.partners = [self.partner(server) for _ in range(2)]

    def number(self):
        """A number that names one thing in the whole run."""
        return next(self.numbers)

    def review_nothing(self):
        """Commissions are ready at once, so that payouts have something to take."""
        answer = self.operator.request("GET", "/v3/operator/program")
        program = answer.json()
        program["reviewDays"] = {"monthly": 0, "yearly": 0}
        put = self.operator.request("PUT", "/v3/operator/program", program, headers={"If-Match": answer.headers["ETag"]})
        assert put.status == 200, str(put)

    def partner(self, server):
        email = f"agency{self.number()}@example.com"
        visitor = server.client()
        person = {"kind": "agency", "email": email, "password": PASSWORD, "firstName": "Ann", "lastName": "Archer"}
        account = visitor.expect(201, "POST", "/v3/accounts", person)
        session = visitor.expect(201, "POST", "/v3/sessions", {"email": email, "password": PASSWORD})
        owner = server.client(session["accessToken"])
        self.owner_token = session["accessToken"]
        containers = self.paid_containers(owner)
        application = owner.expect(201, "POST", "/v3/partner-applications")
        path = f"/v3/operator/partner-applications/{application['id']}/approve"
        self.operator.expect(200, "POST", path)
        method = {"type": "wise", "details": {"email": email, "holder": "Ann Archer"}, "password": PASSWORD}
        owner.expect(200, "PUT", "/v3/payout-methods/USD", method)
        key = owner.expect(201, "POST", "/v3/api-keys", {"name": "crash", "scopes": SCOPES})["key"]
        link = owner.expect(200, "GET", "/v3/referral-links")["data"][0]
        return Partner(account["id"], key, containers, link["code"])

    def paid_containers(self, owner):
        client = {"email": f"client{self.number()}@example.com", "firstName": "Sam", "lastName": "Client"}
        client_id = owner.expect(201, "POST", "/v3/sub-accounts", client)["id"]
        containers = []
        for number in range(6):
            wanted = {"name": f"shop{number}.example.com", "product": "sgtmContainer", "accountId": client_id}
            containers.append(owner.expect(201, "POST", "/v3/containers", wanted)["id"])
        events = [self.subscription(container) for container in containers]
        results = self.operator.expect(200, "POST", "/v3/operator/billing-events", {"events": events})["results"]
        assert all(result["outcome"] == "applied" for result in results), results
        return containers

    def subscription(self, container):
        return {"id": f"evt-{self.number()}", "type": "subscription.changed", "occurredAt": now(), "data": {
            "containerId": container, "plan": "pro", "billingPeriod": "monthly", "status": "active",
            "price": {"amount": "20.00", "currency": "USD"}, "currentPeriodStart": now(), "currentPeriodEnd": now(2592000),
            "cancelAtPeriodEnd": False, "nextPaymentAt": now(2592000)}}

