#!/usr/bin/env python3
"""
Save an installation into one encrypted file while it goes on working.

usage: backup.py [--home HOME] FILE --passphrase-file PHRASE [--json]

It does what `pnc backup` does; `backup.py --help` says more.
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
    pnc([*before, *["backup"], *words], prog_name="pnc")


if __name__ == "__main__":
    main()
