# shellcheck shell=bash
# Suite "identities": the CSI node plugin and the mount helper with the kernel's client, the tunnel
# and a server that verifies tokens, all in one client machine: its cases are those of
# tests/csi/tls_e2e.cc that need no FUSE, and mount_helper_e2e.cc. The kernel must not take two
# identities' mounts of one server for one.

run_identities() {
  SUITE=identities
  local log="$LOGS/client1-$SUITE.log" case name='[A-Za-z]*E2E\.\([A-Za-z]*\)'
  boot_guest 1 identities.sh 420
  wait_guest 1 || result FAIL "identities: the client comes to its end"
  for case in $(sed -n "s/.*\[       OK \] $name .*/\1/p" "$log"); do
    result PASS "identities: $case"
  done
  for case in $(sed -n "s/.*\[  FAILED  \] $name .*/\1/p" "$log" | sort -u); do
    result FAIL "identities: $case"
    grep -a -B2 -A8 Failure "$log" | head -40
  done
  grep -aq 'PASS\|FAIL' "$WORK/results-$SUITE" || result FAIL "identities: no case was run"
}
