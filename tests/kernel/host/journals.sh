# shellcheck shell=bash
# Clients that work and write down what they did (guest/crash.sh, guest/journal.py), for the suites
# that disturb them meanwhile.

# begin_journals SECONDS: a server, and a client of each version that works (guest/crash.sh). Those
# that do not begin are in "lost".
begin_journals() {
  local id seconds=$1
  start_server || { result FAIL "$SUITE: the server starts"; return 1; }
  make_source_tree || result FAIL "$SUITE: the source tree is packed"
  : >>"$WORK/results-$SUITE"
  for id in "${!VERSIONS[@]}"; do boot_guest "$id" crash.sh "$seconds"; done
  for id in "${!VERSIONS[@]}"; do await "$SUITE-ready-$id" 60 || lost+=("$id"); done
}

# The clients end their work, and compare what is there with what they wrote down.
end_journals() {
  local id
  touch "$WORK/$SUITE-stop"
  for id in "${!VERSIONS[@]}"; do await "$SUITE-idle-$id" 240 || lost+=("$id"); done
  # Once more with nothing in flight: what is read now comes from the disk.
  restart_after_kill || result FAIL "$SUITE: the server starts after the last kill"
  touch "$WORK/$SUITE-verify"
  for id in "${!VERSIONS[@]}"; do wait_guest "$id" || lost+=("$id"); done
  for id in "${lost[@]}"; do result FAIL "$SUITE: client $id comes to its end"; done
  cat "$WORK/results-$SUITE"-[0-9] 2>/dev/null
  [ "$SERVER" != tarn ] || check_after_work
  stop_server
  rm -rf "$DATA" "$WORK"/done-* "$WORK"/journal-*
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

check_after_work() {
  local outcome=FAIL
  if control fsck; then outcome=PASS; fi
  result $outcome "$SUITE: fsck is clean"
}
