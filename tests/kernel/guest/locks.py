"""Byte-range (fcntl) and whole-file (flock) locks, for the cases.

locks.py try|wait KIND FILE [START LENGTH]
locks.py hold KIND FILE [START LENGTH] FLAG
  try   takes the lock if it is free: exit 0, or 1 when another has it
  wait  waits for it, then exits 0 (and lets it go)
  hold  waits for it, makes the file FLAG, and keeps the lock until FLAG.release is there
KIND: read, write (fcntl) or flock.
"""

import fcntl
import os
import sys
import time


def take(kind, file, start, length, wait):
    flags = 0 if wait else fcntl.LOCK_NB
    if kind == "flock":
        fcntl.flock(file, fcntl.LOCK_EX | flags)
    else:
        what = fcntl.LOCK_SH if kind == "read" else fcntl.LOCK_EX
        fcntl.lockf(file, what | flags, length, start)


def hold(flag):
    with open(flag, "w", encoding="ascii"):
        pass
    while not os.path.exists(flag + ".release"):
        time.sleep(0.05)


def main():
    how, kind, name = sys.argv[1:4]
    rest = sys.argv[4:]
    flag = rest.pop() if how == "hold" else None
    start, length = (int(value) for value in rest) if rest else (0, 0)
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            take(kind, file, start, length, how != "try")
        except BlockingIOError:
            return 1
        if how == "hold":
            hold(flag)
    return 0


if __name__ == "__main__":
    sys.exit(main())
