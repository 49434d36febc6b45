#!/usr/bin/env bash
# Installs the system packages that `make demo` and `make test` use (system-packages.txt beside this
# script), and nothing when all are there. Runs as root or with sudo; otherwise it names the one
# command to run. On a system without Debian's tools it says what is needed and leaves it to you.
#
#   install-system-packages.sh            install what is missing
#   install-system-packages.sh --missing  only print what is missing
#   VE_SKIP_SYSTEM_PACKAGES=1             do nothing: you took care of it yourself
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self="$here/$(basename "${BASH_SOURCE[0]}")"
package_list="$here/system-packages.txt"
backports_file=/etc/apt/sources.list.d/ve-backports.sources
# Another apt may be at work, as on every new machine.
apt_options=(-y -q -o DPkg::Lock::Timeout=300)

say() { echo "system packages: $*"; }

main() {
    if [[ -n ${VE_SKIP_SYSTEM_PACKAGES:-} ]]; then
        say "left alone, as VE_SKIP_SYSTEM_PACKAGES asks"
        return
    fi
    local missing
    if ! command -v dpkg-query >/dev/null; then
        explain_other_system
        exit 1
    fi
    if [[ ${1:-} == --missing ]]; then
        missing_packages
        return
    fi
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]} == 0)); then
        say "all are installed"
    else
        become_root
        install_packages "${missing[@]}"
    fi
}

wanted_packages() {
    sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$package_list"
}

missing_packages() {
    local installed
    # An unknown package is no error here: it is what we look for.
    # shellcheck disable=SC2016 # the form is dpkg-query's
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
        sed -n 's/^installed //p' | sort -u)
    comm -23 <(wanted_packages | sort -u) <(echo "$installed")
}

explain_other_system() {
    say "this is no Debian system. Install what these Debian packages contain:" >&2
    wanted_packages | sed 's/^/  /' >&2
    say "then set VE_SKIP_SYSTEM_PACKAGES=1 and start again." >&2
}

# Goes on as root, by sudo where there is one; otherwise names the command and ends.
become_root() {
    if ((EUID == 0)); then return; fi
    local sudo_options=()
    # Without a terminal nobody could answer sudo's question.
    if [[ ! -t 0 ]]; then sudo_options=(-n); fi
    if command -v sudo >/dev/null && sudo "${sudo_options[@]}" true; then
        say "asking sudo to install ${missing[*]}"
        exec sudo "${sudo_options[@]}" "$self"
    fi
    say "these are missing and only root can install them: ${missing[*]}" >&2
    say "run this once, then start again:" >&2
    if command -v sudo >/dev/null; then
        echo "  sudo '$self'" >&2
    else
        echo "  su -c '$self'" >&2
    fi
    exit 1
}

install_packages() {
    local emulator=() other=() package
    for package in "$@"; do
        case $package in
        qemu-* | seabios | ipxe-qemu) emulator+=("$package") ;;
        *) other+=("$package") ;;
        esac
    done
    say "installing $*"
    update_lists
    local release=()
    if ((${#emulator[@]} > 0)) && needs_backports; then
        add_backports
        release=(-t bookworm-backports)
    fi
    if ((${#other[@]} > 0)); then apt_install "${other[@]}"; fi
    if ((${#emulator[@]} > 0)); then apt_install "${release[@]}" "${emulator[@]}"; fi
    say "done"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install "${apt_options[@]}" --no-install-recommends "$@"
}

# The lists have a lock of their own, which apt doesn't wait for. Old lists may do, so that a failure
# here is not yet the end.
update_lists() {
    local attempt
    for attempt in 1 2 3 4 5; do
        if apt-get update "${apt_options[@]}"; then return; fi
        say "the package lists could not be read (attempt $attempt of 5)"
        sleep 5
    done
    say "going on with the package lists as they are"
}

# Debian 12's emulators can't stand beside QEMU parts of its backports, so these must come from
# there as well.
needs_backports() {
    # shellcheck disable=SC2016 # the form is dpkg-query's
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' 'qemu-*' 2>/dev/null |
        grep -q '^installed .*~bpo12'
}

# Adds the backports suite, at the site that Debian 12 itself comes from here. apt knows its sources
# by name only once their lists are read.
add_backports() {
    local targets site
    # shellcheck disable=SC2016 # the form is apt's
    targets=$(apt-get indextargets --format '$(SITE)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages')
    if grep -q '|bookworm-backports|main$' <<<"$targets"; then return; fi
    site=$(sed -n 's/|bookworm|main$//p' <<<"$targets" | head -n 1)
    if [[ -z $site ]]; then
        say "QEMU is here from Debian 12's backports, which apt has no source for (nor one for" >&2
        say "bookworm to derive it from). Add bookworm-backports to apt's sources, start again." >&2
        exit 1
    fi
    say "QEMU parts from Debian 12's backports are installed; the emulators must match them, so"
    say "$backports_file is added: suite bookworm-backports of $site"
    cat >"$backports_file" <<SOURCES
# Added by VE License Server's scripts/install-system-packages.sh, for QEMU; remove it when you like.
Types: deb
URIs: $site
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    update_lists
}

main "$@"
