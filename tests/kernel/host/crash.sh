# shellcheck shell=bash
# Suite "crash": the server is killed (-9) at random points while the clients work (guest/crash.sh,
# guest/journal.py), and started again at once on the same data. The clients must see no error, and
# all that was acknowledged must be there. Every fourth kill comes soon after the one before, in the
# grace period; the others wait until all clients have got on with their work.
KILLS=$((20 * SCALE))

run_crash() {
  SUITE=crash
  local lost=() kills=0
  LEASE=4
  begin_journals $((KILLS * 12 + 300)) || return
  if [ -n "${TARN_KERNEL_CAPTURE:-}" ]; then capture_packets; fi
  while [ $kills -lt $KILLS ] && [ ${#lost[@]} = 0 ]; do
    [ $((kills % 4)) = 3 ] || await_progress
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    restart_after_kill || { result FAIL "crash: the server starts after a kill"; return; }
    kills=$((kills + 1))
  done
  if [ $kills = $KILLS ]; then result PASS "the server was killed $kills times"; fi
  end_journals
}
