"""Mixed load: some threads, each with operations that follow each other, until the server is gone or the load is stopped.

Every operation is noted before it is sent, so that none is forgotten whatever happens.
"""

import random
import threading
import time

from api import Gone
from operations import Adjustment, Batch, Click, PayoutRequest, PayoutStep, SubAccount

# What an operator or partner does with a payout after it was requested.
WAYS = [["approve", "start", "confirm"], ["approve", "start", "fail"], ["approve", "reject"], ["reject"], ["cancel"]]


class Load:
    """The threads and what they did."""

    def __init__(self, world, server, seed):
        self.world = world
        self.server = server
        self.seed = seed
        self.operations = []
        self.failures = []
        self.stopping = threading.Event()
        self.busy = threading.Semaphore(0)
        roles = [self.bill, self.bill, self.pay_out, self.pay_out, self.adjust, self.click, self.click, self.create]
        self.threads = [threading.Thread(target=self.play, args=(role, number)) for number, role in enumerate(roles)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def wait_until_busy(self):
        """Every thread has done something."""
        for _ in self.threads:
            assert self.busy.acquire(timeout=60), f"the load does not start: {self.failures}"

    def stop(self):
        """Lets each thread finish what it is at."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a request hangs"
        assert not self.failures, self.failures[0]

    def play(self, role, number):
        try:
            for _ in role(random.Random(f"{self.seed} {number}"), self.world.partners[number % 2]):
                self.busy.release()
                if self.stopping.is_set():
                    return
        except Gone:
            pass
        except AssertionError as failure:
            self.failures.append(failure)
            self.busy.release()

    def do(self, operation):
        """Sends an operation; while the server says that it cannot, again: as a client would, with the same key."""
        self.operations.append(operation)
        while True:
            try:
                if operation.send(self.server):
                    return operation
            except Gone:
                # A connection that broke says nothing of the server.
                if not self.server.is_running():
                    raise
            if self.stopping.is_set():
                raise Gone
            time.sleep(0.05)

    def bill(self, chance, partner):
        """Batches of payments with refunds of some of them, now and then of one from an earlier batch."""
        payments = []
        while True:
            batch = Batch(self.world, partner, chance, payments)
            self.do(batch)
            payments = batch.payments
            yield

    def pay_out(self, chance, partner):
        """Payouts, each a way to its end, one step after the other."""
        while True:
            request = self.do(PayoutRequest(self.world, partner))
            yield
            payout = request.made()
            for step in chance.choice(WAYS) if payout else []:
                self.do(PayoutStep(self.world, partner, payout, step))
                yield
            if not payout:
                time.sleep(0.01)

    def adjust(self, chance, partner):
        while True:
            self.do(Adjustment(self.world, partner, f"{chance.randrange(1, 500)}.{chance.randrange(100):02}"))
            yield

    def click(self, _, partner):
        while True:
            self.do(Click(self.world, partner))
            yield

    def create(self, _, partner):
        while True:
            self.do(SubAccount(self.world, partner))
            yield
