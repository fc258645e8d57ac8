"""Names, attributes, permissions, directories."""
import errno
import os
import socket
import stat
import time

from harness import Mount, errno_of, expect, in_child, read, stat_now, write


def fresh(world, name):
    os.mkdir(world.a / name)
    os.chmod(world.a / name, 0o777)
    return world.a / name, world.b / name


def basics(world):
    a, b = fresh(world, 'basics')
    write(f'{a}/f', b'hello')
    expect(read(f'{b}/f'), b'hello')
    write(f'{a}/f', b' world', 'ab')
    expect(read(f'{b}/f'), b'hello world')
    os.truncate(f'{b}/f', 3)
    expect(read(f'{a}/f'), b'hel')
    os.truncate(f'{b}/f', 6)
    expect(read(f'{a}/f'), b'hel\0\0\0')
    os.rename(f'{a}/f', f'{a}/g')
    expect(sorted(os.listdir(b)), ['g'])
    os.link(f'{b}/g', f'{b}/h')
    expect(os.stat(f'{a}/h').st_nlink, 2)
    expect(os.stat(f'{a}/h').st_ino, os.stat(f'{b}/g').st_ino)
    os.symlink('g', f'{a}/s')
    expect(os.readlink(f'{b}/s'), 'g')
    expect(read(f'{b}/s'), b'hel\0\0\0')
    os.chmod(f'{a}/g', 0o640)
    expect(stat.S_IMODE(stat_now(f'{b}/h').st_mode), 0o640)
    os.chown(f'{a}/g', 1234, 5678)
    expect((stat_now(f'{b}/g').st_uid, stat_now(f'{b}/g').st_gid), (1234, 5678))
    os.utime(f'{a}/g', ns=(10**18 + 1, 10**18 + 3))
    now = stat_now(f'{b}/g')
    expect((now.st_atime_ns, now.st_mtime_ns), (10**18 + 1, 10**18 + 3))
    os.utime(f'{a}/g')
    assert abs(os.stat(f'{a}/g').st_mtime - time.time()) < 30
    os.mkfifo(f'{a}/fifo')
    assert stat.S_ISFIFO(os.stat(f'{b}/fifo').st_mode)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f'{a}/sock')
    assert stat.S_ISSOCK(os.lstat(f'{b}/sock').st_mode)
    os.mkdir(f'{a}/d', 0o750)
    expect(stat.S_IMODE(os.stat(f'{b}/d').st_mode), 0o750)
    write(f'{b}/d/x', b'1')
    expect(errno_of(os.rmdir, f'{a}/d'), errno.ENOTEMPTY)
    os.rename(f'{a}/d', f'{a}/e')
    expect(read(f'{a}/e/x'), b'1')
    os.unlink(f'{b}/e/x')
    os.rmdir(f'{b}/e')
    expect(errno_of(os.stat, f'{a}/e/x'), errno.ENOENT)


def errors(world):
    a, _ = fresh(world, 'errors')
    write(f'{a}/f', b'')
    os.mkdir(f'{a}/d')
    expect(errno_of(os.open, f'{a}/f', os.O_CREAT | os.O_EXCL), errno.EEXIST)
    expect(errno_of(os.mkdir, f'{a}/f'), errno.EEXIST)
    expect(errno_of(os.symlink, 'x', f'{a}/f'), errno.EEXIST)
    expect(errno_of(os.link, f'{a}/f', f'{a}/d'), errno.EEXIST)
    expect(errno_of(os.open, f'{a}/none', os.O_RDONLY), errno.ENOENT)
    expect(errno_of(os.open, f'{a}/f/x', os.O_RDONLY), errno.ENOTDIR)
    expect(errno_of(os.rmdir, f'{a}/f'), errno.ENOTDIR)
    expect(errno_of(os.unlink, f'{a}/d'), errno.EISDIR)
    expect(errno_of(os.rename, f'{a}/d', f'{a}/d/sub'), errno.EINVAL)
    expect(errno_of(os.rename, f'{a}/f', f'{a}/d'), errno.EISDIR)
    long = 'n' * 255
    write(f'{a}/{long}', b'x')
    expect(read(f'{a}/{long}'), b'x')
    expect(errno_of(os.stat, f'{a}/{long}n'), errno.ENAMETOOLONG)
    expect(errno_of(os.setxattr, f'{a}/f', 'user.x', b'1'), errno.ENOTSUP)
    expect(errno_of(os.getxattr, f'{a}/f', 'user.x'), errno.ENOTSUP)
    write(f'{a}/tail é \n*', b'odd')
    assert 'tail é \n*' in os.listdir(a)


