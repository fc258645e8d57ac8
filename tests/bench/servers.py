"""The servers that compare.py measures, each on a fresh directory and on loopback."""
import os
import signal
import socket
import subprocess
import time

BIN = os.path.join('build', 'release', 'bin')
FILE_SYSTEM = 'fs-0123456789abcdef0'
START_SECONDS_MAX = 120

GANESHA = '''
NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; Enable_NLM = false;
  Enable_RQUOTA = false; Enable_UDP = false;
  Plugins_Dir = /usr/lib/x86_64-linux-gnu/ganesha/; }}
NFSV4 {{ Grace_Period = 1; Lease_Lifetime = 60; RecoveryBackend = fs_ng; Minor_Versions = 1;
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
    settle_seconds = 0

    def __init__(self, directory):
        self.dir = directory
        self.data = os.path.join(directory, 'data')
        os.makedirs(self.data)
        os.makedirs(os.path.join(directory, 'recovery'))
        self.port = free_port()
        self.log = open(os.path.join(directory, 'log'), 'ab')
        self.start()
        time.sleep(self.settle_seconds)

    def start(self):
        """Returns the seconds until it listens."""
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return time.monotonic() - begin
            except OSError:
                if time.monotonic() > begin + START_SECONDS_MAX or \
                        self.process.poll() is not None:
                    raise SystemExit(f'{type(self).__name__} does not start: {self.log.name}')
                time.sleep(0.005)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.kill(signal.SIGTERM)
        self.log.close()

    def pin(self, cpus):
        """All its threads, and those that it makes."""
        subprocess.run(['taskset', '-apc', cpus, str(self.process.pid)], check=True,
                       stdout=subprocess.DEVNULL)

    def cpu_seconds(self):
        with open(f'/proc/{self.process.pid}/stat') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_bytes(self):
        with open(f'/proc/{self.process.pid}/smaps_rollup') as f:
            for line in f:
                if line.startswith('Pss:'):
                    return int(line.split()[1]) * 1024
        return 0


class Tarn(Server):
    def command(self):
        return [os.path.join(BIN, 'tarn-server'), '--data-dir', self.data,
                '--listen', f'127.0.0.1:{self.port}', '--file-system-id', FILE_SYSTEM,
                '--log-level', 'warn']


class Ganesha(Server):
    """As it is: a change of names is answered before it is on the disk."""
    path = ['--path', 'e']
    settle_seconds = 2  # its grace period

    def command(self):
        config = os.path.join(self.dir, 'ganesha.conf')
        with open(config, 'w') as f:
            f.write(GANESHA.format(port=self.port, dir=self.dir))
        return ['ganesha.nfsd', '-F', '-f', config, '-L', self.log.name, '-N', 'NIV_WARN',
                '-p', os.path.join(self.dir, 'pid')]


class GaneshaSync(Ganesha):
    """On directories with chattr +D, which new ones inherit: changes of names are synchronous, so
    that it promises what Tarn promises."""

    def start(self):
        subprocess.run(['chattr', '+D', self.data], check=True)
        return super().start()
