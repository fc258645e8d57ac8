"""A server that is away, killed and restarted; and the measurement of throughput."""
import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import time

from cases_locks import BUSY, holder, try_lock
from cases_names import fresh
from harness import Mount, expect, kill_child, read, run, start_child, succeeded, wait_for, write

KILLS = 20


class Load:
    """Processes that work on the mounts until they are told to stop, and write down, outside of the
    mounts, what was acknowledged."""

    def __init__(self, world):
        self.world = world
        self.stop_file = os.path.join(world.base, f'stop-{time.monotonic_ns()}')
        self.children = {}

    def stopped(self):
        return os.path.exists(self.stop_file)

    def note_path(self, name):
        return self.stop_file + '-' + name

    def start(self, name, function, *args):
        self.children[name] = start_child(lambda: function(self, self.note_path(name), *args))

    def finish(self):
        write(self.stop_file, b'')
        results = {name: succeeded(child) for name, child in self.children.items()}
        expect([name for name, good in results.items() if not good], [], 'workers with an error')


def note(f, *what):
    f.write(json.dumps(what) + '\n')
    f.flush()


def notes(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def fsync_files(load, path, directory):
    chooser = random.Random(directory)
    with open(path, 'w') as journal:
        number = 0
        while not load.stopped():
            name = f'{directory}/synced-{number}'
            data = chooser.randbytes(chooser.choice([10, 5000, 300000, 3000000]))
            with open(name, 'wb', buffering=0) as f:
                half = len(data) // 2
                f.write(data[:half])
                f.write(data[half:])
                os.fsync(f.fileno())
                note(journal, name, hashlib.sha256(data).hexdigest())
            number += 1
            if number > 30:
                victim = f'{directory}/synced-{number - 31}'
                note(journal, victim, None)
                os.unlink(victim)


def fsync_log(load, path, name):
    with open(path, 'w') as journal, open(name, 'wb', buffering=0) as f:
        number = 0
        while not load.stopped():
            f.write(f'{number:9}\n'.encode() * 100)
            if number % 5 == 0:
                os.fsync(f.fileno())
                note(journal, number)
            number += 1
            time.sleep(0.005)


def change_names(load, path, directory):
    """Every kind of change of names, each of which must succeed exactly once."""
    number = 0
    there = {}
    while not load.stopped():
        base = f'{directory}/{number}'
        os.mkdir(base + '-d')
        os.symlink(f'target {number}', base + '-s')
        fd = os.open(base + '-f', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
        os.write(fd, base.encode())
        os.close(fd)
        os.link(base + '-f', base + '-l')
        os.rename(base + '-f', base + '-d/moved')
        os.rename(base + '-l', base + '-r')
        if number % 2 == 0:
            os.unlink(base + '-d/moved')
            try:
                os.rmdir(base + '-d')
            except OSError as error:
                raise AssertionError(f'{error}; in it: {os.listdir(base + "-d")}') from error
            os.unlink(base + '-s')
        there[number] = number % 2
        number += 1
    with open(path, 'w') as f:
        json.dump(there, f)


def check_names(path, directory):
    with open(path) as f:
        there = json.load(f)
    wanted = set()
    for number, odd in there.items():
        wanted.add(f'{number}-r')
        expect(read(f'{directory}/{number}-r').decode().endswith(f'/{number}'), True)
        if odd:
            wanted |= {f'{number}-d', f'{number}-s'}
            expect(os.listdir(f'{directory}/{number}-d'), ['moved'])
            expect(os.readlink(f'{directory}/{number}-s'), f'target {number}')
    expect(sorted(os.listdir(directory)), sorted(wanted))
    return len(there)


def untar(load, path, archive, directory):
    rounds = 0
    while not load.stopped() or rounds == 0:
        to = f'{directory}/{rounds}'
        os.mkdir(to)
        run(['tar', '-C', to, '-xf', archive])
        run(['tar', '-C', to, '--compare', '-f', archive])
        run(['rm', '-r', to])
        rounds += 1
    write(path, str(rounds).encode())


def probe_lock(load, path, locked):
    tries = 0
    while not load.stopped():
        expect(try_lock(locked, fcntl.LOCK_EX), BUSY, 'a lock that somebody holds')
        tries += 1
        time.sleep(0.1)
    write(path, str(tries).encode())


def killed_servers(world):
    a, b = fresh(world, 'kills')
    archive = os.path.join(world.base, 'small.tar')
    run(['tar', '-C', '/usr/include', '-cf', archive, 'linux/netfilter', 'asm-generic'])
    write(f'{a}/locked', b'x')
    lock_holder = holder(f'{a}/locked', fcntl.LOCK_EX)
    for name in ('files', 'names', 'tar'):
        os.mkdir(f'{a}/{name}')
    load = Load(world)
    load.start('files', fsync_files, f'{a}/files')
    load.start('log', fsync_log, f'{b}/log')
    load.start('names', change_names, f'{b}/names')
    load.start('tar', untar, archive, f'{a}/tar')
    load.start('lock', probe_lock, f'{b}/locked')
    chooser = random.Random()
    for _ in range(KILLS):
        time.sleep(chooser.uniform(0.1, 3.0))
        world.server.kill()
        time.sleep(chooser.uniform(0, 0.3))
        world.server.start()
    load.finish()
    kill_child(lock_holder)
    expect(try_lock(f'{b}/locked', fcntl.LOCK_EX), 'None', 'the lock is free in the end')
    synced = {}
    for name, digest in notes(load.note_path('files')):
        synced[name] = digest
    for name, digest in synced.items():
        if digest is None:
            expect(os.path.exists(name), False, name)
        else:
            expect(hashlib.sha256(read(name.replace(a, b))).hexdigest(), digest, name)
    last = notes(load.note_path('log'))[-1][0]
    log = read(f'{a}/log')
    expect(log, b''.join(f'{i:9}\n'.encode() * 100 for i in range(len(log) // 1000)), 'the log')
    assert len(log) >= (last + 1) * 1000, 'every synced line is there'
    rounds = check_names(load.note_path('names'), f'{a}/names')
    print(f'      {KILLS} kills: {len(synced)} files synced, {last} log writes, {rounds} rounds of '
          f'names, {read(load.note_path("tar")).decode()} of tar', flush=True)


def unstable_data_is_sent_again(world):
    """Bytes that the server had answered as UNSTABLE and lost are there after the fsync."""
    a, b = fresh(world, 'unstable')
    data = os.urandom(1 << 20)
    written, told = os.pipe()
    waits, go = os.pipe()

    def work():  # in a process of its own: to start a server closes what this one has open
        with open(f'{a}/f', 'wb', buffering=0) as f:
            for _ in range(8):
                f.write(data)
            os.fstat(f.fileno())  # what was written is at the server now, and not committed
            os.write(told, b'1')
            os.read(waits, 1)
            os.fsync(f.fileno())

    child = start_child(work)
    os.read(written, 1)
    world.server.kill()
    world.server.start()
    os.write(go, b'1')
    assert succeeded(child)
    for fd in (written, told, waits, go):
        os.close(fd)
    expect(read(f'{b}/f') == data * 8, True)


def killable_while_away(world):
    a, _ = fresh(world, 'away')
    write(f'{a}/f', b'x')
    world.server.kill()
    try:
        children = [start_child(lambda: os.stat(f'{a}/none')),
                    start_child(lambda: os.mkdir(f'{a}/new')),
                    start_child(lambda: os.listdir(a))]
        time.sleep(1.0)
        for child in children:
            expect(os.waitpid(child, os.WNOHANG), (0, 0), 'it waits')
            os.kill(child, signal.SIGKILL)
        for child in children:
            wait_for('end of a killed process',
                     lambda c=child: os.waitpid(c, os.WNOHANG)[0] == c, 10)
        waiter = start_child(lambda: write(f'{a}/later', b'later'))
        time.sleep(0.3)
    finally:
        world.server.start()
    assert succeeded(waiter), 'who waited goes on'
    expect(read(f'{a}/later'), b'later')


def unmounts(world):
    """SIGTERM unmounts, with what was written kept; so does umount -l of a dead server's mount."""
    fresh(world, 'unmounts')
    mount = Mount(world.server, os.path.join(world.base, 'c'))
    f = open(mount / 'unmounts/f', 'wb', buffering=0)
    f.write(b'kept')
    mount.process.terminate()
    expect(mount.process.wait(20), 0)
    assert not os.path.ismount(mount.directory)
    expect(read(world.a / 'unmounts/f'), b'kept')
    try:
        f.close()
    except OSError:
        pass
    mount = Mount(world.server, os.path.join(world.base, 'd'))
    os.listdir(mount.directory)
    world.server.kill()
    try:
        child = start_child(lambda: os.listdir(mount.directory))
        time.sleep(0.3)
        run(['umount', '-l', mount.directory])
        kill_child(child)
        expect(mount.process.wait(20), 0)
    finally:
        world.server.start()
    refused = subprocess.run(Mount.command(world.server, '/nowhere', mount.directory), timeout=60,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    expect(refused.returncode, 1)
    assert 'nowhere' in refused.stdout, refused.stdout


def bench(world, mebibytes):
    def timed(command):
        started = time.monotonic()
        run(command)
        return mebibytes / (time.monotonic() - started)

    def dd(source, target, *more):
        return ['dd', f'if={source}', f'of={target}', 'bs=1M', f'count={mebibytes}', *more]

    local = os.path.join(world.base, 'local')
    rows = []
    for _ in range(3):
        wrote_local = timed(dd('/dev/zero', local, 'conv=fsync'))
        wrote = timed(dd('/dev/zero', world.a / 'big', 'conv=fsync'))
        read_local = timed(dd(local, '/dev/null'))
        world.a.unmount()
        world.a = Mount(world.server, world.a.directory)
        time.sleep(0.5)  # the mounter raises the read-ahead soon after the mount
        read_back = timed(dd(world.a / 'big', '/dev/null'))
        cached = timed(dd(world.a / 'big', '/dev/null'))
        rows.append((wrote_local, wrote, read_local, read_back, cached))
        os.unlink(world.a / 'big')
        os.unlink(local)
    best = [max(column) for column in zip(*rows)]
    print(f'sequential {mebibytes} MiB, best of 3, MiB/s:')
    for name, value, other in (('write with fsync', best[1], best[0]),
                               ('read, server cache warm', best[3], best[2]),
                               ('read, client cache warm', best[4], best[2])):
        print(f'  {name:26} {value:8.0f}   local {other:8.0f}   ratio {value / other:.2f}')
    print(f'  the mounter takes {world.a.rss_kib()[0]} KiB after it')


CASES = [('unstable_data_is_sent_again', unstable_data_is_sent_again),
         ('killable_while_away', killable_while_away), ('unmounts', unmounts),
         ('killed_servers', killed_servers)]
