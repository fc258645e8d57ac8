#!/usr/bin/env bash
# kernel-soak.sh [MINUTES [CLIENTS [KILL_EVERY]]]: the Linux kernel's client under mixed load from
# CLIENTS (4) machines for MINUTES (30), while the server is killed (-9) every KILL_EVERY seconds
# (20) and started again at once. No client may see an error, every byte must be there, fsck must
# be clean. Prints what was done once a minute and ends with "N passed, N failed".
# TARN_SOAK_SEED repeats a load; TARN_SOAK_DELEGATIONS=1 has delegations on.
# Logs: build/tests/kernel/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
for program in tarn-server tarnctl tarn-file-load; do
  if [ ! -x "${TARN_BUILD:-build/release}/bin/$program" ]; then
    echo "kernel-soak: build it first: cmake --build build/release --target $program"
    exit 1
  fi
done
export TARN_SOAK_MINUTES=${1:-30} TARN_SOAK_CLIENTS=${2:-4} TARN_SOAK_KILL_EVERY=${3:-20}
exec nice -n 5 tests/kernel/run.sh ${TARN_SOAK_DELEGATIONS:+--delegations} soak
