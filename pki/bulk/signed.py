"""Signatures over the files of jobs: whoever may order certificates in bulk signs the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pki.errors import BadInput, NotAllowed
from pki.pkix.suites import suite_of, verifies


def require_signature(data: bytes, signature: bytes, signers: Sequence[Path]) -> str:
    """
    Return the name of the registered key that signed the octets of a job.

    The signature is what `openssl dgst -sha256 -sign KEY` makes with a P-256 key (SHA-512 with
    P-521, or raw Ed448).

    Args:
        signers: PEM files of public keys, from the settings.

    Raises:
        NotAllowed: `job_not_signed`: by none of them.
        BadInput: `signer_unreadable`.
    """
    for path in signers:
        try:
            key = load_pem_public_key(path.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise BadInput("signer_unreadable", f"{path} holds no public key in PEM.") from error
        if suite_of(key) is not None and verifies(key, signature, data):
            return path.name
    raise NotAllowed(
        "job_not_signed",
        "None of the registered keys has signed this file.",
        hint="bulk.signers in the settings lists public keys in PEM; "
        "sign with: openssl dgst -sha256 -sign KEY -out JOB.sig JOB",
    )
