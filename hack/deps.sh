#!/usr/bin/env bash
# deps.sh [GROUP...]: installs the distribution packages of these groups (default: all). Quick when
# all are there.
#   build: to compile everything    cluster: to run a Kubernetes here    test: what the suites drive
set -euo pipefail
build=(
  build-essential cmake ninja-build ccache mold pkg-config python3 git
  clang libclang-rt-dev clang-format clang-tidy
  libgrpc++-dev libprotobuf-dev libcurl4-openssl-dev protobuf-compiler protobuf-compiler-grpc
  libcpprest-dev libboost-dev libboost-system-dev
  libspdlog-dev libgtest-dev libgmock-dev libssl-dev nlohmann-json3-dev libyaml-dev
  libcivetweb-dev prometheus-cpp-dev libcli11-dev librocksdb-dev libisal-dev libnfs-dev libfuse3-dev
  libjose-dev libjansson-dev libgcrypt20-dev valgrind
)
cluster=(
  runc containernetworking-plugins nftables iproute2 bc openssl curl ca-certificates
  busybox-static procps
  python3 python3-venv gcc libc6-dev git util-linux
)
test=(
  shellcheck user-mode-linux kmod iproute2 nfs-common nfs-ganesha nfs-ganesha-vfs fuse3 git curl
  openssl stunnel4
  procps
)

[ $# -gt 0 ] || set -- build cluster test
packages=()
for group; do
  declare -n list="$group"
  packages+=("${list[@]}")
done
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok' ||
    missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
  $sudo apt-get update -q &&
    $sudo apt-get install -q -y --no-install-recommends "${missing[@]}" && exit 0
  echo "deps: attempt $attempt failed" >&2
done
echo "deps: could not install: ${missing[*]}" >&2
exit 1
