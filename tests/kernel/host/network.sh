# shellcheck shell=bash
# The network of the test: a bridge with a tap device for each client. The server listens on the
# bridge's address. It lies in the network namespace that run.sh made, and ends with it.
SERVER_ADDRESS=192.0.2.1
# The protocol version that each client works with.
VERSIONS=([1]=4.1 [2]=4.0 [3]=4.2)
export SERVER_ADDRESS

client_address() { echo "192.0.2.$((10 + $1))"; }

make_network() {
  local id
  ip link set lo up && ip link add br0 type bridge &&
    ip addr add "$SERVER_ADDRESS/24" dev br0 && ip link set br0 up || return 1
  for id in "${!VERSIONS[@]}"; do
    ip tuntap add "tap$id" mode tap && ip link set "tap$id" master br0 up || return 1
  done
}
