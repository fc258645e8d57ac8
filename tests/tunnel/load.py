"""FUSE mounts under load and many idle ones, all through one tunnel to a server that speaks TLS
only, while the tunnel is killed (-9), started again, and upgraded by its next process. No call may
fail or take 10 s, and all that was acknowledged must be there, read through another mount. See
run.sh."""
import argparse
import hashlib
import json
import os
import resource
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fuse'))
import harness  # noqa: E402

STALL_SECONDS_MAX = 10
IDLE_MOUNT_KIB_MAX = 64  # with its TLS connection
FILE_BYTES = 256 * 1024
FILES_KEPT = 24  # of a mount, written again and again
SERVER_NAME = 'fs-0123456789abcdef0.efs.tarn'
NULL_CALL = struct.pack('>11I', 0x80000028, 1, 0, 2, 100003, 4, 0, 0, 0, 0, 0)
NULL_REPLY_BYTES = 28


class TlsServer(harness.TarnServer):
    def command(self):
        tls = os.path.join(self.directory, 'tls')
        return super().command()[:-2] + ['--tls-dir', tls, '--tls', 'required', '--lease', '10']

    def make_certificates(self):
        tls = os.path.join(self.directory, 'tls')
        os.makedirs(tls)
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
             '-nodes', '-keyout', f'{tls}/tls.key', '-out', f'{tls}/tls.crt', '-days', '2',
             '-subj', '/CN=tunnel', '-addext', f'subjectAltName=DNS:{SERVER_NAME}'],
            capture_output=True, check=True)
        shutil.copy(f'{tls}/tls.crt', f'{tls}/ca.crt')
        return f'{tls}/ca.crt'


class Tunnel:
    def __init__(self, directory):
        self.directory = directory
        self.socket = os.path.join(directory, 'tunnel.sock')
        self.log = open(os.path.join(directory, 'tunnel.log'), 'ab')
        self.process = None

    def start(self):
        """One more, which serves when this returns."""
        # An address of this run alone.
        loopback = f'127.{1 + os.getpid() // 256 % 250}.{os.getpid() % 256}.1'
        process = subprocess.Popen(
            [os.path.join(harness.BIN, 'tarn-tunnel'), '--state-dir',
             os.path.join(self.directory, 'state'), '--socket', self.socket,
             '--loopback', loopback], stdout=self.log, stderr=self.log,
            stdin=subprocess.DEVNULL, preexec_fn=harness.die_with_parent)
        harness.wait_for('tunnel', lambda: process.poll() is not None or self.serves(process), 60)
        if process.poll() is not None:
            raise AssertionError(f'the tunnel ended with {process.poll()}:\n' + self.tail())
        return process

    def serves(self, process):
        with open(self.log.name, errors='replace') as f:
            return any(f'[{process.pid}]' in line and ' serves ' in line for line in f)

    def tail(self):
        with open(self.log.name, errors='replace') as f:
            return ''.join(f.readlines()[-20:])

    def kill_and_start(self):
        self.process.kill()
        self.process.wait()
        self.process = self.start()

    def upgrade(self):
        before, self.process = self.process, self.start()
        harness.expect(before.wait(30), 0, 'the end of the tunnel before')

    def admin(self, *arguments):
        program = os.path.join(harness.BIN, 'tarn-tunnel-admin')
        return harness.run([program, self.socket, *arguments])

    def open(self, prefix, count, server, authority):
        lines = self.admin('open', prefix, str(count), f'127.0.0.1:{server.port}', SERVER_NAME,
                           authority).splitlines()
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def rss_kib(self):
        with open(f'/proc/{self.process.pid}/status') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))


class TunnelMount(harness.Mount):
    @staticmethod
    def command(server, path, directory):
        address, port = server.at
        return [os.path.join(harness.BIN, 'tarn-csi'), 'fuse', '--server', f'{address}:{port}',
                '--export', path, '--mountpoint', directory]


class At:
    path = '/'

    def __init__(self, at):
        self.at = at


