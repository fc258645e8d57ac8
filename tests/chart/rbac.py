"""Reads rendered manifests; says which rules of roles lack a comment that justifies them, or are
wider than any rule of ours may be. Ends with code 1 when there is one."""
import re
import sys


def problems(text):
    """Texts, one a problem; raises where it finds no rules at all."""
    found, rules = [], 0
    for document in text.split('\n---'):
        kind = re.search(r'^kind: (\w+)', document, re.M)
        if not kind or kind.group(1) not in ('Role', 'ClusterRole'):
            continue
        name = f"{kind.group(1)} {re.search(r'^  name: (.+)', document, re.M).group(1)}"
        lines = document[document.index('\nrules:'):].splitlines()[2:]
        for number, line in enumerate(lines):
            if not line.startswith('- '):
                continue
            rules += 1
            why = number
            while why > 0 and lines[why - 1].startswith('#'):
                why -= 1
            if len(' '.join(lines[why:number])) < 15:
                found.append(f'{name}: no comment says why: {line}')
        if re.search(r"verbs:.*['\"]?\*|resources: \[?['\"]?\*|- ['\"]?\*", document):
            found.append(f'{name}: a wildcard')
    if rules == 0:
        raise SystemExit('no rule of any role was found')
    return found


if __name__ == '__main__':
    wrong = problems(sys.stdin.read())
    print('\n'.join(wrong))
    sys.exit(1 if wrong else 0)
