"""What is measured of Tarn alone, beside itself: idle connections, many entries, a restart."""
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from servers import BIN, Tarn

IDLE = 15000
RUNS = 3


def holder(server, mode, count):
    """A tarn-bench that holds connections; it is ready when this returns."""
    process = subprocess.Popen(
        [os.path.join(BIN, 'tarn-bench'), mode, '--server', f'127.0.0.1:{server.port}',
         '--connections', str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != 'ready':
        raise SystemExit(f'tarn-bench {mode} does not get ready')
    return process


def idle(server, bench):
    active = ['getattr', '--directory', 'idle', '--depth', '4']

    def times():
        return [bench(server, active)['p50_us'] for _ in range(RUNS)]

    alone = times()
    before = server.resident_bytes()
    held = holder(server, 'idle', IDLE)
    time.sleep(1)
    grown = server.resident_bytes() - before
    among = times()
    held.stdin.close()
    held.wait()
    time.sleep(1)
    alone += times()
    each = grown / IDLE / 1024
    ratio = statistics.median(alone) / statistics.median(among)
    yield (f'- {IDLE:,} idle connections, each with a client, a session of 64 slots and one '
           f'request done: {each:.1f} KiB each (target 16); an active connection gets on at '
           f'{ratio:.2f} of its speed without them (target 0.9; medians of times).')


def growth(server, bench, name, arguments, count):
    """Creates and looks up; the rates at the end beside those at the start."""
    where = [*arguments, '--directory', name]
    busy = ['--connections', '4', '--depth', '16']
    small = max(count // 20, 1000)
    bench(server, ['create', *where, '--files', str(small), *busy])

    def lookup(among):
        runs = [bench(server, ['lookup', *where, '--files', str(among)]) for _ in range(RUNS)]
        return min(run['p50_us'] for run in runs)

    first = lookup(small)
    bench(server, ['remove', *where, '--files', str(small), *busy])
    made = bench(server, ['create', *where, '--files', str(count), *busy])
    last = lookup(count)
    rate = made['last_tenth_per_second'] / max(made['first_tenth_per_second'], 1)
    yield (f'- {count:,} {name}: the last tenth is created at {rate:.2f} of the rate of the first '
           f'(target 0.7); a lookup among them takes {last / max(first, 1):.2f} of one among '
           f'{small:,} (target 1.2).')


def restart(server, count, files):
    """Killed and started again, with clients that come back."""
    held = holder(server, 'comeback', count)
    server.kill()
    held.stdin.write('go\n')
    held.stdin.flush()
    server.start()
    said = json.loads(held.stdout.readline() or '{}')
    held.wait()
    if not said:
        yield '- restart: the clients did not come back.'
        return
    yield (f'- restart after kill -9 with {files:,} files and {count:,} clients: first answer '
           f'after {said["first_answer_seconds"]:.2f} s (target 2), all had reclaimed after '
           f'{said["reclaimed_seconds"]:.2f} s, and the grace period was over after '
           f'{said["grace_seconds"]:.2f} s.')


def measure(directory, full, bench):
    """Lines of Markdown."""
    entries = 1_000_000 if full else 100_000
    files = 10_000_000 if full else 200_000
    base = tempfile.mkdtemp(prefix='bench-', dir=directory)
    server = Tarn(base)
    try:
        yield from idle(server, bench)
        yield from growth(server, bench, 'entries', [], entries)
        yield from growth(server, bench, 'files', ['--files-per-directory', '10000'], files)
        yield from restart(server, 1000 if full else 300, files + entries)
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)
