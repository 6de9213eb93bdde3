"""Certificates without content: the order of the caller, as other readers see it."""

from __future__ import annotations

import itertools
import subprocess
import warnings

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from pki.pkix import cms, pem
from tests.builders import chain


def authorities() -> list[bytes]:
    """Return three certificates whose order by DER is not the only one that is tried."""
    return list(chain().presented)


def test_every_order_is_written_as_it_was_given() -> None:
    for order in itertools.permutations(authorities()):
        written = cms.certs_only(order)
        with warnings.catch_warnings():  # it would rather see the SET sorted
            warnings.filterwarnings("ignore", message="PKCS#7 certificates could not be parsed")
            read = pkcs7.load_der_pkcs7_certificates(written)
        assert [c.public_bytes(Encoding.DER) for c in read] == list(order)


def test_openssl_prints_the_certificates_in_this_order() -> None:
    order = authorities()[::-1]
    command = ["openssl", "pkcs7", "-inform", "DER", "-print_certs"]
    done = subprocess.run(
        command, input=cms.certs_only(order), capture_output=True, check=True, timeout=60
    )
    assert list(pem.certificates(done.stdout.decode(), limit=3)) == order
