"""
Responses to installations: built, signed, measured, and made ready for one session.

What the signature covers is the contract; session id, time and remaining count stand outside of it
and are set when a bundle is handed out ([V2G2-818] and following, [V2G20-1077]).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from pki.errors import BadInput, PolicyViolation
from pki.ids import Edition
from pki.model import Budget, ProvisioningChain
from pki.pkix import alternate
from pki.pkix.certificate import Certificate, load
from pki.pkix.suites import PrivateKey, Suite
from pki.v2g import messages
from pki.v2g.enumerations import EcdhCurve, EvseProcessing, ResponseCode2, ResponseCode20
from pki.v2g.envelope import Binding, Envelope, seal_iso2, seal_iso20
from pki.v2g.messages import iso2, iso20
from pki.v2g.signature import sign

Response = iso2.CertificateInstallationRes | iso20.CertificateInstallationRes
Pooled = Response | iso2.CertificateUpdateRes

_SESSION: Final = bytes(8)
_SUITES: Final = {
    Suite.P256: (48, 65, 64),
    Suite.P521: (94, 133, 132),
    Suite.ED448: (84, 57, 114),
}
"""Octets of the encrypted key, of the ephemeral public key and of the signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """
    What an eMSP, or we for it, made of a contract.

    Attributes:
        chain: contract leaf and sub-CAs, DER, leaf first.
        encrypted_key, dh_public_key: the envelope for the car.
        emaid: as the leaf's CN says it, 14 or 15 characters in -2.
    """

    suite: Suite
    chain: tuple[bytes, ...]
    encrypted_key: bytes
    dh_public_key: bytes
    emaid: str

    @property
    def edition(self) -> Edition:
        """The edition of the message."""
        return self.suite.edition


def unsigned(contents: Contents, cps_chain: tuple[bytes, ...]) -> Response:
    """Return the response of a contract, with a session id of eight zeros and no signature."""
    if contents.edition is Edition.ISO20:
        return _unsigned20(contents, cps_chain)
    leaf, *subs = contents.chain
    return iso2.CertificateInstallationRes(
        header=iso2.Header(session_id=_SESSION),
        response_code=ResponseCode2.OK,
        provisioning_chain=iso2.CertificateChain(
            certificate=cps_chain[0], sub_certificates=cps_chain[1:]
        ),
        contract_chain=iso2.CertificateChain(
            id="id1", certificate=leaf, sub_certificates=tuple(subs)
        ),
        encrypted_key=iso2.EncryptedPrivateKey(id="id2", value=contents.encrypted_key),
        dh_public_key=iso2.DhPublicKey(id="id3", value=contents.dh_public_key),
        emaid=iso2.SignedEmaid(id="id4", value=contents.emaid),
    )


def _unsigned20(
    contents: Contents, cps_chain: tuple[bytes, ...]
) -> iso20.CertificateInstallationRes:
    leaf, *subs = contents.chain
    second = contents.suite is Suite.ED448
    return iso20.CertificateInstallationRes(
        header=iso20.Header(session_id=_SESSION, timestamp=0),
        response_code=ResponseCode20.OK,
        evse_processing=EvseProcessing.FINISHED,
        cps_chain=iso20.CertificateChain(certificate=cps_chain[0], sub_certificates=cps_chain[1:]),
        installation_data=iso20.SignedInstallationData(
            id="id1",
            contract_chain=iso20.CertificateChain(certificate=leaf, sub_certificates=tuple(subs)),
            curve=EcdhCurve.X448 if second else EcdhCurve.SECP521,
            dh_public_key=contents.dh_public_key,
            secp521_key=None if second else contents.encrypted_key,
            x448_key=contents.encrypted_key if second else None,
        ),
        remaining_contracts=0,
    )


def as_update(response: iso2.CertificateInstallationRes) -> iso2.CertificateUpdateRes:
    """Return the same contract as the answer to an update; its signature has to be made anew."""
    return iso2.CertificateUpdateRes(
        header=replace(response.header, signature=None),
        response_code=response.response_code,
        provisioning_chain=response.provisioning_chain,
        contract_chain=response.contract_chain,
        encrypted_key=response.encrypted_key,
        dh_public_key=response.dh_public_key,
        emaid=response.emaid,
    )


