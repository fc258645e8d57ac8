# shellcheck shell=bash
# Suite "bench": guest/bench.sh's work with real trees through the kernel's client, by turns on
# Tarn, on NFS-Ganesha as it is, and on Ganesha with synchronous directories (chattr +D), which
# promises what Tarn promises. Prints ratios of medians; fails only when the work fails.
# TARN_KERNEL_ROUNDS (default 3) is the number of turns.

run_bench() {
  SUITE=bench
  local kind
  make_source_tree || { result FAIL "bench: the source tree is packed"; return; }
  for _ in $(seq "${TARN_KERNEL_ROUNDS:-3}"); do
    for kind in tarn ganesha ganesha-sync; do bench_server "$kind" || return; done
  done
  python3 - "$WORK" <<'PYTHON'
import collections, statistics, sys
taken = collections.defaultdict(list)
for kind in ('tarn', 'ganesha', 'ganesha-sync'):
    with open(f'{sys.argv[1]}/bench-{kind}') as lines:
        for line in lines:
            seconds, work = line.split(maxsplit=1)
            taken[(work.strip(), kind)].append(float(seconds))
print('| work, through the kernel client | target | Tarn / Ganesha, equally durable '
      '| Tarn / Ganesha as it is |\n|---|---|---|---|')
for work in dict.fromkeys(work for work, _ in taken):
    own = statistics.median(taken[(work, 'tarn')])
    sync, plain = (statistics.median(taken[(work, kind)]) for kind in ('ganesha-sync', 'ganesha'))
    print(f'| {work} | 1.5 | {sync / own:.2f} | {plain / own:.2f} |')
PYTHON
  result PASS "bench: all work was done"
}

# bench_server KIND: one turn; its lines "SECONDS WORK" go to WORK/bench-KIND.
bench_server() {
  local kind=$1
  SERVER=${kind%-sync}
  rm -rf "$DATA" "$WORK/ganesha" "$WORK"/done-*
  mkdir -p "$DATA/export"
  if [ "$kind" = ganesha-sync ]; then chattr +D "$DATA/export"; fi
  [ "$SERVER" != tarn ] || rm -rf "$DATA"
  start_server || { result FAIL "bench: $kind starts"; return 1; }
  boot_guest 1 bench.sh 900
  if ! wait_guest 1; then result FAIL "bench: the work on $kind"; stop_server; return 1; fi
  stop_server
  cat "$WORK/bench-turn" >>"$WORK/bench-$kind"
}
