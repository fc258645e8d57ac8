# shellcheck shell=bash
# Clients: User-Mode Linux with this machine's root as its own (guest/init.sh is its init).

# boot_guest ID MAIN SECONDS: starts client ID, which runs guest/MAIN and ends, at the latest after
# so many seconds. Its pid is then in GUEST_PID[ID].
declare -A GUEST_PID
boot_guest() {
  local id=$1 main=$2 seconds=$3 log="$LOGS/client$1-$SUITE.log"
  # Its memory is a file in TMPDIR; /dev/shm allows mapping it.
  TMPDIR=/dev/shm timeout --kill-after=5 "$seconds" \
    linux.uml rootfstype=hostfs rw mem=1G quiet init="$HERE/guest/init.sh" \
    vec0:transport=tap,ifname="tap$id",depth=128,gro=1 con=null con0=fd:0,fd:1 \
    T_MAIN="$main" T_SUITE="$SUITE" T_ID="$id" T_HERE="$HERE" T_WORK="$WORK" \
    T_ADDRESS="$(client_address "$id")" T_OPTIONS="$MOUNT_OPTIONS" T_SECOND="$SECOND_ADDRESS" \
    T_VERS="${VERSIONS[$id]}" T_CLIENTS="${#VERSIONS[@]}" \
    T_BIN="$(realpath "$BUILD")/bin" \
    T_SERVER="$SERVER_ADDRESS" T_SCALE="$SCALE" T_ONLY="$ONLY" T_SEED="$SEED" \
    </dev/null >"$log" 2>&1 &
  GUEST_PID[$id]=$!
}

# wait_guest ID: ok when it ran to its end by itself.
wait_guest() {
  wait "${GUEST_PID[$1]}"
  [ -e "$WORK/done-$1" ] && return
  echo "client $1 did not come to its end; its log:"
  tail -n 15 "$LOGS/client$1-$SUITE.log"
  return 1
}

# await FILE SECONDS: until a client has made it.
await() {
  local deadline=$((SECONDS + $2))
  until [ -e "$WORK/$1" ]; do [ $SECONDS -lt $deadline ] || return 1; sleep 0.1; done
}

# end_clients STOP SECONDS: the file STOP tells clients that work to end, within so many seconds;
# then they compare what is there with what they wrote down. Those that do not end are in "lost".
end_clients() {
  local id stop=$1 seconds=$2
  touch "$WORK/$stop"
  for id in "${!VERSIONS[@]}"; do await "$SUITE-idle-$id" "$seconds" || lost+=("$id"); done
  # Once more with nothing in flight: what is read now comes from the disk.
  restart_after_kill || result FAIL "$SUITE: the server starts after the last kill"
  touch "$WORK/$SUITE-verify"
  for id in "${!VERSIONS[@]}"; do wait_guest "$id" || lost+=("$id"); done
  for id in "${lost[@]}"; do result FAIL "$SUITE: client $id comes to its end"; done
  cat "$WORK/results-$SUITE"-[0-9] 2>/dev/null
}

check_after_work() {
  local outcome=FAIL
  if control fsck; then outcome=PASS; fi
  result $outcome "$SUITE: fsck is clean"
}

# Lines "PASS|FAIL NAME" go to the results of a suite.
result() {
  local outcome=$1 name=$2
  echo "$outcome $name" | tee -a "$WORK/results-$SUITE"
}
