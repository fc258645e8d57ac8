#!/usr/bin/env bash
# lint.sh [--all] [--fix]: checks the source's style; prints "file:line: rule: what" for each
# violation.
#   rules    files under 500 lines, functions under 70, 100 columns, no include against the layers
#   format   clang-format; --fix formats in place
#   scripts  shellcheck over every shell script
#   tidy     clang-tidy, in parallel and cached: of the files that differ from main (on main: from
#            the commit before); of every file with --all
# Ends with "N passed, N failed", a check each.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
all='' fix=''
for argument in "$@"; do
  case $argument in
    --all) all=1 ;;
    --fix) fix=1 ;;
    *) echo "lint: unknown argument $argument; see the head of hack/lint.sh" >&2; exit 2 ;;
  esac
done
passed=0 failed=0

check() {  # check NAME COMMAND...
  local name=$1 begin=$SECONDS
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); name="$name FAILED"; fi
  echo "lint: $name ($((SECONDS - begin)) s)"
}

files() {  # files PATTERN...: tracked and new files, without those that are deleted here
  git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r file; do
    [ ! -f "$file" ] || echo "$file"
  done
}

shell_scripts() {
  files | while read -r file; do
    case $file in
      *.sh) echo "$file" ;;
      *.*) ;;
      *) if head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh\b'; then echo "$file"; fi ;;
    esac
  done
  files .ci | grep -v '\.' || true
}

check_rules() { files | python3 hack/lint/rules.py; }

check_format() {
  files '*.cc' '*.h' | xargs -r clang-format ${fix:+-i} ${fix:-"--dry-run"} 2>&1 |
    sed -nE 's/^([^:]+:[0-9]+):[0-9]+: (error|warning): .*/\1: format: clang-format differs/p' |
    sort -u | tee -a /dev/stderr | { ! grep -q .; }
}

# SC2034: what a sourced file sets, its reader uses. SC1090: some sources are found at run time.
check_shell() {
  if ! command -v shellcheck >/dev/null; then
    echo "lint: shellcheck is not installed; run hack/deps.sh"
    return 1
  fi
  shell_scripts | sort -u | xargs -r \
    shellcheck --severity=warning --exclude=SC2034,SC1090 --format=gcc |
    sed -E 's/^([^:]+:[0-9]+):[0-9]+: /\1: shellcheck: /' | tee -a /dev/stderr | { ! grep -q .; }
}

changed() {
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null)
  [ "$base" != "$(git rev-parse HEAD)" ] || base=$(git rev-parse -q --verify HEAD~1 || echo HEAD)
  { git diff --name-only "${base:-HEAD}"; git ls-files --others --exclude-standard; } | sort -u
}

check_tidy() {
  [ -f build/release/compile_commands.json ] || cmake --preset release >/dev/null || return 1
  if [ -n "$all" ]; then files '*.cc' '*.h'; else changed; fi |
    python3 hack/lint/tidy.py build/release/compile_commands.json
}

check rules check_rules
check format check_format
check scripts check_shell
check tidy check_tidy
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
