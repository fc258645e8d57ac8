# shellcheck shell=bash
# What one client keeps of a file, another may change: with --delegations it is recalled first, and
# without them close-to-open holds. Either way nobody sees what is not so any more.

case_a_reader_sees_the_other_write() {
  echo one >file
  same "first" one "$(cat file)"
  peer "echo two >file"
  same "after the other wrote" two "$(cat file)"
  peer "echo three >>file"
  same "after the other appended" "two three" "$(paste -sd' ' file)"
}

case_an_open_file_is_changed_by_the_other() {
  echo one >file
  exec 7<file
  same "first" one "$(cat <&7)"
  peer "echo two >file" || fail "the other cannot write what is open here"
  exec 7<&-
  same "after the other wrote" two "$(cat file)"
}

case_the_other_reads_what_is_written_here() {
  exec 7>file
  echo written >&7
  sync file
  same "while it is open" written "$(peer "cat file")"
  echo more >&7
  exec 7>&-
  same "when it is closed" "written more" "$(peer "paste -sd' ' file")"
}

case_the_other_removes_and_renames() {
  for name in a b c; do echo $name >$name; cat $name >/dev/null; done
  peer "rm a && mv b d && mv -f c d"
  same "what is left" d "$(ls)"
  same "its content" c "$(cat d)"
}

case_the_other_sees_the_mode() {
  echo text >file
  chmod 600 file
  exec 7<file
  same "mode" 600 "$(peer "stat -c %a file")"
  peer "chmod 640 file"
  exec 7<&-
  same "changed mode" 640 "$(stat -c %a file)"
}
