# shellcheck shell=bash
# Names and trees of them.

case_rename() {
  echo one >a
  mv a b
  same content one "$(cat b)"
  echo two >c
  mv c b
  same content two "$(cat b)"
  mkdir -p d/e f
  mv b d/e/b
  mv d/e f/e
  same content two "$(cat f/e/b)"
  refused "subdirectory of itself" mv f f/e/f
  mkdir g
  touch g/x
  refused "not empty" mv -T d g
  python3 - <<'EOF'
import errno, os
def code(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0
os.mkdir("empty")
open("file", "w").close()
assert code(os.rename, "file", "empty") == errno.EISDIR
assert code(os.rename, "empty", "file") == errno.ENOTDIR
assert code(os.rename, "f", "g") == errno.ENOTEMPTY
assert code(os.rename, "none", "x") == errno.ENOENT
assert code(os.rename, "f", "empty") == 0
assert code(os.rmdir, "g") == errno.ENOTEMPTY
EOF
  same "seen elsewhere" two "$(peer "cat empty/e/b")"
}

case_hard_links() {
  echo text >a
  ln a b
  mkdir d
  ln a d/c
  same links 3 "$(stat -c %h a)"
  same inode "$(stat -c %i a)" "$(stat -c %i d/c)"
  echo more >>d/c
  same content "text more" "$(tr '\n' ' ' <b | sed 's/ $//')"
  rm a
  same links 2 "$(stat -c %h b)"
  refused "File exists" ln b d/c
  refused "not allowed for directory" ln d e
}

case_symlinks() {
  mkdir d
  echo text >d/file
  ln -s d/file link
  ln -s no-such-file dangling
  same target d/file "$(readlink link)"
  same through text "$(cat link)"
  refused "No such file" cat dangling
  same size 6 "$(stat -c %s link)"
  rm link
  same content text "$(cat d/file)"
  local long
  long=$(printf 'd/../%.0s' {1..600})d/file
  ln -s "$long" long
  drop_caches
  same "long target" "$long" "$(readlink long)"
}

case_directory_of_10000() {
  python3 -I "$T_HERE/guest/many.py" make 10000
  drop_caches
  same listed 10000 "$(find many -mindepth 1 -printf x | wc -c)"
  same elsewhere 10000 "$(peer "find many -name 'n*' | sort -u | wc -l")"
  python3 -I "$T_HERE/guest/many.py" remove 10000
  rmdir many
}

case_remove_tree() {
  mkdir -p tree/{a,b,c}/{d,e,f}
  touch tree/{a,b,c}/{d,e,f}/{1,2,3}
  refused "not empty" rmdir tree
  same files 27 "$(find tree -type f | wc -l)"
  rm -r tree
  same left "" "$(ls -A)"
}

# What one client makes, the other sees when it opens.
case_close_to_open() {
  local i
  for i in 1 2 3; do
    echo "version $i" >shared
    same "elsewhere, $i" "version $i" "$(peer "cat shared")"
    peer "echo 'answer $i' >shared"
    same "here, $i" "answer $i" "$(cat shared)"
  done
  peer "mkdir there; touch there/file"
  eventually 70 test -e there/file || fail "a new name is not seen"
}
