#!/usr/bin/env python3
"""Counts with callgrind the instructions of some NFS calls and compares them with those recorded.

Fails when one has grown by more than 5 %. After a change that is worth its cost:
tests/instructions/run.py --record, and commit recorded.json with it. Counts are medians of several
runs: the database's own random numbers move those of CREATE by 2 %."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

GROWTH_MAX = 0.05
RUNS = 3
RUNS_TO_RECORD = 7
HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, 'recorded.json')
# The same variants of memcpy and its like on every processor.
TUNABLES = 'glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM'


def count(program):
    """Instructions of one call, by name."""
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, 'out')
        environment = dict(os.environ, GLIBC_TUNABLES=TUNABLES)
        done = subprocess.run(
            ['setarch', '-R', 'valgrind', '-q', '--tool=callgrind', '--collect-atstart=no',
             f'--callgrind-out-file={out}', program],
            capture_output=True, text=True, env=environment, timeout=900, check=False)
        if done.returncode != 0:
            raise SystemExit(f'{program} failed: {done.stderr}')
        calls = dict(line.split() for line in done.stdout.splitlines())
        counts = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name)) as f:
                text = f.read()
            trigger = re.search(r'^desc: Trigger: Client Request: (\w+)$', text, re.M)
            total = re.search(r'^(?:totals|summary): (\d+)', text, re.M)
            if trigger and total:
                kind = trigger.group(1)
                counts[kind] = counts.get(kind, 0) + int(total.group(1)) // int(calls[kind])
        return {kind: counts[kind] for kind in calls if kind in counts}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--program', default='build/release/bin/tarn-instructions')
    parser.add_argument('--record', action='store_true', help='keep what is counted now')
    args = parser.parse_args()
    runs = [count(args.program) for _ in range(RUNS_TO_RECORD if args.record else RUNS)]
    counts = {kind: int(statistics.median(run[kind] for run in runs)) for kind in runs[0]}
    if args.record:
        with open(RECORDED, 'w') as f:
            f.write(json.dumps(counts, indent=2) + '\n')
    with open(RECORDED) as f:
        recorded = json.load(f)
    passed = failed = 0
    for kind, before in recorded.items():
        now = counts.get(kind, 0)
        good = 0 < now <= before * (1 + GROWTH_MAX)
        passed, failed = passed + good, failed + (not good)
        print(f'{"PASS" if good else "FAIL"} {kind}: {now} instructions, recorded {before} '
              f'({now / before - 1:+.1%})')
    if failed:
        print('If it is worth it: tests/instructions/run.py --record')
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not passed else 0)


if __name__ == '__main__':
    main()
