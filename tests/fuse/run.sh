#!/usr/bin/env bash
# The FUSE mounter on this machine's kernel against a real server, in a mount namespace of its own.
# Usage: run.sh [--server tarn|ganesha] [--only CASE,...] [--kills N] [--bench MIB]
# Needs root, /dev/fuse and the built programs in build/release/bin (or $TARN_BIN).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -c /dev/fuse ] || { echo "fuse tests: this machine has no /dev/fuse"; exit 1; }
exec unshare --mount --propagation private python3 -B "$here/main.py" "$@"
