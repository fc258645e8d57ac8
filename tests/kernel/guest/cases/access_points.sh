# shellcheck shell=bash
# Access points: SERVER:/fsap-... of two siblings, ONE (64 MiB, user 1234) and TWO; each version of
# the protocol has its own.
# shellcheck source=/dev/null
. "$T_WORK/access-points-$VERS"

# enter ID: mounts it at ./ID and goes there. nosharecache: the tests look at what is on the server.
enter() {
  local at=/run/points/$VERS/$1
  mountpoint -q "$at" || nfs_mount "/$1" "$at" nosharecache
  cd "$at" || fail "no $at"
}

case_access_point_has_its_own_root() {
  enter "$TWO"
  mkdir -p d/e
  echo inside >d/file
  ln -sfn ../../../.. d/e/out
  cd d/e || fail 'no d/e'
  same "above d/e" "e file" "$(ls .. | sort | tr '\n' ' ' | sed 's/ $//')"
  same above "$(stat -c %i "/run/points/$VERS/$TWO")" "$(stat -c %i ../..)"
  enter "$TWO"
  same root "d" "$(ls)"
  # On the file system's own mount it is a directory below /points-4.x, and a name in the root that
  # no listing shows.
  same "by its path" inside "$(cat "$T_ROOT/points-$VERS/two/d/file")"
  same "by its name" inside "$(cat "$T_ROOT/$TWO/d/file")"
  rm -r d
}

case_access_point_replaces_the_user() {
  enter "$ONE"
  rm -rf mine
  mkdir mine
  touch mine/file
  same owner 1234:1234 "$(stat -c %u:%g mine/file)"
  refused "not permitted" chown 0:0 mine/file
  same "on the server" 1234:1234 "$(stat -c %u:%g "$T_ROOT/points-$VERS/one/mine/file")"
  rm -r mine
}

case_access_point_shows_its_quota() {
  enter "$ONE"
  rm -rf ./*
  drop_caches
  same size 65536 "$(df -k --output=size . | tail -n 1 | tr -d ' ')"
  dd if=/dev/zero of=data bs=1M count=16 conv=fsync status=none
  drop_caches
  local used
  used=$(df -k --output=used . | tail -n 1 | tr -d ' ')
  { [ "$used" -ge 16384 ] && [ "$used" -le 17408 ]; } || fail "df shows $used KiB in use"
  rm data
}

case_quota_exceeded() {
  enter "$ONE"
  rm -rf ./*
  refused "Disk quota exceeded" dd if=/dev/zero of=big bs=1M count=80 conv=fsync
  local size
  size=$(du -k big | cut -f1)
  [ "$size" -le 65536 ] || fail "$size KiB are there"
  refused "Disk quota exceeded" dd if=/dev/zero of=more bs=1M count=64 conv=fsync
  rm -f big more
  dd if=/dev/zero of=again bs=1M count=32 conv=fsync status=none
  rm again
}

case_siblings_are_apart() {
  enter "$TWO"
  echo two >only-here
  enter "$ONE"
  [ ! -e only-here ] || fail "a sibling's file is seen"
  refused "No such file" ls "$TWO"
  rm -f "/run/points/$VERS/$TWO/only-here"
  # Between access points as between disks: copied, not renamed.
  touch "$T_ROOT/points-$VERS/one/file"
  refused "cross-device" python3 -c "import os; os.rename(
    '$T_ROOT/points-$VERS/one/file', '$T_ROOT/points-$VERS/two/file')"
  rm "$T_ROOT/points-$VERS/one/file"
}

case_unknown_ids_do_not_mount() {
  local id
  for id in fsap-00000000000000bad fs-00000000000000bad no/such/directory; do
    refused "No such file or directory" timeout 20 mount -t nfs4 -o "vers=$VERS" \
      "$T_SERVER:/$id" /mnt
  done
}

# What the CSI node plugin does on a node whose kernel has an NFS client: mount(2) by itself.
case_csi_mounts_it_by_the_kernel() {
  local at=/run/points/$VERS/csi csi="$T_BIN/tarn-csi helper"
  $csi mount-nfs "$T_SERVER:2049" "/$ONE" "$at" "vers=$VERS" nosuid nosharecache || fail "mount"
  grep -q " $at nfs4 rw,nosuid,.*vers=$VERS,.*noresvport" /proc/mounts || fail "$(cat /proc/mounts)"
  touch "$at/by-csi"
  $csi check "$at" || fail "check"
  local block blocks more
  # shellcheck disable=SC2034
  read -r block blocks more <<<"$($csi statfs "$at")"
  same size $((64 << 20)) $((block * blocks))
  $csi bind "$at" "$at-ro" ro || fail "bind"
  refused "Read-only file system" rm "$at-ro/by-csi"
  rm "$at/by-csi"
  $csi umount "$at-ro" rmdir && $csi umount "$at" rmdir || fail "umount"
  [ ! -e "$at" ] || fail "$at is still there"
  refused "no such export" \
    $csi mount-nfs "$T_SERVER:2049" /fsap-00000000000000000 "$at" "vers=$VERS"
}
