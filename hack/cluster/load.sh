#!/usr/bin/env bash
# load.sh [--node N] IMAGE.tar...: imports images (docker-archive) into one node, or all.
set -euo pipefail
. "$(dirname "$0")/common.sh"
nodes=$(seq "$NODES")
if [ "${1-}" = --node ]; then nodes=$2; shift 2; fi
for image; do
  for n in $nodes; do
    ctr -a "$STATE/node$n/containerd.sock" -n k8s.io images import --all-platforms "$image" \
      >/dev/null 2>"$LOG/load.log" ||
      die "node$n cannot import $image: $(cat "$LOG/load.log")"
  done
done
