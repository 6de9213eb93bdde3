"""Others that validate a chain: OpenSSL, pyhanko-certvalidator, and the package `iso15118`."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ISO_SCRIPT: Final = """
import json, sys, time
from iso15118.shared.security import verify_certs
told = json.load(sys.stdin)
chains = [[bytes.fromhex(der) for der in chain] for chain in told]
begun = time.process_time()
for leaf, *subs, root in chains:
    verify_certs(leaf, subs, root)
print((time.process_time() - begun) / len(chains) * 1e6)
"""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Leaves under one hierarchy, as DER, and the time to validate at."""

    leaves: tuple[bytes, ...]
    subs: tuple[bytes, ...]
    root: bytes
    at: dt.datetime


def openssl(chains: Hierarchy, *, prepared: bool) -> Callable[[bytes], None]:
    """Return OpenSSL's verification of a leaf; `prepared`: with all of them parsed before."""
    from OpenSSL import crypto  # noqa: PLC0415 - a peer

    def read(der: bytes) -> crypto.X509:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, der)

    store = crypto.X509Store()
    store.set_time(chains.at)
    store.add_cert(read(chains.root))
    kept = [read(der) for der in chains.subs]
    leaves = {der: read(der) for der in chains.leaves} if prepared else {}

    def one(der: bytes) -> None:
        others = kept if prepared else [read(sub) for sub in chains.subs]
        crypto.X509StoreContext(store, leaves.get(der) or read(der), others).verify_certificate()

    return one


def hanko(chains: Hierarchy) -> Callable[[bytes], object] | None:
    """Return pyhanko's validation of a leaf, or None where it cannot be had."""
    try:
        from asn1crypto import x509  # noqa: PLC0415 - a peer
        from pyhanko_certvalidator import (  # noqa: PLC0415 - as above
            CertificateValidator,
            ValidationContext,
        )
    except ImportError:
        return None
    import asyncio  # noqa: PLC0415 - for the peer

    root = x509.Certificate.load(chains.root)

    def one(der: bytes) -> object:
        subs = [x509.Certificate.load(sub) for sub in chains.subs]
        context = ValidationContext(
            trust_roots=[root], allow_fetching=False, revocation_mode="soft-fail", moment=chains.at
        )
        validator = CertificateValidator(
            x509.Certificate.load(der), intermediate_certs=subs, validation_context=context
        )
        # the peer has no types
        return asyncio.run(validator.async_validate_usage({"digital_signature"}))  # type: ignore[no-untyped-call]

    try:
        one(chains.leaves[0])
    except Exception as error:  # noqa: BLE001 - it does not know every curve
        print(f"pyhanko-certvalidator is left out: {error}")
        return None
    return one


def iso15118(chains: Hierarchy, python: Path) -> float:
    """Run the peer where it is installed; it pins another `cryptography`."""
    subs = [sub.hex() for sub in chains.subs]
    told = [[der.hex(), *subs, chains.root.hex()] for der in chains.leaves]
    done = subprocess.run(  # noqa: S603 - the words are ours
        [python, "-c", _ISO_SCRIPT],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else float("nan")
