#!/usr/bin/env bash
# bench.sh tls [--rounds N]: TLS beside stunnel in front of the same server.
# bench.sh tunnel [--rounds N]: tarn-tunnel beside stunnel as clients of the same server.
# bench.sh encryption [--rounds N] [--dir DIR]: an encrypted file system beside a plain one.
# bench.sh [--rounds N] [--dir DIR] [--only names|cached|data] [--skip rows|alone] [--full]: Tarn
# beside NFS-Ganesha (the distribution's, VFS): the same client, the same disk, alternating runs;
# then what Tarn is measured for alone. Prints Markdown for docs/performance.md, in about a quarter
# of an hour; --full, with its ten million files, takes longer. Absolute times say more of the
# machine than of the servers.
set -euo pipefail
cd "$(dirname "$0")/.."
hack/deps.sh build test
cmake --preset release >/dev/null
cmake --build build/release --target tarn-server tarn-bench tarn-tunnel tarn-tunnel-admin |
  tail -n 1
if [ "${1-}" = tls ]; then
  shift
  exec python3 tests/bench/tls.py "$@"
fi
if [ "${1-}" = tunnel ]; then
  shift
  exec python3 tests/bench/tunnel.py "$@"
fi
if [ "${1-}" = encryption ]; then
  shift
  exec python3 tests/bench/encryption.py "$@"
fi
exec python3 tests/bench/compare.py "$@"
