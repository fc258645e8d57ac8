#!/bin/bash
# The client of the suite "bench": real work on real trees, timed.
. "$T_HERE/guest/lib.sh"
set +e
VERS=4.1
turn=$T_WORK/bench-turn
: >"$turn"

timed() {  # timed WORK COMMAND...
  local work=$1 begin=$EPOCHREALTIME
  shift
  "$@" || exit 1
  echo "$(echo "scale=3; $EPOCHREALTIME - $begin" | bc) $work" >>"$turn"
}

nfs_mount / /run/nfs || exit 1
# A server in grace lets nobody make files.
eventually 60 mkdir /run/nfs/work || exit 1
eventually 60 touch /run/nfs/work/first || exit 1
cd /run/nfs/work || exit 1
mkdir tree
# shellcheck disable=SC2016
timed '`git clone` of this repository' git clone -q "$T_WORK/repository.git" clone
# shellcheck disable=SC2016
timed '`tar x`' tar -C tree -xf "$T_WORK/tree.tar"
# shellcheck disable=SC2016
timed '`rm -rf` of both' rm -rf clone tree
cd /run && umount /run/nfs
exit 0
