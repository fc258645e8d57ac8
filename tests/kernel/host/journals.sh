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
  end_clients "$SUITE-stop" 240
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
