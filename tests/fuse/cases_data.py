"""Data: consistency between mounts, open-unlinked files, memory maps, sparse files, real trees."""
import errno
import hashlib
import mmap
import os
import random
import threading

from cases_names import fresh
from harness import (ROOT, errno_of, expect, in_child, read, run, start_child, succeeded, wait_for,
                     write)


def close_to_open(world):
    a, b = fresh(world, 'cto')
    for i in range(60):
        writer, reader = ((a, b), (b, a))[i % 2]
        data = f'round {i} '.encode() * (i + 1)
        write(f'{writer}/f', data)
        expect(read(f'{reader}/f'), data, 'after close')
        write(f'{writer}/new', data)
        os.rename(f'{writer}/new', f'{writer}/g')
        expect(read(f'{reader}/g'), data, 'after rename over it')
    # Data kept in the page cache is still right, and a change of the same size is seen.
    write(f'{a}/same', b'x' * 100000)
    expect(read(f'{b}/same'), b'x' * 100000)
    write(f'{a}/same', b'y' * 100000)
    expect(read(f'{b}/same'), b'y' * 100000)
    # What is written is seen by stat before close.
    with open(f'{a}/open', 'wb', buffering=0) as f:
        f.write(b'1' * 5000)
        expect(os.stat(f'{a}/open').st_size, 5000)
        f.write(b'2' * 5000)
        expect(os.fstat(f.fileno()).st_size, 10000)
        expect(read(f'{a}/open'), b'1' * 5000 + b'2' * 5000)


def append(world):
    """Appends of two mounts, each under a lock or after a close, do not overwrite each other."""
    a, b = fresh(world, 'append')
    for i in range(40):
        write(f'{(a, b)[i % 2]}/log', f'{i}\n'.encode(), 'ab')
    expect(read(f'{a}/log'), b''.join(f'{i}\n'.encode() for i in range(40)))
    kept = [open(f'{p}/held', 'ab', buffering=0) for p in (a, b)]
    for i in range(40):
        kept[i % 2].write(f'{i}\n'.encode())
        os.fsync(kept[i % 2].fileno())
    expect(read(f'{b}/held'), b''.join(f'{i}\n'.encode() for i in range(40)))
    expect(read(f'{a}/held'), b''.join(f'{i}\n'.encode() for i in range(40)))
    for f in kept:
        f.close()


def open_unlinked(world):
    a, b = fresh(world, 'unlinked')
    f = open(f'{a}/f', 'w+b', buffering=0)
    f.write(b'before')
    os.unlink(f'{a}/f')
    expect(errno_of(os.stat, f'{a}/f'), errno.ENOENT)
    expect(os.fstat(f.fileno()).st_nlink, 0)
    f.write(b' after')
    os.fsync(f.fileno())
    expect(os.pread(f.fileno(), 100, 0), b'before after')
    write(f'{a}/f', b'another')
    expect(os.pread(f.fileno(), 100, 0), b'before after')
    f.close()
    wait_for('end of the hidden name', lambda: os.listdir(b) == ['f'])
    # The same for a file that another is renamed over, and its name is never gone.
    f = open(f'{a}/f', 'rb', buffering=0)
    write(f'{a}/g', b'the new one')
    os.rename(f'{a}/g', f'{a}/f')
    expect(f.read(), b'another')
    expect(read(f'{b}/f'), b'the new one')
    f.close()
    wait_for('end of the hidden name', lambda: os.listdir(a) == ['f'])


def closed_unlinked(world):
    """After close() nothing is left, although the kernel tells of it only later."""
    a, b = fresh(world, 'closed')
    for number in range(300):
        os.mkdir(f'{a}/{number}')
        f = open(f'{a}/{number}/f', 'w+b', buffering=0)
        f.write(b'some')
        os.unlink(f'{a}/{number}/f')
        f.close()
        os.rmdir(f'{a}/{number}')
    expect(os.listdir(b), [])
    os.mkdir(f'{a}/held')
    with open(f'{a}/held/f', 'wb', buffering=0):
        os.unlink(f'{a}/held/f')
        expect(errno_of(os.rmdir, f'{a}/held'), errno.ENOTEMPTY)
    os.rmdir(f'{a}/held')


def sparse(world):
    a, b = fresh(world, 'sparse')
    size = 4 << 30
    with open(f'{a}/f', 'wb', buffering=0) as f:
        f.seek(size - 5)
        f.write(b'end\n!')
        f.seek(2 << 30)
        f.write(b'middle')
    expect(os.stat(f'{b}/f').st_size, size)
    assert os.stat(f'{b}/f').st_blocks * 512 < 64 << 20, 'it is sparse'
    with open(f'{b}/f', 'rb', buffering=0) as f:
        expect(os.pread(f.fileno(), 1 << 16, 12345), b'\0' * (1 << 16))
        expect(os.pread(f.fileno(), 8, (2 << 30) - 1), b'\0middle\0')
        expect(os.pread(f.fileno(), 10, size - 5), b'end\n!')
        expect(f.seek(0, os.SEEK_DATA), 0)
        expect(f.seek(0, os.SEEK_HOLE), size)
    os.unlink(f'{a}/f')


def allocate(world):
    a, b = fresh(world, 'allocate')
    with open(f'{a}/f', 'wb', buffering=0) as f:
        os.posix_fallocate(f.fileno(), 0, 100000)
        f.write(b'abc')
    expect(os.stat(f'{b}/f').st_size, 100000)
    expect(read(f'{b}/f')[:5], b'abc\0\0')


