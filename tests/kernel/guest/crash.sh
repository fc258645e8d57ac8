#!/bin/bash
# One of the clients, each over its version T_VERS, that work while the server is killed, or their
# connections: trees are unpacked and compared, a repository is cloned and checked, and journal.py
# makes names and bytes and writes down, outside of the mount, what the server acknowledged. No
# command may fail. T_SECOND: another address of the server, to trunk sessions with.
. "$T_HERE/guest/lib.sh"
set +e
VERS=$T_VERS
results=$T_WORK/results-$T_SUITE-$T_ID
work=/run/nfs/work-$T_ID

result() { echo "$1 $T_SUITE: $2 (vers=$VERS${T_OPTIONS:+,$T_OPTIONS})" >>"$results"; }

unpack_trees() {
  local round=0
  while [ ! -e "$T_WORK/$T_SUITE-stop" ]; do
    mkdir "$work/tree" && tar -C "$work/tree" -xf "$T_WORK/tree.tar" &&
      (cd "$work/tree" && sha256sum --quiet -c "$T_WORK/tree.sums") &&
      rm -r "$work/tree" || return 1
    round=$((round + 1))
  done
  echo "trees: $round rounds"
}

clone_repositories() {
  local round=0
  while [ ! -e "$T_WORK/$T_SUITE-stop" ]; do
    git clone -q "$T_WORK/repository.git" "$work/clone" &&
      git -C "$work/clone" fsck --full &&
      [ -z "$(git -C "$work/clone" status --porcelain)" ] &&
      rm -rf "$work/clone" || return 1
    round=$((round + 1))
  done
  echo "clones: $round rounds"
}

mount_all() {
  nfs_mount / /run/nfs "$T_OPTIONS" || return 1
  [ -z "$T_SECOND" ] || T_SERVER=$T_SECOND nfs_mount / /run/second "$T_OPTIONS"
}

unmount_all() {
  timeout 60 umount /run/nfs || result FAIL "unmounts"
  [ -z "$T_SECOND" ] || timeout 60 umount /run/second || result FAIL "unmounts the second address"
}

mount_all || { result FAIL "mounts"; exit 0; }
mkdir "$work" "$work/names"
python3 -I "$T_HERE/guest/journal.py" work "$work/names" "$T_WORK/journal-$T_ID" \
  "$T_WORK/$T_SUITE-stop" &
names=$!
unpack_trees &
trees=$!
clone_repositories &
clones=$!
touch "$T_WORK/$T_SUITE-ready-$T_ID"
for worker in names trees clones; do
  if wait ${!worker}; then result PASS "$worker: no error"; else result FAIL "$worker: no error"; fi
done
unmount_all
touch "$T_WORK/$T_SUITE-idle-$T_ID"
eventually 120 test -e "$T_WORK/$T_SUITE-verify"
mount_all || result FAIL "mounts again"
if python3 -I "$T_HERE/guest/journal.py" verify "$work/names" "$T_WORK/journal-$T_ID"; then
  result PASS "every acknowledged name and byte is there"
else
  result FAIL "every acknowledged name and byte is there"
fi
unmount_all
exit 0
