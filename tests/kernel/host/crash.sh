# shellcheck shell=bash
# Suite "crash": the server is killed (-9) at random points while the clients work (guest/crash.sh,
# guest/journal.py), and started again at once on the same data. The clients must see no error, and
# all that was acknowledged must be there. Every fourth kill comes soon after the one before, in the
# grace period; the others wait until all clients have got on with their work.
KILLS=$((20 * SCALE))

run_crash() {
  SUITE=crash
  local id lost=() kills=0
  LEASE=4
  start_server || { result FAIL "crash: the server starts"; return; }
  [ -e "$WORK/tree.tar" ] || make_source_tree ||
    result FAIL "crash: the source tree is packed"
  : >>"$WORK/results-crash"
  if [ -n "${TARN_KERNEL_CAPTURE:-}" ]; then capture_packets; fi
  for id in "${!VERSIONS[@]}"; do boot_guest "$id" crash.sh $((KILLS * 12 + 300)); done
  for id in "${!VERSIONS[@]}"; do await "crash-ready-$id" 60 || lost+=("$id"); done
  while [ $kills -lt $KILLS ] && [ ${#lost[@]} = 0 ]; do
    [ $((kills % 4)) = 3 ] || await_progress
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    restart_after_kill || { result FAIL "crash: the server starts after a kill"; return; }
    kills=$((kills + 1))
  done
  touch "$WORK/crash-stop"
  for id in "${!VERSIONS[@]}"; do await "crash-idle-$id" 240 || lost+=("$id"); done
  # Once more with nothing in flight: what is read now comes from the disk.
  restart_after_kill || result FAIL "crash: the server starts after the last kill"
  touch "$WORK/crash-verify"
  for id in "${!VERSIONS[@]}"; do wait_guest "$id" || lost+=("$id"); done
  for id in "${lost[@]}"; do result FAIL "crash: client $id comes to its end"; done
  if [ $kills = $KILLS ]; then result PASS "the server was killed $kills times"; fi
  cat "$WORK"/results-crash-[0-9] 2>/dev/null
  [ "$SERVER" != tarn ] || check_after_crash
  stop_server
  rm -rf "$DATA" "$WORK"/done-*
}

# TARN_KERNEL_CAPTURE=1 keeps the heads of all packets, to look into a failure.
capture_packets() {
  local id
  for id in "${!VERSIONS[@]}"; do
    tcpdump -q -Z root -i "tap$id" -s 512 -w "$LOGS/client$id.pcap" >/dev/null 2>&1 &
  done
}

journal_bytes() { stat -c %s "$WORK/journal-$1" 2>/dev/null || echo 0; }

# Until all journals have grown since the last start.
await_progress() {
  local id before=() begin=$EPOCHREALTIME deadline=$((SECONDS + 30))
  for id in "${!VERSIONS[@]}"; do before[id]=$(journal_bytes "$id"); done
  for id in "${!VERSIONS[@]}"; do
    until [ "$(journal_bytes "$id")" -gt "${before[id]}" ]; do
      [ $SECONDS -lt $deadline ] || { echo "client $id does not get on"; break; }
      sleep 0.1
    done
  done
  echo "all clients work after $(echo "scale=1; ($EPOCHREALTIME - $begin) / 1" | bc) s"
}

restart_after_kill() {
  kill_server
  echo "kill: $(date +%T.%N)" >>"$LOGS/server.log"
  start_server
}

check_after_crash() {
  local outcome=FAIL
  if control fsck; then outcome=PASS; fi
  result $outcome "crash: fsck is clean"
}

# await FILE SECONDS: until a client has made it.
await() {
  local deadline=$((SECONDS + $2))
  until [ -e "$WORK/$1" ]; do [ $SECONDS -lt $deadline ] || return 1; sleep 0.1; done
}