def memory_maps(world):
    a, b = fresh(world, 'mmap')
    page = mmap.PAGESIZE
    write(f'{a}/f', bytes(range(256)) * 16 * 10)
    with open(f'{b}/f', 'rb') as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        expect(m[:], read(f'{a}/f'))
    with open(f'{a}/f', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
        m[5:10] = b'MAPPD'
        m[9 * page:9 * page + 4] = b'tail'
        m.flush()
        expect(read(f'{b}/f')[5:10], b'MAPPD')
        m[0:3] = b'end'
    got = read(f'{b}/f')
    expect((got[:3], got[9 * page:9 * page + 4], len(got)), (b'end', b'tail', 40960))

    def private():
        with open(f'{a}/f', 'rb') as f:
            m = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE,
                          prot=mmap.PROT_READ | mmap.PROT_WRITE)
            m[0:3] = b'xyz'
        return read(f'{a}/f')[:3]

    expect(in_child(private), "b'end'")


def concurrent_writers(world):
    a, b = fresh(world, 'writers')
    part = 1 << 20
    writers = 8
    write(f'{a}/f', b'')

    def fill(index):
        mount = (a, b)[index % 2]
        chooser = random.Random(index)
        with open(f'{mount}/f', 'r+b', buffering=0) as f:
            for at in range(0, part, 37000):
                os.pwrite(f.fileno(), bytes([index]) * min(37000, part - at), index * part + at)
            for _ in range(50):
                at = chooser.randrange(part - 100)
                os.pwrite(f.fileno(), bytes([index + 100]) * 100, index * part + at)

    children = [start_child(lambda i=i: fill(i)) for i in range(writers)]
    assert all([succeeded(child) for child in children])
    got = read(f'{a}/f')
    expect(len(got), part * writers)
    for i in range(writers):
        piece = bytearray([i]) * part
        chooser = random.Random(i)
        for _ in range(50):
            at = chooser.randrange(part - 100)
            piece[at:at + 100] = bytes([i + 100]) * 100
        expect(hashlib.sha256(got[i * part:(i + 1) * part]).digest(),
               hashlib.sha256(piece).digest(), f'the part of writer {i}')


def random_io(world):
    """Reads and writes at random places are what they are in memory, through one descriptor."""
    a, b = fresh(world, 'random')
    size = 3 << 20
    chooser = random.Random(7)
    model = bytearray(size)
    with open(f'{a}/f', 'w+b', buffering=0) as f:
        f.truncate(size)
        for i in range(1500):
            at = chooser.randrange(size)
            length = min(chooser.choice([1, 10, 4096, 5000, 100000]), size - at)
            if chooser.random() < 0.6:
                data = chooser.randbytes(length)
                model[at:at + length] = data
                expect(os.pwrite(f.fileno(), data, at), length)
            else:
                expect(os.pread(f.fileno(), length, at), bytes(model[at:at + length]), f'step {i}')
    expect(read(f'{b}/f') == bytes(model), True, 'after close')


def threads_on_one_mount(world):
    a, _ = fresh(world, 'threads')
    errors = []

    def work(index):
        try:
            for i in range(60):
                path = f'{a}/{index}-{i}'
                write(path, os.urandom(100) * 20)
                assert os.stat(path).st_size == 2000
                os.rename(path, path + '.r')
                assert len(read(path + '.r')) == 2000
                if i % 3:
                    os.unlink(path + '.r')
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expect(errors, [])
    expect(len(os.listdir(a)), 12 * 20)


def source_tree(world):
    """tar x of a real tree, its checksums compared through both mounts."""
    a, b = fresh(world, 'tree')
    tree = '/usr/include/c++'
    archive = os.path.join(world.base, 'tree.tar')
    run(['tar', '-C', os.path.dirname(tree), '-cf', archive, os.path.basename(tree)])
    sums = 'find c++ -type f -print0 | sort -z | xargs -0 sha256sum'
    wanted = run(f'cd {os.path.dirname(tree)} && {sums}', shell=True)
    run(['tar', '-C', a, '-xf', archive])
    for mount in (b, a):
        got = run(f'cd {mount} && {sums}', shell=True)
        expect(got == wanted, True, f'checksums on {mount}')
    run(['tar', '-C', a, '--compare', '-f', archive])
    run(['rm', '-r', f'{a}/c++'])
    expect(os.listdir(b), [])


def git(world):
    a, b = fresh(world, 'git')
    environment = dict(os.environ, GIT_CONFIG_COUNT='1', GIT_CONFIG_KEY_0='safe.directory',
                       GIT_CONFIG_VALUE_0='*')
    run(['git', 'clone', '-q', 'file://' + ROOT, f'{a}/clone'], env=environment)
    run(['git', '-C', f'{b}/clone', 'fsck', '--full', '--strict'], env=environment)
    expect(run(['git', '-C', f'{b}/clone', 'status', '--porcelain'], env=environment), '')
    write(f'{b}/clone/new-file', b'x')
    run(['git', '-C', f'{b}/clone', 'add', 'new-file'], env=environment)
    run(['git', '-C', f'{b}/clone', '-c', 'user.name=t', '-c', 'user.email=t@example.org', 'commit',
         '-q', '-m', 'x'], env=environment)
    run(['git', '-C', f'{a}/clone', 'gc', '-q'], env=environment)
    run(['git', '-C', f'{a}/clone', 'fsck', '--full'], env=environment)


CASES = [('close_to_open', close_to_open), ('append', append), ('open_unlinked', open_unlinked),
         ('closed_unlinked', closed_unlinked),
         ('sparse', sparse), ('allocate', allocate), ('memory_maps', memory_maps),
         ('concurrent_writers', concurrent_writers), ('random_io', random_io),
         ('threads_on_one_mount', threads_on_one_mount), ('source_tree', source_tree), ('git', git)]
