#!/usr/bin/env bash
# Makes the images that a cluster of ours needs beside Tarn's own, under their public names, from
# the programs in the cache and the distribution's busybox. Kept in the cache.
set -euo pipefail
. "$(dirname "$0")/common.sh"
images=$BIN/images
[ -f "$images/complete" ] && exit 0
mkdir -p "$images"
root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
# Each: a fresh root with the program, and its public name and version.
image() { # image OUT NAME:TAG PROGRAM [AS]
  rm -rf "${root:?}"/*; mkdir -p "$root/tmp"; chmod 1777 "$root/tmp"
  install -m 755 "$3" "$root/${4:-$(basename "$3")}"
  "$CLUSTER_SRC/image.py" "$root" "$2" "$images/$1.tar" "/${4:-$(basename "$3")}"
}
version_of() { sed -n "s#^\t$2 v\([^ ]*\).*#\1#p" "$CLUSTER_SRC/tools/$1/go.mod"; }
image pause localhost/pause:1 "$BIN/pause"
for sidecar in provisioner:external-provisioner/v6 resizer:external-resizer/v2; do
  tool=${sidecar%%:*}
  version=$(version_of "$tool" "github.com/kubernetes-csi/${sidecar#*:}")
  image "$tool" "registry.k8s.io/sig-storage/csi-$tool:v$version" "$BIN/csi-$tool"
done
rm -rf "${root:?}"/*; mkdir -p "$root"/{bin,tmp,etc,www}; chmod 1777 "$root/tmp"
for applet in $(/bin/busybox --list); do ln -sf busybox "$root/bin/$applet"; done
rm -f "$root/bin/busybox"
install -m 755 /bin/busybox "$root/bin/busybox"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
version=$(/bin/busybox | sed -n '1s/BusyBox v\([0-9]*\.[0-9]*\).*/\1/p')
[ "$version" = 1.35 ] || die "the examples name busybox:1.35, the distribution has $version"
"$CLUSTER_SRC/image.py" "$root" "docker.io/library/busybox:1.35" "$images/busybox.tar"
touch "$images/complete"
