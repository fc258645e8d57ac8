# shellcheck shell=bash
# Suite "cases": guest/cases/*.sh in every client, each over its version of the protocol.

run_cases() {
  SUITE=cases
  local seconds=$((1200 * SCALE)) id tail_pid lost=()
  : >"$LOGS/server.log"
  start_server || { result FAIL "cases: the server starts"; return; }
  if [ -n "$DELEGATIONS" ]; then
    control tag set "$FILE_SYSTEM" tarn:delegations=on || result FAIL "cases: delegations are on"
  fi
  if [ "$SERVER" = tarn ]; then
    make_access_points || result FAIL "cases: access points are made"
  fi
  make_source_tree || result FAIL "cases: the source tree is packed"
  for id in "${!VERSIONS[@]}"; do
    mkdir -p "$WORK/peer-$id"
    : >"$WORK/cases-results-$id"
    boot_guest "$id" cases.sh $seconds
  done
  tail -q -n +1 -s 0.2 -F "$WORK"/cases-results-[0-9] 2>/dev/null &  # as they come
  tail_pid=$!
  for id in "${!VERSIONS[@]}"; do wait_guest "$id" || lost+=("$id"); done
  sleep 0.3
  kill $tail_pid 2>/dev/null
  cat "$WORK"/cases-results-[0-9] >>"$WORK/results-cases"
  for id in "${lost[@]}"; do result FAIL "client $id comes to its end"; done
  if [ "$SERVER" = tarn ]; then
    if control fsck; then result PASS "fsck is clean"; else result FAIL "fsck is clean"; fi
  fi
  stop_server
  rm -rf "$DATA" "$WORK"/done-* "$WORK"/cases-results-*
}
