"""What both editions share: the XML signature and the list of roots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pki.v2g.exi import TEXT
from pki.v2g.messages.binding import At, OptionalId


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """An algorithm by its URI."""

    uri: Annotated[str, At("Algorithm")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A digest over one element; no transforms and an absent `Transforms` are the same."""

    id: OptionalId = None
    type: Annotated[str | None, At("Type")] = None
    uri: Annotated[str | None, At("URI")] = None
    transforms: Annotated[tuple[Algorithm, ...], At("Transforms", "Transform")] = ()
    digest_method: Annotated[Algorithm, At("DigestMethod")]
    digest: Annotated[bytes, At("DigestValue")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInfo:
    """What the signature value covers."""

    id: OptionalId = None
    canonicalization: Annotated[Algorithm, At("CanonicalizationMethod")]
    method: Annotated[Algorithm, At("SignatureMethod")]
    references: Annotated[tuple[Reference, ...], At("Reference")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureValue:
    """Raw r and s, or an Ed448 signature."""

    id: OptionalId = None
    value: Annotated[bytes, At(TEXT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """XML signature of a message."""

    id: OptionalId = None
    signed_info: Annotated[SignedInfo, At("SignedInfo")]
    value: Annotated[SignatureValue, At("SignatureValue")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCertificateId:
    """A root that the car holds; the name is free text that only resembles a distinguished name."""

    issuer_name: Annotated[str, At("X509IssuerName")]
    serial: Annotated[int, At("X509SerialNumber")]
