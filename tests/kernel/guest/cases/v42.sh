# shellcheck shell=bash
# What only minor version 2 can do: sparse files, clones, copies on the server, extended attributes.

used() { stat -c %b "$1"; }  # blocks of 512 bytes

# as_python CODE: with `os` and helpers.
as_python() { python3 -IS -c "import errno, fcntl, os, sys
$1"; }

case_fallocate() {
  fallocate -l 1000000 data
  same size 1000000 "$(stat -c %s data)"
  [ "$(used data)" -ge 1953 ] || fail "$(used data) blocks are reserved"
  printf 'x' | dd of=data bs=1 seek=500000 conv=notrunc status=none
  drop_caches
  same content "0 120 0" "$(as_python 'd = open("data", "rb").read()
print(d[499999], d[500000], d[999999])')"
  same elsewhere 1000000 "$(peer "stat -c %s data")"
}

case_punch_hole() {
  head -c 1000000 /dev/urandom >"$TMPDIR/data"
  cp "$TMPDIR/data" data
  sync data
  local before
  before=$(used data)
  fallocate --punch-hole -o 100000 -l 500000 data
  dd if=/dev/zero of="$TMPDIR/data" bs=100000 seek=1 count=5 conv=notrunc status=none
  cmp data "$TMPDIR/data"
  drop_caches
  cmp data "$TMPDIR/data"
  same size 1000000 "$(stat -c %s data)"
  [ "$(used data)" -lt $((before - 900)) ] || fail "$before blocks became $(used data)"
  same elsewhere "$(sha256sum <"$TMPDIR/data")" "$(peer "sha256sum <data")"
}

case_seek_hole_and_data() {
  truncate -s 40M data
  printf 'island' | dd of=data bs=1M seek=10 conv=notrunc status=none
  printf 'island' | dd of=data bs=1M seek=30 conv=notrunc status=none
  sync data
  as_python '
f = os.open("data", os.O_RDONLY)
M = 1 << 20
def seek(at, how): return os.lseek(f, at, how)
assert seek(0, os.SEEK_DATA) == 10 * M, seek(0, os.SEEK_DATA)
hole = seek(10 * M, os.SEEK_HOLE)
assert 10 * M < hole <= 10 * M + 65536, hole
assert seek(hole, os.SEEK_DATA) == 30 * M
assert seek(5, os.SEEK_HOLE) == 5
try:
    seek(35 * M, os.SEEK_DATA)
    sys.exit("data behind the last")
except OSError as e:
    assert e.errno == errno.ENXIO, e
'
  cp --sparse=auto --reflink=never data copy
  cmp data copy
  [ "$(used copy)" -lt 2000 ] || fail "the copy has $(used copy) blocks"
}

case_reflink() {
  head -c 5000001 /dev/urandom >data
  sync data
  cp --reflink=always data clone
  cmp data clone
  printf 'only here' | dd of=clone bs=1 seek=1000000 conv=notrunc status=none
  cp data "$TMPDIR/wanted"
  printf 'only here' | dd of="$TMPDIR/wanted" bs=1 seek=1000000 conv=notrunc status=none
  drop_caches
  cmp clone "$TMPDIR/wanted"
  cmp data clone >/dev/null && fail "the clone is the same file"
  local sum
  sum=$(sha256sum <clone)
  rm data
  drop_caches
  same "after its source went" "$sum" "$(sha256sum <clone)"
  same elsewhere "$sum" "$(peer "sha256sum <clone")"
  # Of a range, within a file.
  as_python '
import struct
FICLONERANGE = 0x4020940d
f = os.open("clone", os.O_RDWR)
fcntl.ioctl(f, FICLONERANGE, struct.pack("qQQQ", f, 0, 65536, 1048576 * 4))
os.lseek(f, 0, 0)
head = os.read(f, 65536)
os.lseek(f, 1048576 * 4, 0)
assert head == os.read(f, 65536)
try:
    fcntl.ioctl(f, FICLONERANGE, struct.pack("qQQQ", f, 1, 4096, 1048576))
    sys.exit("a part of a block was cloned")
except OSError as e:
    assert e.errno == errno.EINVAL, e
'
}

case_copy_file_range() {
  head -c 3000000 /dev/urandom >data
  sync data
  as_python '
a, b = os.open("data", os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT)
done = 0
while done < 2000000:
    n = os.copy_file_range(a, b, 2000000 - done, 123 + done, 4567 + done)
    assert n > 0
    done += n
os.fsync(b)
assert os.fstat(b).st_size == 2004567
data, copy = open("data", "rb").read(), open("copy", "rb").read()
assert copy == bytes(4567) + data[123:2000123]
'
  # A long one, which the server may do in the background.
  head -c 40000000 /dev/urandom >long
  sync long
  as_python '
a, b = os.open("long", os.O_RDONLY), os.open("long copy", os.O_RDWR | os.O_CREAT)
done = 0
while done < 40000000:
    n = os.copy_file_range(a, b, 40000000 - done, done, done)
    assert n > 0
    done += n
'
  drop_caches
  cmp long "long copy"
  awk -v at="$T_ROOT" '/^device/ { here = ($5 == at) } here && $1 == "COPY:" { n = $2 }
    END { exit n == 0 }' /proc/self/mountstats || fail "nothing was copied by the server"
}

case_extended_attributes() {
  touch file
  mkdir directory
  as_python '
for path in ("file", "directory"):
    os.setxattr(path, "user.colour", b"red")
    assert os.getxattr(path, "user.colour") == b"red"
    os.setxattr(path, "user.empty", b"")
    os.setxattr(path, "user.large", b"x" * 65536)
    names = sorted(os.listxattr(path))
    assert names == ["user.colour", "user.empty", "user.large"], names
    os.removexattr(path, "user.colour")
    def fails(number, call, *args):
        try:
            call(*args)
        except OSError as e:
            assert e.errno == number, (e, args)
        else:
            sys.exit(f"should have failed: {args}")
    fails(errno.ENODATA, os.getxattr, path, "user.colour")
    fails(errno.ENODATA, os.removexattr, path, "user.colour")
    fails(errno.ENODATA, os.setxattr, path, "user.colour", b"x", os.XATTR_REPLACE)
    fails(errno.EEXIST, os.setxattr, path, "user.empty", b"x", os.XATTR_CREATE)
    fails(errno.E2BIG, os.setxattr, path, "user.large", b"x" * 65537)
    fails(errno.EOPNOTSUPP, os.setxattr, path, "trusted.a", b"x")
'
  # shellcheck disable=SC2016
  same elsewhere "['user.empty', 'user.large']" \
    "$(peer 'python3 -ISc "import os; print(sorted(os.listxattr(\"file\")))"')"
  peer 'python3 -ISc "import os; os.setxattr(\"file\", \"user.theirs\", b\"1\")"'
  drop_caches
  as_python 'assert os.getxattr("file", "user.theirs") == b"1"'
  cp -a --preserve=xattr file copied
  as_python 'assert len(os.getxattr("copied", "user.large")) == 65536'
  chmod 600 file
  echo 'import os; os.setxattr("file", "user.a", b"1")' >set.py
  as_user 99 "$PWD" python3 -IS set.py 2>/dev/null && fail "another one sets it"
  mv file moved
  as_python 'assert os.getxattr("moved", "user.theirs") == b"1"'
}

case_umask() {
  (umask 027; : >new; mkdir dir; mkfifo pipe)
  same modes "640 750 640" "$(stat -c %a new dir pipe | xargs)"
  (umask 0; : >open)
  same mode 666 "$(stat -c %a open)"
}
