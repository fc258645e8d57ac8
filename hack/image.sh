#!/usr/bin/env bash
# image.sh [OUT.tar]: makes Tarn's one container image from build/release/bin, without a container
# engine. Prints its name. The same content as deploy/images/Containerfile makes: the programs, the
# libraries that they load, nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/images/tarn.tar}
bin=build/release/bin
name=localhost/tarn:$(cat VERSION)
programs=(tarn-server tarn-csi tarn-tunnel tarn-operator tarnctl mount.tarn)
image_bytes_max=100000000

root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{usr/bin,usr/lib/tarn,etc,tmp,var,run,proc,sys,dev,data} "$(dirname "$out")"
chmod 1777 "$root/tmp"
for program in "${programs[@]}"; do
  [ -x "$bin/$program" ] || { echo "image: $bin/$program is not built" >&2; exit 1; }
  strip -o "$root/usr/bin/$program" "$bin/$program"
done
ln -s mount.tarn "$root/usr/bin/mount.efs"  # as mount(8) finds it for "-t efs"
# Every library by its resolved file, under the names that the loader asks for.
loader=$(readelf -p .interp "$bin/tarn-server" | sed -n 's/.* \(\/.*\)$/\1/p')
mkdir -p "$root$(dirname "$loader")"
cp -L "$loader" "$root$loader"
for program in "${programs[@]}"; do ldd "$bin/$program"; done |
  sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\) .*/\1 \2/p' | sort -u | while read -r soname file; do
    strip -o "$root/usr/lib/tarn/$soname" "$(readlink -f "$file")" 2>/dev/null ||
      cp -L "$file" "$root/usr/lib/tarn/$soname"
  done
echo /usr/lib/tarn >"$root/etc/ld.so.conf"
ldconfig -r "$root" 2>/dev/null
printf '%s\n' root:x:0:0:root:/:/sbin/nologin tarn:x:65532:65532:tarn:/:/sbin/nologin \
  >"$root/etc/passwd"
printf 'root:x:0:\ntarn:x:65532:\n' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

hack/cluster/image.py "$root" "$name" "$out" --user 65532:65532
bytes=$(stat -c %s "$out")
if [ "$bytes" -ge $image_bytes_max ]; then
  echo "image: $bytes bytes, more than $image_bytes_max" >&2
  exit 1
fi
