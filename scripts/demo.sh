#!/usr/bin/env bash
# The main job, told step by step: a vendor makes a key, a server's fingerprint becomes a license, the
# server serves it, and real emulators start, are limited and stop under it.
#
# Everything lives in one folder that is removed at the end, and nothing is left running.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
bin=${VE_BIN:-${CARGO_TARGET_DIR:-$here/target}/debug}
work=$(mktemp -d "${TMPDIR:-/tmp}/ve-demo.XXXXXX")
children=()

step() { printf '\n\033[1m== %s\033[0m\n' "$*" | plain; }
say() { printf '   %s\n' "$*"; }
# Colour only for a terminal that wants it.
plain() { if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
quote() { sed -e 's/^/   | /' -e '$a\'; }
show() {
    local program=$1
    shift
    printf '   $ %s\n' "$program $*"
    "$bin/$program" "$@" 2>&1 | quote
}

clean_up() {
    status=$?
    trap - EXIT INT TERM
    for pid in "${children[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        printf '\nThe demo failed. What the logs say:\n'
        tail -n 20 "$work"/home/log/license.log "$work"/*/*.log "$work"/*.out 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until a file contains a text; gives up after a while.
await() {
    local file=$1 text=$2 limit=${3:-60} since=$SECONDS
    until grep -aqF -- "$text" "$file" 2>/dev/null; do
        if [ $((SECONDS - since)) -ge "$limit" ]; then
            printf 'demo: "%s" did not appear in %s within %s s\n' "$text" "$file" "$limit" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# A VM's file for the machine given, and its emulator in the background.
vm_file() {
    local name=$1 architecture=$2 hardware=$3
    cat > "$work/$name.toml" <<TOML
name = "$name"
architecture = "$architecture"
virtual_hardware = "$hardware"
version = "5.2.1"
cpus = 1
memory_mb = 64

[license]
primary_server = "127.0.0.1:$port"
vendor_key = "vendor/vendor.pub"
shutdown_lead = "6s"

[log]
dir = "log-$name"

[engine]
kind = "qemu"
args = ["-nographic"]
TOML
}
start() {
    local name=$1
    "$bin/ve-emulator" run "$work/$name.toml" --state-dir "$work/state" \
        < /dev/null > "$work/$name.out" 2>&1 &
    children+=($!)
    started=$!
}

cd "$work"

step "1. The vendor makes a key"
show license_issuer keygen --out vendor

step "2. The server's machine makes its fingerprint file (C2V)"
mkdir home
cp vendor/vendor.pub home/vendor.pub
show c2v --home home --filename server.c2v

step "3. The vendor signs a license (V2C) for it: two instances, a grace period of 12 seconds"
cat > license.toml <<'TOML'
customer = "Example Works"
license_id = "01.00000001.002.044"
mode = "general"
key_type = "NORMAL"
grace = "12s"
check_interval = "30s"
lease = "5s"

[[product]]
code = "Charon-SSP/ALL"
virtual_hardware = ["Charon-SSP/4M", "Charon-SSP/4U"]
major = 5
minor = 3
max_cpu = 4
max_memory_mb = 1024
instances = 2
TOML
quote < license.toml
show license_issuer issue --key vendor/vendor.key --c2v server.c2v --license license.toml --out server.v2c

step "4. The administrator looks at the license and installs it"
show v2c --home home --filename server.v2c --dry-run
show v2c --home home --filename server.v2c

step "5. The license server starts"
"$bin/licensed" --home home --listen 127.0.0.1:0 > licensed.out 2>&1 &
server=$!
children+=("$server")
await home/log/license.log "ready to serve"
port=$(sed -n 's/.*Listening on .*:\([0-9]*\)\.$/\1/p' home/log/license.log)
quote < home/log/license.log

step "6. Two real emulators start under it and boot to their firmware prompt"
vm_file ss5 sun-4m Charon-SSP/4M
vm_file ultra sun-4u Charon-SSP/4U
start ss5;   ss5=$started
start ultra; ultra=$started
await ss5.out "0 >"
say "ss5 (sun4m):"
tail -n 4 ss5.out | tr -d '\r' | quote
await ultra.out "0 >"
say "ultra (sun4u):"
tail -n 4 ultra.out | tr -d '\r' | quote
say "What ss5's log says of its license:"
quote < log-ss5/ss5.log

step "7. A third one is refused: the license allows two"
vm_file third sun-4m Charon-SSP/4M
show ve-emulator check third.toml --state-dir state || true
status=0
"$bin/ve-emulator" run third.toml --state-dir state > third.out 2>&1 < /dev/null || status=$?
quote < log-third/third.log
say "exit code $status (77: refused)"
grep -qF "instance-limit" log-third/third.log

step "8. What the administrator sees"
show license_viewer --home home
show licensectl --home home sessions
show licensectl --home home denials

step "9. One is stopped, and the third gets its seat"
# The firmware knows no power button, so the first request is not heard; the second ends it at once.
kill -TERM "$ultra"
await log-ultra/ultra.log "asked to shut down"
kill -TERM "$ultra"
wait "$ultra" || true
start third; third=$started
await third.out "0 >"
say "third runs:"
tail -n 3 log-third/third.log | quote
show licensectl --home home sessions

step "10. The server is killed: the emulators warn, ask their guests to shut down, and end with the grace period"
kill -KILL "$server"
wait "$server" 2>/dev/null || true
status=0
wait "$ss5" || status=$?
say "ss5's log since the loss (exit code $status: the runner ended it because of the license):"
sed -n '/Failed to connect/,$p' log-ss5/ss5.log | quote
wait "$third" || true
children=()
grep -qF "will be terminated within" log-ss5/ss5.log
grep -qF "asked to shut down" log-ss5/ss5.log

step "Done. What the server's log said until it was killed:"
quote < home/log/license.log
