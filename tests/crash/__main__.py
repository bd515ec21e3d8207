"""Kills the server, PostgreSQL, or both with SIGKILL under mixed load, again and again, and settles up after each kill.

    .ci/crash --cycles 50 --engine sqlite

Whatever was acknowledged must be there, once: the same request under the same key or event id replays its first answer.
What was not acknowledged is sent again and must succeed, once. `stape-api verify` must find nothing. Exit code 1 on any
difference, which is named. Needs Python 3.9 and nothing else; PostgreSQL's server programs for `--engine postgres`.
"""

import argparse
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import engines
import faults
import settling
from api import Gone
from load import Load
from server import Server
from world import World

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(prog="crash", description=__doc__.split("\n\n")[0])
    parser.add_argument("--engine", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--cycles", type=int, default=3, help="kills per engine (default 3)")
    parser.add_argument("--seed", type=int, default=None, help="replays the choice of moments and victims")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "debug" / "stape-api")
    parser.add_argument("--no-faults", action="store_true", help="kills alone, no full disk and no frozen database")
    return parser.parse_args()


def cycle(number, world, server, database, chance):
    """One kill with what goes before and after it; gives what was at stake."""
    victims = database.victims[number % len(database.victims)]
    load = Load(world, server, chance.randrange(1 << 30))
    load.start()
    load.wait_until_busy()
    time.sleep(chance.uniform(0.2, 1.2))
    if "server" in victims:
        server.kill()
    if "database" in victims:
        database.kill()
        if "server" not in victims:
            server.expect_unready()
        database.start()
    if "server" not in victims:
        server.wait_until_ready(15)
        time.sleep(0.3)
    load.stop()
    if "server" in victims:
        server.start()
    server.verify()
    kept, sent_again = settling.settle(world, server, database, load.operations)
    server.verify()
    print(f"  {number + 1}: killed {' and '.join(victims)}; {kept} acknowledged, all there once; "
          f"{sent_again} unanswered, sent again; verify clean", flush=True)
    return kept, sent_again


def run(engine, options, seed):
    chance = random.Random(f"{seed} {engine}")
    print(f"{engine}: {options.cycles} cycles, seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stape-crash-") as directory:
        database = engines.OF[engine](pathlib.Path(directory))
        server = Server(options.binary, database, pathlib.Path(directory))
        try:
            database.start()
            server.start()
            world = World(server)
            totals = [cycle(number, world, server, database, chance) for number in range(options.cycles)]
            if not options.no_faults:
                faults.run(world, server, database)
            server.stop()
            server.verify()
        except BaseException:
            server.print_log()
            raise
        finally:
            server.kill()
            database.kill()
            database.clean_up()
    kept, sent_again = (sum(column) for column in zip(*totals)) if totals else (0, 0)
    print(f"{engine}: {options.cycles} kills, {kept} acknowledged effects, 0 lost, 0 doubled; "
          f"{sent_again} sent again; {time.monotonic() - began:.0f} s", flush=True)


def main():
    options = arguments()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 30)
    names = ["sqlite", "postgres"] if options.engine == "both" else [options.engine]
    for engine in names:
        try:
            run(engine, options, seed)
        except (AssertionError, Gone) as difference:
            print(f"FAILED ({engine}, --seed {seed}): {difference!r}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
