"""
XML signatures over EXI fragments (ISO 15118-2 and -20, [V2G2-771], [V2G2-909]).

A verifier knows beforehand which elements of a message must be signed, and finds them by their
place, never by looking for an Id. The references must name exactly these. Each digest is compared
over the sender's own bits first and over our canonical encoding second: encoders exist that write
numbers in longer forms and digest exactly those bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar, cast

from pki.errors import PolicyViolation
from pki.v2g import exi
from pki.v2g.messages import (
    Algorithm,
    Message,
    Received,
    Reference,
    Signature,
    SignatureValue,
    SignedInfo,
    edition_of,
    iso2,
    iso20,
    schema_of,
    to_tree,
)
from pki.v2g.suites import CANONICAL_EXI, POLICIES, MessageSuite, Policy, suite_for

AnyMessage = TypeVar("AnyMessage", bound=Message)

SignOctets = Callable[[bytes], bytes]
"""Signs octets with the suite of its key: DER ECDSA or raw Ed448."""

_SIGNED_INFO: Final = "SignedInfo"
_HEADER: Final = "Header"
_BUNDLE: Final = (
    "ContractSignatureCertChain",
    "ContractSignatureEncryptedPrivateKey",
    "DHpublickey",
    "eMAID",
)
_SIGNED: Final[dict[type[Message], tuple[str, ...]]] = {
    iso2.CertificateInstallationReq: ("CertificateInstallationReq",),
    iso2.CertificateInstallationRes: _BUNDLE,
    iso2.CertificateUpdateReq: ("CertificateUpdateReq",),
    iso2.CertificateUpdateRes: _BUNDLE,
    iso2.AuthorizationReq: ("AuthorizationReq",),
    iso20.CertificateInstallationReq: ("OEMProvisioningCertificateChain",),
    iso20.CertificateInstallationRes: ("SignedInstallationData",),
    iso20.AuthorizationReq: ("PnC_AReqAuthorizationMode",),
}


class SignatureFault(PolicyViolation):
    """
    A message is not signed as it has to be.

    Codes: `signature_not_demanded` (a message of this kind carries none), `signature_missing`,
    `signature_key` (no suite of the policy has such a key), `signature_algorithm` (or transform),
    `signature_profile` (what [V2G2-771] forbids), `signature_element_id` (missing or not unique),
    `signature_reference_external`, `signature_reference_unknown`, `signature_reference_duplicate`,
    `signature_element_unreferenced`, `signature_digest`, `signature_value_malformed`,
    `signature_value`.
    """


class Bits(StrEnum):
    """Over which bits a digest or the signature proved right."""

    WIRE = "wire"
    CANONICAL = "canonical"
    WHOLE_REQUEST = "whole_request"
    """The -20 installation request without its signature, in place of its chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """
    A signature that holds.

    Attributes:
        digests: the signed elements, and over which bits each digest matched.
        signed_info: over which bits the signature value matched.
    """

    suite: MessageSuite
    digests: Mapping[str, Bits]
    signed_info: Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    """An element to be signed: its fragments, best first."""

    name: str
    id: str
    fragments: tuple[tuple[Bits, bytes], ...]


def verify(received: Received, key: object, policy: Policy | None = None) -> Verified:
    """
    Verify the signature of a message with the public key of whom it must come from.

    The caller takes the key from a certificate and validates that certificate's path and role.

    Args:
        policy: accepted suites; those of the message's edition where it is None.

    Raises:
        SignatureFault: with the codes named there.
    """
    message = received.message
    accepted = POLICIES[edition_of(message)] if policy is None else policy
    suite = suite_for(key)
    demanded = _demanded(message)
    signature = message.header.signature
    if signature is None:
        raise SignatureFault("signature_missing", "The message is not signed.")
    if suite is None or suite not in accepted:
        raise SignatureFault("signature_key", "The key belongs to no suite that is accepted here.")
    _check_profile(signature, suite)
    elements = [_received_element(received, name) for name in demanded]
    _check_references(signature.signed_info, elements, suite)
    digests = {e.name: _check_digest(e, signature.signed_info, suite) for e in elements}
    signed_info = _check_value(received, signature, key, suite)
    return Verified(suite=suite, digests=digests, signed_info=signed_info)


