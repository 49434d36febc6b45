#!/usr/bin/env bash
# Installs the man pages and shell completions that the programs print of themselves.
#
#   install-manuals.sh FOLDER PROGRAM...   the programs' folder and names
#
# Where to: MANDIR, BASHCOMPDIR, ZSHCOMPDIR, FISHCOMPDIR (the Makefile sets them, with DESTDIR).
# A program prints its man page for `--generate-man`, and its completions for
# `--generate-completion bash|zsh|fish`; one that doesn't know these has none.
set -euo pipefail

folder=$1
shift

# write FILE COMMAND...: what the command prints becomes the file; fails when it prints nothing.
write() {
    local file=$1 text
    shift
    text=$("$@" 2>/dev/null) && [[ -n $text ]] || return
    install -d "$(dirname "$file")"
    install -m 644 /dev/stdin "$file" <<<"$text"
}

for program in "$@"; do
    path="$folder/$program"
    if ! write "$MANDIR/man1/$program.1" "$path" --generate-man; then
        echo "$program prints no man page and no completions of its own; none are installed"
        continue
    fi
    write "$BASHCOMPDIR/$program" "$path" --generate-completion bash &&
        write "$ZSHCOMPDIR/_$program" "$path" --generate-completion zsh &&
        write "$FISHCOMPDIR/$program.fish" "$path" --generate-completion fish ||
        echo "$program doesn't print every completion; some are missing" >&2
done
