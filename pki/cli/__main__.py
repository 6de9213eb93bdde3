"""`python -m pki.cli`: the `pnc` command without its script."""

from pki.cli import main

main(prog_name="pnc")