def contents_of(response: Response) -> Contents:
    """
    Return the contract in a response.

    Raises:
        BadInput: `bundle_key_missing`, for a -20 response without a key that we know.
    """
    if isinstance(response, iso2.CertificateInstallationRes):
        return Contents(
            suite=Suite.P256,
            chain=(response.contract_chain.certificate, *response.contract_chain.sub_certificates),
            encrypted_key=response.encrypted_key.value,
            dh_public_key=response.dh_public_key.value,
            emaid=response.emaid.value,
        )
    data = response.installation_data
    key = data.secp521_key or data.x448_key
    if key is None:
        raise BadInput("bundle_key_missing", "The bundle holds no encrypted key of P-521 or X448.")
    return Contents(
        suite=Suite.P521 if data.secp521_key else Suite.ED448,
        chain=(data.contract_chain.certificate, *data.contract_chain.sub_certificates),
        encrypted_key=key,
        dh_public_key=data.dh_public_key,
        emaid="",
    )


def cps_chain_of(response: Response) -> tuple[bytes, ...]:
    """Return the chain of the provisioning service in a response, leaf first."""
    chain = (
        response.provisioning_chain
        if isinstance(response, iso2.CertificateInstallationRes)
        else response.cps_chain
    )
    return (chain.certificate, *chain.sub_certificates)


def predicted_size(contents: Contents, cps_chain: tuple[bytes, ...], cps_key: object) -> int:
    """
    Return how many octets of EXI the signed response will have, before any key is used.

    Args:
        contents: of the right sizes, whatever they say.
        cps_key: public key of the signer.
    """
    blank = bytes(_SUITES[contents.suite][2])
    signature = blank if contents.suite is Suite.ED448 else encode_dss_signature(1, 1)
    signed = sign(unsigned(contents, cps_chain), cps_key, lambda _: signature)
    return len(messages.encode(signed))


def seal(key: PrivateKey, car: ProvisioningChain, key_id: bytes) -> Envelope:
    """
    Encrypt a contract's key for a car.

    Raises:
        PolicyViolation: `envelope_suite`; `key_agreement_missing`, for an Ed448 certificate
            without an X448 key.
    """
    leaf = load(car.certificate)
    receiver = alternate.find(leaf.extensions) if car.suite is Suite.ED448 else leaf.public_key
    if not isinstance(receiver, ec.EllipticCurvePublicKey | x448.X448PublicKey):
        raise PolicyViolation("key_agreement_missing", "The car's certificate has no X448 key.")
    if car.suite is not Suite.P256:
        return seal_iso20(key, receiver, Binding(pcid=car.pcid, key_id=key_id))
    if isinstance(receiver, ec.EllipticCurvePublicKey) and isinstance(
        key, ec.EllipticCurvePrivateKey
    ):
        return seal_iso2(key, receiver)
    raise PolicyViolation("envelope_suite", "Contract and car are not of one suite.")


def envelope_sizes(suite: Suite) -> tuple[int, int]:
    """Return the octets of encrypted key and ephemeral public key."""
    return _SUITES[suite][:2]


def judge(size: int, edition: Edition, budget: Budget) -> tuple[str, ...]:
    """
    Return warnings about the size of a response.

    Raises:
        PolicyViolation: `response_too_large`.
    """
    limit = budget.limit(edition)
    if size > limit:
        raise PolicyViolation(
            "response_too_large",
            f"The answer to the car would have {size} octets, more than the {limit} that "
            "charging stations pass on.",
            hint="Use shorter names and addresses in the certificates, or fewer sub-CAs.",
            data={"size": size, "limit": limit},
        )
    if edition is Edition.ISO20 or size <= budget.warning:
        return ()
    warning = (
        f"The answer has {size} octets; stations of the older OCPP 2.0.1 schema pass on "
        f"{budget.warning} only."
    )
    return (warning,)


def spki_hash(certificate: Certificate) -> bytes:
    """Return SHA-256 over the SubjectPublicKeyInfo of a certificate."""
    return hashlib.sha256(certificate.spki).digest()


def for_session(response: Pooled, session_id: bytes, timestamp: int, remaining: int = 0) -> bytes:
    """Return the EXI of a pooled response for one session."""
    if isinstance(response, iso20.CertificateInstallationRes):
        header = replace(response.header, session_id=session_id, timestamp=timestamp)
        return messages.encode(replace(response, header=header, remaining_contracts=remaining))
    return messages.encode(
        replace(response, header=replace(response.header, session_id=session_id))
    )


def read(data: bytes, edition: Edition) -> Response:
    """
    Read a response.

    Raises:
        BadInput: the codes of the EXI layer; `not_a_bundle` for another message.
    """
    message = messages.decode(data, edition).message
    if isinstance(message, Response):
        return message
    raise BadInput("not_a_bundle", "The message is no CertificateInstallationRes.")


def read_update(data: bytes) -> iso2.CertificateUpdateRes:
    """Read the answer to an update. Raises as `read`."""
    message = messages.decode(data, Edition.ISO2).message
    if isinstance(message, iso2.CertificateUpdateRes):
        return message
    raise BadInput("not_a_bundle", "The message is no CertificateUpdateRes.")
