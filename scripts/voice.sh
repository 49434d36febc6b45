#!/usr/bin/env bash
# How the demos speak; sourced by them, which say where the programs are ($bin).
set -euo pipefail

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
