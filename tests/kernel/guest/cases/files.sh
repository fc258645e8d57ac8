# shellcheck shell=bash
# One file at a time.

case_write_and_read() {
  head -c 3000000 /dev/urandom >"$TMPDIR/data"
  cp "$TMPDIR/data" data
  drop_caches
  cmp data "$TMPDIR/data"
  same size 3000000 "$(stat -c %s data)"
  printf 'over' | dd of=data bs=1 seek=1000000 conv=notrunc status=none
  printf 'over' | dd of="$TMPDIR/data" bs=1 seek=1000000 conv=notrunc status=none
  printf 'at the end' | tee -a data >>"$TMPDIR/data"
  drop_caches
  cmp data "$TMPDIR/data"
  same "checksum elsewhere" "$(sha256sum data)" "$(peer "sha256sum data")"
}

case_create() {
  (umask 027; : >new)
  same mode 640 "$(stat -c %a new)"
  same owner 0:0 "$(stat -c %u:%g new)"
  set -o noclobber
  # shellcheck disable=SC2016
  refused "cannot overwrite" bash -c 'set -o noclobber; : >new'
  : >|new
  refused "File exists" mkdir new
  mkfifo pipe
  same type fifo "$(stat -c %F pipe)"
  python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
  same type socket "$(stat -c %F socket)"
  touch "$(printf 'n%.0s' {1..255})"
  refused "File name too long" touch "$(printf 'n%.0s' {1..256})"
  touch $'odd name \n\xff'
  same names 5 "$(find . -mindepth 1 -printf x | wc -c)"
}

case_truncate() {
  printf 0123456789 >data
  truncate -s 4 data
  same content 0123 "$(cat data)"
  truncate -s 8 data
  drop_caches
  same content 30313233000000000 "$(xxd -p data 2>/dev/null || od -An -tx1 data | tr -d ' \n')0"
  truncate -s 0 data
  same size 0 "$(stat -c %s data)"
  # Through a descriptor of a file that nobody may open for writing any more.
  python3 - <<'EOF'
import os
file = os.open("sealed", os.O_RDWR | os.O_CREAT, 0o444)
os.write(file, b"0123456789")
os.ftruncate(file, 3)
os.fsync(file)
assert os.fstat(file).st_size == 3
EOF
}

case_chmod_and_chown() {
  touch file
  chmod 4751 file
  same mode 4751 "$(stat -c %a file)"
  chown 1234:5678 file
  same owner 1234:5678 "$(stat -c %u:%g file)"
  chmod 600 file
  as_user 99 "$PWD" cat file && fail "another one reads it"
  as_user 1234 "$PWD" cat file
  as_user 99 "$PWD" chmod 777 file 2>/dev/null && fail "another one changes its mode"
  touch -d '2001-02-03 04:05:06.789 UTC' file
  drop_caches
  same mtime 981173106 "$(stat -c %Y file)"
  same nanoseconds 789000000 "$(date -u -r file +%N)"
  mkdir -m 1777 sticky
  as_user 99 "$PWD" touch sticky/mine
  as_user 98 "$PWD" rm -f sticky/mine 2>/dev/null && fail "the sticky bit does not hold"
  as_user 99 "$PWD" rm sticky/mine
  mkdir shared
  chgrp 4321 shared
  chmod 2777 shared
  as_user 99 "$PWD" mkdir shared/below
  same group 4321 "$(stat -c %g shared/below)"
  same setgid 2 "$(stat -c %a shared/below | cut -c 1)"
}

case_open_unlinked() {
  python3 - "$PWD" <<'EOF'
import os
file = os.open("data", os.O_RDWR | os.O_CREAT, 0o600)
os.write(file, b"before")
os.unlink("data")
os.write(file, b" after")
os.fsync(file)
assert os.pread(file, 100, 0) == b"before after"
os.close(file)
EOF
  # Removed by the other client: no .nfs name keeps it, the server's pin does.
  echo kept >elsewhere
  exec 5<elsewhere
  peer "rm elsewhere"
  same "after the other client removed it" kept "$(cat <&5)"
  exec 5<&-
  same "names left" "" "$(ls -A)"
}

case_sparse_file() {
  truncate -s 4G sparse
  printf middle | dd of=sparse bs=1M seek=2048 conv=notrunc status=none
  printf end >>sparse
  drop_caches
  same size 4294967299 "$(stat -c %s sparse)"
  local used
  used=$(du -k sparse | cut -f1)
  [ "$used" -le 4096 ] || fail "du shows $used KiB"
  [ "$used" -ge 4 ] || fail "du shows $used KiB"
  same middle middle "$(dd if=sparse bs=1M skip=2048 count=1 status=none | head -c 6)"
  same end end "$(tail -c 3 sparse)"
  same hole 0 "$(dd if=sparse bs=1M skip=1000 count=4 status=none | tr -d '\0' | wc -c)"
  truncate -s 0 sparse
  same "space after the cut" 0 "$(du -k sparse | cut -f1)"
}

case_fsync_and_direct() {
  dd if=/dev/urandom of="$TMPDIR/data" bs=64k count=16 status=none
  dd if="$TMPDIR/data" of=synced bs=64k conv=fsync status=none
  dd if="$TMPDIR/data" of=osync bs=64k oflag=sync status=none
  dd if="$TMPDIR/data" of=direct bs=64k oflag=direct status=none
  local file
  for file in synced osync direct; do cmp "$file" "$TMPDIR/data"; done
  same direct "$(sha256sum <"$TMPDIR/data")" \
    "$(dd if=direct bs=64k iflag=direct status=none | sha256sum)"
}

case_mmap() {
  python3 - <<'EOF'
import mmap, os
file = os.open("data", os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(file, 100000)
with mmap.mmap(file, 100000) as memory:
    memory[50000:50005] = b"hello"
    memory.flush()
assert os.pread(file, 5, 50000) == b"hello"
EOF
  same elsewhere hello "$(peer "dd if=data bs=1 skip=50000 count=5 status=none")"
}
