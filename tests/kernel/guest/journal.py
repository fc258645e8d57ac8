"""Changes a directory and keeps a journal of what was acknowledged; then compares the two.

journal.py work DIRECTORY JOURNAL STOP   until the file STOP is there
journal.py verify DIRECTORY JOURNAL

A line is written to JOURNAL (which lies elsewhere) after the system call that it tells of returned:
  create NAME | rename NAME OTHER | unlink NAME | append LENGTH
Files are synced before they are written down; what each must hold follows from its number. The
client lives on, so nothing is in flight at the end: the directory must be exactly what the journal
tells.
"""

import os
import sys

BLOCK = 3000  # of the file that grows; no multiple of any page
NAMES_MIN = 40  # made before the work counts


def content(number):
    return (f"file {number}\n" * (number % 400 + 1)).encode()


def block(index):
    return bytes((index * 7 + at * 13) % 251 for at in range(BLOCK))


class Work:
    def __init__(self, directory, journal):
        self.directory = directory
        self.journal = open(journal, "w", encoding="ascii", buffering=1)
        self.log = os.open(self.path("log"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def path(self, name):
        return os.path.join(self.directory, name)

    def wrote(self, *words):
        print(*words, file=self.journal)

    def create(self, number):
        name = f"f{number}"
        file = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        data = content(number)
        assert os.write(file, data) == len(data)
        os.fsync(file)
        os.close(file)
        self.wrote("create", name)

    def step(self, number):
        self.create(number)
        if number % 3 == 0:
            os.rename(self.path(f"f{number}"), self.path(f"r{number}"))
            self.wrote("rename", f"f{number}", f"r{number}")
        if number % 5 == 4:
            os.unlink(self.path(f"f{number}" if number % 3 else f"r{number}"))
            self.wrote("unlink", f"f{number}" if number % 3 else f"r{number}")
        if number % 7 == 0:  # over an existing name
            self.create(number * 1000 + 1)
            os.rename(self.path(f"f{number * 1000 + 1}"), self.path("newest"))
            self.wrote("rename", f"f{number * 1000 + 1}", "newest")
        os.pwrite(self.log, block(number), number * BLOCK)
        os.fsync(self.log)
        self.wrote("append", (number + 1) * BLOCK)


def work(directory, journal, stop):
    state = Work(directory, journal)
    number = 0
    while number < NAMES_MIN or not os.path.exists(stop):
        state.step(number)
        number += 1
    os.close(state.log)
    print(f"names: {number} rounds")


def replay(journal):
    """The names that must be there, each with the number of its content; the log's length."""
    names, length = {}, 0
    with open(journal, encoding="ascii") as lines:
        for line in lines:
            what, *words = line.split()
            if what == "create":
                names[words[0]] = int(words[0][1:])
            elif what == "rename":
                names[words[1]] = names.pop(words[0])
            elif what == "unlink":
                del names[words[0]]
            else:
                length = int(words[0])
    return names, length


def read(path):
    with open(path, "rb") as file:
        return file.read()


def verify(directory, journal):
    names, length = replay(journal)
    problems = []
    found = set(os.listdir(directory))
    for name in sorted(set(names) - found):
        problems.append(f"{name} was acknowledged and is not there")
    for name in sorted(found - set(names) - {"log"}):
        problems.append(f"{name} is there, though it was removed or never made")
    for name in sorted(found & set(names)):
        if read(os.path.join(directory, name)) != content(names[name]):
            problems.append(f"{name} does not hold what was written and synced")
    log = read(os.path.join(directory, "log"))
    for index in range(length // BLOCK):
        if log[index * BLOCK:(index + 1) * BLOCK] != block(index):
            problems.append(f"block {index} of the log is not what was written and synced")
    for problem in problems[:20]:
        print(problem)
    print(f"verified {len(names)} names and {length} bytes: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(*sys.argv[2:])
    else:
        sys.exit(verify(*sys.argv[2:]))
