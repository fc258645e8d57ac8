# shellcheck shell=bash
# The network of the test: a bridge with a tap device for each client. The server listens on the
# bridge's address. It lies in the network namespace that run.sh made, and ends with it.
SERVER_ADDRESS=192.0.2.1
# The protocol version that each client works with; a suite may have its own.
VERSIONS=([1]=4.1 [2]=4.0 [3]=4.2)
CLIENTS_MAX=4
export SERVER_ADDRESS

client_address() { echo "192.0.2.$((10 + $1))"; }

# TARN_KERNEL_CAPTURE=1 keeps the heads of all packets, to look into a failure.
capture_packets() {
  local id
  for id in "${!VERSIONS[@]}"; do
    tcpdump -q -Z root -i "tap$id" -s 512 -w "$LOGS/client$id.pcap" >/dev/null 2>&1 &
  done
}

make_network() {
  local id
  ip link set lo up && ip link add br0 type bridge &&
    ip addr add "$SERVER_ADDRESS/24" dev br0 && ip link set br0 up || return 1
  for ((id = 1; id <= CLIENTS_MAX; ++id)); do
    ip tuntap add "tap$id" mode tap && ip link set "tap$id" master br0 up || return 1
  done
}
