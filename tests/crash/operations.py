"""What the load does. Each operation knows how to be sent, and sent again, and what its answers must be.

`send` gives whether it was acknowledged: the server said what came of it. Sent again, an acknowledged operation must be
answered as before; that proves that its effect is there and was not done twice.
"""

from world import now


class Keyed:
    """A POST under an idempotency key."""

    # Refusals that are an answer, too, and have no effect.
    refusals = ()
    # What is counted of it.
    counts_as = None

    def __init__(self, world, credential, path, body):
        self.credential = credential
        self.path = path
        self.body = body
        self.key = f"key-{world.number()}"
        self.answer = None

    def post(self, server):
        return server.client(self.credential).request("POST", self.path, self.body, self.key)

    def send(self, server):
        answer = self.post(server)
        if answer.status == 503 or answer.code() == "idempotencyInFlight":
            return False
        assert answer.status < 300 or answer.code() in self.refusals, f"POST {self.path} {self.body}: {answer}"
        self.answer = answer
        return True

    def settle(self, server):
        """Proves an acknowledged one, or sends the other again until it is acknowledged."""
        if self.answer is None:
            assert self.send(server), f"POST {self.path} is refused by a server that is ready"
        elif self.answer.status < 300:
            again = self.post(server)
            assert again.headers["Idempotent-Replayed"] == "true", f"LOST: {self.path} {self.body} was done anew: {again}"
            assert again.body == self.answer.body, f"{self.path}: {again} is not {self.answer}"

    def made(self):
        """The resource, if one was made."""
        return self.answer.json() if self.answer is not None and self.answer.status < 300 else None

    def count(self, expected):
        if self.counts_as and self.made():
            expected[self.counts_as] += 1


class PayoutRequest(Keyed):
    """Takes the whole ready balance."""

    refusals = ("belowMinimum",)
    counts_as = "payouts"

    def __init__(self, world, partner):
        super().__init__(world, partner.key, "/v3/payouts", {"currency": "USD"})


class PayoutStep(Keyed):
    """A step of a payout that nobody else takes steps of: it is never refused."""

    def __init__(self, world, partner, payout, step):
        body = {"reject": {"reason": "a test"}, "fail": {"reason": "a test"}, "confirm": {"reference": "T-1"}}
        of_partner = step == "cancel"
        path = f"/v3/{'' if of_partner else 'operator/'}payouts/{payout['id']}/{step}"
        super().__init__(world, partner.key if of_partner else world.operator_key, path, body.get(step, {}))


class Adjustment(Keyed):
    """The operator gives something."""

    counts_as = "adjustments"

    def __init__(self, world, partner, amount):
        body = {"accountId": partner.account_id, "amount": {"amount": amount, "currency": "USD"}, "reason": "bonus",
                "note": "a test"}
        super().__init__(world, world.operator_key, "/v3/operator/adjustments", body)


class SubAccount(Keyed):
    """The partner creates a client."""

    counts_as = "sub-accounts"

    def __init__(self, world, partner):
        body = {"email": f"created{world.number()}@example.com", "firstName": "Sam", "lastName": "Client"}
        super().__init__(world, partner.key, "/v3/sub-accounts", body)


class Batch:
    """Billing events: their ids are their keys."""

    path = "/v3/operator/billing-events"

    def __init__(self, world, partner, chance, earlier):
        self.credential = world.operator_key
        self.events = []
        self.payments = []
        self.answer = None
        for _ in range(chance.randrange(1, 40)):
            refunded = chance.choice(earlier + self.payments) if chance.random() < 0.2 and self.payments else None
            if refunded:
                self.add(world, "payment.refunded", {
                    "refundId": f"ref-{world.number()}", "paymentId": refunded,
                    "amount": {"amount": f"0.{chance.randrange(1, 30):02}", "currency": "USD"}, "reason": "refund"})
                continue
            payment = f"pay-{world.number()}"
            self.payments.append(payment)
            self.add(world, "payment.succeeded", {
                "paymentId": payment, "containerId": chance.choice(partner.containers), "plan": "pro",
                "billingPeriod": "monthly", "amount": {"amount": f"{chance.randrange(20, 200)}.00", "currency": "USD"},
                "tax": {"amount": "0.00", "currency": "USD"}, "payer": "client", "periodStart": now(),
                "periodEnd": now(2592000), "reason": "renewal"})

    def add(self, world, kind, data):
        self.events.append({"id": f"evt-{world.number()}", "type": kind, "occurredAt": now(), "data": data})

    def post(self, server):
        return server.client(self.credential).request("POST", self.path, {"events": self.events})

    def send(self, server):
        return self.take(self.post(server), ("applied", "duplicate"))

    def take(self, answer, outcomes):
        if answer.status == 503:
            return False
        assert answer.status == 200, f"POST {self.path}: {answer}"
        for result in answer.json()["results"]:
            assert result["outcome"] in outcomes, f"not {' or '.join(outcomes)}: {result}"
        self.answer = answer
        return True

    def settle(self, server):
        outcomes = ("applied", "duplicate") if self.answer is None else ("duplicate",)
        assert self.take(self.post(server), outcomes), "billing events are refused by a server that is ready"

    def count(self, expected):
        expected["payments"] += len(self.payments)
        expected["refunds"] += len(self.events) - len(self.payments)


class Click:
    """A visitor follows a link; a click has no key, so one without an answer may count or not."""

    def __init__(self, world, partner):
        self.world = world
        self.path = f"/r/{partner.code}"
        self.attempts = 0
        self.answer = None

    def send(self, server):
        self.attempts += 1
        answer = server.client().request("GET", self.path)
        if answer.status == 503:
            return False
        assert answer.status == 302, f"GET {self.path}: {answer}"
        self.answer = answer
        self.world.clicks.add(answer.headers["Location"].split("click=clk_")[1].split("&")[0])
        return True

    def settle(self, _):
        """Its id is looked for with all others."""

    def count(self, expected):
        expected["unanswered clicks"] += self.attempts - (self.answer is not None)
