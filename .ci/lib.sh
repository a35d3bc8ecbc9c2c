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

# need PACKAGE...: installs Debian's packages, unless they are there.
need() {
    dpkg -s "$@" >/dev/null 2>&1 && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

# make_certificates DIR NAME...: ca.pem, and for each name NAME.pem and NAME.key, which it has signed.
make_certificates() {
    local dir=$1 name
    shift
    need openssl
    rm -rf "$dir"
    mkdir -p "$dir"
    local ec=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30)
    cat >"$dir/openssl.cnf" <<END
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
subjectAltName = \${ENV::NAMES}
END
    NAMES='' openssl req -x509 "${ec[@]}" -config "$dir/openssl.cnf" -extensions ca -subj "/CN=Authority of the tests" \
        -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>"$dir/openssl.log" || fail "$(cat "$dir/openssl.log")"
    for name in "$@"; do
        local names=DNS:$name
        [ "$name" != localhost ] || names+=,IP:127.0.0.1,IP:::1
        NAMES=$names openssl req -x509 "${ec[@]}" -config "$dir/openssl.cnf" -extensions leaf -subj "/CN=$name" \
            -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -keyout "$dir/$name.key" -out "$dir/$name.pem" 2>"$dir/openssl.log" ||
            fail "$(cat "$dir/openssl.log")"
    done
}

# start_kamailio DIR: the 200 responder of the yardstick, with a certificate for localhost that DIR/ca.pem has signed.
# Its ports are 15060 (UDP, TCP), 15061 (TLS) and 15080 (WebSocket). Sets `server` to its pid.
start_kamailio() {
    local dir=$1
    need kamailio kamailio-tls-modules kamailio-websocket-modules
    make_certificates "$dir" localhost
    cp "$dir/localhost.pem" "$dir/cert.pem"
    cp "$dir/localhost.key" "$dir/key.pem"
    ! has_port tcp 15061 || fail "port 15061 is taken"
    start tcp 15061 "$dir/kamailio.log" "$shared/lab/kamailio/run.sh" "$dir"
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

# stop PID: ends a server, which must exit cleanly within 20 s of SIGTERM.
stop() {
    kill "$1"
    for _ in {1..200}; do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || :
    wait "$1" || fail "server $1 ended with exit code $? on SIGTERM"
}
