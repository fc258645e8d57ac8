#!/usr/bin/env python3
"""Measures Tarn and NFS-Ganesha by turns with tarn-bench and prints the ratios.

Both serve a fresh directory on the same disk, on loopback; each round is one server's whole list of
workloads, then the other's. A ratio is of medians over the rounds; above 1 Tarn is faster."""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

BIN = os.path.join('build', 'release', 'bin')
FILE_SYSTEM = 'fs-0123456789abcdef0'
START_SECONDS_MAX = 60

# Rows: what a person would call it, arguments of tarn-bench, and which figure counts.
GIB = 1 << 30
ROWS = [
    ('sequential write of 1 GiB, COMMIT at the end', ['write', '--file-bytes', str(GIB)], 'mib'),
    ('sequential read of 1 GiB', ['read', '--file-bytes', str(GIB)], 'mib'),
    ('4 KiB random read', ['randread', '--file-bytes', str(GIB), '--io-bytes', '4096'], 'ops'),
    ('4 KiB random write, each FILE_SYNC',
     ['randwrite', '--file-bytes', str(GIB), '--io-bytes', '4096', '--sync'], 'ops'),
    ('GETATTR', ['getattr'], 'ops'),
    ('create + write 4 KiB + close, 1 client', ['create'], 'ops'),
    ('stat (LOOKUP, GETATTR)', ['stat'], 'ops'),
    ('list with attributes', ['list'], 'ops'),
    ('remove', ['remove'], 'ops'),
    ('create + write 4 KiB + close, 16 at once', ['create', '--connections', '4', '--depth', '4'],
     'ops'),
    ('remove, 16 at once', ['remove', '--connections', '4', '--depth', '4'], 'ops'),
]

GANESHA = '''
NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; Enable_NLM = false;
  Enable_RQUOTA = false; Enable_UDP = false;
  Plugins_Dir = /usr/lib/x86_64-linux-gnu/ganesha/; }}
NFSV4 {{ Grace_Period = 1; Lease_Lifetime = 30; RecoveryBackend = fs_ng; Minor_Versions = 1;
  RecoveryRoot = {dir}/recovery; Only_Numeric_Owners = true; }}
EXPORT {{ Export_Id = 1; Path = {dir}/data; Pseudo = /e; Access_Type = RW; Protocols = 4;
  Squash = No_Root_Squash; SecType = sys; Transports = TCP; FSAL {{ Name = VFS; }} }}
'''


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    path = []

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(os.path.join(directory, 'data'))
        os.makedirs(os.path.join(directory, 'recovery'))
        self.port = free_port()
        self.log = open(os.path.join(directory, 'log'), 'wb')
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f'{type(self).__name__} does not start: {self.log.name}')
                time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def cpu_seconds(self):
        with open(f'/proc/{self.process.pid}/stat') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Tarn(Server):
    def command(self):
        return [os.path.join(BIN, 'tarn-server'), '--data-dir', os.path.join(self.dir, 'data'),
                '--listen', f'127.0.0.1:{self.port}', '--file-system-id', FILE_SYSTEM,
                '--log-level', 'warn']


class Ganesha(Server):
    path = ['--path', 'e']

    def command(self):
        config = os.path.join(self.dir, 'ganesha.conf')
        with open(config, 'w') as f:
            f.write(GANESHA.format(port=self.port, dir=self.dir))
        return ['ganesha.nfsd', '-F', '-f', config, '-L', self.log.name, '-N', 'NIV_WARN',
                '-p', os.path.join(self.dir, 'pid')]


def run(server, arguments, files):
    """One workload: its figures, and the server's CPU seconds."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [os.path.join(BIN, 'tarn-bench'), '--server', f'127.0.0.1:{server.port}', *server.path,
         '--files', str(files), '--seconds', '4', '--json', *arguments],
        capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise SystemExit(f'{type(server).__name__}: {arguments}: {done.stderr}')
    figures = json.loads(done.stdout.splitlines()[-1])
    figures['cpu'] = server.cpu_seconds() - before
    return figures


def measure(rounds, directory, files):
    """Figures by row and kind, a list of one a round."""
    taken = {}
    for turn in range(rounds):
        order = (Tarn, Ganesha) if turn % 2 == 0 else (Ganesha, Tarn)
        for kind in order:
            base = tempfile.mkdtemp(prefix='bench-', dir=directory)
            server = kind(base)
            try:
                time.sleep(2)  # Ganesha's grace period
                for name, arguments, _ in ROWS:
                    taken.setdefault((name, kind), []).append(run(server, arguments, files))
                    os.sync()
            finally:
                server.stop()
                shutil.rmtree(base, ignore_errors=True)
    return taken


def table(taken):
    yield '| work | Tarn / Ganesha | range over rounds | server CPU per operation, Tarn / Ganesha |'
    yield '|---|---|---|---|'
    for name, _, figure in ROWS:
        key = 'mib_per_second' if figure == 'mib' else 'per_second'
        ours, theirs = ([f[key] for f in taken[(name, kind)]] for kind in (Tarn, Ganesha))
        each = [a / b for a, b in zip(ours, theirs)]
        costs = [statistics.median(f['cpu'] / max(f['operations'], 1) for f in taken[(name, kind)])
                 for kind in (Tarn, Ganesha)]
        cost = f'{costs[0] / costs[1]:.2f}' if costs[1] > 0 else '-'
        yield (f'| {name} | {statistics.median(ours) / statistics.median(theirs):.2f} '
               f'| {min(each):.2f} to {max(each):.2f} | {cost} |')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--dir', default='/var/tmp', help='on the disk to be measured')
    parser.add_argument('--files', type=int, default=10000)
    args = parser.parse_args()
    for line in table(measure(args.rounds, args.dir, args.files)):
        print(line)


if __name__ == '__main__':
    main()
