#!/usr/bin/env python3
"""
Revoke a compromised key in an emergency: see first what falls with it, then act.

usage: revoke_key.py [--home HOME] [--reason REASON] [--yes] [--json] SERIAL|FINGERPRINT

Shows every certificate of the same key and, for a CA, contracts, cars, chargers and eMSPs below it.
Without --yes nothing is changed. With it the certificate and its siblings are revoked, the key goes
on the block list, and a CA stops issuing; the next decision and the next OCSP answer refuse them.
Then what fell is replaced: repeat the command to go on after an interruption. It does what
`pnc emergency revoke` does; `pnc emergency distrust` is for a root of somebody else's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pki.cli import main as pnc


def main(arguments: list[str] | None = None) -> None:
    """Translate the arguments into a call of `pnc emergency revoke`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", metavar="SERIAL|FINGERPRINT")
    parser.add_argument("--home", help="state directory (default: $PNC_HOME, else var/)")
    parser.add_argument("--reason", default="keyCompromise", help="default: keyCompromise")
    parser.add_argument("--yes", action="store_true", help="act; without it, only show")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    words = ["--home", options.home] if options.home else []
    words += ["emergency", "revoke", options.reference, "--reason", options.reason]
    words += [flag for flag in ("--yes", "--json") if getattr(options, flag[2:])]
    pnc(words, prog_name="pnc")


if __name__ == "__main__":
    main()
