"""Servers, mounts and the runner of the FUSE mounter's tests."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BIN = os.environ.get('TARN_BIN', os.path.join(ROOT, 'build', 'release', 'bin'))
LEASE_SECONDS = 2


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_for(what, check, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f'no {what} within {seconds} s')
        time.sleep(0.02)


class Server:
    """A server process on one loopback port and one directory, which kill() and start() restart."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.process = None
        self.log = open(os.path.join(directory, 'server.log'), 'ab')

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        wait_for('server', lambda: self.listens() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError(f'the server ended: see {self.log.name}\n' + self.tail())
        return self

    def tail(self):
        with open(self.log.name, errors='replace') as f:
            return ''.join(f.readlines()[-15:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class TarnServer(Server):
    path = '/'

    def command(self):
        data = os.path.join(self.directory, 'data')
        return [os.path.join(BIN, 'tarn-server'), '--data-dir', data, '--listen',
                f'127.0.0.1:{self.port}', '--file-system-id', 'fs-0123456789abcdef0', '--lease',
                str(LEASE_SECONDS)]


class GaneshaServer(Server):
    path = '/e'
    CONFIG = '''
NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; Enable_NLM = false;
  Enable_RQUOTA = false; Enable_UDP = false; Plugins_Dir = /usr/lib/x86_64-linux-gnu/ganesha/; }}
NFSV4 {{ Grace_Period = 3; Lease_Lifetime = {lease}; RecoveryBackend = fs_ng; Minor_Versions = 0;
  RecoveryRoot = {dir}/recovery; Only_Numeric_Owners = true; Allow_Numeric_Owners = true; }}
EXPORT {{ Export_Id = 1; Path = {dir}/data; Pseudo = /e; Access_Type = RW; Protocols = 4;
  Squash = No_Root_Squash; SecType = sys; Transports = TCP; FSAL {{ Name = VFS; }} }}
'''

    def command(self):
        for name in ('data', 'recovery'):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        config = os.path.join(self.directory, 'ganesha.conf')
        with open(config, 'w') as f:
            f.write(self.CONFIG.format(port=self.port, dir=self.directory, lease=LEASE_SECONDS))
        return ['ganesha.nfsd', '-F', '-f', config, '-L', self.log.name,
                '-p', os.path.join(self.directory, 'ganesha.pid')]


class Mount:
    def __init__(self, server, directory, options='', path=None):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.log = open(directory + '.log', 'ab')
        self.process = subprocess.Popen(
            self.command(server, path or server.path, directory) + ['--options', options],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        wait_for('mount', lambda: os.path.ismount(directory) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError('the mount failed: ' + open(self.log.name).read())

    @staticmethod
    def command(server, path, directory):
        return [os.path.join(BIN, 'tarn-csi'), 'fuse', '--server', f'127.0.0.1:{server.port}',
                '--export', path, '--mountpoint', directory]

    def __truediv__(self, name):
        return os.path.join(self.directory, name)

    def rss_kib(self):
        """Resident memory: all of it, and what is not shared with other mounts' processes."""
        with open(f'/proc/{self.process.pid}/status') as f:
            lines = dict(line.split(':', 1) for line in f)
        return int(lines['VmRSS'].split()[0]), int(lines['RssAnon'].split()[0])

    def unmount(self):
        if self.process.poll() is None:
            subprocess.run(['umount', self.directory], stderr=subprocess.DEVNULL, timeout=60)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                subprocess.run(['umount', '-l', self.directory], stderr=subprocess.DEVNULL)
                self.process.kill()
                self.process.wait()
        self.log.close()


class World:
    """One server, two mounts of it, and a fresh directory per case."""

    def __init__(self, kind):
        self.base = tempfile.mkdtemp(prefix='fuse-test-')
        os.chmod(self.base, 0o755)  # cases act as several users
        self.server = {'tarn': TarnServer, 'ganesha': GaneshaServer}[kind](self.base).start()
        self.a = Mount(self.server, os.path.join(self.base, 'a'))
        self.b = Mount(self.server, os.path.join(self.base, 'b'))

    def close(self, keep):
        for mount in (self.a, self.b):
            mount.unmount()
        self.server.stop()
        if keep:
            print('kept:', self.base)
        else:
            shutil.rmtree(self.base, ignore_errors=True)


def in_child(function, uid=None, gid=None, groups=()):
    """Runs it in a process of its own, as that user; returns what it returned or raised (text)."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 0
        try:
            if uid is not None:
                os.setgroups(list(groups))
                os.setgid(gid if gid is not None else uid)
                os.setuid(uid)
            answer = repr(function())
        except OSError as error:
            answer = f'errno {error.errno}'
        except BaseException:
            answer = traceback.format_exc()
            status = 1
        os.write(write_end, answer.encode())
        os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end) as f:
        answer = f.read()
    os.waitpid(child, 0)
    return answer


def start_child(function):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            die_with_parent()
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    return child


def succeeded(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def kill_child(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def errno_of(function, *args):
    try:
        function(*args)
    except OSError as error:
        return error.errno
    return 0


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def write(path, data, mode='wb'):
    with open(path, mode) as f:
        f.write(data)


def stat_now(path):
    """What another client changed is seen at open; stat alone may be as old as the cache allows."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def expect(actual, wanted, what=''):
    if actual != wanted:
        raise AssertionError(f'{what}: {actual!r:.300} instead of {wanted!r:.300}')


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=240, **more)
    if done.returncode != 0:
        raise AssertionError(f'{command} exited {done.returncode}: {done.stdout[-2000:]}')
    return done.stdout


def run_cases(world, cases, only):
    passed, failed = 0, []
    for name, case in cases:
        if only and name not in only:
            continue
        started = time.monotonic()
        try:
            case(world)
            passed += 1
            print(f'ok    {name} ({time.monotonic() - started:.1f} s)', flush=True)
        except BaseException as error:
            failed.append(name)
            print(f'FAIL  {name}: {error}', flush=True)
            traceback.print_exc(file=sys.stdout)
            if isinstance(error, KeyboardInterrupt):
                break
    return passed, failed
