#!/usr/bin/env bash
# run.sh [--mounts N] [--idle N] [--turns N]: mounts of this machine through a tunnel that is killed
# and upgraded under load. Needs root, /dev/fuse and the built programs in build/release/bin.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -c /dev/fuse ] || { echo "tunnel: this machine has no /dev/fuse"; exit 1; }
exec unshare --mount --propagation private python3 -B "$here/load.py" "$@"
