#!/usr/bin/env python3
"""Measures Tarn and NFS-Ganesha by turns with tarn-bench and prints tables of ratios, in Markdown.

All serve a fresh directory on the same disk, on loopback; a round is each server's whole list of
workloads, and the order changes from round to round. A ratio is of medians over the rounds; above
1 Tarn is faster. Ganesha is measured twice where names change: as it is, and on directories that
are synchronous, which is the same durability as Tarn's."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

import alone
from servers import BIN, Ganesha, GaneshaSync, Tarn

GIB = 1 << 30
SECONDS = '3'
ONE = ['--directory', 'one', '--files', '1000']
SIXTEEN = ['--directory', 'sixteen', '--files', '4000', '--connections', '4', '--depth', '4']
MANY = ['--directory', 'many', '--files', '10000']
BUSY = ['--connections', '2', '--depth', '32']
DATA = ['--directory', 'data', '--file-bytes', str(GIB)]


@dataclass
class Row:
    """name None: something that must be done between others, and is not shown."""
    name: str
    arguments: list
    target: str = ''
    figure: str = 'per_second'
    names: bool = False    # changes names: compared with the synchronous Ganesha too
    pinned: bool = False   # the server on one core, the client on another
    against: str = ''      # 'dd' or 'tcp' as well
    group: str = 'names'   # what --only selects


def names_rows(where, label):
    small = ['--small-bytes', '4096']
    return [
        Row(f'create + write 4 KiB + close, {label}', ['create', *where, *small], '3', names=True),
        Row(f'rename, {label}', ['rename', *where], '3', names=True),
        Row(None, ['renameback', *where], names=True),
        Row(f'remove, {label}', ['remove', *where], '3', names=True),
        Row(f'mkdir, {label}', ['mkdir', *where], '3', names=True),
        Row(None, ['rmdir', *where], names=True),
    ]


ROWS = [
    *names_rows(ONE, '1 client'),
    *names_rows(SIXTEEN, '16 at once'),
    Row(None, ['create', *MANY, '--connections', '4', '--depth', '8'], group='cached'),
    Row('stat (LOOKUP, GETATTR), one at a time', ['stat', *MANY], '2', group='cached'),
    Row('stat, 64 at once', ['stat', *MANY, *BUSY], '2', group='cached'),
    Row('lookup, 64 at once', ['lookup', *MANY, *BUSY], '2', group='cached'),
    Row('readdir + attributes of 10,000 files', ['list', *MANY], '2', group='cached'),
    Row('GETATTR, one at a time', ['getattr', *MANY], '2', group='cached'),
    Row('GETATTR, 64 at once, the server on one core', ['getattr', *MANY, *BUSY], '2',
        pinned=True, group='cached'),
    Row('sequential write of 1 GiB, COMMIT at the end', ['write', *DATA, '--depth', '4'], '1.2',
        'mib_per_second', against='dd', group='data'),
    Row('sequential read, cached, 1 MiB', ['read', *DATA, '--depth', '4'], '1.5',
        'mib_per_second', against='tcp', group='data'),
    Row('4 KiB random read, one at a time', ['randread', *DATA, '--io-bytes', '4096'], '2',
        group='data'),
    Row('4 KiB random read, 32 at once',
        ['randread', *DATA, '--io-bytes', '4096', '--depth', '32'], '2', group='data'),
    Row('4 KiB random write + fsync, one at a time',
        ['randwrite', *DATA, '--io-bytes', '4096', '--sync'], '2', group='data'),
    Row('4 KiB random write + fsync, 16 at once',
        ['randwrite', *DATA, '--io-bytes', '4096', '--sync', '--depth', '16'], '2', group='data'),
]


def bench(server, arguments, prefix=()):
    """One workload: its figures, and the server's CPU seconds. None when it failed."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [*prefix, os.path.join(BIN, 'tarn-bench'), '--server', f'127.0.0.1:{server.port}',
         *server.path, '--seconds', SECONDS, '--json', *arguments],
        capture_output=True, text=True, timeout=7200, check=False)
    if done.returncode != 0:
        print(f'{type(server).__name__}: {arguments}: {done.stderr.strip()}', file=sys.stderr)
        return None
    figures = json.loads(done.stdout.splitlines()[-1])
    figures['cpu'] = server.cpu_seconds() - before
    return figures


def journal_commits(directory):
    """Of the ext4 file system below; None where the kernel does not tell."""
    device = subprocess.run(['findmnt', '-no', 'SOURCE', '-T', directory], capture_output=True,
                            text=True, check=True).stdout.strip()
    try:
        with open(f'/proc/fs/jbd2/{os.path.basename(device)}-8/info') as f:
            return int(f.read().split()[0])
    except OSError:
        return None


@dataclass
class Taken:
    """Figures by row and server, one a round; yardsticks by name."""
    rows: dict = field(default_factory=dict)
    yardsticks: dict = field(default_factory=dict)

    def median(self, row, kind, key):
        values = [f[key] for f in self.rows.get((row.name, kind), [])]
        return statistics.median(values) if values else None

    def ratio(self, row, kind):
        """Tarn beside a kind: of medians, and the range over rounds."""
        ours = [f[row.figure] for f in self.rows.get((row.name, Tarn), [])]
        theirs = [f[row.figure] for f in self.rows.get((row.name, kind), [])]
        if not ours or not theirs:
            return '-', '-'
        each = [a / b for a, b in zip(ours, theirs)]
        return (f'{statistics.median(ours) / statistics.median(theirs):.2f}',
                f'{min(each):.2f} to {max(each):.2f}')


