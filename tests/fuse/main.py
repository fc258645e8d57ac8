"""Runs the cases; see run.sh."""
import argparse
import sys

import cases_crash
import cases_data
import cases_locks
import cases_names
import harness


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--server', choices=['tarn', 'ganesha'], default='tarn')
    parser.add_argument('--only', default='')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--bench', type=int, default=0, metavar='MIB',
                        help='measure sequential throughput with a file of this size instead')
    parser.add_argument('--keep', action='store_true')
    arguments = parser.parse_args()
    cases_crash.KILLS = arguments.kills
    world = harness.World(arguments.server)
    if arguments.bench:
        cases = [('bench', lambda w: cases_crash.bench(w, arguments.bench))]
    else:
        cases = (cases_names.CASES + cases_data.CASES + cases_locks.CASES + cases_crash.CASES)
    failed = ['the run']
    passed = 0
    try:
        whole, own = world.a.rss_kib()
        print(f'server: {arguments.server}; an idle mount takes {whole} KiB, {own} of it its own',
              flush=True)
        only = [name for name in arguments.only.split(',') if name]
        passed, failed = harness.run_cases(world, cases, only)
    finally:
        for mount in (world.a, world.b):
            if mount.process.poll() not in (None, 0):
                failed.append(f'the mounter ended with {mount.process.poll()}')
        world.close(keep=arguments.keep or bool(failed))
    if failed:
        print('failed:', ', '.join(failed))
    print(f'{passed} passed, {len(failed)} failed')
    return 1 if failed or passed == 0 else 0


sys.exit(main())
