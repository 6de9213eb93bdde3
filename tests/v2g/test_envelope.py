"""Key envelopes: known answers, round trips, and what a car refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.errors import BadInput, PkiError, PolicyViolation
from pki.ids import Edition, Pcid
from pki.v2g import envelope as envelopes
from pki.v2g.envelope import (
    TEXT_2022,
    Aad,
    Binding,
    DhForm,
    Envelope,
    InteropProfile,
    Kdf,
    SeedForm,
    generate_ed448,
    iso2,
    iso20,
    open_iso2,
    open_iso20,
    seal_iso2,
    seal_iso20,
)
from pki.v2g.envelope.base import point

BINDING = Binding(
    pcid=Pcid.parse("WMIP1234567890123X", Edition.ISO20), key_id=bytes.fromhex("0123456789ABCDEF")
)


def p256(value: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(value), ec.SECP256R1())


def p521(octet: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(b"\x01" + bytes([octet]) * 64), ec.SECP521R1())


def code(error: pytest.ExceptionInfo[PkiError]) -> str:
    return error.value.code


# --- -2 -------------------------------------------------------------------------------------------

OEM, EPHEMERAL, CONTRACT = p256(b"\x11" * 32), p256(b"\x22" * 32), p256(b"\x33" * 32)


def test_the_first_editions_envelope_has_its_known_answer() -> None:
    sealed = iso2._seal(CONTRACT, OEM.public_key(), EPHEMERAL, bytes(range(16)))
    assert point(OEM.public_key()).hex() == (
        "040217e617f0b6443928278f96999e69a23a4f2c152bdf6d6cdf66e5b80282d4ed"
        "194a7debcb97712d2dda3ca85aa8765a56f45fc758599652f2897c65306e5794"
    )
    assert sealed.dh_public_key.hex() == (
        "04d65a93977caa3d1b081852ff57a79e465f1660577304baead505dd3a48589cf3"
        "50185e895372df6221ea3a137557e473fddb6755f05bd507c3c533fce9c91285"
    )
    assert sealed.encrypted_key.hex() == (
        "000102030405060708090a0b0c0d0e0ff418f69bd6f0497a0e55fcca0d8dd0ad"
        "9b69c89071ce6f2efbbde7fed706d155"
    )
    opened = open_iso2(sealed, OEM, CONTRACT.public_key())
    assert opened.private_numbers() == CONTRACT.private_numbers()


@settings(max_examples=20)
@given(st.integers(1, 2**256 - 2**225))
def test_any_contract_key_comes_back(value: int) -> None:
    contract = ec.derive_private_key(value, ec.SECP256R1())
    sealed = seal_iso2(contract, OEM.public_key())
    assert (len(sealed.encrypted_key), len(sealed.dh_public_key)) == (48, 65)
    assert open_iso2(sealed, OEM, contract.public_key()).private_numbers().private_value == value


def test_no_two_envelopes_are_alike() -> None:
    one, two = (seal_iso2(CONTRACT, OEM.public_key()) for _ in range(2))
    assert one.encrypted_key[:16] != two.encrypted_key[:16]
    assert one.dh_public_key != two.dh_public_key


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("envelope_size", {"encrypted_key": bytes(47)}),
        ("envelope_size", {"encrypted_key": bytes(49)}),
        ("envelope_size", {"encrypted_key": b""}),
        ("envelope_key", {"encrypted_key": bytes(48)}),
        ("envelope_point", {"dh_public_key": b""}),
        ("envelope_point", {"dh_public_key": b"\x04" + bytes(64)}),
        ("envelope_point", {"dh_public_key": b"\x04" + b"\x01" * 64}),
        ("envelope_point", {"dh_public_key": b"\x05" + point(OEM.public_key())[1:]}),
        ("envelope_point", {"dh_public_key": b"\x02" + point(OEM.public_key())[1:33]}),
    ],
)
def test_a_broken_envelope_is_refused(fault: str, change: dict[str, bytes]) -> None:
    sealed = seal_iso2(CONTRACT, OEM.public_key())
    broken = Envelope(
        encrypted_key=change.get("encrypted_key", sealed.encrypted_key),
        dh_public_key=change.get("dh_public_key", sealed.dh_public_key),
    )
    with pytest.raises(BadInput) as caught:
        open_iso2(broken, OEM, CONTRACT.public_key())
    assert code(caught) == fault


def test_an_envelope_for_another_car_or_contract_is_refused() -> None:
    sealed = seal_iso2(CONTRACT, OEM.public_key())
    for key, public in ((EPHEMERAL, CONTRACT.public_key()), (OEM, OEM.public_key())):
        with pytest.raises(BadInput) as caught:
            open_iso2(sealed, key, public)
        assert code(caught) == "envelope_key"


def test_the_first_edition_takes_p256_only() -> None:
    with pytest.raises(PolicyViolation) as caught:
        seal_iso2(CONTRACT, p521(0x11).public_key())
    assert code(caught) == "envelope_suite"
    with pytest.raises(PolicyViolation):
        open_iso2(seal_iso2(CONTRACT, OEM.public_key()), p521(0x11), CONTRACT.public_key())


@pytest.mark.parametrize("scalar", [bytes(32), b"\xff" * 32])
def test_a_scalar_out_of_range_is_refused(scalar: bytes) -> None:
    encryptor = iso2._cipher(EPHEMERAL, OEM.public_key(), bytes(16)).encryptor()
    sealed = Envelope(
        encrypted_key=bytes(16) + encryptor.update(scalar) + encryptor.finalize(),
        dh_public_key=point(EPHEMERAL.public_key()),
    )
    with pytest.raises(BadInput) as caught:
        open_iso2(sealed, OEM, CONTRACT.public_key())
    assert code(caught) == "envelope_key"


# --- -20 ------------------------------------------------------------------------------------------

OEM_20, CONTRACT_20 = p521(0x11), p521(0x33)


def test_the_second_editions_envelope_has_its_self_consistent_answer() -> None:
    iv = bytes(range(12))
    sealed = iso20._seal(CONTRACT_20, OEM_20.public_key(), BINDING, TEXT_2022, p521(0x22), iv)
    assert sealed.dh_public_key.hex() == (
        "040017ee55f753679304616f09179a14e3782eb24d9087be660dbd88a336c06d4ea0defb7cf5e6b5a784b055"
        "87abb50abfd6cf3d8de7748875155440c67a673c30ab3901501368fb7cd4748d509ccb40319606f2757aa802"
        "6b3d29bc71f072ae39296feead2873eaa5253750d577f107337ee8b9da7c6b66280e10e7bc386075c85c584c"
        "df"
    )
    assert sealed.encrypted_key.hex() == (
        "000102030405060708090a0b1137f6b96b16ffd7dfa01b5a986c0b0079ad62bc7b2d1f68926ab53461b163c2"
        "32595e364f3945a61ef1664b32c44ca103d9277ac82d271131788920e79d9f0359abc405c6553f68211c0b45"
        "e73cbed7d12e"
    )
    opened = open_iso20(sealed, OEM_20, CONTRACT_20.public_key(), BINDING)
    assert isinstance(opened, ec.EllipticCurvePrivateKey)
    assert opened.private_numbers() == CONTRACT_20.private_numbers()


def test_the_key_of_the_second_suite_has_its_self_consistent_answer() -> None:
    receiver, sender = (x448.X448PrivateKey.from_private_bytes(bytes([o]) * 56) for o in (17, 34))
    secret = receiver.exchange(sender.public_key())
    assert secret.hex() == (
        "eeb56b6e2a1675efa3b9f2495d62dbe36b8a93d77599b3995ddeab20ae46dd00"
        "90fff3c333ba4c9681ad6a29c207074d5180b1abe29acde2"
    )
    assert envelopes.derive_key(secret, TEXT_2022).hex() == (
        "87f97286ce80912e17e4e380381403d0c84ae0ecc0e9a545db1552522139bdab"
    )


PROFILES = [
    InteropProfile(name="it", kdf=kdf, aad=aad, dh_form=dh, seed_form=seed)
    for kdf, aad, dh, seed in (
        (Kdf.CONCAT_SHA512, Aad.PCID_AND_KEY_ID, DhForm.PREFIXED, SeedForm.WITHOUT_LAST),
        (Kdf.CONCAT_SHA512_BARE, Aad.NONE, DhForm.BARE, SeedForm.WITHOUT_FIRST),
        (Kdf.HKDF_SHA256, Aad.KEY_ID, DhForm.FILLED, SeedForm.WITHOUT_LAST),
    )
]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.kdf)
def test_both_suites_come_back_under_every_profile(profile: InteropProfile) -> None:
    sealed = seal_iso20(CONTRACT_20, OEM_20.public_key(), BINDING, profile)
    assert (len(sealed.encrypted_key), len(sealed.dh_public_key)) == (94, 133)
    assert open_iso20(sealed, OEM_20, CONTRACT_20.public_key(), BINDING, profile)

    contract, car = generate_ed448(profile), x448.X448PrivateKey.generate()
    sealed = seal_iso20(contract, car.public_key(), BINDING, profile)
    sizes = {DhForm.PREFIXED: 57, DhForm.BARE: 56, DhForm.FILLED: 133}
    assert len(sealed.encrypted_key) == 84
    assert len(sealed.dh_public_key) == sizes[profile.dh_form]
    opened = open_iso20(sealed, car, contract.public_key(), BINDING, profile)
    assert isinstance(opened, ed448.Ed448PrivateKey)
    assert opened.private_bytes_raw() == contract.private_bytes_raw()


@pytest.mark.parametrize(("theirs"), PROFILES[1:], ids=lambda p: p.kdf)
def test_an_envelope_of_another_profile_does_not_open(theirs: InteropProfile) -> None:
    sealed = seal_iso20(CONTRACT_20, OEM_20.public_key(), BINDING, theirs)
    with pytest.raises(BadInput) as caught:
        open_iso20(sealed, OEM_20, CONTRACT_20.public_key(), BINDING)
    assert code(caught) == "envelope_tag"


def test_an_envelope_is_bound_to_car_and_certificate() -> None:
    sealed = seal_iso20(CONTRACT_20, OEM_20.public_key(), BINDING)
    other = Pcid.parse("WMIP1234567890124X", Edition.ISO20)
    for binding in (replace(BINDING, pcid=other), replace(BINDING, key_id=bytes(8))):
        with pytest.raises(BadInput) as caught:
            open_iso20(sealed, OEM_20, CONTRACT_20.public_key(), binding)
        assert code(caught) == "envelope_tag"


@settings(max_examples=40)
@given(st.integers(0, 94 * 8 - 1))
def test_an_altered_bit_is_noticed(place: int) -> None:
    sealed = seal_iso20(CONTRACT_20, OEM_20.public_key(), BINDING)
    altered = bytearray(sealed.encrypted_key)
    altered[place // 8] ^= 0x80 >> place % 8
    with pytest.raises(BadInput) as caught:
        open_iso20(
            replace(sealed, encrypted_key=bytes(altered)),
            OEM_20,
            CONTRACT_20.public_key(),
            BINDING,
        )
    assert code(caught) == "envelope_tag"


def test_contract_and_car_must_share_a_suite() -> None:
    car = x448.X448PrivateKey.generate()
    for contract, receiver in (
        (CONTRACT_20, car.public_key()),
        (generate_ed448(), OEM_20.public_key()),
        (CONTRACT, OEM.public_key()),
        (CONTRACT_20, OEM.public_key()),
    ):
        with pytest.raises(PolicyViolation) as caught:
            seal_iso20(contract, receiver, BINDING)
        assert code(caught) == "envelope_suite"


def test_an_ed448_key_that_the_field_cannot_carry_is_refused() -> None:
    key = ed448.Ed448PrivateKey.from_private_bytes(b"\x01" * 57)
    with pytest.raises(PolicyViolation) as caught:
        seal_iso20(key, x448.X448PrivateKey.generate().public_key(), BINDING)
    assert code(caught) == "envelope_seed"


@pytest.mark.parametrize(
    ("fault", "key", "dh"),
    [
        ("envelope_size", bytes(83), b"\x04" + b"\x05" * 56),
        ("envelope_point", bytes(84), b"\x05" * 57),
        ("envelope_point", bytes(84), b"\x04" + b"\x05" * 55),
        ("envelope_point", bytes(84), b""),
        ("envelope_point", bytes(84), b"\x04" + bytes(56)),
        ("envelope_tag", bytes(84), b"\x04" + b"\x05" * 56),
    ],
)
def test_a_broken_envelope_of_the_second_suite_is_refused(
    fault: str, key: bytes, dh: bytes
) -> None:
    car = x448.X448PrivateKey.generate()
    with pytest.raises(BadInput) as caught:
        open_iso20(
            Envelope(encrypted_key=key, dh_public_key=dh),
            car,
            generate_ed448().public_key(),
            BINDING,
        )
    assert code(caught) == fault


def test_another_contracts_key_is_refused() -> None:
    sealed = seal_iso20(CONTRACT_20, OEM_20.public_key(), BINDING)
    with pytest.raises(BadInput) as caught:
        open_iso20(sealed, OEM_20, OEM_20.public_key(), BINDING)
    assert code(caught) == "envelope_key"
    car = x448.X448PrivateKey.generate()
    sealed = seal_iso20(generate_ed448(), car.public_key(), BINDING)
    with pytest.raises(BadInput) as caught:
        open_iso20(sealed, car, generate_ed448().public_key(), BINDING)
    assert code(caught) == "envelope_key"
