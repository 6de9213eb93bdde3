#!/usr/bin/env python3
"""
Rotate a key without an outage: rehearse, prepare, switch, close, retire.

usage: rotate_key.py [--home HOME] KEY [NAME] [--plan] [--step STEP] [--yes] [--json]

KEY is ca, responder, cps (with the NAME of the CA), token, webhooks or storage. It does what
`pnc rotate` does; `rotate_key.py ca --help` says more.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pki.cli import main as pnc


def main(arguments: list[str] | None = None) -> None:
    """Hand the arguments on to `pnc rotate`; `--home` goes before it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    before: list[str] = []
    if not words or words[0] in {"-h", "--help"}:
        print(__doc__)
        return
    if "--home" in words:
        at = words.index("--home")
        before = words[at : at + 2]
        del words[at : at + 2]
    pnc([*before, "rotate", *words], prog_name="pnc")


if __name__ == "__main__":
    main()
