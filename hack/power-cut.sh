#!/usr/bin/env bash
# power-cut.sh [SEEDS [STEPS [FIRST]]]: the long form of the power-cut test: so many seeds (100), so
# many steps of each client (200), from the seed FIRST (a new one each day). The disk of the local
# engine is cut at every sync, and now and then between; docs/testing.md tells what is checked. A
# seed that shows a problem is said at the end: power-cut.sh 1 STEPS SEED does it again.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-100} steps=${2:-200} first=${3:-$(date +%Y%m%d)}
cmake --preset release > /dev/null
cmake --build build/release --target engine_local_power_cut > /dev/null
exec build/release/bin/engine_local_power_cut "$first" "$((first + seeds - 1))" "$steps"
