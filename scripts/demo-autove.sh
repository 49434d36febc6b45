#!/usr/bin/env bash
# AutoVE, told step by step: nobody issues or types anything for a host. Two license servers keep one
# registry; hosts register by themselves at their first start; one server is killed and loses its
# registry, and has it back; then both lose it, and have it back from the hosts' receipts.
#
# Everything lives in one folder that is removed at the end, and nothing is left running. Every step
# that goes wrong ends it with another exit code than 0.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
bin=${VE_BIN:-${CARGO_TARGET_DIR:-$here/target}/debug}
work=$(mktemp -d "${TMPDIR:-/tmp}/ve-demo-autove.XXXXXX")
children=()
hosts=(alpha beta gamma delta)

. "$here/scripts/voice.sh"
fail() {
    printf 'demo-autove: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    status=$?
    trap - EXIT INT TERM
    for pid in "${children[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        printf '\nThe demo failed. What the logs say:\n'
        tail -n 30 "$work"/{one,other}/log/license.log "$work"/*/log/*.log "$work"/*.out 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now_ms() { date +%s%3N; }
# until_true LIMIT_S WHAT COMMAND...: runs the command until it succeeds.
until_true() {
    local limit=$1 what=$2 since=$SECONDS
    shift 2
    until "$@"; do
        if [ $((SECONDS - since)) -ge "$limit" ]; then fail "not so within $limit s: $what"; fi
        sleep 0.05
    done
}
# measure WHAT SINCE COMMAND...: the same, and says how long that took.
measure() {
    local what=$1 since=$2 took
    shift 2
    until_true 90 "$what" "$@"
    took=$(($(now_ms) - since))
    say "$(printf '%s after %d.%03d s' "$what" $((took / 1000)) $((took % 1000)))"
}
has() { grep -aqF -- "$2" "$1" 2>/dev/null; }
count() { grep -acF -- "$2" "$1" 2>/dev/null || true; }
has_more() { [ "$(count "$1" "$2")" -gt "$3" ]; }

# A license server in the home given; its process is in $started.
serve() {
    local home=$1 address=$2
    "$bin/licensed" --home "$home" --listen "$address" > "$home.out" 2>&1 &
    children+=($!)
    started=$!
    until_true 60 "$home is ready" has "$home.out" "ready to serve"
}
address_of() { sed -n 's/.*Listening on \(.*\)\.$/\1/p' "$1/log/license.log"; }
kill_server() {
    kill -KILL "$1"
    wait "$1" 2>/dev/null || true
}
lose_registry() {
    rm -rf "$1"/instances.db "$1"/instances.db-wal "$1"/instances.db-shm "$1"/snapshots
    [ ! -e "$1/instances.db" ] || fail "$1/instances.db is still there"
}

# What was decided of every host: its key, home, state, date and revision, in one order.
registry() { "$bin/licensectl" --home "$1" instances --csv 2>/dev/null | cut -d, -f1-3,8,9 | tail -n +2 | sort; }
sessions() { "$bin/licensectl" --home "$1" sessions --json 2>/dev/null | grep -c '"emulator"' || true; }
are_equal() {
    local one other
    one=$(registry one) && other=$(registry other) || return 1
    [ "$one" = "$other" ] && [ "$(printf '%s\n' "$one" | grep -c .)" -eq "$1" ]
}
in_step() { "$bin/licensectl" --home one peers --json 2>/dev/null | grep -q '"in-step"' &&
    "$bin/licensectl" --home other peers --json 2>/dev/null | grep -q '"in-step"'; }
serves() { [ "$(sessions "$1")" -eq "$2" ]; }
# All emulators are served, by whichever server.
serve_together() { [ $(($(sessions one) + $(sessions other))) -eq "$1" ]; }
# All sessions are where they are wanted, and no emulator was ever ended.
all_are_served() { serves one "$1" && serves other "$2"; }
guests_are_the_same() {
    local name
    for name in "${hosts[@]}"; do
        kill -0 "${guests[$name]}" 2>/dev/null || fail "the guest of $name has ended"
    done
    say "All guests are the same processes as before: none has noticed anything."
}
# A host: a state folder of its own, and a VM's file for each of its emulators.
vm_file() {
    local host=$1 primary=$2 backup=$3 engine=$4 name=$5
    mkdir -p "$host"
    cat > "$host/$name.toml" <<TOML
name = "$name"
architecture = "sun-4m"
virtual_hardware = "Charon-SSP/4M"
version = "5.2.1"
cpus = 1
memory_mb = 64

[license]
primary_server = "$primary"
backup_server = "$backup"
primary_probe = "1s"
vendor_key = "../vendor/vendor.pub"

[log]
dir = "log"

[engine]
$engine
TOML
}
start() {
    local host=$1 name=$2
    "$bin/ve-emulator" run "$host/$name.toml" --state-dir "$host/state" \
        < /dev/null > "$host-$name.out" 2>&1 &
    children+=($!)
    emulators[$name]=$!
}
declare -A emulators guests
# A host's key, as its receipt names it: the second part of a JWS is JSON in base64url.
key_of() {
    local payload
    payload=$(cat "$1"/state/receipts/*.jwt | head -n 1 | cut -d. -f2 | tr '_-' '/+')
    { printf '%s==' "$payload" | base64 -d 2>/dev/null || true; } |
        grep -ao '"host":"[0-9a-f]*"' | cut -d'"' -f4
}
log_of() { printf '%s/log/%s.log' "$1" "$1"; }

cd "$work"

step "1. The vendor signs a license for each of two servers: instances for four emulator hosts each"
"$bin/license_issuer" keygen --out vendor > /dev/null
for number in 4 5; do
    home=$([ $number -eq 4 ] && echo one || echo other)
    mkdir "$home"
    cp vendor/vendor.pub "$home/vendor.pub"
    "$bin/c2v" --home "$home" --filename "$home.c2v" > /dev/null
    cat > "$home.toml" <<TOML
customer = "Example Works"
license_id = "01.00000001.002.04$number"
mode = "autove"
key_type = "NORMAL"
grace = "5m"
check_interval = "2s"
lease = "5s"

[[product]]
code = "Charon-SSP/ALL"
virtual_hardware = ["Charon-SSP/4M", "Charon-SSP/4U"]
major = 5
minor = 3
max_cpu = 4
max_memory_mb = 1024
instances = 4
TOML
    "$bin/license_issuer" issue --key vendor/vendor.key --c2v "$home.c2v" --license "$home.toml" --out "$home.v2c"
    "$bin/v2c" --home "$home" --filename "$home.v2c" > /dev/null
done
quote < one.toml

step "2. Both servers start; each is told the other's address, and nothing else"
serve one 127.0.0.1:0
one=$started
one_address=$(address_of one)
printf '[peer]\naddress = "%s"\n' "$one_address" > other/config.toml
serve other 127.0.0.2:0
other=$started
other_address=$(address_of other)
printf '[peer]\naddress = "%s"\n' "$other_address" > one/config.toml
since=$(now_ms)
kill -HUP "$one"
measure "they know each other" "$since" in_step
show licensectl --home one peers

step "3. Four hosts start their emulators for the first time: they register by themselves"
since=$(now_ms)
program='kind = "command"
command = ["sleep", "100000"]'
machine='kind = "qemu"
args = ["-nographic"]'
vm_file alpha "$one_address" "$other_address" "$machine" alpha
vm_file beta "$one_address" "$other_address" "$program" beta
vm_file gamma "$other_address" "$one_address" "$program" gamma
vm_file delta "$other_address" "$one_address" "$program" delta
for name in "${hosts[@]}"; do start "$name" "$name"; done
measure "all four are served" "$since" all_are_served 2 2
measure "both servers know all four" "$since" are_equal 4
until_true 60 "the firmware's prompt" has alpha-alpha.out "0 >"
say "alpha is a real machine:"
tail -n 3 alpha-alpha.out | tr -d '\r' | quote
for name in "${hosts[@]}"; do
    guests[$name]=$(pgrep -P "${emulators[$name]}" | head -n 1)
    ls "$name"/state/receipts/*.jwt > /dev/null || fail "$name has no receipt"
done
show licensectl --home one instances

step "4. A second emulator of a host takes no second instance"
vm_file beta "$one_address" "$other_address" "$program" second
start beta second
until_true 60 "the second emulator" all_are_served 3 2
are_equal 4 || fail "it is another host"
kill -TERM "${emulators[second]}"
wait "${emulators[second]}" || true
until_true 60 "its end" all_are_served 2 2
say "Both emulators of beta ran; four hosts are registered."

step "5. One server is killed, and its registry is deleted: its hosts go on as guests of the other"
before=$(registry other)
since=$(now_ms)
kill_server "$one"
lose_registry one
measure "the other serves all four" "$since" serves other 4
show licensectl --home other instances
guests_are_the_same

step "6. It is started again: the registry comes from its peer, and its hosts come home"
since=$(now_ms)
serve one "$one_address"
one=$started
measure "both registries are equal" "$since" are_equal 4
[ "$(registry one)" = "$before" ] || fail "the registry is not the one that was lost"
measure "all hosts are at home" "$since" all_are_served 2 2
say "What its log says of it:"
grep -aiE 'registr|instances\.db|peer' one/log/license.log | head -n 20 | quote
show licensectl --home one instances
show licensectl --home other instances
show licensectl --home one peers
show licensectl --home other peers
guests_are_the_same

step "7. Both are killed and lose it: the hosts show their receipts, and nobody has to be created anew"
since=$(now_ms)
kill_server "$one"
kill_server "$other"
lose_registry one
lose_registry other
serve one "$one_address"
one=$started
serve other "$other_address"
other=$started
measure "both registries are equal" "$since" are_equal 4
measure "all four are served" "$since" serve_together 4
if [ "$(registry one)" != "$before" ]; then
    printf 'before:\n%s\nnow:\n%s\n' "$before" "$(registry one)"
    fail "these are not the same hosts with the same homes and dates as before"
fi
say "Every host has the home and the date of registration that it had before."
show licensectl --home one instances
show licensectl --home other instances
guests_are_the_same

step "8. A machine is gone for good: the administrator retires it, and both servers know"
mine=$(key_of delta)
[ ${#mine} -eq 64 ] || fail "no host in delta's receipt"
kill -TERM "${emulators[delta]}"
wait "${emulators[delta]}" || true
show licensectl --home one instances retire "$mine"
is_retired() { registry "$1" | grep "^$mine," | grep -q ',retired,'; }
until_true 60 "the retirement is known at the other" is_retired other
status=0
"$bin/ve-emulator" run delta/delta.toml --state-dir delta/state > delta.out 2>&1 < /dev/null || status=$?
quote < delta.out
if [ "$status" -ne 77 ] || ! has delta.out "instance-retired"; then
    fail "delta is not refused (exit code $status)"
fi

step "Done"
for name in alpha beta gamma; do kill -TERM "${emulators[$name]}"; done
# The firmware knows no power button, so the first request is not heard.
until_true 60 "alpha hears" has "$(log_of alpha)" "asked to shut down"
kill -TERM "${emulators[alpha]}"
for name in alpha beta gamma; do wait "${emulators[$name]}" || true; done
until_true 60 "all seats are free" serve_together 0
say "The registries are equal to the end:"
are_equal 4 || fail "the registries differ"
show licensectl --home other instances
