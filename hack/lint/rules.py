"""The rules of this project that no ready-made linter has. Reads file names from standard input.

Lengths and layers are those of docs/architecture.md. Generated sums and Go sources are exempt.
"""

import ast
import pathlib
import re
import sys

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
LEFTOVER = re.compile(r"\b(FIX" + r"ME|TO" + r"DO|XX" + r"X)\b")

# What a folder may include besides itself; the longest prefix that fits a file counts. The test
# programs (*_test.cc, testing/) use real parts of any layer.
LOWEST = ["common/"]
SERVER_BASE = LOWEST + ["api/", "server/xdr/"]
LAYERS = {
    "common/": [],
    "common/grpc/": LOWEST + ["api/"],
    "api/": LOWEST,
    "server/xdr/": LOWEST + ["api/"],
    "server/vfs/": LOWEST,
    "server/rpc/": SERVER_BASE,
    "server/engine/": LOWEST + ["server/vfs/"],
    "server/policy/": LOWEST,
    "server/keys/": SERVER_BASE + ["common/grpc/"],
    "server/identity/": LOWEST,
    "server/audit/": LOWEST,
    "server/nfs4/": SERVER_BASE + ["server/rpc/", "server/vfs/", "server/engine/"],
    "server/control/": SERVER_BASE
    + ["common/grpc/", "server/rpc/", "server/vfs/", "server/engine/", "server/nfs4/",
       "server/keys/", "server/policy/", "server/audit/"],
    "server/": SERVER_BASE + ["common/grpc/", "server/"],
    "csi/": LOWEST + ["common/grpc/", "api/", "operator/kube/"],
    "mount/": LOWEST + ["common/grpc/", "csi/"],
    "operator/": LOWEST + ["common/grpc/", "api/", "server/identity/"],
    "operator/kube/": LOWEST,
    "cli/": LOWEST + ["common/grpc/", "api/", "server/policy/", "operator/kube/"],
}


CPP_TEXT = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r'|R"([^(\s]*)\(.*?\)\1"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",  # but not the separator of 1'000
    re.S,
)


def strip_cpp(text):
    """Blanks comments and literals, so that braces and words in them do not count."""
    return CPP_TEXT.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


NOT_FUNCTION = re.compile(r"^\s*(namespace|class|struct|enum|union|extern)\b")
CONTROL = re.compile(r"^\s*(\}?\s*else\b|if|for|while|switch|do|try|catch|case|default)\b")


def cpp_functions(text):
    """Yields (first line, last line) of every function body, by its braces."""
    clean = strip_cpp(text)
    clean = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()),
                   clean, flags=re.M)
    stack = []
    head = 0
    for at, char in enumerate(clean):
        if char == "{":
            before = clean[head:at].strip()
            function = (
                "(" in before
                and not NOT_FUNCTION.match(before)
                and not CONTROL.match(before)
            )
            start = head + len(clean[head:at]) - len(clean[head:at].lstrip())
            stack.append(start if function else None)
            head = at + 1
        elif char == "}":
            start = stack.pop() if stack else None
            if start is not None:
                yield clean.count("\n", 0, start) + 1, clean.count("\n", 0, at) + 1
            head = at + 1
        elif char == ";":
            head = at + 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def block_functions(lines, begin, end):
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and begin.match(line):
            start = number
        if start is not None and end.match(line):
            yield start, number
            start = None


def functions(kind, text, lines):
    if kind == "cpp":
        return cpp_functions(text)
    if kind == "python":
        return python_functions(text)
    if kind == "shell":
        return block_functions(lines, re.compile(r"^(function\s+)?[\w-]+\s*\(\)"),
                               re.compile(r"^[})]|^[\w-]+\(\).*[})]\s*(#.*)?$"))
    return block_functions(lines, re.compile(r"^\s*(function|macro)\(", re.I),
                           re.compile(r"^\s*end(function|macro)\(", re.I))


def kind_of(path, text):
    name = pathlib.PurePath(path).name
    if name.endswith((".cc", ".h")):
        return "cpp"
    if name.endswith(".py"):
        return "python"
    if name == "CMakeLists.txt" or name.endswith(".cmake"):
        return "cmake"
    first = text.split("\n", 1)[0]
    if name.endswith(".sh") or re.match(r"#!.*\b(ba|da)?sh\b", first):
        return "shell"
    if re.match(r"#!.*\bpython3?\b", first):
        return "python"
    return None


def allowed(path):
    folders = [folder for folder in LAYERS if path.startswith(folder)]
    if not folders or path.endswith("_test.cc") or "/testing/" in path:
        return None
    folder = max(folders, key=len)
    return [folder] + LAYERS[folder]


def against_layers(path, included):
    """True when `path` may not include `included`."""
    may = allowed(path)
    if may is None or "/" not in included:
        return False
    target = max((folder for folder in LAYERS if included.startswith(folder)), key=len,
                 default=None)
    if target is None:
        return False
    # The longest prefix counts: common/ does not give common/grpc/ to everyone.
    return target not in {layer for layer in LAYERS if reaches(layer, may)}


def reaches(layer, may):
    if layer in may:
        return True
    return layer != "common/grpc/" and any(layer.startswith(prefix) for prefix in may)


def check(path, report):
    text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    kind = kind_of(path, text)
    if kind is None:
        return
    lines = text.split("\n")
    count = len(lines) - (lines[-1] == "")
    if count >= FILE_LINES_MAX:
        report(path, count, f"file-length: {count} lines; keep it under {FILE_LINES_MAX}")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            report(path, number, f"columns: {len(line)}; {COLUMNS_MAX} at most")
        if LEFTOVER.search(line):
            report(path, number, "leftover: do it, or file an issue")
        include = re.match(r'\s*#\s*include\s+"([^"]+)"', line) if kind == "cpp" else None
        if include and against_layers(path, include.group(1)):
            report(path, number, f"layers: {include.group(1)} lies above or beside this folder")
    for first, last in functions(kind, text, lines):
        length = last - first + 1
        if length >= FUNCTION_LINES_MAX:
            report(path, first, f"function-length: {length} lines; keep it under "
                                f"{FUNCTION_LINES_MAX}")


def main():
    violations = []
    for path in sys.stdin.read().split("\n"):
        if path:
            check(path, lambda *what: violations.append(what))
    for path, line, rule in sorted(violations):
        print(f"{path}:{line}: {rule}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
