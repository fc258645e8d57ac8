#!/usr/bin/env python3
"""sanity_report.py JUNIT SKIPPED: counts csi-sanity's cases, and holds those it skipped against the
list of the skips we expect, both ways. Exit 1 on a failure or another set of skips."""
import sys
import xml.etree.ElementTree as xml


def main() -> int:
    report, expected_file = sys.argv[1:]
    expected = {
        line.strip()
        for line in open(expected_file, encoding="utf-8")
        if line.strip() and not line.startswith("#")
    }
    passed, failed, skipped = [], [], set()
    for case in xml.parse(report).getroot().iter("testcase"):
        name = case.get("name", "").strip()
        if not name.startswith("[It]"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(name)
            continue
        name = name.removeprefix("[It]").strip()
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None:
            skipped.add(name)
        else:
            passed.append(name)
    for name in failed:
        print(f"sanity: failed: {name}")
    for name in sorted(skipped - expected):
        print(f"sanity: skipped, but not in the list: {name}")
    for name in sorted(expected - skipped):
        print(f"sanity: in the list, but not skipped: {name}")
    print(f"sanity: {len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or skipped != expected or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
