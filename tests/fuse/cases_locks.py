"""Locks of processes on two mounts."""
import errno
import fcntl
import os
import struct
import time

from cases_names import fresh
from harness import errno_of, expect, in_child, kill_child, read, start_child, succeeded, write


def lock(fd, kind, start=0, length=0, wait=False):
    flags = 0 if wait or kind == fcntl.LOCK_UN else fcntl.LOCK_NB
    fcntl.lockf(fd, kind | flags, length, start)


def holder(path, kind, start=0, length=0, flock=False):
    """A process that holds a lock until it is killed; returns its pid."""
    ready, told = os.pipe()

    def hold():
        f = open(path, 'r+b')
        if flock:
            fcntl.flock(f, kind)
        else:
            lock(f, kind, start, length)
        os.write(told, b'1')
        time.sleep(1000)

    child = start_child(hold)
    os.close(told)
    answer = os.read(ready, 1)
    os.close(ready)
    assert answer == b'1', 'the holder got its lock'
    return child


def try_lock(path, kind, start=0, length=0):
    def attempt():
        with open(path, 'r+b') as f:
            lock(f, kind, start, length)
    return in_child(attempt)


BUSY = f'errno {errno.EAGAIN}'


def byte_ranges(world):
    a, b = fresh(world, 'ranges')
    write(f'{a}/f', b'x' * 100)
    for mine, other in ((a, b), (b, a), (a, a)):
        child = holder(f'{mine}/f', fcntl.LOCK_EX, 10, 20)
        expect(try_lock(f'{other}/f', fcntl.LOCK_EX, 0, 10), 'None', 'before it')
        expect(try_lock(f'{other}/f', fcntl.LOCK_EX, 30, 0), 'None', 'after it')
        expect(try_lock(f'{other}/f', fcntl.LOCK_SH, 29, 1), BUSY, 'its last byte')
        expect(try_lock(f'{other}/f', fcntl.LOCK_EX), BUSY, 'all')
        kill_child(child)
        expect(try_lock(f'{other}/f', fcntl.LOCK_EX), 'None', 'after its end')
    child = holder(f'{a}/f', fcntl.LOCK_SH)
    expect(try_lock(f'{b}/f', fcntl.LOCK_SH), 'None', 'shared')
    expect(try_lock(f'{b}/f', fcntl.LOCK_EX), BUSY, 'exclusive')
    with open(f'{b}/f', 'r+b') as f:
        answer = fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 5, 5, 0))
        expect(struct.unpack('hhqqi4x', answer)[0], fcntl.F_RDLCK, 'what F_GETLK tells')
    kill_child(child)


def pieces(world):
    """Unlocking the middle of a range leaves its ends; closing any descriptor lets go of all."""
    a, b = fresh(world, 'pieces')
    write(f'{a}/f', b'x' * 100)
    f = open(f'{a}/f', 'r+b')
    lock(f, fcntl.LOCK_EX, 0, 90)
    lock(f, fcntl.LOCK_UN, 30, 30)
    lock(f, fcntl.LOCK_SH, 80, 5)
    for start, length, wanted in ((0, 30, BUSY), (30, 30, 'None'), (60, 1, BUSY), (90, 0, 'None')):
        expect(try_lock(f'{b}/f', fcntl.LOCK_EX, start, length), wanted, f'{start}+{length}')
    expect(try_lock(f'{b}/f', fcntl.LOCK_SH, 80, 5), 'None')
    open(f'{a}/f', 'rb').close()
    expect(try_lock(f'{b}/f', fcntl.LOCK_EX), 'None', 'after a close')
    f.close()


def waiting(world):
    a, b = fresh(world, 'waiting')
    write(f'{a}/counter', b'0')
    child = holder(f'{a}/counter', fcntl.LOCK_EX)

    def wait_and_write():
        with open(f'{b}/counter', 'r+b', buffering=0) as f:
            lock(f, fcntl.LOCK_EX, wait=True)
            f.write(b'1')

    waiter = start_child(wait_and_write)
    time.sleep(0.3)
    expect(os.waitpid(waiter, os.WNOHANG), (0, 0), 'it waits')
    expect(read(f'{a}/counter'), b'0')
    kill_child(child)
    assert succeeded(waiter)
    expect(read(f'{a}/counter'), b'1')
    # One that waits can be killed.
    child = holder(f'{a}/counter', fcntl.LOCK_EX)
    waiter = start_child(wait_and_write)
    time.sleep(0.2)
    kill_child(waiter)
    kill_child(child)

    # A counter under a lock loses no increment, whichever mount it is changed through.
    write(f'{a}/counter', b'0' * 8)

    def count(path):
        for _ in range(25):
            with open(path, 'r+b', buffering=0) as f:
                lock(f, fcntl.LOCK_EX, wait=True)
                value = int(f.read(8))
                os.pwrite(f.fileno(), f'{value + 1:08}'.encode(), 0)
                lock(f, fcntl.LOCK_UN)

    children = [start_child(lambda p=p: count(f'{p}/counter')) for p in (a, b, a, b)]
    assert all([succeeded(child) for child in children])
    expect(read(f'{b}/counter'), b'00000100')


def whole_file_locks(world):
    a, b = fresh(world, 'flock')
    write(f'{a}/f', b'x')
    child = holder(f'{a}/f', fcntl.LOCK_EX, flock=True)
    with open(f'{b}/f', 'r+b') as f:
        expect(errno_of(fcntl.flock, f, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EWOULDBLOCK)
        expect(errno_of(fcntl.flock, f, fcntl.LOCK_SH | fcntl.LOCK_NB), errno.EWOULDBLOCK)
        kill_child(child)
        fcntl.flock(f, fcntl.LOCK_EX)
        with open(f'{a}/f', 'r+b') as g:
            expect(errno_of(fcntl.flock, g, fcntl.LOCK_SH | fcntl.LOCK_NB), errno.EWOULDBLOCK)
            fcntl.flock(f, fcntl.LOCK_UN)
            fcntl.flock(g, fcntl.LOCK_SH)
            fcntl.flock(f, fcntl.LOCK_SH)
    # A lock survives a rename of its file and the loss of its name.
    f = open(f'{a}/f', 'r+b')
    fcntl.flock(f, fcntl.LOCK_EX)
    os.rename(f'{a}/f', f'{a}/g')
    with open(f'{b}/g', 'r+b') as g:
        expect(errno_of(fcntl.flock, g, fcntl.LOCK_SH | fcntl.LOCK_NB), errno.EWOULDBLOCK)
    f.close()


def outlives_the_lease(world):
    """A lock that is held longer than the lease is still held: it is renewed."""
    a, b = fresh(world, 'lease')
    write(f'{a}/f', b'x')
    child = holder(f'{a}/f', fcntl.LOCK_EX)
    time.sleep(5)
    expect(try_lock(f'{b}/f', fcntl.LOCK_EX), BUSY)
    kill_child(child)


CASES = [('byte_ranges', byte_ranges), ('pieces', pieces), ('waiting', waiting),
         ('whole_file_locks', whole_file_locks), ('outlives_the_lease', outlives_the_lease)]
