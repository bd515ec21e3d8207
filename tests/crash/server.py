"""The server under test: started, killed, asked for its health, and checked by `stape-api verify`."""

import os
import signal
import subprocess
import threading
import time

import api
from clock import SteppingClock

START_TIMEOUT = 30

# Answers of a server whose database says nothing come by then: its own deadline for a write is 30 seconds.
PROBLEM_TIMEOUT = 40


class Server:
    """One server process after the other, on the same database."""

    def __init__(self, binary, database, directory):
        assert binary.is_file(), f"there is no {binary}: run cargo build"
        self.binary = binary.resolve()
        self.directory = directory
        self.log = directory / "server.log"
        self.process = None
        self.address = None
        self.clients = threading.local()
        self.clock = SteppingClock(directory)
        self.environment = {
            **os.environ,
            **database.environment,
            "STAPE_BIND": "127.0.0.1:0",
            "STAPE_RATE_LIMIT": "off",
            "STAPE_WORKERS": "2",
            "STAPE_MAIL_DIR": str(directory / "outbox"),
            "RUST_LOG": "info",
        }

    def start(self):
        """Starts it and waits for its line; the port is a new one each time."""
        with open(self.log, "ab") as log:
            # Python ignores SIGXFSZ and so does what it starts: a file that may not grow is an error, not a death.
            self.process = subprocess.Popen([self.binary], stdout=subprocess.PIPE, stderr=log, cwd=self.directory, text=True,
                                            env={**self.environment, **self.clock.environment}, restore_signals=False)
        deadline = time.monotonic() + START_TIMEOUT
        for line in self.process.stdout:
            if line.startswith("listening on http://"):
                self.address = line.split("http://")[1].strip()
                return
            assert time.monotonic() < deadline, "the server does not start"
        raise AssertionError(f"the server ended with {self.process.wait()} before it listened")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL: nothing is flushed, nobody is told."""
        if self.is_running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self):
        """SIGTERM: it finishes what runs and ends with 0."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(40) == 0, f"SIGTERM: exit code {self.process.returncode}"

    def command(self, *words):
        return subprocess.run([self.binary, *words], env=self.environment, cwd=self.directory, capture_output=True,
                              text=True, check=False)

    def operator_key(self):
        made = self.command("operator-key", "create", "--name", "crash")
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def verify(self):
        result = self.command("verify")
        assert result.returncode == 0, f"verify: exit code {result.returncode}\n{result.stdout}{result.stderr}"

    def client(self, credential=None):
        """The calling thread's own connection under this credential."""
        known = self.clients.__dict__
        if credential not in known:
            known[credential] = api.Client(self, credential)
        return known[credential]

    def health(self, which):
        begun = time.monotonic()
        status = self.client().request("GET", f"/health/{which}", timeout=PROBLEM_TIMEOUT).status
        return status, time.monotonic() - begun

    def expect_unready(self):
        """Without its database it says so, and that it lives."""
        status, seconds = self.health("ready")
        assert status == 503, f"/health/ready answers {status} without a database"
        assert seconds < 10, f"/health/ready took {seconds:.1f} s without a database"
        assert self.health("live")[0] == 200, "/health/live without a database"

    def wait_until_ready(self, patience):
        """It comes back by itself."""
        deadline = time.monotonic() + patience
        while self.health("ready")[0] != 200:
            assert time.monotonic() < deadline, f"not ready {patience} s after the database was"
            time.sleep(0.1)

    def print_log(self):
        if self.log.exists():
            print("\n".join(self.log.read_text(errors="replace").splitlines()[-15:]))