def exclusive_create(world):
    """Of many that create one name with O_EXCL on both mounts, one succeeds."""
    a, b = fresh(world, 'exclusive')

    def attempt(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return 'made'

    for i in range(10):
        answers = [in_child(lambda p=p: attempt(f'{p}/{i}')) for p in (a, b, a, b)]
        expect(answers.count("'made'"), 1, 'creators')
        expect(answers.count(f'errno {errno.EEXIST}'), 3, 'the others')
    expect(stat.S_IMODE(os.stat(f'{b}/0').st_mode), 0o600)


def permissions(world):
    a, b = fresh(world, 'permissions')
    write(f'{a}/secret', b'x')
    os.chmod(f'{a}/secret', 0o600)
    write(f'{a}/team', b'x')
    os.chown(f'{a}/team', 0, 4321)
    os.chmod(f'{a}/team', 0o640)
    os.mkdir(f'{a}/closed')
    os.chmod(f'{a}/closed', 0o700)
    denied = f'errno {errno.EACCES}'
    expect(in_child(lambda: read(f'{a}/secret'), 1000), denied)
    expect(in_child(lambda: read(f'{b}/team'), 1000), denied)
    expect(in_child(lambda: read(f'{b}/team'), 1001, groups=[7, 4321]), "b'x'")
    expect(in_child(lambda: write(f'{b}/team', b'y'), 1001, groups=[4321]), denied)
    expect(in_child(lambda: os.access(f'{b}/team', os.R_OK), 1001, groups=[4321]), 'True')
    expect(in_child(lambda: os.access(f'{b}/team', os.W_OK), 1001, groups=[4321]), 'False')
    expect(in_child(lambda: os.listdir(f'{a}/closed'), 1000), denied)
    expect(in_child(lambda: write(f'{a}/mine', b'z'), 1000, 1000), 'None')
    expect((os.stat(f'{b}/mine').st_uid, os.stat(f'{b}/mine').st_gid), (1000, 1000))
    expect(in_child(lambda: os.chown(f'{a}/mine', 0, 0), 1000), f'errno {errno.EPERM}')
    os.mkdir(f'{a}/sticky')
    os.chmod(f'{a}/sticky', 0o1777)
    expect(in_child(lambda: write(f'{a}/sticky/f', b'x'), 1000), 'None')
    refused = (denied, f'errno {errno.EPERM}')
    assert in_child(lambda: os.unlink(f'{b}/sticky/f'), 1001) in refused, 'the sticky bit'
    expect(in_child(lambda: os.unlink(f'{b}/sticky/f'), 1000), 'None')
    os.mkdir(f'{a}/shared')
    os.chown(f'{a}/shared', 0, 4321)
    os.chmod(f'{a}/shared', 0o2777)
    expect(in_child(lambda: os.mkdir(f'{b}/shared/d'), 1000), 'None')
    expect(os.stat(f'{a}/shared/d').st_gid, 4321)
    expect(os.stat(f'{a}/shared/d').st_mode & stat.S_ISGID, stat.S_ISGID)

    def read_only_for_its_owner():
        # What git does: the file is 0444 from its creation, and written by its creator.
        fd = os.open(f'{a}/object', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o444)
        os.write(fd, b'data')
        os.fsync(fd)
        os.close(fd)
        return read(f'{a}/object')

    expect(in_child(read_only_for_its_owner, 1000), "b'data'")
    expect(in_child(lambda: os.open(f'{a}/object', os.O_WRONLY), 1000), denied)


def many_entries(world):
    a, b = fresh(world, 'many')
    count = 10000
    for i in range(count):
        os.close(os.open(f'{a}/file-{i:05}', os.O_CREAT | os.O_WRONLY, 0o644))
    wanted = [f'file-{i:05}' for i in range(count)]
    expect(sorted(os.listdir(b)), wanted, 'names')
    with os.scandir(b) as entries:
        expect(sum(1 for entry in entries if entry.stat().st_size == 0), count, 'stats')
    # Removing while listing loses no name and finds none twice.
    seen = []
    with os.scandir(a) as entries:
        for entry in entries:
            seen.append(entry.name)
            if len(seen) % 2 == 0:
                os.unlink(entry.path)
    expect(sorted(seen), wanted, 'names while removing')
    for name in os.listdir(a):
        os.unlink(f'{a}/{name}')
    expect(os.listdir(b), [])


def no_replace(world):
    a, _ = fresh(world, 'noreplace')
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    write(f'{a}/x', b'x')
    write(f'{a}/y', b'y')

    def renameat2(old, new, flags):
        done = libc.renameat2(-100, old.encode(), -100, new.encode(), flags)
        return ctypes.get_errno() if done != 0 else 0

    expect(renameat2(f'{a}/x', f'{a}/y', 1), errno.EEXIST)
    expect(renameat2(f'{a}/x', f'{a}/y', 2), errno.EINVAL)
    expect(renameat2(f'{a}/x', f'{a}/z', 1), 0)
    expect(read(f'{a}/z'), b'x')


def space(world):
    s = os.statvfs(world.a.directory)
    assert s.f_blocks > 0 and s.f_bavail <= s.f_blocks and s.f_files > 0, s


def hostile_exports(world):
    """Names of tenants in what is mounted: no options, and no way out of the export."""
    path = world.server.path.rstrip('/')
    name = 'a,suid,dev\\\\,ro,b\nc d'
    a, _ = fresh(world, 'hostile')
    os.mkdir(f'{a}/{name}')
    write(f'{a}/{name}/f', b'here')
    directory = os.path.join(world.base, 'hostile')
    mount = Mount(world.server, directory, 'nosuid,nodev', f'{path}/hostile/{name}')
    try:
        expect(read(f'{directory}/f'), b'here')
        with open('/proc/self/mountinfo') as f:
            line = [line for line in f if line.split()[4] == directory][0]
        flags = line.split()[5].split(',')
        assert 'nosuid' in flags and 'nodev' in flags and 'ro' not in flags, line
        assert 'a,suid,dev' in line.split(' - ')[1].split()[1], line
    finally:
        mount.unmount()
    # A link is only text to the server and to the mounter: it is not gone through.
    for number, target in enumerate(['../..', '/', '..', 'plain']):
        os.makedirs(f'{a}/plain', exist_ok=True)
        os.symlink(target, f'{a}/link{number}')
        try:
            Mount(world.server, directory, '', f'{path}/hostile/link{number}').unmount()
            raise RuntimeError(f'mounted through a link to {target}')
        except AssertionError as error:
            assert 'mount failed' in str(error), error


CASES = [('basics', basics), ('errors', errors), ('exclusive_create', exclusive_create),
         ('permissions', permissions), ('many_entries', many_entries), ('no_replace', no_replace),
         ('space', space),
         ('hostile_exports', hostile_exports)]
