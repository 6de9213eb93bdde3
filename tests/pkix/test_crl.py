"""CRLs are written as RFC 5280 wants them, in constant memory, and read back exactly."""

from __future__ import annotations

import datetime as dt
import io
import mmap
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pki.pkix import crl
from pki.pkix.der import DerError, element_at, encode
from pki.pkix.status_der import ALGORITHM, REASON_CODES, head, integer, number_octets
from pki.pkix.suites import Suite, sign, verifies
from tests.pkix.samples import extension, pieces, sequence
from tests.pkix.status_makers import DAY, MINUTE, NOW, SHARD_URL, authority, crl_facts, crl_of

FACTS = crl_facts(Suite.P256)
ENTRIES = [
    crl.CrlEntry(0x0102030405060708090A0B0C0D0E0F10, NOW - DAY, "keyCompromise"),
    crl.CrlEntry(0x80, NOW - 2 * DAY, None),
    crl.CrlEntry((1 << 160) - 1, NOW - 3 * DAY, "certificateHold"),
]
YEAR_2049 = dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
YEAR_2050 = dt.datetime(2050, 1, 1, tzinfo=dt.UTC)


def nothing_leaves(serials: list[int]) -> set[int]:
    assert serials
    return set()


def loaded(der: bytes) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(der)


def reason_of(entry: x509.RevokedCertificate) -> str | None:
    found = list(entry.extensions)
    if not found:
        return None
    (only,) = found
    assert isinstance(only.value, x509.CRLReason)
    assert not only.critical
    return str(only.value.reason.value)


# --- what is written


@pytest.mark.parametrize("suite", Suite)
def test_cryptography_reads_every_field_and_verifies_the_signature(suite: Suite) -> None:
    facts = crl_facts(suite, number=1 << 130)
    found = loaded(crl_of(facts, ENTRIES))
    ca = authority(suite).x509
    assert found.issuer == ca.subject
    assert (found.last_update_utc, found.next_update_utc) == (facts.this_update, facts.next_update)
    assert found.signature_algorithm_oid.dotted_string == suite.signature_oid
    public: Any = ca.public_key()
    assert found.is_signature_valid(public)
    assert verifies(public, found.signature, found.tbs_certlist_bytes)
    assert [
        crl.CrlEntry(e.serial_number, e.revocation_date_utc, reason_of(e)) for e in found
    ] == ENTRIES


def test_a_full_crl_has_its_authority_key_and_its_number_and_no_other_extension() -> None:
    number, key = sorted(
        loaded(crl_of(FACTS)).extensions,
        key=lambda e: isinstance(e.value, x509.AuthorityKeyIdentifier),
    )
    assert number.value == x509.CRLNumber(7)
    assert key.value == x509.AuthorityKeyIdentifier(FACTS.authority_key_id, None, None)
    assert not number.critical
    assert not key.critical


def test_a_shard_has_a_critical_distribution_point_with_exactly_its_url() -> None:
    found = loaded(crl_of(replace(FACTS, distribution_point=SHARD_URL)))
    point = found.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert point.critical
    assert point.value == x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(SHARD_URL)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    assert len(found.extensions) == 3


def test_a_crl_without_entries_has_no_list() -> None:
    tbs = pieces(crl_of(FACTS))[0]
    assert [part[0] for part in pieces(tbs)] == [0x02, 0x30, 0x30, 0x17, 0x17, 0xA0]
    assert list(loaded(crl_of(FACTS))) == []


@pytest.mark.parametrize("reason", [None, "unspecified"])
def test_unspecified_is_left_out(reason: str | None) -> None:
    assert len(pieces(crl.entry(1, NOW, reason))) == 2


@pytest.mark.parametrize("reason", [name for name in REASON_CODES if name != "unspecified"])
def test_every_other_reason_is_written(reason: str) -> None:
    (found,) = loaded(crl_of(FACTS, [crl.CrlEntry(5, NOW, reason)]))
    assert reason_of(found) == reason


