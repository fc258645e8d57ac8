# shellcheck shell=bash
# Suite "soak": clients work (guest/soak.sh, tarn-file-load) while the server is killed (-9) every
# so many seconds and started again at once. No client may see an error, and every byte must be
# there.
# TARN_SOAK_MINUTES (2), TARN_SOAK_CLIENTS (4, at most 4), TARN_SOAK_KILL_EVERY (30 seconds),
# TARN_SOAK_SEED (the time), TARN_SOAK_FAIL_FAST=1 (ends with the first error). The lease is shorter
# than by default: clients of 4.0 cannot say that they have reclaimed all, and nobody gets a lock
# before that or the end of a lease. But Linux may need ten seconds to connect again, and a machine
# that stands still for a lease costs clients their locks.
SOAK_VERSIONS=([1]=4.2 [2]=4.1 [3]=4.0 [4]=4.2)

run_soak() {
  SUITE=soak
  local seconds kill_every=${TARN_SOAK_KILL_EVERY:-30} clients=${TARN_SOAK_CLIENTS:-4}
  local id begin lost=() kills=0 VERSIONS=()
  seconds=$(awk -v minutes="${TARN_SOAK_MINUTES:-2}" 'BEGIN {print int(minutes * 60)}')
  LEASE=$((kill_every * 3 / 4))
  SEED=${TARN_SOAK_SEED:-$(date +%s)}
  for ((id = 1; id <= clients; ++id)); do VERSIONS[id]=${SOAK_VERSIONS[id]}; done
  mkdir -p "$WORK/soak"
  : >"$LOGS/server.log"
  rm -f "$LOGS"/client[0-9]-soak.log
  start_server || { result FAIL "soak: the server starts"; return; }
  if [ -n "$DELEGATIONS" ]; then
    control tag set "$FILE_SYSTEM" tarn:delegations=on || result FAIL "soak: delegations are on"
  fi
  echo "soak: $clients clients, $seconds s, a kill every $kill_every s, seed $SEED"
  for id in "${!VERSIONS[@]}"; do boot_guest "$id" soak.sh $((seconds + 900)); done
  if [ -n "${TARN_KERNEL_CAPTURE:-}" ]; then capture_packets; fi
  for id in "${!VERSIONS[@]}"; do await "soak-ready-$id" 120 || lost+=("$id"); done
  begin=$SECONDS
  while [ $((SECONDS - begin)) -lt "$seconds" ] && [ ${#lost[@]} = 0 ]; do
    sleep "$kill_every"
    restart_after_kill || { result FAIL "soak: the server starts after a kill"; return; }
    kills=$((kills + 1))
    touch "$WORK/soak/kill-$kills"
    show_progress
    [ -z "${TARN_SOAK_FAIL_FAST:-}" ] || [ -z "$(errors_of_clients)" ] || break
  done
  end_clients soak/stop 400
  result PASS "soak: the server was killed $((kills + 1)) times"
  conclude_soak
  rm -rf "$DATA" "$WORK"/done-* "$WORK/soak" "$WORK"/soak-*
}

errors_of_clients() { cat "$LOGS"/client[0-9]-soak.log 2>/dev/null | grep -a '^ERROR'; }

soak_figures() {
  cat "$WORK"/soak/figures-[0-9] 2>/dev/null | awk '
    {steps += $2; calls += $3; synced += $4; verified += $5; if ($6 > longest) longest = $6}
    END {printf "%d steps, %d system calls, %.1f MiB synced, %.1f MiB verified; " \
                "longest step %.1f s",
                steps, calls, synced / 1048576, verified / 1048576, longest / 1e6}'
}

# Once a minute.
show_progress() {
  [ $((SECONDS / 60)) != "${SHOWN_MINUTE:-}" ] || return 0
  SHOWN_MINUTE=$((SECONDS / 60))
  echo "$(date +%T) $((SECONDS - begin)) s: $kills kills, $(soak_figures)," \
    "$(errors_of_clients | wc -l) errors"
}

conclude_soak() {
  local outcome=PASS
  check_after_work
  stop_server
  if grep -aE '\] (error|critical) |Assert|Sanitizer|terminate' "$LOGS/server.log"; then
    outcome=FAIL
  fi
  result $outcome "soak: the server's log has no errors"
  errors_of_clients
  echo "soak: $(soak_figures)"
  cat "$WORK"/soak/figures-[0-9] | awk '
    {steps[$1] += $2; calls[$1] += $3; if ($6 > longest[$1]) longest[$1] = $6}
    END {for (name in steps)
      printf "  %-8s %7d steps %8d calls, longest step %.1f s\n", name, steps[name], calls[name],
             longest[name] / 1e6}' | sort
}
