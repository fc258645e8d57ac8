#!/bin/bash
# One of the clients: runs every case of guest/cases/ over its version of the protocol, T_VERS, each
# in a directory of its own, and writes "PASS|FAIL NAME" to the results.
# Meanwhile it does what another client's cases ask of it (peer in lib.sh).
. "$T_HERE/guest/lib.sh"
set +e
shopt -s extglob  # for T_ONLY
results=$T_WORK/cases-results-$T_ID  # several guests would write over each other in one
export T_CASE_SECONDS=$((300 * T_SCALE))

run_case() {  # run_case FILE NAME
  local file=$1 name=$2 begin=$EPOCHREALTIME output=/run/output outcome=PASS took group
  export VERS T_ROOT="/run/nfs-$VERS"
  timeout --kill-after=5 "$T_CASE_SECONDS" bash -c "
    . '$T_HERE/guest/lib.sh'
    . '$file'
    mountpoint -q \"\$T_ROOT\" || fail 'not mounted'
    mkdir \"\$T_ROOT/$name-$VERS\"
    cd \"\$T_ROOT/$name-$VERS\"
    case_$name" >$output 2>&1 </dev/null &
  group=$!
  wait $group || outcome=FAIL
  kill -9 -- "-$group" 2>/dev/null  # what a failed case left running
  took=$(echo "scale=1; ($EPOCHREALTIME - $begin) / 1" | bc)
  echo "$outcome $name (vers=$VERS, $took s)" >>"$results"
  echo "== $outcome $name vers=$VERS $took s"
  cat $output
  [ "$outcome" = PASS ] || tail -n 12 $output >>"$results"
}

# serve_peer: runs the jobs that come, until all clients are done.
serve_peer() {
  local job base done=()
  while done=("$T_WORK"/cases-done-*) && [ ${#done[@]} -lt "$T_CLIENTS" ]; do
    for job in "$T_WORK/peer-$T_ID"/*.job; do
      [ -e "$job" ] || continue
      base=${job%.job}
      mv "$job" "$base.running"
      {
        (. "$base.running") >"$base.output" 2>&1
        echo $? >"$base.status.new"
        mv "$base.status.new" "$base.status"
      } &
    done
    nap 0.03
  done
  wait
}

for VERS in 4.2 4.1 4.0; do
  nfs_mount / "/run/nfs-$VERS" || echo "FAIL client $T_ID mounts vers=$VERS" >>"$results"
done
serve_peer &
server=$!
VERS=$T_VERS
for file in "$T_HERE"/guest/cases/*.sh; do
  [ -e "$T_WORK/access-points-$VERS" ] || [ "$(basename "$file")" != access_points.sh ] || continue
  [ "$VERS" = 4.2 ] || [ "$(basename "$file")" != v42.sh ] || continue
  for name in $(sed -nE 's/^case_(\w+)\(\).*/\1/p' "$file"); do
    # shellcheck disable=SC2254
    case $name in $T_ONLY) run_case "$file" "$name" ;; esac
  done
done
touch "$T_WORK/cases-done-$T_ID"
wait $server
cd /run && timeout 60 umount -a -t nfs4 || echo "FAIL client $T_ID unmounts" >>"$results"
exit 0
