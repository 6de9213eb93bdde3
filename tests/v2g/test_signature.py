"""Signatures over fragments: made, verified, and refused with their reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.ids import Edition
from pki.v2g import exi, messages
from pki.v2g.enumerations import ResponseCode2
from pki.v2g.messages import (
    Algorithm,
    Message,
    Received,
    Reference,
    Signature,
    SignatureValue,
    SignedInfo,
    iso2,
    iso20,
)
from pki.v2g.signature import Bits, SignatureFault, sign, verify
from pki.v2g.suites import P256, P521, suite_for
from tests.v2g import samples
from tests.v2g.samples import Key

M = TypeVar("M", bound=Message)
KEY = samples.p256()
KEY_20 = samples.p521()


def received(message: Message) -> Received:
    return messages.decode(messages.encode(message), messages.edition_of(message))


def refused(message: Message, key: object = KEY.public) -> str:
    with pytest.raises(SignatureFault) as caught:
        verify(received(message), key)
    return caught.value.code


def signed_request() -> iso2.CertificateInstallationReq:
    return sign(samples.installation_req(), KEY.public, KEY.sign)


def signed_response() -> iso2.CertificateInstallationRes:
    return sign(samples.installation_res(), KEY.public, KEY.sign)


def signature_of(message: Message) -> Signature:
    assert message.header.signature is not None
    return message.header.signature


def with_info(
    message: iso2.CertificateInstallationReq, change: Callable[[SignedInfo], SignedInfo]
) -> iso2.CertificateInstallationReq:
    """Change SignedInfo and sign it again, so that nothing but the change is wrong."""
    info = change(signature_of(message).signed_info)
    octets = exi.encode_fragment(exi.XMLDSIG, "SignedInfo", messages.to_tree(info))
    value = SignatureValue(value=P256.raw(KEY.sign(octets)))
    return with_signature(message, Signature(signed_info=info, value=value))


def with_signature(
    message: iso2.CertificateInstallationReq, signature: Signature
) -> iso2.CertificateInstallationReq:
    return replace(message, header=replace(message.header, signature=signature))


def with_reference(
    message: iso2.CertificateInstallationReq, change: Callable[[Reference], Reference]
) -> iso2.CertificateInstallationReq:
    return with_info(message, lambda i: replace(i, references=tuple(map(change, i.references))))


def keys_for(message: Message) -> list[Key]:
    second = messages.edition_of(message) is Edition.ISO20
    return [KEY_20, samples.ed448_key()] if second else [KEY]


@pytest.mark.parametrize("make", samples.SIGNED)
def test_what_is_signed_here_verifies(make: Callable[[], Message]) -> None:
    for key in keys_for(make()):
        message = sign(make(), key.public, key.sign)
        verified = verify(received(message), key.public)
        assert verified.suite is suite_for(key.public)
        assert verified.signed_info is Bits.WIRE
        assert len(signature_of(message).value.value) == verified.suite.value_size
        wire = {name for name, bits in verified.digests.items() if bits is Bits.WIRE}
        assert set(verified.digests) - wire <= {"eMAID"}


def test_a_bundle_has_one_reference_for_each_of_its_four_elements() -> None:
    references = signature_of(signed_response()).signed_info.references
    assert [reference.uri for reference in references] == ["#id1", "#id2", "#id3", "#id4"]


def test_a_bundle_signed_ahead_takes_another_session_id_and_response_code() -> None:
    message = signed_response()
    header = replace(message.header, session_id=b"\x01")
    other = replace(message, header=header, response_code=ResponseCode2.FAILED)
    assert verify(received(other), KEY.public).signed_info is Bits.WIRE


def test_the_order_of_references_is_free() -> None:
    message = signed_response()
    info = signature_of(message).signed_info
    turned = replace(info, references=info.references[::-1])
    octets = exi.encode_fragment(exi.XMLDSIG, "SignedInfo", messages.to_tree(turned))
    signature = Signature(
        signed_info=turned, value=SignatureValue(value=P256.raw(KEY.sign(octets)))
    )
    message = replace(message, header=replace(message.header, signature=signature))
    assert len(verify(received(message), KEY.public).digests) == 4


def test_a_missing_signature_is_refused() -> None:
    assert refused(samples.installation_req()) == "signature_missing"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, contract_chain=replace(m.contract_chain, certificate=b"x")),
        lambda m: replace(m, encrypted_key=replace(m.encrypted_key, value=b"x")),
        lambda m: replace(m, dh_public_key=replace(m.dh_public_key, value=b"x")),
        lambda m: replace(m, emaid=replace(m.emaid, value="DEABCC123ABC57")),
    ],
)
def test_each_element_of_a_bundle_is_protected(
    change: Callable[[iso2.CertificateInstallationRes], iso2.CertificateInstallationRes],
) -> None:
    assert refused(change(signed_response())) == "signature_digest"


def test_another_key_is_refused() -> None:
    assert refused(signed_request(), samples.p256().public) == "signature_value"


@pytest.mark.parametrize(
    "key",
    [
        samples.p521().public,
        samples.ed448_key().public,
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        None,
    ],
)
def test_a_key_outside_the_policy_is_refused_whatever_the_message_says(key: object) -> None:
    assert refused(signed_request(), key) == "signature_key"


def test_the_policy_and_not_the_message_names_the_suites() -> None:
    message = samples.installation_req20()
    with pytest.raises(SignatureFault):
        sign(message, KEY.public, KEY.sign)
    signed = sign(message, KEY_20.public, KEY_20.sign)
    with pytest.raises(SignatureFault) as caught:
        verify(received(signed), KEY_20.public, frozenset({P256}))
    assert caught.value.code == "signature_key"
    with pytest.raises(SignatureFault):
        verify(received(signed), KEY_20.public, frozenset())


OTHER = Algorithm(uri=P521.digest_method)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "signature_algorithm",
            lambda: with_info(signed_request(), lambda i: replace(i, method=OTHER)),
        ),
        (
            "signature_algorithm",
            lambda: with_info(signed_request(), lambda i: replace(i, canonicalization=OTHER)),
        ),
        (
            "signature_algorithm",
            lambda: with_reference(signed_request(), lambda r: replace(r, digest_method=OTHER)),
        ),
        (
            "signature_algorithm",
            lambda: with_reference(signed_request(), lambda r: replace(r, transforms=())),
        ),
        (
            "signature_algorithm",
            lambda: with_reference(
                signed_request(), lambda r: replace(r, transforms=r.transforms * 2)
            ),
        ),
        (
            "signature_algorithm",
            lambda: with_reference(signed_request(), lambda r: replace(r, transforms=(OTHER,))),
        ),
        ("signature_profile", lambda: with_info(signed_request(), lambda i: replace(i, id="i"))),
        (
            "signature_profile",
            lambda: with_reference(signed_request(), lambda r: replace(r, type="t")),
        ),
        (
            "signature_reference_external",
            lambda: with_reference(signed_request(), lambda r: replace(r, uri="http://x/#id1")),
        ),
        (
            "signature_reference_external",
            lambda: with_reference(signed_request(), lambda r: replace(r, uri="")),
        ),
        (
            "signature_reference_unknown",
            lambda: with_reference(signed_request(), lambda r: replace(r, uri="#id2")),
        ),
        (
            "signature_element_unreferenced",
            lambda: with_reference(signed_request(), lambda r: replace(r, uri=None)),
        ),
        (
            "signature_reference_duplicate",
            lambda: with_info(signed_request(), lambda i: replace(i, references=i.references * 2)),
        ),
        (
            "signature_reference_unknown",
            lambda: with_info(
                signed_request(),
                lambda i: replace(
                    i, references=(*i.references, replace(i.references[0], uri=None))
                ),
            ),
        ),
        (
            "signature_digest",
            lambda: with_reference(signed_request(), lambda r: replace(r, digest=r.digest[:31])),
        ),
    ],
)
def test_what_the_profile_forbids_is_refused_although_it_is_signed(
    code: str, message: Callable[[], iso2.CertificateInstallationReq]
) -> None:
    assert refused(message()) == code


@pytest.mark.parametrize("size", [0, 63, 65, 72])
def test_a_value_of_another_length_is_refused(size: int) -> None:
    signature = replace(signature_of(signed_request()), value=SignatureValue(value=bytes(size)))
    message = with_signature(signed_request(), signature)
    assert refused(message) == "signature_value_malformed"


@pytest.mark.parametrize("value", [bytes(64), b"\xff" * 64])
def test_a_value_out_of_range_is_refused(value: bytes) -> None:
    signature = replace(signature_of(signed_request()), value=SignatureValue(value=value))
    assert refused(with_signature(signed_request(), signature)) == "signature_value"


def test_an_id_on_the_value_is_refused() -> None:
    value = replace(signature_of(signed_request()).value, id="v")
    signature = replace(signature_of(signed_request()), value=value)
    assert refused(with_signature(signed_request(), signature)) == "signature_profile"


def test_an_id_that_stands_twice_is_refused() -> None:
    chain = replace(signed_response().provisioning_chain, id="id2")
    assert refused(replace(signed_response(), provisioning_chain=chain)) == "signature_element_id"


def test_elements_without_an_id_or_with_one_id_are_not_signed() -> None:
    message = samples.installation_res()
    for chain_id in (None, "", "id2"):
        chain = replace(message.contract_chain, id=chain_id)
        with pytest.raises(SignatureFault) as caught:
            sign(replace(message, contract_chain=chain), KEY.public, KEY.sign)
        assert caught.value.code == "signature_element_id"


def test_a_message_of_a_kind_without_signature_is_neither_signed_nor_verified() -> None:
    assert refused(samples.payment_details_req()) == "signature_not_demanded"
    eim = replace(samples.authorization_req20(), pnc=None, eim=iso20.EimMode())
    with pytest.raises(SignatureFault) as caught:
        sign(eim, KEY_20.public, KEY_20.sign)
    assert caught.value.code == "signature_not_demanded"


def test_an_authorization_without_an_id_cannot_be_verified() -> None:
    message = sign(samples.authorization_req(), KEY.public, KEY.sign)
    assert refused(replace(message, id=None)) == "signature_element_id"


# --- the sender's bits ----------------------------------------------------------------------------


def with_long_serial(stream: bytes) -> bytes:
    """Write the last serial number of a request with one zero group more, as OpenV2G does."""
    decoded = exi.decode_document(exi.ISO2, stream)
    # behind the last group: end of the serial number, of the entry, of the list
    end = decoded.spans["ListOfRootCertificateIDs"].end - 4
    text = f"{int.from_bytes(stream):0{8 * len(stream)}b}"
    text = text[: end - 8] + "1" + text[end - 7 : end] + "00000000" + text[end:]
    return int(text, 2).to_bytes(len(text) // 8)


def test_a_digest_over_longer_numbers_is_verified_over_the_senders_bits() -> None:
    name = "CertificateInstallationReq"
    decoded = exi.decode_document(exi.ISO2, with_long_serial(messages.encode(signed_request())))
    wire = exi.wire_fragment(exi.ISO2, decoded, name)
    assert wire is not None
    message = with_reference(signed_request(), lambda r: replace(r, digest=P256.digest(wire)))
    stream = with_long_serial(messages.encode(message))
    verified = verify(messages.decode(stream, Edition.ISO2), KEY.public)
    assert verified.digests == {name: Bits.WIRE}
    assert refused(message) == "signature_digest"  # the same message, encoded again


def test_a_digest_over_the_canonical_form_is_verified_behind_longer_numbers() -> None:
    stream = with_long_serial(messages.encode(signed_request()))
    verified = verify(messages.decode(stream, Edition.ISO2), KEY.public)
    assert verified.digests == {"CertificateInstallationReq": Bits.CANONICAL}


def test_a_signature_over_the_canonical_form_is_verified_behind_a_longer_length() -> None:
    stream = messages.encode(signed_request())
    begin = exi.decode_document(exi.ISO2, stream).spans["SignedInfo"].begin
    length = begin + 2 + 1  # behind the codes of CanonicalizationMethod and Algorithm
    text = f"{int.from_bytes(stream):0{8 * len(stream)}b}"
    text = text[:length] + "1" + text[length + 1 : length + 8] + "00000000" + text[length + 8 :]
    longer = int(text, 2).to_bytes(len(text) // 8)
    verified = verify(messages.decode(longer, Edition.ISO2), KEY.public)
    assert verified.signed_info is Bits.CANONICAL


def test_a_suite_knows_only_its_own_keys() -> None:
    octets = b"anything"
    value = P256.raw(KEY.sign(octets))
    assert P256.verifies(KEY.public, value, octets)
    assert not P256.verifies(KEY_20.public, value, octets)
    assert not P521.verifies(KEY.public, bytes(132), octets)


def test_a_car_that_signs_its_whole_request_is_verified_and_recorded() -> None:
    message = samples.installation_req20()
    name = "CertificateInstallationReq"
    fragment = exi.encode_fragment(exi.ISO20, name, messages.to_tree(message))
    assert int.from_bytes(fragment[1:3]) >> 7 == 27
    info = signature_of(sign(message, KEY_20.public, KEY_20.sign)).signed_info
    info = replace(info, references=(replace(info.references[0], digest=P521.digest(fragment)),))
    octets = exi.encode_fragment(exi.XMLDSIG, "SignedInfo", messages.to_tree(info))
    value = SignatureValue(value=P521.raw(KEY_20.sign(octets)))
    signature = Signature(signed_info=info, value=value)
    signed = replace(message, header=replace(message.header, signature=signature))
    verified = verify(received(signed), KEY_20.public)
    assert verified.digests == {"OEMProvisioningCertificateChain": Bits.WHOLE_REQUEST}
    other = replace(signed, maximum_contracts=4)
    assert refused(other, KEY_20.public) == "signature_digest"
