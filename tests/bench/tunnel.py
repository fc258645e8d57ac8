#!/usr/bin/env python3
"""Measures tarn-tunnel beside stunnel (the distribution's, as a client), by turns: the same plain
NFS client before them, the same tarn-server behind them, which speaks TLS to both; and the way
without TLS. Then what an idle mount costs. Prints Markdown; a ratio is of medians over rounds."""
import argparse
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time

from servers import BIN, Server, free_port
from tls import TlsTarn, measure_ways, print_table

STUNNEL = '''
foreground = quiet
pid =
client = yes
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[nfs]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{server}
CAfile = {dir}/ca.crt
verifyChain = yes
checkIP = 127.0.0.1
'''


class Way(Server):
    """Something between the client and the server."""

    def __init__(self, directory, server):
        self.server = server
        self.dir = directory
        self.port = free_port()
        self.log = open(os.path.join(directory, type(self).__name__ + '.log'), 'ab')
        self.start()


class Stunnel(Way):
    def command(self):
        config = os.path.join(self.dir, 'stunnel.conf')
        with open(config, 'w') as f:
            f.write(STUNNEL.format(port=self.port, server=self.server.port, dir=self.dir))
        return ['stunnel', config]


class Tunnel(Way):
    """Its first mount is where the client goes."""

    def start(self):
        self.socket = os.path.join(self.dir, 'tunnel.sock')
        self.process = subprocess.Popen(
            [os.path.join(BIN, 'tarn-tunnel'), '--state-dir', os.path.join(self.dir, 'state'),
             '--socket', self.socket, '--log-level', 'warn', '--loopback', '127.0.0.1'],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            if self.process.poll() is not None:
                raise SystemExit(f'tarn-tunnel does not start: {self.log.name}')
            time.sleep(0.01)
        self.port = self.open('bench', 1)[0][1]

    def open(self, prefix, count):
        done = subprocess.run(
            [os.path.join(BIN, 'tarn-tunnel-admin'), self.socket, 'open', prefix, str(count),
             f'127.0.0.1:{self.server.port}', '127.0.0.1', f'{self.dir}/ca.crt'],
            capture_output=True, text=True, check=True)
        return [(line.split()[0], int(line.split()[1])) for line in done.stdout.splitlines()]


def measure(rounds, megabytes, directory):
    server = TlsTarn(directory)
    tunnel, stunnel = Tunnel(directory, server), Stunnel(directory, server)
    ways = {'plain': (server, []), 'tunnel': (tunnel, []), 'stunnel': (stunnel, [])}
    try:
        return measure_ways(server, ways, rounds, megabytes)
    finally:
        for way in (stunnel, tunnel, server):
            way.stop()


def null_call(address):
    """A client that has made one call, over TLS below: it stays."""
    client = socket.create_connection(address, 30)
    client.sendall(struct.pack('>11I', 0x80000028, 1, 0, 2, 100003, 4, 0, 0, 0, 0, 0))
    if len(client.recv(28, socket.MSG_WAITALL)) != 28:
        raise SystemExit('a mount does not answer')
    return client


def idle_bytes(directory, count):
    """Of the tunnel's memory: for a mount without a client, and for the connection of one."""
    server = TlsTarn(directory)
    tunnel = Tunnel(directory, server)
    try:
        start = tunnel.resident_bytes()
        mounts = tunnel.open('idle', count)
        opened = tunnel.resident_bytes()
        clients = [null_call(address) for address in mounts]
        time.sleep(1)
        used = tunnel.resident_bytes()
        del clients
        return start, (opened - start) / count, (used - opened) / count
    finally:
        tunnel.stop()
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3, help='0: only the idle mounts')
    parser.add_argument('--megabytes', type=int, default=512, help='of the file that is read')
    parser.add_argument('--idle', type=int, default=1000, help='mounts; 0: do not measure')
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if args.rounds:
        with tempfile.TemporaryDirectory(prefix='bench-tunnel-') as directory:
            median = measure(args.rounds, args.megabytes, directory)
        print_table(median, 'tunnel', 'tarn-tunnel', args.megabytes)
    if args.idle:
        with tempfile.TemporaryDirectory(prefix='bench-tunnel-') as directory:
            start, mount, client = idle_bytes(directory, args.idle)
        print(f'\n{args.idle} idle mounts with a connection each: {mount + client:,.0f} bytes a '
              f'mount ({mount:,.0f} for the mount, {client:,.0f} for the connection), '
              f'{start:,.0f} for the process itself.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
