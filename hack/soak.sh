#!/usr/bin/env bash
# soak.sh [HOURS] [JOBS]: simulations of the server from ever new seeds (tests/sim) for so many
# hours (2), in so many processes at a time (1). Prints each failure with how to replay it, and at
# the end what was done and "N passed, N failed". Logs: build/soak/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
hours=${1:-2} jobs=${2:-1}
seconds=$(awk -v hours="$hours" 'BEGIN {print int(hours * 3600)}')
program=${TARN_BIN:-build/release/bin}/tarn-sim
if [ ! -x "$program" ]; then
  echo "soak: build it first: cmake --build build/release --target tarn-sim"
  exit 1
fi
mkdir -p build/soak
first=$(($(date +%s) * 100000))
# `faults` is the local engine on a disk that fails now and then.
read -ra engines <<<"${TARN_SOAK_ENGINES:-memory local faults}"
end=$((SECONDS + seconds)) slice=300

worker() { # worker NUMBER: slices of time on each engine in turn
  local turn=0 seed=$((first + $1 * 1000000000)) left engine=()
  while left=$((end - SECONDS)) && [ $left -gt 0 ]; do
    engine=(--engine "${engines[turn % ${#engines[@]}]}")
    [ "${engine[1]}" != faults ] || engine=(--engine local --faults)
    nice "$program" --first "$seed" --seconds $((left < slice ? left : slice)) "${engine[@]}" ||
      echo "soak: a seed failed, see above" >>"build/soak/$1.log"
    turn=$((turn + 1)) seed=$((seed + 1000000))
  done >>"build/soak/$1.log" 2>&1
}

rm -f build/soak/*.log
for ((job = 0; job < jobs; ++job)); do worker $job & done
wait
grep -ahE '^FAILED seed|^replay:' build/soak/*.log
grep -ahoE '^[0-9]+ requests executed.*' build/soak/*.log | awk '
  {for (i = 1; i < NF; ++i) if ($i ~ /^[0-9]+$/) sum[++n[NR]] += $i}
  END {print sum[1] " requests executed, " sum[2] " of them again; " sum[3] " server deaths, " \
             sum[4] " inside a request; " sum[5] " connections broken; " sum[6] " reboots"}'
grep -ahE '^[0-9]+ passed, [0-9]+ failed$' build/soak/*.log |
  awk '{passed += $1; failed += $3}
    END {print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0}'
