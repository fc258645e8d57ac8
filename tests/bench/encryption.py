#!/usr/bin/env python3
"""Measures an encrypted file system beside a plain one, each of a tarn-server of its own, over NFS
on loopback and by turns: what encryption at rest costs a user's sequential throughput. Prints
Markdown. A ratio is of medians over the rounds; below 1 encryption costs something. "cpu" is the
ratio of both servers' processor time, above 1 encryption costs something: other work on the
machine moves it less."""
import argparse
import os
import statistics
import subprocess
import tempfile

import compare
from servers import Tarn

MIB = 1 << 20


class Encrypted(Tarn):
    def command(self):
        keys = os.path.join(self.dir, 'keys')
        os.makedirs(keys, exist_ok=True)
        path = os.path.join(keys, 'v1')
        if not os.path.exists(path):
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'wb') as f:
                f.write(os.urandom(32))
        return [*super().command(), '--key', f'main=file://{keys}', '--file-system-key', 'main']


def drop_caches(server):
    """The next read of its chunk files asks the disk."""
    for folder, _, files in os.walk(os.path.join(server.data, 'chunks')):
        for name in files:
            fd = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def works(megabytes, turn):
    """What is measured, the arguments, whether caches are dropped before. In this order: what is
    written anew is written again, and read."""
    data = ['--directory', f'data{turn}', '--file-bytes', str(megabytes * MIB), '--depth', '4']
    return [
        ('sequential write, COMMIT at the end', ['write', *data], False),
        ('the same again over it', ['write', *data], False),
        ('sequential read, from the disk', ['read', *data], True),
        ('sequential read, cached', ['read', *data], False),
        ('sequential read, cached, one at a time', ['read', *data[:-1], '1'], False),
        ('random read of 4 KiB, cached, 32 at once',
         ['randread', *data[:-1], '32', '--io-bytes', '4096'], False),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--megabytes', type=int, default=1024, help='of the file')
    parser.add_argument('--dir', help='on the disk to measure')
    args = parser.parse_args()
    taken = {}
    with tempfile.TemporaryDirectory(dir=args.dir) as directory:
        servers = {}
        for name, kind in (('plain', Tarn), ('encrypted', Encrypted)):
            os.makedirs(os.path.join(directory, name))
            servers[name] = kind(os.path.join(directory, name))
        for turn in range(args.rounds):
            for i, (row, arguments, from_disk) in enumerate(works(args.megabytes, turn)):
                order = list(servers)[::1 if (turn + i) % 2 == 0 else -1]
                for name in order:
                    if from_disk:
                        drop_caches(servers[name])
                    figures = compare.bench(servers[name], arguments)
                    if figures is None:
                        raise SystemExit(f'{row} fails on the {name} one')
                    taken.setdefault((row, name), []).append(figures)
            for name, server in servers.items():
                path = os.path.join(server.data, 'chunks')
                subprocess.run(['sync', '-f', path], check=True)
        for server in servers.values():
            server.stop()
    print('| work | encrypted / plain | range of rounds | cpu | plain, MiB/s |')
    print('|---|---|---|---|---|')
    for row, _, _ in works(args.megabytes, 0):
        plain, own = taken[row, 'plain'], taken[row, 'encrypted']
        ratios = sorted(b['mib_per_second'] / a['mib_per_second'] for a, b in zip(plain, own))

        def median(of, figure):
            return statistics.median(each[figure] for each in of)

        ratio = median(own, 'mib_per_second') / median(plain, 'mib_per_second')
        # Per byte, since what is timed and not counted differs in amount.
        cpu = median(own, 'cpu') / median(plain, 'cpu') * median(plain, 'operations') / \
            median(own, 'operations')
        print(f'| {row} | {ratio:.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {cpu:.2f} | '
              f'{median(plain, "mib_per_second"):,.0f} |', flush=True)


if __name__ == '__main__':
    main()
