"""The two databases: where they are, how they start, how they are killed, and how the truth is read past the server."""

import base64
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import sqlite3
import subprocess
import time

from room import Room


class Sqlite:
    """A file; it dies with its server."""

    name = "sqlite"
    victims = [("server",)]

    def __init__(self, directory):
        self.path = directory / "stape.db"
        self.environment = {"DATABASE_URL": f"sqlite://{self.path}"}

    def start(self):
        pass

    def kill(self):
        pass

    def clean_up(self):
        pass

    def query(self, sql):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return [tuple(str(value) for value in row) for row in connection.execute(sql)]
        finally:
            connection.close()


class Postgres:
    """A private cluster with fsync on, under a user that is not root, reached through a socket in its directory."""

    name = "postgres"
    victims = [("server",), ("database",), ("server", "database")]

    def __init__(self, directory):
        self.programs = programs()
        self.directory = directory / "cluster"
        self.directory.mkdir()
        self.process = None
        self.rooms = []
        self.owner = {}
        if os.getuid() == 0:
            user = unprivileged_user()
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            os.chmod(directory, 0o755)
            self.owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.environment = {
            "DATABASE_URL": f"postgres:///postgres?host={self.directory}&user=postgres",
            "STAPE_JWT_SECRET": secrets.token_urlsafe(48),
            "STAPE_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        make = [self.programs / "initdb", "-D", self.directory / "data", "-U", "postgres", "-A", "trust",
                "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd="/", **self.owner)

    def start(self):
        # What the killed postmaster's children still hold must be gone first, or the new one refuses to start.
        command = [self.programs / "postgres", "-D", self.directory / "data", "-k", self.directory,
                   "-c", "listen_addresses=", "-c", "max_connections=100"]
        deadline = time.monotonic() + 30
        while True:
            with open(self.directory.parent / "postgres.log", "ab") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self.owner)
            while self.process.poll() is None:
                if self.answers():
                    return
                assert time.monotonic() < deadline, "PostgreSQL does not start"
                time.sleep(0.05)
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.2)

    def answers(self):
        probe = [self.programs / "pg_isready", "-q", "-h", self.directory, "-U", "postgres"]
        return subprocess.run(probe, check=False).returncode == 0

    def kill(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.freeze()
        children = self.children()
        for pid in [*children, self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in children):
            time.sleep(0.01)

    def stop(self):
        """As its own command ends it: whoever is connected is sent away."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def revive(self):
        """Until it answers again: by itself, or started anew where it gave up, as a service manager does. Says which."""
        deadline = time.monotonic() + 60
        while not self.answers():
            assert time.monotonic() < deadline, "PostgreSQL does not recover"
            if self.process.poll() is not None:
                self.start()
                return "was started anew"
            time.sleep(0.05)
        return "recovered by itself"

    def room(self, name, megabytes):
        room = Room(self.directory.parent / name, megabytes, self.owner)
        self.rooms.append(room)
        return room

    def move_tables(self):
        """All tables go where there is little room; nobody may be connected. Gives the room."""
        room = self.room("tables", 512)
        self.query(f"CREATE TABLESPACE small LOCATION '{room.path}'", "template1")
        self.query("ALTER DATABASE postgres SET TABLESPACE small", "template1")
        return room

    def move_log(self):
        """So does the log, from which PostgreSQL recovers; it is stopped for that. Gives the room."""
        room = self.room("log", 192)
        log = self.directory / "data" / "pg_wal"
        self.stop()
        for command in (["mv", log, room.path / "pg_wal"], ["ln", "-s", room.path / "pg_wal", log]):
            subprocess.run(command, check=True, **self.owner)
        self.start()
        return room

    def clean_up(self):
        for room in self.rooms:
            room.remove()

    def children(self):
        parent = f"PPid:\t{self.process.pid}\n"
        return [int(status.parts[2]) for status in pathlib.Path("/proc").glob("[0-9]*/status") if parent in text_of(status)]

    def freeze(self):
        """Every process of the cluster stops where it is: a database that takes requests and does not answer.

        Children have sessions of their own, so each is stopped by itself. The postmaster is stopped first: until it goes
        on it makes no new ones and collects none that ended, so that every number is still a process of this cluster.
        """
        os.kill(self.process.pid, signal.SIGSTOP)
        postmaster = pathlib.Path(f"/proc/{self.process.pid}/status")
        while "State:\tT" not in text_of(postmaster):
            assert self.process.poll() is None, "PostgreSQL ended by itself"
            time.sleep(0.001)
        for pid in self.children():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        """All go on, the postmaster last, for the reason why it stopped first."""
        for pid in [*self.children(), self.process.pid]:
            os.kill(pid, signal.SIGCONT)

    def query(self, sql, database="postgres"):
        command = [self.programs / "psql", "-h", self.directory, "-U", "postgres", "-d", database, "-AtqX", "-F", "\t", "-c", sql]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [tuple(line.split("\t")) for line in output.splitlines()]


    def attempt(self, sql):
        """A statement that may fail."""
        try:
            self.query(sql)
        except subprocess.CalledProcessError:
            pass


OF = {"sqlite": Sqlite, "postgres": Postgres}


def text_of(path):
    """A file of a process, which may have ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def programs():
    """Where PostgreSQL's server programs are: the newest version."""
    installed = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(installed, key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL's server programs are not installed"
    return pathlib.Path(on_path).parent


def unprivileged_user():
    """Who runs the cluster where this is root's, whom PostgreSQL refuses."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("there is no user postgres or nobody to run PostgreSQL")
