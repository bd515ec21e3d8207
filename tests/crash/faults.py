"""What is no death: a disk that is full, a database that takes requests and does not answer, a clock that steps.

Every request is answered in time, by a problem where it cannot be done; nothing is half done; and the server recovers by
itself.
"""

import random
import resource
import threading
import time

import settling
from load import Load
from operations import Adjustment, Batch, SubAccount
from room import NoRoom
from server import PROBLEM_TIMEOUT

# More requests at once than the server has connections.
CROWD = 24

# Writes that a full disk must refuse before there is room again.
REFUSALS = 10


def run(world, server, database):
    if database.name == "sqlite":
        full_disk(world, server, database)
    else:
        frozen_database(world, server, database)
        full_disks(world, server, database)
    clock_steps(world, server, database)


def full_disk(world, server, database):
    """No file of the server may grow any more; then they may again."""
    pid, unlimited = server.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    largest = max(path.stat().st_size for path in database.path.parent.glob("stape.db*"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + 4096, resource.RLIM_INFINITY))
    # Until the log has grown as large as the database, which nothing but writing it does.
    operations = write_until_refused(world, server)
    reads_answer(world, server)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    settle(world, server, database, operations)
    print(f"  full disk: {REFUSALS} writes refused with 503, reads answered, all done when there was room", flush=True)


def full_disks(world, server, database):
    """There is no room for PostgreSQL's tables any more; then there is none for its log, which ends it."""
    server.stop()
    try:
        tables = database.move_tables()
    except NoRoom:
        server.start()
        print("  full disk: NOT covered on PostgreSQL, for only root may mount the small file system that it takes", flush=True)
        return
    server.start()
    tables.fill()
    operations = write_until_refused(world, server)
    reads_answer(world, server)
    tables.clear()
    settle(world, server, database, operations)
    print(f"  full disk: {REFUSALS} writes refused with 503, reads answered, all done when there was room", flush=True)
    server.stop()
    log = database.move_log()
    server.start()
    log.fill()
    # Each leaves the piece of the log at hand, until there is no other one.
    operations = write_until_refused(world, server, lambda: database.attempt("SELECT pg_switch_wal()"))
    assert server.health("live")[0] == 200
    log.clear()
    how = database.revive()
    server.wait_until_ready(PROBLEM_TIMEOUT)
    settle(world, server, database, operations)
    print(f"  full disk of PostgreSQL's log: {REFUSALS} writes refused with 503, PostgreSQL {how}, all done then", flush=True)


def write_until_refused(world, server, nudge=lambda: None):
    """Writes of several kinds, until some have been refused; gives them all."""
    chance = random.Random(world.number())
    operations, refused = [], 0
    for number in range(5000):
        partner = world.partners[number % 2]
        operation = [Batch(world, partner, chance, []), Adjustment(world, partner, "1.00"), SubAccount(world, partner)][number % 3]
        operations.append(operation)
        refused += not operation.send(server)
        if refused == REFUSALS:
            return operations
        nudge()
    raise AssertionError(f"the disk was never full: {refused} refusals")


def reads_answer(world, server):
    reads = server.client(world.partners[0].key).request("GET", "/v3/commissions/summary")
    assert reads.status == 200, f"a read on a full disk: {reads}"
    assert server.health("live")[0] == 200


def frozen_database(world, server, database):
    """Every process of PostgreSQL stands still while a crowd sends requests."""
    chance = random.Random(world.number())
    operations = [Batch(world, world.partners[number % 2], chance, []) for number in range(CROWD)]
    seconds, failures = [], []

    def send(operation):
        begun = time.monotonic()
        try:
            operation.send(server)
        except AssertionError as failure:
            failures.append(failure)
        seconds.append(time.monotonic() - begun)

    crowd = [threading.Thread(target=send, args=(operation,)) for operation in operations]
    database.freeze()
    try:
        for thread in crowd:
            thread.start()
        status, waited = server.health("ready")
        assert status == 503, f"/health/ready answers {status} while the database stands still"
        assert server.health("live")[1] < 1, "/health/live waits for the database"
        for thread in crowd:
            thread.join(60)
    finally:
        database.thaw()
    assert not failures, failures[0]
    assert max(seconds) < PROBLEM_TIMEOUT, f"an answer took {max(seconds):.1f} s"
    server.wait_until_ready(PROBLEM_TIMEOUT)
    settle(world, server, database, operations)
    print(f"  frozen database: {CROWD} requests answered within {max(seconds):.1f} s, /health/ready within {waited:.1f} s, "
          "all done when it went on", flush=True)


def clock_steps(world, server, database):
    """The machine's clock is set five minutes on, back, and back again under load; then the server starts in the past."""
    clock = server.clock
    owner = server.client(world.owner_token)
    count = 0
    for ahead in [300, 0, -300, 0]:
        load = Load(world, server, world.number())
        load.start()
        load.wait_until_busy()
        clock.set(ahead)
        time.sleep(1)
        load.stop()
        assert server.health("ready")[0] == 200, f"not ready after a step to {ahead} s"
        # Neither signed out by a step nor from the future.
        owner.expect(200, "GET", "/v3/account")
        settle(world, server, database, load.operations)
        count += len(load.operations)
    clock.set(-240)
    server.stop()
    server.start()
    load = Load(world, server, world.number())
    load.start()
    load.wait_until_busy()
    load.stop()
    settle(world, server, database, load.operations)
    clock.set(0)
    print(f"  clock steps: {count + len(load.operations)} operations while it was set on and back, all done once; verify clean",
          flush=True)


def settle(world, server, database, operations):
    settling.settle(world, server, database, operations)
    server.verify()
