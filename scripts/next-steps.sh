#!/usr/bin/env bash
# Says what turns an installed server into a running one; `make install` ends with it.
set -euo pipefail

cat <<'STEPS'

Installed. To run it as a service, as root:

  systemd-sysusers licensed.conf              # the user license-server
  systemd-tmpfiles --create licensed.conf     # its home, /opt/license-server
  cp vendor.pub /opt/license-server/          # your vendor's public key
  systemctl daemon-reload
  systemctl enable --now licensed

Then `c2v --filename server.c2v` writes the fingerprint for your vendor, and
`v2c --filename server.v2c` installs the license that comes back.
STEPS
