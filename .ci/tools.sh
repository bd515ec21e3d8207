# Sourced by the checks: the tools of others, installed once for each content of their lock files under target/ci, and
# servers to try them on. Needs `root`.

work=$root/target/ci
mkdir -p "$work"

# Installs packages of the system, as root where there is apt; says what is missing otherwise.
install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing here: install $*" >&2
        return 1
    fi
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

# Prints where Chromium is.
chromium_program() {
    find_chromium || { install_packages chromium && find_chromium; }
}

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

# Prints a directory whose node_modules/.bin has the tools of package-lock.json.
node_tools() {
    local key directory
    key=$(cat "$root/.ci/package.json" "$root/.ci/package-lock.json" | sha256sum | cut -c1-12)
    directory=$work/node-$key
    if [ ! -e "$directory/installed" ]; then
        mkdir -p "$directory"
        cp "$root/.ci/package.json" "$root/.ci/package-lock.json" "$directory/"
        (cd "$directory" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2
        touch "$directory/installed"
    fi
    echo "$directory"
}

# Prints the bin directory of a virtual environment with requirements.txt.
python_tools() {
    local key directory
    key=$(sha256sum <"$root/.ci/requirements.txt" | cut -c1-12)
    directory=$work/python-$key
    if [ ! -e "$directory/installed" ]; then
        # Debian keeps what a virtual environment needs in a package of its own.
        python3 -m venv "$directory" >&2 || { install_packages python3-venv && python3 -m venv --clear "$directory" >&2; }
        "$directory/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/.ci/requirements.txt" >&2
        touch "$directory/installed"
    fi
    echo "$directory/bin"
}

# The version of cargo-fuzz that is used.
cargo_fuzz_version=0.13.2

# Prints the directory of cargo-fuzz.
cargo_fuzz() {
    local directory=$work/cargo-fuzz-$cargo_fuzz_version
    if [ ! -x "$directory/bin/cargo-fuzz" ]; then
        cargo install --quiet --locked --root "$directory" --version "$cargo_fuzz_version" cargo-fuzz >&2
    fi
    echo "$directory/bin"
}

# Prints the directory of PostgreSQL's server programs, if there are any.
postgres_programs() {
    local directory
    for directory in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin; do
        if [ -x "$directory/initdb" ]; then
            echo "$directory"
            return
        fi
    done
    return 1
}

# Runs a command of PostgreSQL, which refuses to run as root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# Starts a PostgreSQL of its own below a directory, on a free port and a socket in `postgres_directory`, and sets `database_url`. What
# follows the directory is for initdb. `stop_postgres` ends it.
start_postgres() {
    local options=("${@:2}")
    postgres_directory=$1/postgres
    postgres_bin=$(postgres_programs) || install_packages postgresql
    postgres_bin=$(postgres_programs)
    postgres_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir -p "$postgres_directory"
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$postgres_directory"
        chmod a+rx "$1"
    fi
    as_postgres "$postgres_bin/initdb" --username=stape --auth=trust --encoding=UTF8 "${options[@]}" --pgdata="$postgres_directory/data" >"$1/initdb.log"
    as_postgres "$postgres_bin/pg_ctl" --wait --pgdata="$postgres_directory/data" --log="$postgres_directory/log" \
        --options="-c listen_addresses=127.0.0.1 -c port=$postgres_port -c unix_socket_directories='$postgres_directory'" start >/dev/null
    database_url=postgres://stape@127.0.0.1:$postgres_port/postgres
}

stop_postgres() {
    if [ -n "${postgres_directory:-}" ]; then
        as_postgres "$postgres_bin/pg_ctl" --wait --mode=immediate --pgdata="$postgres_directory/data" stop >/dev/null || true
        postgres_directory=
    fi
}

# Starts `stape-api $2…` in the directory $1 on a free port and waits until it listens: sets `server_pid` and STAPE_URL.
# What it prints is in $1/log.
start_server() {
    local directory=$1 begun=$SECONDS
    shift
    : >"$directory/log"
    # A shell would hand its own directory on: the server keeps its files in this one.
    (cd "$directory" && exec env STAPE_BIND=127.0.0.1:0 STAPE_MAIL_DIR="$directory/outbox" "$root/target/debug/stape-api" "$@") \
        >"$directory/log" 2>&1 &
    server_pid=$!
    until grep -q 'listening on http://' "$directory/log"; do
        if ! kill -0 "$server_pid" 2>/dev/null || [ $((SECONDS - begun)) -gt 90 ]; then
            echo "stape-api $* does not listen:" >&2
            cat "$directory/log" >&2
            return 1
        fi
        sleep 0.2
    done
    STAPE_URL=$(sed -n 's/^listening on //p' "$directory/log")
    export STAPE_URL
}

stop_server() {
    if [ -n "${server_pid:-}" ]; then
        kill -TERM "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
        server_pid=
    fi
}

# Starts the demonstration in the directory $1 and sets its keys, as it prints them.
start_demo() {
    start_server "$1" demo
    partner_key=$(sed -n "s/^Partner's key: *//p" "$1/log")
    client_key=$(sed -n "s/^Client's key: *//p" "$1/log")
    operator_key=$(sed -n "s/^Operator's key: *//p" "$1/log")
}
