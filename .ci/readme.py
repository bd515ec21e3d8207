"""Runs the shell blocks of README.md as a reader would, in order, in a fresh directory.

A block that starts a server runs in a terminal of its own until the next server is started; the key that the demonstration
prints is pasted for `stp_…`; PostgreSQL is one of this run: its tools find it by PGHOST, PGPORT and PGUSER, its administrator's, and
the servers on STAPE_README_POSTGRES, an address and a port, instead of localhost. The servers listen on a free port instead of 8080. `cargo` stands for the programs that are built already; `cargo test` is what .ci/run runs anyway.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVERS = re.compile(r"^(cargo run -- demo|target/release/stape-api)(\s+#.*)?$", re.M)

SHIM = f"""#!/bin/sh
case "$*" in
'run -- demo') exec '{ROOT}/target/debug/stape-api' demo ;;
'run --example '*) exec '{ROOT}/target/debug/examples/'"$3" ;;
'build --release' | test) ;;
*) echo "README's cargo $*: teach .ci/readme.py" >&2; exit 1 ;;
esac
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Reader:
    """Somebody with a terminal, a directory, and a server in another terminal."""

    def __init__(self, directory):
        self.directory = directory
        self.server = None
        self.log = ""
        self.variables = directory / "variables"
        self.variables.touch()
        self.environment = dict(os.environ, PATH=f"{directory / 'bin'}:{os.environ['PATH']}")

    def prepare(self):
        (self.directory / "bin").mkdir()
        shim = self.directory / "bin" / "cargo"
        shim.write_text(SHIM)
        shim.chmod(0o755)
        release = self.directory / "target" / "release"
        release.mkdir(parents=True)
        (release / "stape-api").symlink_to(ROOT / "target/debug/stape-api")
        (self.directory / "examples").symlink_to(ROOT / "examples")

    def serve(self, block):
        self.stop()
        port = free_port()
        self.environment["STAPE_BIND"] = f"127.0.0.1:{port}"
        self.address = f"127.0.0.1:{port}"
        log = (self.directory / "log").open("w+")
        self.server = subprocess.Popen(["bash", "-euc", self.as_pasted(block)], cwd=self.directory, stdout=log, stderr=log,
                                       env=self.environment, start_new_session=True)
        for _ in range(300):
            self.log = (self.directory / "log").read_text()
            if "listening on" in self.log:
                return
            if self.server.poll() is not None:
                break
            time.sleep(0.2)
        sys.exit(f"the server of this block does not listen:\n{block}\n{self.log}")

    def as_pasted(self, block):
        key = re.search(r"Partner's key: *(\S+)", self.log)
        postgres = os.environ.get("STAPE_README_POSTGRES", "")
        block = block.replace("stp_…", key[1] if key else "stp_…").replace("@localhost/", f"@{postgres}/")
        return block.replace("127.0.0.1:8080", self.address)

    def run(self, block):
        """In one shell after another that hand their variables on."""
        script = f". '{self.variables}'\ncurl() {{ command curl -sS --fail-with-body \"$@\" || [ $? = 22 ]; }}\n" \
            f"set -euo pipefail\n{self.as_pasted(block)}\nexport -p >'{self.variables}'; declare -p >'{self.variables}' 2>/dev/null"
        script = script.replace("declare -p >", "declare -p | grep -vE '^declare -[a-zA-Z-]*r|BASH|FUNCNAME|PIPESTATUS' >")
        done = subprocess.run(["bash", "-c", script], cwd=self.directory, env=self.environment, text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"this block fails:\n{block}\n{done.stdout}{done.stderr}")
        return done.stdout

    def stop(self):
        if self.server and self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait(40)


def main():
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        reader = Reader(Path(directory))
        reader.prepare()
        try:
            for block in blocks:
                first = block.strip().splitlines()[0]
                if "postgres://" in block and "STAPE_README_POSTGRES" not in os.environ:
                    sys.exit("set STAPE_README_POSTGRES to the address and port of a PostgreSQL")
                if SERVERS.search(block):
                    reader.serve(block)
                    print(f"ok, it listens: {first}")
                    continue
                answered = reader.run(block)
                problems = re.findall(r'"code":"(\w+)"', answered)
                expected = ["invalidParameter", "range"] if "limit=1000" in block else []
                if [code for code in problems if code not in expected]:
                    sys.exit(f"this block is refused:\n{block}\n{answered}")
                if "billing-events" in block and '"outcome":"applied"' not in answered:
                    sys.exit(f"the event is not applied:\n{answered}")
                print(f"ok, {len(answered)} bytes: {first}")
        finally:
            reader.stop()


main()
