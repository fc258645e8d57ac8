#!/usr/bin/env bash
# Installs every distribution package that building and testing needs. Quick when all are there.
set -euo pipefail
packages=(
  build-essential cmake ninja-build ccache mold clang-format clang-tidy pkg-config python3 git
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libcpprest-dev libboost-dev libboost-system-dev 
  libspdlog-dev libgtest-dev libgmock-dev libssl-dev nlohmann-json3-dev
  libcivetweb-dev libcli11-dev librocksdb-dev libnfs-dev libfuse3-dev
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
  $sudo apt-get update -q && $sudo apt-get install -q -y --no-install-recommends "${missing[@]}" && exit 0
  echo "deps: attempt $attempt failed" >&2
done
echo "deps: could not install: ${missing[*]}" >&2
exit 1
