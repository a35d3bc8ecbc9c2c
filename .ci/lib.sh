# Shared by the scripts in this folder; sourced, not run.

export CARGO_TERM_COLOR=never
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
target=${CARGO_TARGET_DIR:-$top/target}
shared=${SIP_SHARED:-$(cd "$top/.." && pwd)/shared}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# has_port udp|tcp PORT: whether a socket of either family is bound (udp) or listening (tcp) there.
has_port() {
    awk -v kind="$1" -v port="$(printf ':%04X' "$2")" '
        substr($2, length($2) - 4) == port && (kind == "udp" || $4 == "0A") { found = 1 }
        END { exit !found }' "/proc/net/$1" "/proc/net/${1}6"
}

# Sets `port` to one that nothing uses, below the range that the kernel hands out to clients.
pick_port() {
    for ((port = 20000 + RANDOM % 10000; port < 31000; port++)); do
        has_port udp "$port" || has_port tcp "$port" || return 0
    done
    fail "no free port"
}

servers=()
trap 'for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || :; done' EXIT

# start udp|tcp PORT LOG COMMAND...: starts a server, waits until it has the port, sets `server` to its pid.
start() {
    local kind=$1 at=$2 log=$3
    shift 3
    "$@" >"$log" 2>&1 &
    server=$!
    servers+=("$server")
    for _ in {1..100}; do
        has_port "$kind" "$at" && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$log" >&2
    fail "'$*' does not listen on $kind port $at"
}

# stop PID: ends a server, which must exit cleanly on SIGTERM.
stop() {
    kill "$1"
    wait "$1" || fail "server $1 ended with exit code $? on SIGTERM"
}
