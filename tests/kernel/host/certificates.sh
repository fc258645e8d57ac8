# shellcheck shell=bash
# Suite "certificates": one client mounts by two certificates, each for an access point of its own,
# as a node does for two pods. Its kernel has one name, and must not take the two for one server
# (guest/certificates.sh). TLS is stunnel's, a process for each certificate.
declare -A TUNNEL_PID

run_certificates() {
  SUITE=certificates
  local VERSIONS=([1]=4.2) TARN_KERNEL_FLAGS="--tls-dir $WORK/tls" LEASE=10 which
  make_authority || { result FAIL "certificates: the server's is made"; return; }
  start_server || { result FAIL "certificates: the server starts"; return; }
  for which in one two; do
    start_tunnel $which "$(make_access_point "/$which" --owner 0:0)" ||
      { result FAIL "certificates: access point $which has a tunnel"; return; }
  done
  boot_guest 1 certificates.sh 200
  if await certificates-drop-one 180; then kill "${TUNNEL_PID[one]}"; fi
  touch "$WORK/certificates-dropped-one"
  wait_guest 1 || result FAIL "certificates: the client comes to its end"
  cat "$WORK/results-certificates-1"
  cat "$WORK/results-certificates-1" >>"$WORK/results-certificates"
  kill "${TUNNEL_PID[@]}" 2>/dev/null
  stop_server
  rm -rf "$DATA" "$WORK"/done-* "$WORK/results-certificates-1"
}

new_certificate() {  # new_certificate FILE FLAG...: FILE.crt and FILE.key
  local file=$1
  shift
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test" \
    -keyout "$file.key" -out "$file.crt" "$@" 2>/dev/null
}

make_authority() {
  mkdir -p "$WORK/tls" && new_certificate "$WORK/tls/tls" -addext "subjectAltName=DNS:server" &&
    cp "$WORK/tls/tls.crt" "$WORK/tls/ca.crt"
}

# start_tunnel NAME ACCESS_POINT: listens on 192.0.2.1, port 20001 or 20002.
start_tunnel() {
  local name=$1 point=$2 deadline=$((SECONDS + 20)) port=20001
  [ "$name" = one ] || port=20002
  new_certificate "$WORK/$name" -addext "1.3.6.1.4.1.4843.7.1=ASN1:UTF8String:$point" || return 1
  cat >"$WORK/$name.conf" <<CONF
foreground = quiet
pid =
client = yes
[nfs]
accept = $SERVER_ADDRESS:$port
connect = $SERVER_ADDRESS:2049
cert = $WORK/$name.crt
key = $WORK/$name.key
verifyChain = yes
CAfile = $WORK/tls/ca.crt
CONF
  stunnel "$WORK/$name.conf" >>"$LOGS/stunnel-$name.log" 2>&1 &
  TUNNEL_PID[$name]=$!
  until (exec 3<>"/dev/tcp/$SERVER_ADDRESS/$port") 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.05
  done
}
