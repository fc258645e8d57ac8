#!/usr/bin/env bash
# bench.sh [--rounds N] [--dir DIR] [--files N]: Tarn beside NFS-Ganesha (the distribution's, VFS):
# the same client, the same disk, alternating runs; prints a table of ratios of medians. Absolute
# times say more of the machine than of the servers. See docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."
hack/deps.sh build test
cmake --preset release >/dev/null
cmake --build build/release --target tarn-server tarn-bench | tail -n 1
exec python3 tests/bench/compare.py "$@"
