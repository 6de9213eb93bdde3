#!/usr/bin/env python3
"""
Restore a backup elsewhere, check what came back, and remove it again.

usage: restore_drill.py FILE --passphrase-file PHRASE [--database-url URL] [--json]

Checks audit chains, serials, stored OCSP answers and CRLs, and that nothing is signed. The exit
status is 1 where a check fails. It does what `pnc restore drill` does. Run it after each backup.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pki.cli import main as pnc


def main(arguments: list[str] | None = None) -> None:
    """Hand the arguments on to `pnc`; `--home` goes before the command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    before: list[str] = []
    if "--home" in words:
        at = words.index("--home")
        before = words[at : at + 2]
        del words[at : at + 2]
    pnc([*before, *["restore", "drill"], *words], prog_name="pnc")


if __name__ == "__main__":
    main()
