"""clang-tidy over the files named on standard input, in parallel, with results kept.

usage: tidy.py COMPILE_COMMANDS < names. A header stands for the source of the same name. A result
is kept under the hash of everything of ours that it depends on: the checks, the command, the source
and all headers of this repository and its build that it includes.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

RESULTS_MAX = 4000  # kept; the oldest go
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.M)
FINDING = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):\d+: (?P<what>(warning|error): .*)$")


class Tidy:
    def __init__(self, commands_path):
        self.root = pathlib.Path.cwd()
        self.build = pathlib.Path(commands_path).resolve().parent
        self.commands = {}
        for command in json.loads(pathlib.Path(commands_path).read_text()):
            source = pathlib.Path(command["directory"], command["file"]).resolve()
            self.commands[source] = command.get("command") or shlex.join(command["arguments"])
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.cache = pathlib.Path(base, "tarn", "clang-tidy")
        self.cache.mkdir(parents=True, exist_ok=True)
        version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True)
        self.checks = version.stdout + (self.root / ".clang-tidy").read_bytes()
        self.headers = {}

    def included(self, path):
        """The direct includes of a file that are ours, and its bytes."""
        if path not in self.headers:
            content = path.read_bytes()
            found = []
            for name in INCLUDE.findall(content):
                for folder in (self.root, self.build, path.parent):
                    candidate = folder / name.decode()
                    if candidate.is_file():
                        found.append(candidate.resolve())
                        break
            self.headers[path] = (content, found)
        return self.headers[path]

    def key(self, source):
        digest = hashlib.sha256(self.checks)
        # Where the checkout lies does not change what is found in it.
        digest.update(self.commands[source].replace(str(self.root), "").encode())
        waiting, seen = [source], {source}
        while waiting:
            content, found = self.included(waiting.pop())
            digest.update(hashlib.sha256(content).digest())
            for header in sorted(found):
                if header not in seen:
                    seen.add(header)
                    waiting.append(header)
        return digest.hexdigest()

    def run(self, source):
        """Findings as lines; from the cache when nothing changed."""
        kept = self.cache / self.key(source)
        if kept.exists():
            kept.touch()
            return kept.read_text().splitlines()
        command = [
            "nice", "clang-tidy", "--quiet", "-p", str(self.build),
            "--extra-arg=-Wno-unknown-warning-option", str(source),
        ]
        if str(source).endswith("_test.cc") or "/testing/" in str(source):
            # Paths through GoogleTest's macros cost five times the rest, and find nothing.
            command.insert(3, "--checks=-clang-analyzer-*")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        findings = []
        for line in done.stdout.splitlines():
            found = FINDING.match(line)
            if found:
                path = os.path.relpath(found["file"], self.root)
                findings.append(f"{path}:{found['line']}: clang-tidy: {found['what']}")
        if done.returncode != 0 and not findings:
            return [f"{source}:1: clang-tidy: it broke off: {done.stderr.strip()[-500:]}"]
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text("\n".join(findings))
        partial.rename(kept)
        return findings

    def prune(self):
        results = sorted(self.cache.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in results[:-RESULTS_MAX]:
            path.unlink(missing_ok=True)


def main():
    tidy = Tidy(sys.argv[1])
    wanted = set()
    for name in sys.stdin.read().split():
        source = pathlib.Path(re.sub(r"\.h$", ".cc", name)).resolve()
        if source in tidy.commands and source.exists():
            wanted.add(source)
    findings = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for lines in pool.map(tidy.run, sorted(wanted)):
            findings.update(lines)
    tidy.prune()
    for line in sorted(findings):
        print(line)
    print(f"lint: clang-tidy looked at {len(wanted)} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
