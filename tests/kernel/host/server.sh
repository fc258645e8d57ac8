# shellcheck shell=bash
# The server under test. NFS-Ganesha can stand in for it, to tell a fault of a case from a fault of
# the server.
FILE_SYSTEM=fs-0123456789abcdef0
SERVER_PID=
DATA=$WORK/data
LEASE=10
LISTEN_ADDRESS=$SERVER_ADDRESS

start_server() {
  if [ "$SERVER" = ganesha ]; then start_ganesha; else start_tarn; fi || return 1
  local deadline=$((SECONDS + 20))
  until (exec 3<>"/dev/tcp/$SERVER_ADDRESS/2049") 2>/dev/null; do
    if ! kill -0 "$SERVER_PID" 2>/dev/null; then
      echo "the server ended; its log:"
      tail "$LOGS/server.log"
      return 1
    fi
    [ $SECONDS -lt $deadline ] || { echo "the server does not listen"; return 1; }
    sleep 0.05
  done
}

# TARN_KERNEL_FLAGS: more flags for it, such as "--log-level debug".
# shellcheck disable=SC2086
start_tarn() {
  [ -x "$BUILD/bin/tarn-server" ] || { echo "$BUILD/bin/tarn-server is not built"; return 1; }
  "$BUILD/bin/tarn-server" --data-dir "$DATA" --listen "$LISTEN_ADDRESS:2049" \
    --file-system-id "$FILE_SYSTEM" --control-socket "$WORK/control.sock" --lease "$LEASE" \
    ${TARN_KERNEL_FLAGS:-} \
    >>"$LOGS/server.log" 2>&1 &
  SERVER_PID=$!
}

start_ganesha() {
  mkdir -p "$DATA/export" "$WORK/ganesha"
  cat >"$WORK/ganesha.conf" <<CONF
NFS_CORE_PARAM { Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; }
NFSV4 { Grace_Period = 5; Lease_Lifetime = 10; RecoveryRoot = $WORK/ganesha; }
EXPORT { Export_Id = 1; Path = $DATA/export; Pseudo = /; Access_Type = RW; Squash = None;
  SecType = sys; Protocols = 4; Transports = TCP; FSAL { Name = VFS; } }
CONF
  ganesha.nfsd -F -f "$WORK/ganesha.conf" -L "$LOGS/server.log" -p "$WORK/ganesha.pid" &
  SERVER_PID=$!
}

stop_server() {
  kill "$SERVER_PID" 2>/dev/null
  wait "$SERVER_PID" 2>/dev/null
}

kill_server() {
  kill -9 "$SERVER_PID" 2>/dev/null
  wait "$SERVER_PID" 2>/dev/null
}

restart_after_kill() {
  kill_server
  echo "kill: $(date +%T.%N)" >>"$LOGS/server.log"
  start_server
}

control() { "$BUILD/bin/tarnctl" --server "unix:$WORK/control.sock" "$@"; }

# make_access_points: two siblings for each client, and their ids in WORK/access-points-VERSION.
make_access_points() {
  local version one two
  for version in "${VERSIONS[@]}"; do
    one=$(make_access_point "/points-$version/one" --quota 64MiB --user 1234:1234 \
      --owner 1234:1234) &&
      two=$(make_access_point "/points-$version/two" --owner 0:0) || return 1
    echo "ONE=$one TWO=$two" >"$WORK/access-points-$version"
  done
}

# make_access_point PATH FLAG...: prints its id.
make_access_point() {
  local path=$1
  shift
  control --output json ap create --fs "$FILE_SYSTEM" --path "$path" "$@" |
    grep -oE -m 1 'fsap-[0-9a-f]+'
}
