#!/usr/bin/env bash
# build.sh: builds the key providers that tests/keys needs as peers (HashiCorp Vault, a key
# management plugin of Kubernetes) from Go modules into the cache, and prints the directory they are
# in: minutes from nothing, then a look-up.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cluster/common.sh"
key=$(find "$here/vault" "$here/kms-plugin" -type f -print0 | sort -z | xargs -0 sha256sum |
  sed "s#$here##" | sha256sum | cut -c1-16)
out=$CACHE/keys-$key
if [ ! -f "$out/complete" ]; then
  mkdir -p "$out"
  exec 9>"$out/lock"; flock 9
  need_go >&2
  for program in kms-plugin vault; do
    CGO_ENABLED=0 go -C "$here/$program" build -mod=readonly -trimpath -ldflags '-s -w' \
      -o "$out/$program" . >&2
  done
  touch "$out/complete"
fi
echo "$out"
