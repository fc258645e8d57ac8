#!/usr/bin/env python3
"""Measures Tarn's TLS beside stunnel (the distribution's) in front of the same server's plain
port, by turns, and plain NFS beside both; then what an idle connection costs. Prints Markdown.

The client is the same, tarn-bench, and speaks TLS to both. A ratio is of medians over rounds."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import compare
from servers import BIN, FILE_SYSTEM, Server, free_port

MIB = 1 << 20
TOKEN_OID = '2.25.270936704681565692540009643390145467597'
TOKEN_BYTES = 1200
STUNNEL = '''
foreground = quiet
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[nfs]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{plain}
cert = {dir}/tls.crt
key = {dir}/tls.key
'''


def make_certificates(directory):
    """A certificate that is its own authority."""
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
         '-nodes', '-keyout', f'{directory}/tls.key', '-out', f'{directory}/tls.crt',
         '-days', '2', '-subj', '/CN=bench', '-addext', 'subjectAltName=IP:127.0.0.1'],
        capture_output=True, check=True)
    shutil.copy(f'{directory}/tls.crt', f'{directory}/ca.crt')


def make_client_certificate(directory):
    """What a pod's mount shows: an access point, a ServiceAccount token of the usual size."""
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
         '-nodes', '-keyout', f'{directory}/client.key', '-out', f'{directory}/client.crt',
         '-days', '2', '-subj', '/CN=client',
         '-addext', '1.3.6.1.4.1.4843.7.1=ASN1:UTF8String:fsap-0123456789abcdef0',
         '-addext', f'{TOKEN_OID}=ASN1:UTF8String:{"t" * TOKEN_BYTES}'],
        capture_output=True, check=True)
    return ['--tls-ca', f'{directory}/ca.crt', '--tls-cert', f'{directory}/client.crt',
            '--tls-key', f'{directory}/client.key']


class TlsTarn(Server):
    """Serves from memory: what is measured is the way to the client."""

    def command(self):
        make_certificates(self.dir)
        return [os.path.join(BIN, 'tarn-server'), '--data-dir', self.data, '--engine', 'memory',
                '--listen', f'127.0.0.1:{self.port}', '--file-system-id', FILE_SYSTEM,
                '--tls-dir', self.dir, '--log-level', 'warn']


class Stunnel(Server):
    def __init__(self, directory, plain_port):
        self.plain_port = plain_port
        self.dir = directory
        self.port = free_port()
        self.log = open(os.path.join(directory, 'stunnel.log'), 'ab')
        self.start()

    def command(self):
        config = os.path.join(self.dir, 'stunnel.conf')
        with open(config, 'w') as f:
            f.write(STUNNEL.format(port=self.port, plain=self.plain_port, dir=self.dir))
        return ['stunnel', config]


def workloads(megabytes):
    data = ['--directory', 'data', '--file-bytes', str(megabytes * MIB), '--depth', '4']
    return [
        ('1 MiB WRITE', ['write', *data], 'mib_per_second'),
        ('1 MiB READ', ['read', *data], 'mib_per_second'),
        ('1 MiB READ, 4 connections', ['read', *data, '--connections', '4'], 'mib_per_second'),
        ('GETATTR, one at a time', ['getattr', '--directory', 'many', '--files', '1000'],
         'per_second'),
        ('GETATTR, 64 at once', ['getattr', '--directory', 'many', '--files', '1000',
                                 '--connections', '2', '--depth', '32'], 'per_second'),
    ]


def measure_ways(server, ways, rounds, megabytes):
    """Runs all workloads over each way, by name (what serves, further arguments of tarn-bench), in
    turns that begin with another one each. Medians, by (work, name)."""
    taken = {}
    compare.bench(server, ['create', '--directory', 'many', '--files', '1000'])
    for turn in range(rounds):
        names = list(ways)
        for name in names[turn % 3:] + names[:turn % 3]:
            way, options = ways[name]
            for row, arguments, figure in workloads(megabytes):
                figures = compare.bench(way, [*arguments, *options])
                if figures is None:
                    raise SystemExit(f'{row} fails over {name}')
                taken.setdefault((row, name), []).append(figures[figure])
    return {key: statistics.median(values) for key, values in taken.items()}


def print_table(median, ours, title, megabytes):
    """Of "plain", "stunnel" and `ours`, which the heads call `title`."""
    short = title.replace('-', ' ').split()[-1]
    print(f'| work | {title} / stunnel | {title} / plain | {short}, plain, stunnel |')
    print('|---|---|---|---|')
    for row, _, _ in workloads(megabytes):
        own, plain, theirs = (median[row, name] for name in (ours, 'plain', 'stunnel'))
        print(f'| {row} | {own / theirs:.2f} | {own / plain:.2f} | '
              f'{own:,.0f}, {plain:,.0f}, {theirs:,.0f} |', flush=True)


def measure(rounds, megabytes, directory):
    server = TlsTarn(directory)
    stunnel = Stunnel(directory, server.port)
    tls = ['--tls-ca', f'{directory}/ca.crt']
    ways = {'plain': (server, []), 'Tarn': (server, tls), 'stunnel': (stunnel, tls)}
    try:
        return measure_ways(server, ways, rounds, megabytes)
    finally:
        stunnel.stop()
        server.stop()


def idle_bytes(directory, count, options):
    """Of the server's memory, for each idle NFS client."""
    server = TlsTarn(directory)
    try:
        arguments = options(directory)
        before = server.resident_bytes()
        with subprocess.Popen(
                [os.path.join(BIN, 'tarn-bench'), 'idle', '--server', f'127.0.0.1:{server.port}',
                 '--connections', str(count), *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
            held.stdout.readline()
            time.sleep(1)
            each = (server.resident_bytes() - before) / count
            held.stdin.close()
        return each
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--megabytes', type=int, default=512, help='of the file that is read')
    parser.add_argument('--idle', type=int, default=2000, help='connections; 0: do not measure')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='bench-tls-') as directory:
        median = measure(args.rounds, args.megabytes, directory)
    print_table(median, 'Tarn', 'Tarn TLS', args.megabytes)
    if args.idle:
        each = {}
        for name, options in (('plain', lambda d: []),
                              ('TLS', lambda d: ['--tls-ca', f'{d}/ca.crt']),
                              ('TLS with a certificate', make_client_certificate)):
            with tempfile.TemporaryDirectory(prefix='bench-tls-') as directory:
                each[name] = idle_bytes(directory, args.idle, options)
        told = ', '.join(f'{name} {value:,.0f} bytes' for name, value in each.items())
        print(f'\nAn idle NFS client with its connection: {told}.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
