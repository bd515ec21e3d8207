"""The programs that load and are loaded: PostgreSQL, servers, wrk and pgbench. Knows nothing of what is measured."""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
WRK_SCRIPT = ROOT / "benches" / "wrk" / "requests.lua"
THREADS = 2

# The share of requests that a server may turn away when it is overloaded; what it turns away is not counted.
MOST_FAILED = 0.01


# What a commission takes on disk, with its payment, entries, event, indexes and the log of writing them.
BYTES_PER_COMMISSION = 6_000


def say(text):
    print(text, file=sys.stderr, flush=True)


def install_wrk():
    """wrk from the distribution; where that cannot be done, the user hears what is missing."""
    if shutil.which("wrk"):
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        sys.exit("wrk is missing: install it (Debian's package wrk)")
    subprocess.run(["apt-get", "update", "-q"], check=True, stdout=sys.stderr)
    subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", "wrk"], check=True, stdout=sys.stderr)


def build(profile):
    """The programs of the product and of the bench."""
    names = ["--bin", "stape-api", "--example", "bench-seed", "--example", "bench-bare"]
    subprocess.run(["cargo", "build", "--locked", "--profile", profile, "--quiet", *names], cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True)
    directory = pathlib.Path(json.loads(metadata.stdout)["target_directory"])
    directory /= "debug" if profile == "dev" else profile
    return {"api": directory / "stape-api", "seed": directory / "examples" / "bench-seed",
            "bare": directory / "examples" / "bench-bare"}


def postgres_programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    directory = found[-1] if found else pathlib.Path(
        subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
    if not (directory / "initdb").exists():
        sys.exit("PostgreSQL's server programs are missing: install them (Debian's package postgresql)")
    return directory


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(ready, what, seconds=60):
    begun = time.monotonic()
    while not ready():
        if time.monotonic() - begun > seconds:
            sys.exit(f"{what} did not come up within {seconds} s")
        time.sleep(0.01)
    return time.monotonic() - begun


class Postgres:
    """A private cluster that keeps what it acknowledges, in a directory of its own, as a user that is not root."""

    def __init__(self, directory):
        self.programs = postgres_programs()
        self.directory = pathlib.Path(directory)
        self.user = {}
        if os.getuid() == 0:
            owner = next(pwd.getpwnam(name) for name in ("postgres", "nobody"))
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        data = self.directory / "data"
        log = open(self.directory / "postgres.log", "wb")
        common = {"stdout": log, "stderr": log, "cwd": "/", **self.user}
        initdb = [self.programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, **common)
        settings = {"listen_addresses": "", "unix_socket_directories": self.directory, "shared_buffers": "1GB",
                    "max_wal_size": "4GB", "checkpoint_timeout": "15min", "fsync": "on", "synchronous_commit": "on"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen([self.programs / "postgres", "-D", data, *options], **common)
        self.url = f"postgres:///postgres?host={self.directory}&user=postgres"
        answers = [self.programs / "pg_isready", "-q", "-h", self.directory, "-U", "postgres"]
        wait_for(lambda: subprocess.run(answers).returncode == 0, "PostgreSQL")

    def query(self, sql, database="postgres"):
        """Rows of text fields."""
        command = [self.programs / "psql", "-XqAt", "-F", "\t", "-h", self.directory, "-U", "postgres", "-d", database, "-c", sql]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
        return [line.split("\t") for line in answer.stdout.splitlines()]

    def pgbench(self, scripts, connections, seconds):
        """Transactions a second of scripts that are chosen at random, prepared."""
        with tempfile.TemporaryDirectory() as directory:
            command = [self.programs / "pgbench", "-n", "-M", "prepared", "-h", self.directory, "-U", "postgres",
                       "-c", str(connections), "-j", str(THREADS), "-T", str(seconds)]
            for number, script in enumerate(scripts):
                path = pathlib.Path(directory) / f"{number}.sql"
                path.write_text(script)
                command += ["-f", path]
            answer = subprocess.run([*command, "postgres"], capture_output=True, text=True, cwd="/")
        for line in answer.stdout.splitlines():
            if line.startswith("tps = "):
                return float(line.split()[2])
        sys.exit(f"pgbench: {answer.stdout}{answer.stderr}")

    def another_database(self, name):
        """The URL of a new database beside the first one."""
        self.query(f"CREATE DATABASE {name}")
        return self.url.replace("///postgres?", f"///{name}?")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


class Server:
    """A release server on a database, or the bare one."""

    def __init__(self, command, environment, path):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, **environment, "STAPE_BIND": f"127.0.0.1:{self.port}"}
        command = [str(part).replace("{bind}", f"127.0.0.1:{self.port}") for part in command]
        self.log = tempfile.NamedTemporaryFile(prefix="stape-bench-", suffix=".log")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        self.seconds_to_ready = wait_for(lambda: self.answers(path), command[0], 120)

    def answers(self, path):
        if self.process.poll() is not None:
            sys.exit(f"the server ended:\n{pathlib.Path(self.log.name).read_text()}")
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False

    def get(self, path, key=None):
        """Status, body and seconds to the first byte of one request."""
        request = urllib.request.Request(self.address + path, headers={"X-AUTH-TOKEN": key} if key else {})
        begun = time.monotonic()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
            first = answer.read(1)
            seconds = time.monotonic() - begun
            return answer.status, first + answer.read(), seconds

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def wrk(self, requests, connections, seconds):
        """What wrk measures of random ones of these requests: `(method, path, key, body)`."""
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as lines:
            lines.writelines("\t".join(request) + "\n" for request in requests)
            lines.flush()
            command = ["wrk", "-t", str(THREADS), "-c", str(connections), "-d", f"{seconds}s", "--latency",
                       "-s", WRK_SCRIPT, self.address, "--", lines.name]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
        line = next(line for line in answer.stdout.splitlines() if line.startswith("RESULT "))
        result = json.loads(line.removeprefix("RESULT "))
        failed = result["refused"] + result["broken"]
        if failed > result["requests"] * MOST_FAILED:
            sys.exit(f"{failed} of {result['requests']} requests failed, such as {requests[0]}")
        result["rate"] = (result["requests"] - failed) / result["seconds"]
        return result

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


@contextlib.contextmanager
def running(thing):
    try:
        yield thing
    finally:
        thing.stop()


def workplace(commissions):
    """A directory in memory where there is room, so that the disk of the day is not what is measured. The programs need memory too."""
    shm = pathlib.Path("/dev/shm")
    need = commissions * BYTES_PER_COMMISSION + (6 << 30)
    line = next(line for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    available = int(line.split()[1]) * 1024
    parent = shm if shm.is_dir() and min(shutil.disk_usage(shm).free, available) > need else None
    say(f"databases {'in memory' if parent else 'on disk, where each commit of pgbench waits for it'}")
    return tempfile.TemporaryDirectory(prefix="stape-bench-", dir=parent)


def middle(values):
    return statistics.median(values)


def spread(values):
    """Half the distance from the least to the greatest, as a share of the median."""
    return (max(values) - min(values)) / 2 / middle(values) if middle(values) else 0.0
