"""What an OCSP request may hold (cases 11 to 27 of the conformance list), and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.model import Reason
from pki.pkix.ocsp import MAX_REQUESTS
from pki.pkix.suites import Suite
from pki.status import StatusPolicy
from tests.web import asking
from tests.web.asking import NULL, OCTETS, OID, SEQUENCE, cert_id, request, tlv
from tests.web.authority import AT, DAY, Authority, Leaf, next_generation, opened, working

EPOCH = AT.fromtimestamp(0, AT.tzinfo)


@pytest.fixture(scope="module")
def leaf(common: Authority) -> Leaf:
    return common.issue()


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_the_cert_id_comes_back_octet_for_octet(
    common: Authority, leaf: Leaf, algorithm: str, *, null: bool
) -> None:
    """Cases 11 and 12, twice: signed, then from the store."""
    asked = leaf.cert_id(algorithm, null=null)
    for _ in range(2):
        single = common.ask(request(asked)).single
        assert (single.cert_id, single.status) == (asked, "good")


@pytest.mark.parametrize("algorithm", ["md5", "sha224"])
def test_another_hash_is_unauthorized(common: Authority, leaf: Leaf, algorithm: str) -> None:
    """Case 13."""
    for null in (True, False):
        assert common.ask(request(leaf.cert_id(algorithm, null=null))).status == "unauthorized"


def test_a_hash_with_odd_parameters_is_another_hash(common: Authority, leaf: Leaf) -> None:
    """Case 13: never taken for the hash that it resembles."""
    plain = leaf.cert_id("sha256")
    algorithm = tlv(SEQUENCE, tlv(OID, bytes.fromhex(asking.HASHES["sha256"])), NULL)
    odd = tlv(SEQUENCE, tlv(OID, bytes.fromhex(asking.HASHES["sha256"])), tlv(OCTETS))
    assert algorithm in plain
    assert common.ask(request(plain.replace(algorithm, odd))).status == "unauthorized"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (bytes(20), bytes(20)),
        (None, bytes(20)),
        (bytes(20), None),
        (b"", b""),
        (None, b""),
        (b"", None),
        (bytes(4096), bytes(4096)),
    ],
    ids=["both", "key", "name", "both empty", "key empty", "name empty", "huge"],
)
def test_an_issuer_that_is_not_ours_is_unauthorized(
    common: Authority, leaf: Leaf, name: bytes | None, key: bytes | None
) -> None:
    """Cases 14 and 15."""
    asked = cert_id(leaf.issuer, leaf.serial, name=name, key=key)
    assert common.ask(request(asked)).status == "unauthorized"


def test_hashes_of_another_length_than_their_algorithm_are_unauthorized(
    common: Authority, leaf: Leaf
) -> None:
    sha256 = leaf.cert_id("sha256")
    both = sha256[sha256.index(b"\x04\x20") : sha256.index(b"\x04\x20") + 68]
    sha1 = leaf.cert_id("sha1")
    hashes = sha1[sha1.index(b"\x04\x14") : sha1.index(b"\x04\x14") + 44]
    mixed = tlv(SEQUENCE, sha1[2 : sha1.index(hashes)], both, sha1[sha1.index(hashes) + 44 :])
    assert common.ask(request(mixed)).status == "unauthorized"


# --- serials -------------------------------------------------------------------------------------

NEVER_ISSUED: dict[str, int | bytes] = {
    "a plain one": 0x1234567890,
    "zero": 0,
    "negative": -5,
    "minus one": -1,
    "20 octets": (1 << 159) - 1,
    "21 octets": 1 << 160,
    "4,096 octets": b"\x7f" * 4096,
    "4,096 octets, negative": b"\x80" * 4096,
}


@pytest.mark.parametrize("serial", NEVER_ISSUED.values(), ids=list(NEVER_ISSUED))
def test_a_serial_never_issued_is_unknown(
    common: Authority, leaf: Leaf, serial: int | bytes
) -> None:
    """Cases 16 and 17; I4."""
    asked = cert_id(leaf.issuer, serial)
    answer = common.ask(request(asked))
    assert (answer.single.status, answer.single.cert_id) == ("unknown", asked)
    assert not answer.extended_revoke


@pytest.mark.parametrize("serial", NEVER_ISSUED.values(), ids=list(NEVER_ISSUED))
def test_a_serial_never_issued_is_revoked_where_the_setting_says_so(
    authority_template: Path, serial: int | bytes
) -> None:
    """Case 16: the extended definition of RFC 6960 2.2."""
    policy = StatusPolicy(unissued_revoked=True)
    with working(authority_template, policy=policy) as strict:
        answer = strict.ask(request(cert_id(strict.ca("mo2-2"), serial)))
    single = answer.single
    assert (single.status, single.reason) == ("revoked", "certificate_hold")
    assert (single.revoked_at, answer.extended_revoke) == (EPOCH, True)


def test_the_setting_is_read_from_the_installation(authority_home: Path) -> None:
    (authority_home / "pnc.toml").write_text('[status]\nunissued = "revoked"\n', "utf-8")
    running = opened(authority_home)
    with working(authority_home, policy=running.settings.status) as strict:
        leaf = strict.issue()
        assert strict.status(leaf) == "good"
        assert strict.ask(request(cert_id(leaf.issuer, 7))).status == "revoked"
    running.close()


def test_a_neighbour_of_an_issued_serial_is_unknown(common: Authority, leaf: Leaf) -> None:
    """I4: never good for a serial that was not issued."""
    for serial in (leaf.serial + 1, leaf.serial - 1, leaf.serial << 8, -leaf.serial):
        assert common.ask(request(cert_id(leaf.issuer, serial))).status == "unknown"


def test_a_serial_of_one_issuer_is_unknown_with_another(common: Authority, leaf: Leaf) -> None:
    for name in ("mo1-2", "mo-2", "mo2-20", "oem2-2"):
        assert common.ask(request(cert_id(common.ca(name), leaf.serial))).status == "unknown"


# --- several certificates ------------------------------------------------------------------------


def test_two_certificates_get_one_signed_answer_in_their_order(authority: Authority) -> None:
    """Case 18."""
    good, revoked = authority.issue(), authority.issue()
    authority.revoke(revoked, Reason.KEY_COMPROMISE)
    asked = (revoked.cert_id("sha256"), good.cert_id(), cert_id(good.issuer, 5))
    answer = authority.ask(request(*asked))
    assert tuple(s.cert_id for s in answer.singles) == asked
    assert [s.status for s in answer.singles] == ["revoked", "good", "unknown"]
    assert [s.reason for s in answer.singles] == ["key_compromise", None, None]


def test_the_same_certificate_twice_is_answered_twice(common: Authority, leaf: Leaf) -> None:
    """Case 19."""
    answer = common.ask(request(leaf.cert_id(), leaf.cert_id()))
    assert [s.cert_id for s in answer.singles] == [leaf.cert_id()] * 2


def test_no_certificate_is_malformed(common: Authority) -> None:
    """Case 20."""
    assert common.ask(request()).status == "malformed_request"


def test_the_number_of_certificates_is_bounded(common: Authority, leaf: Leaf) -> None:
    """Case 21."""
    most = common.ask(request(*[leaf.cert_id()] * MAX_REQUESTS))
    assert len(most.singles) == MAX_REQUESTS
    for many in (MAX_REQUESTS + 1, 800):
        assert common.ask(request(*[leaf.cert_id()] * many)).status == "malformed_request"
    too_long = common.post(request(*[leaf.cert_id()] * 1000))
    assert (too_long.status_code, too_long.data) == (413, b"")


def test_certificates_of_two_issuers_are_unauthorized_whole(common: Authority, leaf: Leaf) -> None:
    """Case 22."""
    other = common.issue(Suite.P521)
    foreign = cert_id(leaf.issuer, leaf.serial, key=bytes(20))
    for second in (other.cert_id(), foreign):
        for both in ((leaf.cert_id(), second), (second, leaf.cert_id())):
            assert common.ask(request(*both)).status == "unauthorized"


def test_one_issuer_by_two_hashes_is_one_issuer(common: Authority, leaf: Leaf) -> None:
    answer = common.ask(request(leaf.cert_id("sha1"), leaf.cert_id("sha512", null=False)))
    assert [s.status for s in answer.singles] == ["good", "good"]


def test_issuers_of_one_name_are_told_apart_by_their_key(authority: Authority) -> None:
    """Cases 15 and 45: every generation is answered for its own certificates, by its own signer."""
    old = authority.issue()
    next_generation(authority, "mo2-2")
    new = authority.issue()
    assert old.issuer.subject == new.issuer.subject
    assert old.issuer.public_key() != new.issuer.public_key()
    for leaf, other in ((old, new), (new, old)):
        answer = authority.ask(leaf.request)
        assert answer.status == "good"
        assert answer.signer is not None
        answer.signer.verify_directly_issued_by(leaf.issuer)
        assert authority.ask(request(cert_id(other.issuer, leaf.serial))).status == "unknown"
    both = request(old.cert_id(), new.cert_id())
    assert authority.ask(both).status == "unauthorized"
    authority.revoke(old)
    assert (authority.status(old), authority.status(new)) == ("revoked", "good")


def test_generations_of_one_key_are_one_issuer_to_whoever_asks(authority: Authority) -> None:
    """A CA whose certificate was renewed: no CertID can tell its generations apart."""
    old, gone = authority.issue(), authority.issue()
    authority.revoke(gone)
    next_generation(authority, "mo2-2", same_key=True)
    new = authority.issue()
    assert old.record.issuer_id != new.record.issuer_id
    assert old.cert_id() != new.cert_id() == asking.cert_id(old.issuer, new.serial)
    assert [authority.status(leaf) for leaf in (old, gone, new)] == ["good", "revoked", "good"]
    both = authority.ask(request(old.cert_id(), new.cert_id(), gone.cert_id("sha256")))
    assert [s.status for s in both.singles] == ["good", "good", "revoked"]
    authority.revoke(old)
    assert [authority.status(leaf) for leaf in (old, new)] == ["revoked", "good"]
    assert authority.ask(request(cert_id(old.issuer, 5))).status == "unknown"


# --- the rest of a request -----------------------------------------------------------------------

VERSION_1, VERSION_2 = bytes.fromhex("a003020100"), bytes.fromhex("a003020101")
REQUESTOR = tlv(0xA1, tlv(0xA4, tlv(SEQUENCE)))
SIGNATURE = tlv(
    0xA0,
    tlv(SEQUENCE, tlv(SEQUENCE, bytes.fromhex("06082a8648ce3d040302")), tlv(0x03, bytes(9))),
)


def test_version_2_is_malformed_and_version_1_may_be_written_out(
    common: Authority, leaf: Leaf
) -> None:
    """Case 23."""
    assert common.ask(request(leaf.cert_id(), before=VERSION_2)).status == "malformed_request"
    assert common.ask(request(leaf.cert_id(), before=VERSION_1)).status == "good"


def test_signature_and_requestor_are_not_looked_at(common: Authority, leaf: Leaf) -> None:
    """Case 24."""
    signed = request(leaf.cert_id(), before=REQUESTOR, behind=SIGNATURE)
    assert common.ask(signed).status == "good"


@pytest.mark.parametrize("place", ["more", "single"])
def test_an_unknown_extension_is_ignored_unless_it_is_critical(
    common: Authority, leaf: Leaf, place: str
) -> None:
    """Cases 25 and 26."""
    for critical, status in ((False, "good"), (True, "malformed_request")):
        odd = (asking.extension(asking.ODD, b"\x05\x00", critical=critical),)
        more, single = (odd, ()) if place == "more" else ((), odd)
        assert common.ask(request(leaf.cert_id(), more=more, single=single)).status == status


def nested(depth: int) -> bytes:
    der = b""
    for _ in range(depth):
        der = tlv(SEQUENCE, der)
    return der


def malformed(good: bytes) -> dict[str, bytes]:
    """Return a good request with one defect each."""
    inner = good[2:]
    return {
        "truncated by one": good[:-1],
        "truncated to one": good[:1],
        "one octet more": good + b"\x00",
        "indefinite length": b"\x30\x80" + inner + b"\x00\x00",
        "length not minimal": bytes((0x30, 0x81, len(inner))) + inner,
        "length of length not minimal": bytes((0x30, 0x82, 0, len(inner))) + inner,
        "wrong outer tag": b"\x31" + good[1:],
        "wrong inner tag": good[:2] + b"\x31" + good[3:],
        "not minimal serial": good.replace(b"\x02\x10", b"\x02\x11\x00", 1),
        "nested deeply": nested(10_000),
        "null": NULL,
        "a certificate of none": tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE)))),
        "text": b"GET /ocsp HTTP/1.1\r\n\r\n",
        "zeros": bytes(100),
        "a huge length": b"\x30\x84\xff\xff\xff\xff" + inner,
    }


def test_what_is_not_der_is_malformed(common: Authority, leaf: Leaf) -> None:
    """Case 27: status 1 under HTTP 200, never an error of HTTP."""
    for name, der in malformed(leaf.request).items():
        assert common.ask(der).status == "malformed_request", name


def test_a_request_cut_off_anywhere_is_malformed(common: Authority, leaf: Leaf) -> None:
    for end in range(len(leaf.request)):
        assert common.ask(leaf.request[:end]).status == "malformed_request"


# --- vectors and anything ------------------------------------------------------------------------


def outcome(authority: Authority, data: bytes, encoding: str) -> tuple[int, str]:
    """Return the HTTP status and what an OCSPResponse said."""
    match encoding:
        case "url-path":
            answer = authority.fetch(f"/ocsp/{data.decode('latin-1')}")
        case _:
            answer = authority.post(data)
    if answer.status_code != 200:
        return answer.status_code, ""
    return 200, asking.read(answer.data).response_status


def test_hostile_requests_get_what_their_vectors_name(common: Authority, vectors: Path) -> None:
    folder = vectors / "malformed"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    cases = [case for case in manifest["cases"] if case["kind"] == "ocsp-request"]
    for case in cases:
        data = (folder / case["file"]).read_bytes()
        status, said = outcome(common, data, case["encoding"])
        assert status in (200, 400, 413), case["id"]
        if case["expect"] == "accept":  # these name a CA of their own
            assert said in ("successful", "unauthorized"), case["id"]
        elif case["expect"] == "reject":
            assert (status, said) in ((200, "malformed_request"), (400, "")), case["id"]
    assert {case["encoding"] for case in cases} >= {"der", "url-path"}


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_any_octets_get_an_answer_and_never_good(common: Authority, der: bytes) -> None:
    assert common.ask(der).status == "malformed_request"


@settings(max_examples=150)
@given(st.text(max_size=200), st.sampled_from(["/ocsp/", "/ocsp", "/crl/", "/ca/", "/crl/mo2-2/"]))
def test_any_path_gets_an_answer_and_never_good(common: Authority, text: str, base: str) -> None:
    answer = common.fetch(base + text)
    assert answer.status_code in (200, 400, 404, 413, 415)
    if answer.mimetype == "application/ocsp-response":
        assert asking.read(answer.data).status in asking.ERRORS


@settings(max_examples=200)
@given(data=st.data())
def test_a_mutated_request_is_never_answered_good_for_what_was_not_issued(
    common: Authority, leaf: Leaf, data: st.DataObject
) -> None:
    """I4: whatever is good names a serial that was issued."""
    octets = bytearray(leaf.request)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at] = data.draw(st.integers(0, 255))
    answer = common.ask(bytes(octets))
    path = asking.read(common.get(bytes(octets)).data)
    assert path.response_status == answer.response_status
    for single in (*answer.singles, *path.singles):
        if single.status == "good":
            assert single.cert_id in (leaf.cert_id(), leaf.cert_id("sha1"))


def test_a_request_padded_by_a_stranger_is_not_kept_in_memory(authority: Authority) -> None:
    leaf = authority.issue()
    for size in (0, 300, 5000):
        filler = asking.extension(asking.ODD, bytes(size))
        assert authority.ask(request(leaf.cert_id(), more=(filler,))).status == "good"
    held = authority.services.answers._held
    assert max(map(len, held)) < 256


def test_an_expired_certificate_of_a_far_time_is_still_known(authority_home: Path) -> None:
    with working(authority_home) as now:
        leaf = now.issue()
    with working(authority_home, at=AT + 10 * DAY) as later:
        assert later.status(leaf) == "good"
