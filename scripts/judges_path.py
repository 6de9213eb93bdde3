"""
Judges of certification paths, CRLs and OCSP answers (`shared/vectors/path`).

The classes are scored as the README of the vectors says: `core` and `anchor` by the expected
answer; in `policy`, `crl-ext` and `dsa` only a wrong accept fails; `profile` is not scored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from pki.clock import parse_time
from pki.errors import BadInput
from pki.model import Accepted, ContractCheck
from pki.pkix import crl_check, ocsp_check
from pki.pkix.certificate import load
from pki.pkix.generic import Demands, Revocation, validate
from pki.pkix.path import Path as Valid
from pki.pkix.path import PolicyInputs
from pki.pkix.path.signatures import Strength
from pki.validate import without_store
from scripts import vectors
from scripts.judging import Json, Outcome, Verdict, octets, timed

SCORED: Final = frozenset(("core", "anchor"))
OPTIONAL: Final = frozenset(("policy", "crl-ext", "dsa"))
"""A wrong reject shows a feature that is missing."""
CRL_STRENGTH: Final = Strength(minimum_rsa_bits=1024)
"""The keys of that suite."""
OCSP_STRENGTH: Final = Strength(sha1=True)
"""The signatures of that suite."""

_Read = TypeVar("_Read")


def path(source: Path) -> Iterator[Outcome]:
    """Judge chains under the generic profile, and where asked as contract chains."""
    for folder, case in vectors.cases(source, vectors.PATH):
        yield scored(case, timed(lambda: judge_path(folder, case)))  # noqa: B023 - called at once
        if "v2g_expected" in case:
            seen = timed(lambda: judge_contract(folder, case))  # noqa: B023 - called at once
            yield _exact(f"{case['id']}#v2g", case["v2g_expected"], seen, "contract")


def crl(source: Path) -> Iterator[Outcome]:
    """Judge CRLs: good, revoked, unknown or reject."""
    for folder, case in vectors.cases(source, vectors.CRL):
        seen = timed(lambda: judge_crl(folder, case))  # noqa: B023 - called at once
        yield _exact(case["id"], case["expected"], seen)


def ocsp(source: Path) -> Iterator[Outcome]:
    """Judge OCSP answers: good, revoked or unknown."""
    for folder, case in vectors.cases(source, vectors.OCSP):
        seen = timed(lambda: judge_ocsp(folder, case))  # noqa: B023 - called at once
        yield _exact(case["id"], case["expected"], seen)


def scored(case: Json, seen: Verdict) -> Outcome:
    """Score one chain by its class; a difference that does not fail is reported."""
    name, wanted, group = case["id"], case["expected"], case["class"]
    if seen.answer == wanted and group != "profile":
        return Outcome(name, "passed", group=group)
    told = f"wanted {wanted}, got {seen.answer} ({seen.detail})"
    wrong_accept = seen.answer == "accept" and wanted == "reject"
    if group in SCORED or seen.answer == "broken" or (group in OPTIONAL and wrong_accept):
        return Outcome(name, "failed", told, group=group)
    if seen.answer == wanted:
        return Outcome(name, "skipped", group=group)
    kind = "UNSUPPORTED" if group in OPTIONAL else "NOT SCORED"
    return Outcome(name, "skipped", report=f"{kind} {name}: {told}", group=group)


def _exact(name: str, wanted: str, seen: Verdict, group: str = "") -> Outcome:
    told = f"wanted {wanted}, got {seen.answer} ({seen.detail})"
    return Outcome(name, "passed" if seen.answer == wanted else "failed", told, group=group)


# --- one case each ---------------------------------------------------------------------------


def judge_path(folder: Path, case: Json) -> Verdict:
    """Validate a chain under the generic RFC 5280 profile."""
    try:
        leaf = load(octets(folder, case["leaf"]))
    except BadInput as error:
        return Verdict("reject", error.message)
    found = validate(
        leaf,
        _readable(folder, case["intermediates"], load),
        _readable(folder, case["anchors"], load),
        at=parse_time(case["time"]),
        demands=_demands(case),
        crls=_readable(folder, case["crls"], crl_check.read),
    )
    if isinstance(found, Valid):
        return Verdict("accept", " < ".join(c.subject_text for c in found.certificates))
    return Verdict("reject", f"{found.fault.value}: {found.detail}")


def judge_contract(folder: Path, case: Json) -> Verdict:
    """Decide on a chain as on a contract chain; status, contract and account are not asked."""
    chain = tuple(octets(folder, item) for item in (case["leaf"], *case["intermediates"]))
    anchors = _readable(folder, case["anchors"], load)
    decision = without_store(ContractCheck(chain=chain), anchors, parse_time(case["time"]))
    if isinstance(decision.verdict, Accepted):
        return Verdict("accept", "accepted")
    return Verdict("reject", decision.verdict.explanation)


def judge_crl(folder: Path, case: Json) -> Verdict:
    """Check a CRL against its issuers and ask it about the leaf."""
    leaf = load(octets(folder, case["leaf"]))
    issuers = _readable(folder, case["issuers"], load)
    try:
        read = crl_check.read(octets(folder, case["crl"]))
    except BadInput as error:
        return Verdict("reject", error.message)
    checked = crl_check.check(
        read,
        issuers,
        at=parse_time(case["time"]),
        max_age=dt.timedelta(days=case["max_age_days"]),
        strength=CRL_STRENGTH,
    )
    if isinstance(checked, crl_check.CrlRefused):
        return Verdict(checked.status.value, checked.detail)
    answer = checked.status_of(leaf)
    return Verdict(answer.status.value, answer.detail)


def judge_ocsp(folder: Path, case: Json) -> Verdict:
    """Check an OCSP answer for the leaf."""
    answer = ocsp_check.check(
        octets(folder, case["response"]),
        _target(octets(folder, case["leaf"])),
        load(octets(folder, case["issuer"])),
        at=parse_time(case["time"]),
        max_age=dt.timedelta(days=case["max_age_days"]),
        strength=OCSP_STRENGTH,
    )
    return Verdict(answer.status.value, answer.detail)


def _target(der: bytes) -> ocsp_check.Target:
    try:
        return ocsp_check.Target.of(load(der))
    except BadInput:
        return ocsp_check.Target.read(der)


def _demands(case: Json) -> Demands:
    policy = case["policy"]
    inputs = PolicyInputs()
    if policy is not None:
        inputs = PolicyInputs(
            acceptable=frozenset(policy["initial_policy_set"]),
            require_explicit=policy["require_explicit"],
            inhibit_mapping=policy["inhibit_mapping"],
            inhibit_any=policy["inhibit_any"],
        )
    return Demands(
        eku=case["eku"],
        max_intermediates=case["max_intermediates"],
        revocation=Revocation(case["revocation"]),
        policies=inputs,
    )


def _readable(folder: Path, items: list[Json], read: Callable[[bytes], _Read]) -> tuple[_Read, ...]:
    """Return what can be read; what cannot be is of no use to a path, and no reason to refuse."""
    found = []
    for item in items:
        try:
            found.append(read(octets(folder, item)))
        except BadInput:
            continue
    return tuple(found)
