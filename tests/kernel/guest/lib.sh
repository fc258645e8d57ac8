# shellcheck shell=bash
# What the cases share, inside a client. A case fails by ending with an error; fail says why.
set -euo pipefail

fail() { echo "    $*" >&2; exit 1; }
# same WHAT WANTED GOT
same() { [ "$2" = "$3" ] || fail "$1: wanted \"$2\", got \"$3\""; }
# refused MESSAGE COMMAND...: the command fails, and says MESSAGE.
refused() {
  local message=$1 output
  shift
  if output=$("$@" 2>&1); then fail "should have failed: $*"; fi
  case $output in *"$message"*) ;; *) fail "$*: wanted \"$message\", got \"$output\"" ;; esac
}
# nap SECONDS: without a process, since those are dear here.
nap() { read -rt "$1" <>/run/never || true; }
# eventually SECONDS COMMAND...
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do [ $SECONDS -lt "$deadline" ] || return 1; nap 0.03; done
}

# nfs_mount PATH DIRECTORY [OPTIONS]
nfs_mount() {
  mkdir -p "$2"
  mount -t nfs4 -o "vers=$VERS,proto=tcp,timeo=100${3:+,$3}" "$T_SERVER:$1" "$2"
}
drop_caches() { sync; echo 3 >/proc/sys/vm/drop_caches; }

# peer COMMAND: runs it in another client, in the same directory of its mount; its output and
# outcome are those of the command. Several run at once there.
peer() {
  local job=$T_WORK/peer-$((T_ID % T_CLIENTS + 1))/$BASHPID-$RANDOM
  printf 'cd %q\n%s\n' "$PWD" "$1" >"$job.new"
  mv "$job.new" "$job.job"
  eventually 60 test -e "$job.status" || fail "the other client does not answer: $1"
  cat "$job.output"
  return "$(<"$job.status")"
}

# locks.py, which holds and tries byte-range locks.
locks() { python3 -IS "$T_HERE/guest/locks.py" "$@"; }

# as_user UID DIRECTORY COMMAND...
as_user() {
  local uid=$1 directory=$2
  shift 2
  setpriv --reuid "$uid" --regid "$uid" --clear-groups bash -c "cd '$directory' && $*"
}