class Writing:
    """In a process of its own: writes files through its mount, and reads them. A line of JSON for
    each that is there, since fsync has said so, until its input ends."""

    def __init__(self, number, directory):
        self.number, self.directory = number, directory
        self.longest = 0.0

    def timed(self, what, *arguments):
        begin = time.monotonic()
        result = what(*arguments)
        self.longest = max(self.longest, time.monotonic() - begin)
        return result

    def write_one(self, count):
        name = f'w{self.number}-{count % FILES_KEPT}'
        seed = hashlib.sha256(f'{self.number} {count}'.encode()).digest()
        data = seed * (FILE_BYTES // len(seed))
        path = os.path.join(self.directory, name)
        fd = self.timed(os.open, path, os.O_CREAT | os.O_RDWR, 0o644)
        for at in range(0, FILE_BYTES, 65536):
            harness.expect(self.timed(os.pwrite, fd, data[at:at + 65536], at), 65536, name)
        self.timed(os.fsync, fd)
        harness.expect(self.timed(os.pread, fd, FILE_BYTES, 0), data, name)
        self.timed(os.close, fd)
        return {'name': name, 'digest': hashlib.sha256(data).hexdigest()}

    def run(self):
        count = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            try:
                told = self.write_one(count)
            except BaseException as error:
                print(json.dumps({'failure': f'writer {self.number}, file {count}: {error!r}'}),
                      flush=True)
                return
            count += 1
            print(json.dumps(told | {'longest': self.longest, 'count': count}), flush=True)


class Writer(threading.Thread):
    """Listens to a Writing. It is no thread of this process, since a process that this one starts
    must not inherit open files of a mount whose tunnel is away."""

    def __init__(self, number, mount):
        super().__init__(daemon=True)
        self.number = number
        self.longest, self.count, self.failure = 0.0, 0, None
        self.acknowledged = {}  # name -> digest
        self.process = subprocess.Popen(
            [sys.executable, '-B', os.path.abspath(__file__), '--write', str(number),
             mount.directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=harness.die_with_parent)

    def run(self):
        for line in self.process.stdout:
            told = json.loads(line)
            self.failure = told.get('failure')
            if self.failure:
                break
            self.acknowledged[told['name']] = told['digest']
            self.longest, self.count = told['longest'], told['count']

    def end(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(60)
        self.join(10)


class IdleClient:
    """One connection that makes a call now and then; one that ended is made again."""

    def __init__(self, address):
        self.address = address
        self.socket = None
        self.reconnects = -1

    def call(self):
        begin = time.monotonic()
        while True:
            try:
                if self.socket is None:
                    self.reconnects += 1
                    self.socket = socket.create_connection(self.address, STALL_SECONDS_MAX)
                    self.socket.settimeout(STALL_SECONDS_MAX)
                self.socket.sendall(NULL_CALL)
                if len(self.socket.recv(NULL_REPLY_BYTES, socket.MSG_WAITALL)) == NULL_REPLY_BYTES:
                    return time.monotonic() - begin
            except OSError:
                pass
            if time.monotonic() > begin + 2 * STALL_SECONDS_MAX:
                raise AssertionError(f'{self.address} does not answer')
            if self.socket is not None:
                self.socket.close()
            self.socket = None
            time.sleep(0.05)


class Load:
    def __init__(self, arguments):
        self.arguments = arguments
        self.directory = tempfile.mkdtemp(prefix='tarn-tunnel-load-')
        self.server = TlsServer(self.directory)
        self.tunnel = Tunnel(self.directory)
        self.mounts, self.writers, self.idle = [], [], []

    def start(self):
        authority = self.server.make_certificates()
        self.server.start()
        self.tunnel.process = self.tunnel.start()
        alone = self.tunnel.rss_kib()
        busy = self.tunnel.open('busy', self.arguments.mounts, self.server, authority)
        idle = self.tunnel.open('idle', self.arguments.idle, self.server, authority)
        self.idle = [IdleClient(address) for address in idle]
        self.call_idle()
        each = (self.tunnel.rss_kib() - alone) / len(self.idle)
        if each > IDLE_MOUNT_KIB_MAX:
            raise AssertionError(f'an idle mount takes {each:.0f} KiB')
        for number, at in enumerate(busy):
            self.mounts.append(TunnelMount(At(at), os.path.join(self.directory, f'm{number}')))
        print(f'{len(busy)} mounts, {len(idle)} idle ones of {each:.0f} KiB each', flush=True)
        self.writers = [Writer(number, mount) for number, mount in enumerate(self.mounts)]
        for writer in self.writers:
            writer.start()

    def call_idle(self):
        """Each has an answer; the longest wait."""
        longest = [0.0]
        def part(clients):
            for client in clients:
                longest.append(client.call())
        threads = [threading.Thread(target=part, args=(self.idle[i::8],)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        harness.expect(len(longest) - 1, len(self.idle), 'idle mounts that answer')
        return max(longest)

    def reconnects(self):
        return sum(client.reconnects for client in self.idle)

    def progress(self):
        """Until each writer has written two files more."""
        goal = [writer.count + 2 for writer in self.writers]
        harness.wait_for('progress of each mount', lambda: all(
            writer.failure or writer.count >= wanted
            for writer, wanted in zip(self.writers, goal)), 30)
        failures = [writer.failure for writer in self.writers if writer.failure]
        harness.expect(failures, [], 'writers')

    def kill(self):
        self.progress()
        self.tunnel.kill_and_start()
        wait = self.call_idle()
        self.progress()
        self.no_stall(wait)

    def upgrade(self):
        self.progress()
        before = self.reconnects()
        self.tunnel.upgrade()
        wait = self.call_idle()
        self.progress()
        self.no_stall(wait)
        harness.expect(self.reconnects() - before, 0, 'idle connections that ended')

    def no_stall(self, idle_wait=0.0):
        longest = max([idle_wait] + [writer.longest for writer in self.writers])
        if longest >= STALL_SECONDS_MAX:
            raise AssertionError(f'a call took {longest:.1f} s')
        print(f'      longest call so far {longest:.2f} s', flush=True)

    def stop_writers(self):
        for writer in self.writers:
            writer.process.stdin.close()
        for writer in self.writers:
            writer.end()

    def verify(self):
        """Each mount's files through the next mount, over the wire."""
        self.stop_writers()
        failures = [writer.failure for writer in self.writers if writer.failure]
        harness.expect(failures, [], 'writers')
        files = 0
        for writer in self.writers:
            other = self.mounts[(writer.number + 1) % len(self.mounts)]
            for name, digest in writer.acknowledged.items():
                with open(other / name, 'rb') as f:
                    harness.expect(hashlib.sha256(f.read()).hexdigest(), digest, name)
                files += 1
        print(f'      {files} files of {sum(w.count for w in self.writers)} written', flush=True)
        self.no_stall()

    def close(self, keep):
        self.stop_writers()
        for mount in self.mounts:
            mount.unmount()
        if self.tunnel.process:
            self.tunnel.process.terminate()
            self.tunnel.process.wait()
        self.server.stop()
        if keep:
            print(f'kept: {self.directory}')
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mounts', type=int, default=20)
    parser.add_argument('--idle', type=int, default=1000)
    parser.add_argument('--turns', type=int, default=3, help='kills, and upgrades')
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('--write', nargs=2, metavar=('NUMBER', 'DIRECTORY'), help='as a writer')
    arguments = parser.parse_args()
    if arguments.write:
        return Writing(int(arguments.write[0]), arguments.write[1]).run()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(arguments)
    cases = [('start', Load.start)]
    for turn in range(1, arguments.turns + 1):
        cases += [(f'kill -9 and start, {turn}', Load.kill), (f'upgrade, {turn}', Load.upgrade)]
    cases.append(('all that was acknowledged is there', Load.verify))
    passed, failed = 0, ['the run']
    try:
        passed, failed = harness.run_cases(load, cases, [])
    finally:
        load.close(arguments.keep or bool(failed))
    print(f'{passed} passed, {len(failed)} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
