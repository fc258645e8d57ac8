# shellcheck shell=bash
# Suite "identities": the CSI node plugin with the kernel's client, the tunnel and a server that
# verifies tokens, all in one client machine: its cases are those of tests/csi/tls_e2e.cc that need
# no FUSE. The kernel must not take two pods' mounts of one server for one.

run_identities() {
  SUITE=identities
  local log="$LOGS/client1-$SUITE.log" case
  boot_guest 1 identities.sh 240
  wait_guest 1 || result FAIL "identities: the client comes to its end"
  for case in $(sed -n 's/.*\[       OK \] TlsE2E\.\([A-Za-z]*\) .*/\1/p' "$log"); do
    result PASS "identities: $case"
  done
  for case in $(sed -n 's/.*\[  FAILED  \] TlsE2E\.\([A-Za-z]*\) .*/\1/p' "$log" | sort -u); do
    result FAIL "identities: $case"
    grep -a -B2 -A8 Failure "$log" | head -40
  done
  grep -aq 'PASS\|FAIL' "$WORK/results-$SUITE" || result FAIL "identities: no case was run"
}
