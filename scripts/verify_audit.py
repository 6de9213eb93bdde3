#!/usr/bin/env python3
"""
Verify an exported audit record: scripts/verify_audit.py FILE --key audit.pem

Needs neither a database nor a home directory, only the public key of `pnc audit key`, kept apart.
Exit status 0: the record is what was signed; 1: it is not; 2: it cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pki.audit import offline


def main() -> int:
    """Verify one file and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("file", type=Path, help="written by `pnc audit export`")
    parser.add_argument("--key", type=Path, action="append", required=True, help="public key, PEM")
    given = parser.parse_args()
    try:
        keys = offline.read_keys(path.read_bytes() for path in given.key)
        with given.file.open(encoding="utf-8", errors="replace") as lines:
            found = offline.verify(offline.limited(lines), keys)
    except (OSError, ValueError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    for name, state in found.chains.items():
        print(f"{name}: {state.entries} entries, signed up to {state.signed} at {state.signed_at}")
    for problem in found.problems:
        print(f"BROKEN: {problem}")
    print("broken" if found.problems else "intact")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