def sign(message: AnyMessage, key: object, sign_octets: SignOctets) -> AnyMessage:
    """
    Return the message with a signature over the elements that its kind demands.

    Args:
        key: public key of the signer; it decides the suite.
        sign_octets: signs with the private half.

    Raises:
        SignatureFault: `signature_not_demanded`, `signature_key` where no suite of the message's
            edition has such a key, `signature_element_id`.
    """
    suite = suite_for(key)
    if suite is None or suite not in POLICIES[edition_of(message)]:
        raise SignatureFault("signature_key", "No suite of this edition has such a key.")
    elements = [_canonical(message, name) for name in _demanded(message)]
    signed_info = _signed_info(elements, suite)
    octets = exi.encode_fragment(exi.XMLDSIG, _SIGNED_INFO, to_tree(signed_info))
    value = SignatureValue(value=suite.raw(sign_octets(octets)))
    signature = Signature(signed_info=signed_info, value=value)
    return _with_signature(message, signature)


def _signed_info(elements: list[_Element], suite: MessageSuite) -> SignedInfo:
    return SignedInfo(
        canonicalization=Algorithm(uri=CANONICAL_EXI),
        method=Algorithm(uri=suite.method),
        references=tuple(
            Reference(
                uri=f"#{element.id}",
                transforms=(Algorithm(uri=CANONICAL_EXI),),
                digest_method=Algorithm(uri=suite.digest_method),
                digest=suite.digest(element.fragments[0][1]),
            )
            for element in elements
        ),
    )


def _with_signature(message: AnyMessage, signature: Signature) -> AnyMessage:
    header = replace(message.header, signature=signature)
    return replace(message, header=header)  # type: ignore[arg-type]  # each kind takes its own


def _demanded(message: Message) -> tuple[str, ...]:
    """Return the names of the elements that a message of this kind must have signed."""
    names = _SIGNED.get(type(message), ())
    if isinstance(message, iso20.AuthorizationReq) and message.pnc is None:
        names = ()
    if not names:
        raise SignatureFault("signature_not_demanded", "Messages of this kind are not signed.")
    return names


def _content(message: Message, name: str) -> exi.Tree:
    """Return the content of an element to be signed: the body itself, or a child of it."""
    tree = to_tree(message)
    if name == type(message).__name__:
        del tree[_HEADER]
        return tree
    return cast("exi.Tree", tree[name])


def _canonical(message: Message, name: str) -> _Element:
    tree = _content(message, name)
    identifier = _identifier(tree, name)
    if list(_identifiers(to_tree(message))).count(identifier) > 1:
        raise SignatureFault("signature_element_id", f"The Id of {name} is not unique.")
    fragment = exi.encode_fragment(schema_of(message), name, tree)
    return _Element(name=name, id=identifier, fragments=((Bits.CANONICAL, fragment),))


def _identifier(tree: exi.Tree, name: str) -> str:
    identifier = tree.get("Id")
    if not isinstance(identifier, str) or not identifier:
        raise SignatureFault("signature_element_id", f"{name} has no Id.")
    return identifier


