# shellcheck shell=bash
# Suite "connections": the clients work as in the suite "crash" (guest/crash.sh), with several
# connections each (nconnect, and one more to another address of the server: session trunking),
# while the server's end of one connection after the other, or of all of a client, is cut. No client
# may see an error, and all that was acknowledged must be there, done once.
CUTS=$((12 * SCALE))
CONNECTIONS=4

run_connections() {
  SUITE=connections
  local VERSIONS=([1]=4.1 [2]=4.2) SECOND_ADDRESS=192.0.2.2 lost=() cuts=0 id outcome
  local MOUNT_OPTIONS=nconnect=$CONNECTIONS,max_connect=8
  LEASE=10
  ip addr add "$SECOND_ADDRESS/24" dev br0 || { result FAIL "connections: an address"; return; }
  LISTEN_ADDRESS=0.0.0.0
  begin_journals $((CUTS * 10 + 300)) || return
  while [ $cuts -lt $CUTS ] && [ ${#lost[@]} = 0 ]; do
    sleep "0.$((RANDOM % 10))"
    for id in "${!VERSIONS[@]}"; do
      if [ $((cuts % 6)) = 5 ]; then cut_all "$id"; else cut_one "$id"; fi
    done
    cuts=$((cuts + 1))
    [ $((cuts % 4)) != 0 ] || await_progress
  done
  result PASS "connections: connections of each client were cut $cuts times"
  for id in "${!VERSIONS[@]}"; do
    outcome=FAIL
    if eventually_connected "$id"; then outcome=PASS; fi
    result $outcome "connections: client $id has $CONNECTIONS and one to the second address"
  done
  end_journals
  LISTEN_ADDRESS=$SERVER_ADDRESS
}

# "ADDRESS:PORT of ours, ADDRESS:PORT of the client" of each.
connections_of() {
  ss -Htn state established "( sport = :2049 )" dst "$(client_address "$1")" |
    awk '{print $3, $4}' | sed 's/\[::ffff:\([0-9.]*\)\]/\1/g'
}

cut() { ss -K sport = :2049 dst "$(client_address "$1")" dport = ":$2" >/dev/null 2>&1; }

cut_one() {
  local ports
  mapfile -t ports < <(connections_of "$1" | sed 's/.*://')
  [ ${#ports[@]} = 0 ] || cut "$1" "${ports[RANDOM % ${#ports[@]}]}"
}

cut_all() { ss -K sport = :2049 dst "$(client_address "$1")" >/dev/null 2>&1; }

eventually_connected() {
  local deadline=$((SECONDS + 40)) first second
  until [ $SECONDS -gt $deadline ]; do
    first=$(connections_of "$1" | grep -c "^$SERVER_ADDRESS:")
    second=$(connections_of "$1" | grep -c "^$SECOND_ADDRESS:")
    if [ "$first" = $CONNECTIONS ] && [ "$second" -ge 1 ]; then return 0; fi
    sleep 0.2
  done
  echo "client $1 has $first connections, and $second to the second address"
  return 1
}