@pytest.mark.parametrize("reason", ["removeFromCRL", "keycompromise", ""])
def test_refuses_what_is_no_reason_of_a_full_crl(reason: str) -> None:
    with pytest.raises(ValueError, match="no reason"):
        crl.entry(1, NOW, reason)


@pytest.mark.parametrize("serial", [0, -1])
def test_refuses_a_serial_that_is_not_positive(serial: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        crl.entry(serial, NOW, None)


@pytest.mark.parametrize(
    "time", [NOW.replace(tzinfo=None), NOW.replace(microsecond=5)], ids=["naive", "fraction"]
)
def test_refuses_times_that_a_crl_cannot_carry(time: dt.datetime) -> None:
    with pytest.raises(ValueError, match="a time with"):
        crl.entry(1, time, None)


def test_an_entry_of_a_serial_far_too_long_is_still_der() -> None:
    octets = crl.entry(1 << 2000, NOW, "superseded")
    assert integer(pieces(octets)[0], 0, len(pieces(octets)[0]))[0] == 1 << 2000


def test_times_are_utc_times_up_to_2049_and_generalized_from_2050() -> None:
    east = dt.timezone(dt.timedelta(hours=5))
    assert pieces(crl.entry(1, YEAR_2049, None))[1] == b"\x17\x0d491231235959Z"
    assert pieces(crl.entry(1, YEAR_2050, None))[1] == b"\x18\x0f20500101000000Z"
    assert pieces(crl.entry(1, YEAR_2050.astimezone(east), None))[1] == b"\x18\x0f20500101000000Z"
    facts = replace(FACTS, this_update=YEAR_2049, next_update=YEAR_2050)
    found = loaded(crl_of(facts))
    assert (found.last_update_utc, found.next_update_utc) == (YEAR_2049, YEAR_2050)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (replace(FACTS, next_update=FACTS.this_update), "ends before it begins"),
        (replace(FACTS, number=-1), "not negative"),
        (replace(FACTS, number=1 << 159), "at most 20 octets"),
        (replace(FACTS, distribution_point="http://pki.exämple/crl"), "ascii"),
        (replace(FACTS, this_update=NOW.replace(tzinfo=None)), "without its zone"),
        (replace(FACTS, next_update=NOW.replace(microsecond=1)), "parts of a second"),
    ],
    ids=["backwards", "negative number", "long number", "URL not ASCII", "naive", "fraction"],
)
def test_refuses_facts_that_no_crl_may_have(facts: crl.CrlFacts, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        crl_of(facts)


@pytest.mark.parametrize("length", [0, 39, 41])
def test_refuses_entries_of_another_length_than_announced(length: int) -> None:
    with pytest.raises(ValueError, match="40 octets"):
        crl.write_tbs(io.BytesIO(), FACTS, entries=[b"x" * 20, b"x" * 20], entries_length=length)


def test_pieces_of_entries_may_end_anywhere() -> None:
    octets = b"".join(crl.entry(*e) for e in ENTRIES)
    whole, cut = io.BytesIO(), io.BytesIO()
    length = crl.write_tbs(whole, FACTS, entries=[octets], entries_length=len(octets))
    single = [octets[at : at + 1] for at in range(len(octets))]
    assert crl.write_tbs(cut, FACTS, entries=single, entries_length=len(octets)) == length
    assert cut.getvalue() == whole.getvalue()
    assert len(whole.getvalue()) == length


@pytest.mark.parametrize("suite", Suite)
def test_a_mapped_file_can_be_signed_assembled_and_read_in_place(
    suite: Suite, tmp_path: Path
) -> None:
    key = authority(suite).key
    facts = crl_facts(suite)
    with (tmp_path / "scratch").open("w+b") as scratch, (tmp_path / "tbs").open("w+b") as out:
        size = crl.build_tbs(out, facts, entries=(crl.entry(*e) for e in ENTRIES), scratch=scratch)
        out.flush()
        with mmap.mmap(out.fileno(), 0, access=mmap.ACCESS_READ) as tbs:
            assert len(tbs) == size
            with memoryview(tbs) as view:
                signature = (
                    key.sign(view, ec.ECDSA(suite.hash or hashes.SHA256()))
                    if isinstance(key, ec.EllipticCurvePrivateKey)
                    else key.sign(view)
                )
            with (tmp_path / "crl").open("wb") as target:
                length = crl.assemble_crl(target, tbs, suite, signature)
    der = (tmp_path / "crl").read_bytes()
    public: Any = authority(suite).x509.public_key()
    assert len(der) == length
    assert loaded(der).is_signature_valid(public)
    with (tmp_path / "crl").open("rb") as source:
        mapped = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped:
        assert crl.read_facts(mapped) == facts
        assert list(crl.read_entries(mapped)) == ENTRIES
        assert crl.compare(mapped, mapped, may_leave=nothing_leaves)


def test_building_takes_the_same_memory_for_any_number_of_entries(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        entries = (crl.entry(serial, NOW, "superseded") for serial in range(1, count + 1))
        with (tmp_path / "scratch").open("w+b") as scratch, (tmp_path / "tbs").open("w+b") as out:
            tracemalloc.start()
            crl.build_tbs(out, FACTS, entries=entries, scratch=scratch)
            _, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return highest

    assert peak(60_000) < 3 * (1 << 20)  # their octets alone are 2.2 MiB, as objects 5 MiB


def test_a_crl_beyond_16_mib_is_written_and_read() -> None:
    filler = [crl.entry((1 << 159) + n, NOW, "superseded") for n in range(1000)]
    entries = [b"".join(filler)] * 340
    tbs, whole = io.BytesIO(), io.BytesIO()
    crl.build_tbs(tbs, FACTS, entries=entries, scratch=io.BytesIO())
    assert len(tbs.getvalue()) > 1 << 24
    crl.assemble_crl(whole, tbs.getbuffer(), Suite.P256, sign(authority(Suite.P256).key, b""))
    der = whole.getvalue()
    assert crl.read_facts(der) == FACTS
    first = next(iter(crl.read_entries(der)))
    assert first == crl.CrlEntry(1 << 159, NOW, "superseded")
    assert len(loaded(der)) == 340_000


SECONDS = st.integers(-600_000_000, 250_000_000_000)  # 1950 to 9892
ROWS = st.lists(
    st.tuples(
        st.integers(1, (1 << 160) - 1).map(lambda serial: f"{serial:x}"),
        st.sampled_from(list(REASON_CODES)),
        SECONDS,
        st.integers(0, 9),
    ),
    max_size=8,
)


@given(ROWS)
def test_many_entries_are_written_as_each_by_itself(rows: list[tuple[str, str, int, int]]) -> None:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    each = [
        crl.entry(int(serial, 16), epoch + dt.timedelta(seconds=at), reason)
        for serial, reason, at, _ in rows
    ]
    assert crl.EntryWriter().written(rows) == b"".join(each)


@pytest.mark.parametrize(
    ("serial", "reason"),
    [("", "superseded"), ("xy", "superseded"), ("f" * 200, "superseded"), ("1", "removeFromCRL")],
)
def test_rows_that_are_no_entries_are_refused(serial: str, reason: str) -> None:
    with pytest.raises((ValueError, LookupError)):
        crl.EntryWriter().written([(serial, reason, 0, 0)])


# --- what is read


def test_the_number_is_read() -> None:
    assert crl.number_of(crl_of(replace(FACTS, number=0))) == 0
    assert crl.number_of(crl_of(replace(FACTS, number=128))) == 128


def test_views_are_read_like_octets() -> None:
    der = crl_of(FACTS, ENTRIES)
    for view in (bytearray(der), memoryview(der)):
        assert crl.read_facts(view) == FACTS
        assert list(crl.read_entries(view)) == ENTRIES


TIMES = st.datetimes(
    dt.datetime(1950, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
    dt.datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.just(dt.UTC),
).map(lambda t: t.replace(microsecond=0))
WRITTEN = st.sampled_from([None, *(name for name in REASON_CODES if name != "unspecified")])
LISTS = st.lists(
    st.builds(crl.CrlEntry, st.integers(1, (1 << 160) - 1), TIMES, WRITTEN), max_size=8
)


@given(
    suite=st.sampled_from(list(Suite)),
    number=st.integers(0, (1 << 159) - 1),
    this_update=TIMES,
    url=st.none() | st.text("abc/:.", min_size=1, max_size=200),
    entries=LISTS,
)
def test_what_was_written_is_read_back_here_and_by_cryptography(
    suite: Suite,
    number: int,
    this_update: dt.datetime,
    url: str | None,
    entries: list[crl.CrlEntry],
) -> None:
    facts = replace(
        crl_facts(suite, number=number, shard=url),
        this_update=this_update,
        next_update=this_update + MINUTE,
    )
    der = crl_of(facts, entries)
    assert crl.read_facts(der) == facts
    assert list(crl.read_entries(der)) == entries
    theirs = [(e.serial_number, e.revocation_date_utc, reason_of(e)) for e in loaded(der)]
    assert theirs == entries


def outcome(der: bytes) -> tuple[crl.CrlFacts, list[crl.CrlEntry]] | None:
    try:
        return crl.read_facts(der), list(crl.read_entries(der))
    except DerError:
        return None


@given(st.binary(max_size=200))
def test_any_octets_are_a_crl_or_a_der_error(der: bytes) -> None:
    assert outcome(der) is None


SHARD = crl_of(replace(FACTS, distribution_point=SHARD_URL), ENTRIES)


@given(st.lists(st.tuples(st.integers(0, len(SHARD) - 1), st.integers(0, 255)), max_size=3))
def test_a_damaged_crl_is_read_or_a_der_error(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(SHARD)
    for at, octet in changes:
        damaged[at] = octet
    outcome(bytes(damaged))


def test_a_crl_cut_off_anywhere_is_a_der_error() -> None:
    assert outcome(SHARD) is not None
    assert [end for end in range(len(SHARD)) if outcome(SHARD[:end])] == []


def rebuilt(*, drop: int | None = None, put: dict[int, bytes] | None = None) -> bytes:
    """Return a CRL one of whose to-be-signed fields is missing or another."""
    tbs, algorithm, signature = pieces(crl_of(FACTS, ENTRIES))
    fields = [(put or {}).get(n, part) for n, part in enumerate(pieces(tbs)) if n != drop]
    return sequence(sequence(*fields), algorithm, signature)


def with_extensions(*extensions: bytes) -> bytes:
    return rebuilt(put={6: encode(0xA0, sequence(*extensions))})


def with_entry(*parts: bytes) -> bytes:
    return rebuilt(put={5: sequence(sequence(*parts))})


AKI = extension("2.5.29.35", sequence(encode(0x80, b"k" * 20)))
NUMBER = extension("2.5.29.20", b"\x02\x01\x07")
SERIAL, TIME = b"\x02\x01\x05", b"\x17\x0d260101000000Z"
TBS, OUTER, BITS = pieces(crl_of(FACTS, ENTRIES))
FOREIGN: dict[str, bytes] = {
    "version 1": rebuilt(drop=0),
    "version 3": rebuilt(put={0: b"\x02\x01\x02"}),
    "no next update": rebuilt(drop=4),
    "no extensions": rebuilt(drop=6),
    "unknown algorithm": rebuilt(put={1: sequence(b"\x06\x01\x2a")}),
    "algorithm with a high tag": rebuilt(put={1: b"\x3f\x30\x00"}),
    "two algorithms": sequence(TBS, ALGORITHM[Suite.ED448], BITS),
    "no signature": sequence(TBS, OUTER),
    "no algorithm outside": sequence(TBS),
    "more behind the signature": sequence(TBS, OUTER, BITS, b"\x05\x00"),
    "no number": with_extensions(AKI),
    "no authority key": with_extensions(NUMBER),
    "a critical number": with_extensions(
        AKI, extension("2.5.29.20", b"\x02\x01\x07", critical=True)
    ),
    "a delta indicator": with_extensions(
        AKI, NUMBER, extension("2.5.29.27", b"\x02\x01\x01", critical=True)
    ),
    "an unknown extension": with_extensions(AKI, NUMBER, extension("1.2.3", b"\x05\x00")),
    "more behind the number": with_extensions(AKI, extension("2.5.29.20", b"\x02\x01\x07\x05\x00")),
    "an issuer beside the authority key": with_extensions(
        NUMBER, extension("2.5.29.35", sequence(encode(0x80, b"k"), b"\x82\x01\x01"))
    ),
    "an entry without a time": with_entry(SERIAL),
    "an entry without a serial": with_entry(TIME),
    "an entry with a fraction of a second": with_entry(SERIAL, b"\x18\x1120260101000000.5Z"),
    "an entry of the 31st of February": with_entry(SERIAL, b"\x17\x0d260231000000Z"),
    "an entry without seconds": with_entry(SERIAL, b"\x17\x0b2601010000Z"),
    "an entry in a long UTCTime": with_entry(SERIAL, b"\x17\x0f20260101000000Z"),
    "an entry in a short GeneralizedTime": with_entry(SERIAL, b"\x18\x0d260101000000Z"),
    "an entry with another extension": with_entry(
        SERIAL, TIME, sequence(extension("2.5.29.24", b"\x18\x0f20260101000000Z"))
    ),
    "an entry removed from the CRL": with_entry(
        SERIAL, TIME, sequence(extension("2.5.29.21", b"\x0a\x01\x08"))
    ),
}


@pytest.mark.parametrize("der", FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_in_our_form_is_a_der_error(der: bytes) -> None:
    assert outcome(der) is None


def test_a_time_of_the_last_century_is_read() -> None:
    old = dt.datetime(1999, 12, 31, tzinfo=dt.UTC)
    ((_, found, _),) = crl.read_entries(crl_of(FACTS, [crl.CrlEntry(1, old, None)]))
    assert found == old


# --- comparison with the predecessor

NEXT = replace(FACTS, number=8, this_update=NOW)


def test_a_successor_with_more_entries_in_another_order_is_as_it_should_be() -> None:
    more = [*reversed(ENTRIES), crl.CrlEntry(99, NOW, None)]
    assert crl.compare(crl_of(FACTS, ENTRIES), crl_of(NEXT, more), may_leave=nothing_leaves) == ()


def test_an_entry_leaves_only_with_leave() -> None:
    old, new = crl_of(FACTS, ENTRIES), crl_of(NEXT, ENTRIES[1:])
    found = crl.compare(old, new, may_leave=nothing_leaves)
    assert found == ("102030405060708090a0b0c0d0e0f10 left without leave.",)
    assert crl.compare(old, new, may_leave=lambda _: {ENTRIES[0].serial}) == ()


def test_of_many_that_left_some_are_named_and_the_rest_is_counted() -> None:
    many = [crl.CrlEntry(n, NOW, None) for n in range(1, 101)]
    found = crl.compare(crl_of(FACTS, many), crl_of(NEXT), may_leave=nothing_leaves)
    assert found[: crl.MAX_NAMED] == tuple(
        f"{n:x} left without leave." for n in range(1, crl.MAX_NAMED + 1)
    )
    assert found[crl.MAX_NAMED :] == ("80 more left without leave.",)


@pytest.mark.parametrize("number", [6, 7])
def test_a_number_that_does_not_rise_is_a_problem(number: int) -> None:
    new = crl_of(replace(NEXT, number=number))
    found = crl.compare(crl_of(FACTS), new, may_leave=nothing_leaves)
    assert found == (f"Number {number} does not follow 7.",)


@pytest.mark.parametrize(
    "other",
    [
        replace(NEXT, distribution_point=SHARD_URL),
        replace(NEXT, authority_key_id=b"other"),
        replace(crl_facts(Suite.P521, number=8), this_update=NOW),
    ],
    ids=["shard", "key", "suite"],
)
def test_a_crl_of_another_issuer_or_shard_is_a_problem(other: crl.CrlFacts) -> None:
    found = crl.compare(crl_of(FACTS), crl_of(other), may_leave=nothing_leaves)
    assert found == ("The new CRL has another issuer or distribution point.",)


def test_a_serial_listed_twice_is_a_problem() -> None:
    new = crl_of(NEXT, [*ENTRIES, ENTRIES[0]])
    assert crl.compare(crl_of(FACTS), new, may_leave=nothing_leaves) == (
        "The new CRL lists a serial twice.",
    )


def test_only_the_number_orders_crls_since_a_clock_may_have_been_ahead() -> None:
    new = crl_of(replace(NEXT, this_update=FACTS.this_update - DAY), ENTRIES)
    assert crl.compare(crl_of(FACTS), new, may_leave=nothing_leaves) == ()


SERIALS = st.one_of(
    st.integers(1 << 120, (1 << 127) - 1),  # of 16 octets, as ours
    st.integers(1, (1 << 160) - 1),
    st.sampled_from([1 << 126 | 0x300C300A0603551D15, (1 << 127) - 1, 1 << 127]),
)
SETS = st.lists(
    st.builds(crl.CrlEntry, SERIALS, TIMES, WRITTEN), max_size=6, unique_by=lambda e: e[0]
)


@given(SETS, SETS, st.data())
def test_exactly_what_left_is_asked_about(
    one: list[crl.CrlEntry], other: list[crl.CrlEntry], data: st.DataObject
) -> None:
    kept = data.draw(st.sets(st.sampled_from(one))) if one else set()
    new = data.draw(
        st.permutations([*kept, *(e for e in other if e.serial not in {k.serial for k in kept})])
    )
    asked: list[int] = []

    def may_leave(serials: list[int]) -> list[int]:
        asked.extend(serials)
        return serials

    assert crl.compare(crl_of(FACTS, one), crl_of(NEXT, new), may_leave=may_leave) == ()
    assert sorted(asked) == sorted({e.serial for e in one} - {e.serial for e in new})


# --- shards


def serials() -> Iterator[int]:
    return iter(range(1 << 126, (1 << 126) + 1000))


def test_shards_are_numbered_from_1_and_0_stands_for_none() -> None:
    assert {crl.shard_of(serial, 4) for serial in serials()} == {1, 2, 3, 4}
    assert {crl.shard_of(serial, 1) for serial in serials()} == {1}
    assert {crl.shard_of(serial, 0) for serial in serials()} == {0}


def test_the_shard_of_a_serial_never_changes() -> None:
    assert [crl.shard_of(serial, 8) for serial in (1, 8, 0xABCDEF, (1 << 159) + 5)] == [2, 1, 8, 6]


def test_shards_are_of_about_the_same_size() -> None:
    found = [crl.shard_of(serial, 10) for serial in serials()]
    assert {found.count(shard) for shard in range(1, 11)} == {100}


# --- the octets below


@given(st.integers(0, 0x7F), st.integers(0, 0xFFFF_FFFF))
def test_a_head_is_minimal(tag: int, size: int) -> None:
    octets = head(tag, size)
    if size < 128:
        assert octets == bytes((tag, size))
    else:
        count = (size.bit_length() + 7) // 8
        assert octets == bytes((tag, 0x80 | count)) + size.to_bytes(count)


@given(st.integers(0, 300) | st.integers(65_000, 66_000))
def test_a_head_is_what_the_strict_reader_takes(size: int) -> None:
    octets = head(0x04, size) + bytes(size)
    assert octets == encode(0x04, bytes(size))
    assert element_at(octets, 0, len(octets)).end == len(octets)


@given(st.integers(-(1 << 200), 1 << 200))
def test_numbers_are_minimal_and_read_back(number: int) -> None:
    octets = encode(0x02, number_octets(number))
    assert integer(octets, 0, len(octets)) == (number, len(octets))
