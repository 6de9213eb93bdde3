"""
Responses that say no.

Their schemas demand every element of a good answer all the same, so the elements hold the least
that every codec in the field reads: one zero octet, and an EMAID that nobody has.
"""

from __future__ import annotations

from typing import Final

from pki.v2g.enumerations import EcdhCurve, EvseProcessing, ResponseCode2, ResponseCode20
from pki.v2g.messages import iso2, iso20

_NOTHING: Final = b"\x00"
_CHAIN_2: Final = iso2.CertificateChain(certificate=_NOTHING)
_SIGNED_CHAIN_2: Final = iso2.CertificateChain(id="id1", certificate=_NOTHING)
_KEY_2: Final = iso2.EncryptedPrivateKey(id="id2", value=_NOTHING)
_DH_2: Final = iso2.DhPublicKey(id="id3", value=_NOTHING)
_EMAID_2: Final = iso2.SignedEmaid(id="id4", value="ZZ000C00000000")
_CHAIN_20: Final = iso20.CertificateChain(certificate=_NOTHING)
_DATA_20: Final = iso20.SignedInstallationData(
    id="id1",
    contract_chain=iso20.CertificateChain(certificate=_NOTHING, sub_certificates=(_NOTHING,)),
    curve=EcdhCurve.SECP521,
    dh_public_key=_NOTHING,
    secp521_key=_NOTHING,
)


def refuse_installation(
    request: iso2.CertificateInstallationReq, code: ResponseCode2
) -> iso2.CertificateInstallationRes:
    """Answer a -2 installation with a response code and nothing behind it."""
    return iso2.CertificateInstallationRes(
        header=iso2.Header(session_id=request.header.session_id),
        response_code=code,
        provisioning_chain=_CHAIN_2,
        contract_chain=_SIGNED_CHAIN_2,
        encrypted_key=_KEY_2,
        dh_public_key=_DH_2,
        emaid=_EMAID_2,
    )


def refuse_update(
    request: iso2.CertificateUpdateReq, code: ResponseCode2, retry_counter: int | None = None
) -> iso2.CertificateUpdateRes:
    """Answer a -2 update with a response code and when to ask again."""
    return iso2.CertificateUpdateRes(
        header=iso2.Header(session_id=request.header.session_id),
        response_code=code,
        provisioning_chain=_CHAIN_2,
        contract_chain=_SIGNED_CHAIN_2,
        encrypted_key=_KEY_2,
        dh_public_key=_DH_2,
        emaid=_EMAID_2,
        retry_counter=retry_counter,
    )


def refuse_installation20(
    request: iso20.CertificateInstallationReq, code: ResponseCode20, timestamp: int
) -> iso20.CertificateInstallationRes:
    """Answer a -20 installation with a response code; `timestamp` in seconds since 1970."""
    return iso20.CertificateInstallationRes(
        header=iso20.Header(session_id=request.header.session_id, timestamp=timestamp),
        response_code=code,
        evse_processing=EvseProcessing.FINISHED,
        cps_chain=_CHAIN_20,
        installation_data=_DATA_20,
        remaining_contracts=0,
    )
