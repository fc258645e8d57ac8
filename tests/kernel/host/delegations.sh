# shellcheck shell=bash
# Suite "delegations": those of the cases in which clients meet, or a client keeps much of a file to
# itself, on a file system that gives delegations.

. "$HERE/host/cases.sh"

run_delegations() {
  local DELEGATIONS=1 ONLY='@(*_other*|fcntl_locks|locks_of_the_dead|mmap|truncate|open_unlinked'
  ONLY+='|fallocate|reflink|copy_file_range)'
  if [ -e "$WORK/results-cases" ]; then mv "$WORK/results-cases" "$WORK/results-earlier"; fi
  rm -f "$WORK"/cases-done-*
  run_cases
  sed 's/^\(PASS\|FAIL\) /&with delegations: /' "$WORK/results-cases" >"$WORK/results-delegations"
  rm "$WORK/results-cases"
}
