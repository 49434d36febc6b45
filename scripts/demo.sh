#!/usr/bin/env bash
# The main job, told step by step: a vendor makes a key, a server's fingerprint becomes a license, the
# server serves it, real emulators start and are limited under it, ride through the loss of their server
# on a backup, come back, and stop when there is no license any more.
#
# Everything lives in one folder that is removed at the end, and nothing is left running.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
bin=${VE_BIN:-${CARGO_TARGET_DIR:-$here/target}/debug}
work=$(mktemp -d "${TMPDIR:-/tmp}/ve-demo.XXXXXX")
children=()

. "$here/scripts/voice.sh"

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
primary_server = "$primary_address"
backup_server = "$backup_address"
primary_probe = "1s"
vendor_key = "vendor/vendor.pub"
shutdown_lead = "6s"

[log]
dir = "log-$name"

[engine]
kind = "qemu"
args = ["-nographic"]
TOML
}
# A license server in the home given, at an address of its own; its process is in $started.
serve() {
    local home=$1 address=$2
    "$bin/licensed" --home "$home" --listen "$address" > "$home.out" 2>&1 &
    children+=($!)
    started=$!
    await "$home.out" "ready to serve"
}
# Where the server of a home listens.
address_of() { sed -n 's/.*Listening on \(.*\)\.$/\1/p' "$1/log/license.log"; }
now_ms() { date +%s%3N; }
count() { grep -acF -- "$2" "$1" || true; }
# Waits until a log has a text more often than before, and says how long that took.
measure() {
    local what=$1 file=$2 text=$3 before=$4 since=$5 took
    until [ "$(count "$file" "$text")" -gt "$before" ]; do
        if [ $(($(now_ms) - since)) -ge 60000 ]; then
            printf 'demo: "%s" did not appear in %s\n' "$text" "$file" >&2
            exit 1
        fi
        sleep 0.02
    done
    took=$(($(now_ms) - since))
    say "$(printf '%s after %d.%03d s' "$what" $((took / 1000)) $((took % 1000)))"
}
# The lines of a file after the first so many.
news() { tail -n +"$(($2 + 1))" "$1"; }
goes_on() {
    if ! kill -0 "$guest"; then
        say "the guest has ended"
        exit 1
    fi
    say "The guest is the same process ($guest): it has noticed nothing."
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

step "5. Another machine is to stand in for it: a license of 100 hours, which count only while it is needed"
mkdir backup
cp vendor/vendor.pub backup/vendor.pub
show c2v --home backup --filename backup.c2v
sed -e 's/002\.044/002.045/' -e 's/key_type = "NORMAL"/key_type = "COUNTDOWN"\nhours = 100/' license.toml > backup.toml
show license_issuer issue --key vendor/vendor.key --c2v backup.c2v --license backup.toml --out backup.v2c
show v2c --home backup --filename backup.v2c

step "6. Both license servers start"
serve home 127.0.0.1:0
server=$started
serve backup 127.0.0.2:0
backup=$started
primary_address=$(address_of home)
backup_address=$(address_of backup)
quote < home/log/license.log

step "7. Two real emulators start under it and boot to their firmware prompt"
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

step "8. A third one is refused: the license allows two"
vm_file third sun-4m Charon-SSP/4M
# With its backup it would run there.
sed -i '/^backup_server/d' third.toml
show ve-emulator check third.toml --state-dir state || true
status=0
"$bin/ve-emulator" run third.toml --state-dir state > third.out 2>&1 < /dev/null || status=$?
quote < log-third/third.log
say "exit code $status (77: refused)"
grep -qF "instance-limit" log-third/third.log

step "9. What the administrator sees"
show license_viewer --home home
show licensectl --home home sessions
show licensectl --home home denials

step "10. One is stopped, and the third gets its seat"
# The firmware knows no power button, so the first request is not heard; the second ends it at once.
kill -TERM "$ultra"
await log-ultra/ultra.log "asked to shut down"
kill -TERM "$ultra"
wait "$ultra" || true
vm_file third sun-4m Charon-SSP/4M
start third; third=$started
await third.out "0 >"
say "third runs:"
tail -n 3 log-third/third.log | quote
show licensectl --home home sessions

step "11. The primary is killed: the emulators go on under the backup"
ss5_log=log-ss5/ss5.log
guest=$(pgrep -P "$ss5" | head -n 1)
lines=$(wc -l < $ss5_log)
since=$(now_ms)
kill -KILL "$server"
wait "$server" 2>/dev/null || true
measure "ss5 is licensed by the backup" $ss5_log "Switched to backup" 0 "$since"
measure "third is licensed by the backup" log-third/third.log "Switched to backup" 0 "$since"
say "What ss5's log says of it:"
news $ss5_log "$lines" | quote
show licensectl --home backup sessions
show license_viewer --home backup
goes_on

step "12. The primary is back: the emulators go home, and the backup's hours stand still again"
lines=$(wc -l < $ss5_log)
since=$(now_ms)
serve home "$primary_address"
server=$started
measure "ss5 is back on the primary, which is probed every second," $ss5_log "Switched to primary" 0 "$since"
measure "third is back on the primary" log-third/third.log "Switched to primary" 0 "$since"
news $ss5_log "$lines" | quote
show licensectl --home backup sessions

step "13. The primary is stopped by its administrator: it sends its clients to the backup first"
lines=$(wc -l < $ss5_log)
since=$(now_ms)
kill -TERM "$server"
measure "ss5 is licensed by the backup, without any loss," $ss5_log "Switched to backup" 1 "$since"
measure "third is licensed by the backup" log-third/third.log "Switched to backup" 1 "$since"
wait "$server" || true
news $ss5_log "$lines" | quote
goes_on

step "14. The backup is killed as well: the emulators warn, ask their guests to shut down, and end with the grace period"
lines=$(wc -l < $ss5_log)
kill -KILL "$backup"
wait "$backup" 2>/dev/null || true
status=0
wait "$ss5" || status=$?
say "ss5's log since the loss (exit code $status: the runner ended it because of the license):"
news $ss5_log "$lines" | quote
wait "$third" || true
children=()
for text in "will be terminated within" "asked to shut down"; do
    news $ss5_log "$lines" | grep -qF "$text"
done

step "Done. What the primary's log said the last time that it ran:"
quote < home/log/license.log