def _identifiers(tree: exi.Value) -> Iterator[exi.Value]:
    """Yield every Id that stands anywhere in a message."""
    if isinstance(tree, dict):
        if "Id" in tree:
            yield tree["Id"]
        for value in tree.values():
            yield from _identifiers(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _identifiers(value)


def _received_element(received: Received, name: str) -> _Element:
    message = received.message
    element = _canonical(message, name)
    fragments = element.fragments
    wire = exi.wire_fragment(schema_of(message), received.stream, name)
    if wire is not None:
        fragments = ((Bits.WIRE, wire), *fragments)
    if isinstance(message, iso20.CertificateInstallationReq):
        fragments = (*fragments, (Bits.WHOLE_REQUEST, _whole_request(message)))
    return replace(element, fragments=fragments)


def _whole_request(request: iso20.CertificateInstallationReq) -> bytes:
    """
    Return what some cars digest in place of the chain: the request without its signature.

    [V2G20-1548] names the body element, which has no Id of its own; the reference carries the Id of
    the chain inside it. Either way the chain is covered.
    """
    unsigned = replace(request, header=replace(request.header, signature=None))
    return exi.encode_fragment(exi.ISO20, type(request).__name__, to_tree(unsigned))


def _check_profile(signature: Signature, suite: MessageSuite) -> None:
    info = signature.signed_info
    if info.canonicalization.uri != CANONICAL_EXI or info.method.uri != suite.method:
        raise _algorithm("canonicalization or signature")
    if info.id is not None or signature.value.id is not None:
        raise SignatureFault("signature_profile", "SignedInfo and SignatureValue carry no Id.")
    if any(reference.type is not None for reference in info.references):
        raise SignatureFault("signature_profile", "A reference carries no Type.")


def _algorithm(what: str) -> SignatureFault:
    return SignatureFault("signature_algorithm", f"The {what} algorithm is not the suite's.")


def _check_references(
    signed_info: SignedInfo, elements: list[_Element], suite: MessageSuite
) -> None:
    """Require that the references name exactly the elements, each once, with the suite's means."""
    wanted = {f"#{element.id}": element.name for element in elements}
    seen: set[str] = set()
    for reference in signed_info.references:
        if reference.uri is None:
            continue  # it names nothing, so an element is left over
        _check_uri(reference.uri, wanted, seen)
        seen.add(reference.uri)
    for uri in wanted.keys() - seen:
        name = wanted[uri]
        raise SignatureFault("signature_element_unreferenced", f"No reference names {name}.")
    if len(signed_info.references) != len(wanted):
        raise SignatureFault("signature_reference_unknown", "A reference names nothing.")
    for reference in signed_info.references:
        if reference.digest_method.uri != suite.digest_method:
            raise _algorithm("digest")
        if [transform.uri for transform in reference.transforms] != [CANONICAL_EXI]:
            raise _algorithm("transform")


def _check_uri(uri: str, wanted: Mapping[str, str], seen: set[str]) -> None:
    if not uri.startswith("#"):
        raise SignatureFault("signature_reference_external", "A reference leaves the message.")
    if uri not in wanted:
        raise SignatureFault(
            "signature_reference_unknown", "A reference names what is not to be signed here."
        )
    if uri in seen:
        raise SignatureFault("signature_reference_duplicate", f"Two references name {wanted[uri]}.")


def _check_digest(element: _Element, signed_info: SignedInfo, suite: MessageSuite) -> Bits:
    digest = next(r.digest for r in signed_info.references if r.uri == f"#{element.id}")
    for bits, fragment in element.fragments:
        if suite.digest(fragment) == digest:
            return bits
    raise SignatureFault("signature_digest", f"The digest of {element.name} does not match.")


def _check_value(
    received: Received, signature: Signature, key: object, suite: MessageSuite
) -> Bits:
    value = signature.value.value
    if len(value) != suite.value_size:
        raise SignatureFault(
            "signature_value_malformed",
            f"The signature value has {len(value)} octets, not {suite.value_size}.",
        )
    wire = exi.wire_fragment(exi.XMLDSIG, received.stream, _SIGNED_INFO)
    if wire is not None and suite.verifies(key, value, wire):
        return Bits.WIRE
    canonical = exi.encode_fragment(exi.XMLDSIG, _SIGNED_INFO, to_tree(signature.signed_info))
    if canonical != wire and suite.verifies(key, value, canonical):
        return Bits.CANONICAL
    raise SignatureFault("signature_value", "The signature value does not verify.")
