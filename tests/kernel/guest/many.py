"""many.py make|remove COUNT: so many names in the directory "many", by a few threads.

A fifth of them are files, the others symlinks, which cost one request each instead of three.
"""

import concurrent.futures
import os
import sys


def make(number):
    if number % 5 == 0:
        os.close(os.open(f"many/n{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    else:
        os.symlink("nowhere", f"many/n{number}")


def remove(number):
    os.unlink(f"many/n{number}")


def main():
    action = {"make": make, "remove": remove}[sys.argv[1]]
    os.makedirs("many", exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(action, range(int(sys.argv[2])), chunksize=50))


if __name__ == "__main__":
    main()
