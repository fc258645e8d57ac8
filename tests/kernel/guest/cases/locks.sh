# shellcheck shell=bash
# Locks between two clients.

# hold_lock KIND [START LENGTH]: takes it in the background; HOLDER is its pid.
hold_lock() {
  FLAG=$(mktemp -u "$TMPDIR/held.XXXXXX")
  python3 -IS "$T_HERE/guest/locks.py" hold "$1" file "${@:2}" "$FLAG" &
  HOLDER=$!
  eventually 20 test -e "$FLAG" || fail "the lock is not had"
}
release_lock() { touch "$FLAG.release"; wait "$HOLDER"; }

case_fcntl_locks() {
  touch file
  hold_lock write 0 100
  peer "locks try write file 0 10" && fail "two have the lock"
  peer "locks try read file 99 1" && fail "a reader beside a writer"
  peer "locks try write file 100 10" || fail "another range is refused"
  release_lock
  peer "locks try write file 0 10" || fail "the lock is not let go"
  hold_lock read 0 100
  peer "locks try read file 0 100" || fail "two readers"
  peer "locks try write file 50 1" && fail "a writer beside a reader"
  release_lock
}

case_flock() {
  touch file
  hold_lock flock
  peer "locks try flock file" && fail "two have the lock"
  peer "flock -n file true" && fail "two have the lock"
  release_lock
  peer "locks try flock file" || fail "the lock is not let go"
}

case_waiting_for_a_lock() {
  touch file
  hold_lock write 0 0
  peer "locks wait write file 0 0" &
  local waiter=$!
  sleep 1
  kill -0 $waiter || fail "it did not wait"
  release_lock
  wait $waiter || fail "it did not get the lock"
}

case_locks_of_the_dead() {
  touch file
  hold_lock write 0 0
  peer "locks try write file 0 0" && fail "two have the lock"
  kill -9 "$HOLDER"
  wait "$HOLDER" || true
  eventually 10 peer "locks try write file 0 0" || fail "a dead process keeps its lock"
}

# Each of two clients adds to a counter under a lock: no addition is lost.
case_counting_under_a_lock() {
  echo 0 >file
  local script='for i in $(seq 25); do
    exec 7<>file; flock 7
    n=$(cat file); echo $((n + 1)) >file
    exec 7<&-
  done'
  peer "$script" &
  local other=$!
  eval "$script"
  wait $other
  same count 50 "$(cat file)"
}