def make_source(directory):
    """1 GiB that no disk can compress, in the page cache."""
    path = os.path.join(directory, f'bench-source-{os.getpid()}')
    subprocess.run(['dd', 'if=/dev/urandom', f'of={path}', 'bs=1M', f'count={GIB >> 20}'],
                   capture_output=True, check=True)
    return path


def yardsticks(source, taken):
    """What no server can beat: dd to the same disk, and a TCP copy of what it wrote, in MiB/s."""
    copy = f'{source}-copy'
    begin = time.monotonic()
    subprocess.run(['dd', f'if={source}', f'of={copy}', 'bs=1M', 'conv=fdatasync'],
                   capture_output=True, check=True)
    taken.setdefault('dd', []).append((GIB >> 20) / (time.monotonic() - begin))
    os.remove(copy)
    done = subprocess.run([os.path.join(BIN, 'tarn-bench'), 'tcp', '--local-file', source,
                           '--file-bytes', str(2 * GIB)], capture_output=True, text=True,
                          check=True)
    taken.setdefault('tcp', []).append(json.loads(done.stdout)['mib_per_second'])


def measure_server(kind, directory, rows, taken):
    base = tempfile.mkdtemp(prefix='bench-', dir=directory)
    server = kind(base)
    try:
        for row in rows:
            if kind is GaneshaSync and not row.names:
                continue
            if row.pinned:
                server.pin('0')
            commits = journal_commits(directory)
            figures = bench(server, row.arguments, ['taskset', '-c', '1'] if row.pinned else [])
            if figures and row.name:
                if commits is not None:
                    figures['commits'] = journal_commits(directory) - commits
                taken.rows.setdefault((row.name, kind), []).append(figures)
            if row.pinned:
                server.pin(f'0-{os.cpu_count() - 1}')
            os.sync()
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


def measure(rounds, directory, rows):
    taken = Taken()
    kinds = [Tarn, Ganesha, GaneshaSync]
    with_data = any(row.against for row in rows)
    source = make_source(directory) if with_data else ''
    try:
        for turn in range(rounds):
            print(f'round {turn + 1} of {rounds}', file=sys.stderr)
            if with_data:
                yardsticks(source, taken.yardsticks)
            for kind in kinds[turn % 3:] + kinds[:turn % 3]:
                measure_server(kind, directory, rows, taken)
    finally:
        if source:
            os.remove(source)
    return taken


def table(taken, rows):
    yield ('| work | target | Tarn / Ganesha, equally durable | range over rounds '
           '| Tarn / Ganesha as it is | server CPU per operation, Tarn / Ganesha |')
    yield '|---|---|---|---|---|---|'
    for row in rows:
        if not row.name:
            continue
        ratio, spread = taken.ratio(row, GaneshaSync if row.names else Ganesha)
        as_it_is = taken.ratio(row, Ganesha)[0] if row.names else ''
        cost = '-'
        ours, theirs = (
            [f['cpu'] / max(f['operations'], 1) for f in taken.rows.get((row.name, kind), [])]
            for kind in (Tarn, Ganesha))
        if ours and theirs and statistics.median(theirs) > 0:
            cost = f'{statistics.median(ours) / statistics.median(theirs):.2f}'
        yield f'| {row.name} | {row.target} | {ratio} | {spread} | {as_it_is} | {cost} |'


def notes(taken, rows):
    """Lines about what is not a ratio to Ganesha."""
    for row in rows:
        if row.against and taken.median(row, Tarn, row.figure):
            share = taken.median(row, Tarn, row.figure) / \
                statistics.median(taken.yardsticks[row.against])
            what = {'dd': '`dd conv=fdatasync` to the same disk (target 80 %)',
                    'tcp': 'a plain TCP copy of the same bytes (target 70 %)'}[row.against]
            yield f'- {row.name}: {share:.0%} of {what}.'
        if row.pinned and taken.median(row, Tarn, 'per_second'):
            for kind in (Tarn, Ganesha):
                values = taken.rows.get((row.name, kind), [])
                if not values:
                    continue
                each = statistics.median(f['operations'] / f['cpu'] for f in values)
                share = statistics.median(f['client_cpu'] / f['seconds'] for f in values)
                yield (f'- {row.name}: {kind.__name__} '
                       f'{taken.median(row, kind, "per_second"):,.0f} a second, {each:,.0f} per '
                       f'second of its processor time; the client used {share:.0%} of a core.')
    told = [f'{row.name}: {commits(taken, row)}'
            for row in rows if row.names and row.name and '1 client' in row.name]
    if told:
        yield f'- Journal commits of the file system below, per operation: {"; ".join(told)}.'


def commits(taken, row):
    told = []
    for kind in (Tarn, Ganesha, GaneshaSync):
        values = [f['commits'] / f['operations'] for f in taken.rows.get((row.name, kind), [])
                  if 'commits' in f]
        if values:
            told.append(f'{kind.__name__} {statistics.median(values):.2f}')
    return ', '.join(told) or 'not told'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--dir', default='/var/tmp', help='on the disk to be measured')
    parser.add_argument('--only', default='', choices=['', 'names', 'cached', 'data'],
                        help='rows of one kind')
    parser.add_argument('--skip', default='', choices=['', 'rows', 'alone'],
                        help='leave out the table of ratios, or what Tarn does alone')
    parser.add_argument('--full', action='store_true',
                        help='1,000,000 entries, 10,000,000 files: takes an hour')
    args = parser.parse_args()
    rows = [row for row in ROWS if args.only in ('', row.group)]
    if args.skip != 'rows':
        taken = measure(args.rounds, args.dir, rows)
        for line in [*table(taken, rows), '', *notes(taken, rows)]:
            print(line, flush=True)
    if args.skip != 'alone' and not args.only:
        for line in alone.measure(args.dir, args.full, bench):
            print(line, flush=True)


if __name__ == '__main__':
    main()
