#!/bin/bash
# The client of the suite "certificates": what it mounts by one certificate and by the other is
# apart, in each version of the protocol, and outlives the other's connection.
. "$T_HERE/guest/lib.sh"
set +e
results=$T_WORK/results-certificates-1

mount_both() {
  VERS=$1
  nfs_mount / "/run/one-$VERS" port=20001 && nfs_mount / "/run/two-$VERS" port=20002
}

# What is held open by one is as another client's to the other.
each_has_its_own_files() {
  local one=/run/one-$1 two=/run/two-$1
  echo "of one" >"$one/same-$1" && echo "of two, longer" >"$two/same-$1" || return 1
  drop_caches
  same "a file of one" "of one" "$(<"$one/same-$1")"
  same "a file of two" "of two, longer" "$(<"$two/same-$1")"
  echo x >"$one/only-one-$1"
  [ ! -e "$two/only-one-$1" ] || fail "two sees a file of one"
  [ "$(stat -c %d "$one")" != "$(stat -c %d "$two")" ] || fail "they are one file system"
  exec 5<"$one/same-$1" 6<"$two/same-$1"
  mv "$two/same-$1" "$two/moved-$1"
  same "an open file of one" "of one" "$(cat <&5)"
  same "an open file of two" "of two, longer" "$(cat <&6)"
  exec 5<&- 6<&-
}

goes_on_without_the_other() {
  local two=/run/two-$1
  echo "still there" >"$two/after-$1" || return 1
  drop_caches
  same "a file of two" "still there" "$(<"$two/after-$1")"
}

check() {  # check NAME VERSION: the function NAME
  local outcome=FAIL
  (set -e; "$1" "$2")
  [ $? != 0 ] || outcome=PASS
  echo "$outcome certificates: $1 (vers=$2)" >>"$results"
}

for vers in 4.2 4.1 4.0; do
  check mount_both "$vers"
  check each_has_its_own_files "$vers"
done
for vers in 4.2 4.1 4.0; do umount -f "/run/one-$vers"; done
touch "$T_WORK/certificates-drop-one"
eventually 30 test -e "$T_WORK/certificates-dropped-one"
for vers in 4.2 4.1 4.0; do check goes_on_without_the_other "$vers"; done
cd /run && timeout 60 umount -a -t nfs4 || echo "FAIL certificates: unmounts" >>"$results"
exit 0
