#!/bin/sh
# Makes the guest of the power button test: Debian's kernel and a small root file system for it.
#
#   scripts/make-test-guest.sh [FOLDER]      default: target/guest
#
# Writes FOLDER/vmlinuz and FOLDER/initramfs.gz, and does nothing when they are up to date. Needs no
# privileges: the packages are downloaded and unpacked, not installed. x86-64 only.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../target/guest}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# Tests may call this side by side; the second one finds the work done.
exec 9>"$folder/lock"
flock 9

if [ -s "$folder/vmlinuz" ] && [ -s "$folder/initramfs.gz" ] && [ "$folder/initramfs.gz" -nt "$0" ]; then
    exit 0
fi

fail() {
    echo "make-test-guest: $1" >&2
    exit 1
}

for tool in apt-get apt-cache dpkg-deb gzip; do
    command -v "$tool" >/dev/null || fail "$tool is missing; this needs a Debian machine"
done

# The meta package names the newest kernel of this release.
newest_kernel() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }'
}

# A fresh machine has no package lists, and old lists name packages that are gone.
refresh_lists() {
    if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi
}

kernel=$(newest_kernel)
if [ -z "$kernel" ]; then
    refresh_lists || fail "apt has no package lists; run: apt-get update"
    kernel=$(newest_kernel)
fi
[ -n "$kernel" ] || fail "apt knows no linux-image-cloud-amd64"

work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# apt drops its privileges for a download when it can; it says so when the folder forbids it.
download() { (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$1" busybox-static); }
if ! download "$kernel"; then
    refresh_lists && kernel=$(newest_kernel) && download "$kernel" ||
        fail "the packages $kernel and busybox-static can't be downloaded; run: apt-get update"
fi
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/packages"
done

root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/modules"
cp "$work/packages/bin/busybox" "$root/bin/busybox" 2>/dev/null ||
    cp "$work/packages/usr/bin/busybox" "$root/bin/busybox"
busybox=$root/bin/busybox

# The two modules behind the power button; a kernel that has them built in has no such files.
for module in button evdev; do
    found=$(find "$work/packages" -name "$module.ko*" | head -n 1)
    case $found in
    '') ;;
    *.ko) cp "$found" "$root/modules/$module.ko" ;;
    *.xz) "$busybox" xzcat "$found" >"$root/modules/$module.ko" ;;
    *) fail "the module $found is packed in a way that is not known here" ;;
    esac
done

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
# The first and only process of the test guest: waits for the power button and powers off.
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
for module in button evdev; do
    [ -e /modules/$module.ko ] && $busybox insmod /modules/$module.ko
done

button=
for name in /sys/class/input/event*/device/name; do
    read -r title <"$name"
    if [ "$title" = "Power Button" ]; then
        button=${name%/device/name}
        button=/dev/input/${button##*/}
    fi
done
if [ -z "$button" ]; then
    echo "guest: has no power button"
    $busybox poweroff -f
fi

# Opened before the guest calls itself ready, so that no press is missed.
exec 3<"$button"
echo "guest: ready"
$busybox dd bs=24 count=1 <&3 >/dev/null 2>&1
echo "guest: powering off cleanly"
$busybox sync
$busybox poweroff -f
INIT
chmod 755 "$root/init"

kernel_image=$(find "$work/packages/boot" -name 'vmlinuz-*' | head -n 1)
[ -n "$kernel_image" ] || fail "the package $kernel holds no kernel"
(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -9 >"$work/initramfs.gz"
cp "$kernel_image" "$work/vmlinuz"
mv "$work/vmlinuz" "$folder/vmlinuz"
mv "$work/initramfs.gz" "$folder/initramfs.gz"
echo "make-test-guest: made $folder from $kernel"
