"""
How a contract's private key travels to the car: encrypted to a public key that the car has.

`iso2` is settled and has a known answer. `iso20` stands behind a named `InteropProfile`, because
the field does not agree on its details yet.
"""

from pki.v2g.envelope.base import Envelope
from pki.v2g.envelope.iso2 import open_iso2, seal_iso2
from pki.v2g.envelope.iso20 import (
    TEXT_2022,
    Aad,
    Binding,
    DhForm,
    InteropProfile,
    Kdf,
    SeedForm,
    derive_key,
    generate_ed448,
    open_iso20,
    seal_iso20,
)

__all__ = [
    "TEXT_2022",
    "Aad",
    "Binding",
    "DhForm",
    "Envelope",
    "InteropProfile",
    "Kdf",
    "SeedForm",
    "derive_key",
    "generate_ed448",
    "open_iso2",
    "open_iso20",
    "seal_iso2",
    "seal_iso20",
]
