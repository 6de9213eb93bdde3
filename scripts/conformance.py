#!/usr/bin/env python3
"""
Judge the product's own code by vectors in the format of `shared/vectors`.

usage: conformance.py KIND PATH

KIND          PATH
contract-ids  a JSON file of format contract-id/1, or a folder that holds contract_ids.json
malformed     a folder with manifest.json
path          a JSON file of chains, or a folder of such files
crl, ocsp     a JSON file of CRLs or OCSP answers, or a folder of such files
exi           a folder of EXI vectors, at any depth

Prints the ids that failed, and for chains those that differ without being scored; closes with the
counts of each class and `N passed, N failed, N skipped`. Exits 1 if any failed, 2 if a file is not
of its format (chains, CRLs and OCSP answers are held to it before any is judged).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pki import hierarchy, parties
from pki import services as wiring
from pki.cli.decisions import chain_check
from pki.clock import parse_time
from pki.errors import BadInput, Conflict, NotFound, PkiError, PolicyViolation
from pki.foreign import check_crl
from pki.ids import CheckDigit, DinEvcoId, Edition, Emaid
from pki.issue import IssueRequest, issue
from pki.model import Accepted, ContractCheck, Decision, Principal, Role
from pki.pkix import ocsp, pem
from pki.pkix.certificate import Certificate, load
from pki.pkix.profiles import Kind
from pki.settings import load as load_settings
from pki.trust import anchor_certificate
from pki.validate import without_store
from scripts import judges_exi, judges_path, vectors
from scripts.judging import TIME_LIMIT, Outcome, Result
from web.est import csr_of
from web.status import request_in_path

JUDGED_AT: Final = "2026-12-01T00:00:00Z"
ADMIN: Final = Principal(name="conformance", role=Role.ADMIN)


def main(arguments: list[str] | None = None) -> int:
    """Run one kind of vectors; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("path", type=Path)
    options = parser.parse_args(arguments)
    if not options.path.exists():
        parser.error(f"{options.path} does not exist")
    try:
        counts = _judge(options.kind, options.path)
    except vectors.BadVectors as error:
        parser.error(str(error))
    if not counts:
        print(f"{options.path} holds no case of kind {options.kind}", file=sys.stderr)
        return 1
    return 1 if any(group["failed"] for group in counts.values()) else 0


def _judge(kind: str, path: Path) -> dict[str, Counter[Result]]:
    """Print what is to be said of each case, then the counts; return these by class."""
    counts: dict[str, Counter[Result]] = {}
    for outcome in KINDS[kind](path):
        counts.setdefault(outcome.group, Counter())[outcome.result] += 1
        if outcome.result == "failed":
            print(f"FAILED {outcome.case}: {outcome.seen}")
        elif outcome.report:
            print(outcome.report)
    for group in sorted(filter(None, counts)):
        print(f"{group}: {_told(counts[group])}")
    print(_told(sum(counts.values(), Counter())))
    return counts


def _told(counts: Counter[Result]) -> str:
    results: tuple[Result, ...] = ("passed", "failed", "skipped")
    return ", ".join(f"{counts[result]} {result}" for result in results)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Keep the table of the docstring as it is."""


def _expect(case: str, wanted: object, seen: object) -> Outcome:
    good = wanted == seen
    return Outcome(case, "passed" if good else "failed", f"wanted {wanted!r}, got {seen!r}")


# --- contract-id/1 -----------------------------------------------------------------------------


def contract_ids(path: Path) -> Iterator[Outcome]:
    """Judge identifiers, comparisons and conversions."""
    file = path / "contract_ids.json" if path.is_dir() else path
    document = vectors.read_json(file)
    for entry in document.get("contract_ids", []):
        yield _contract_id(entry)
    for entry in document.get("same_contract", []):
        keys = {_key(value) for value in entry["values"]}
        yield _expect(entry["id"], entry["same"], len(keys) == 1 and None not in keys)
    for entry in document.get("din_to_iso", []):
        yield _din(entry)


def _key(text: str) -> str | None:
    try:
        return Emaid.parse(text, Edition.ISO2).key
    except BadInput:
        return None


def _contract_id(entry: dict[str, Any]) -> Outcome:
    try:
        emaid = Emaid.parse(entry["input"], Edition.ISO2)
    except BadInput:
        return _expect(entry["id"], entry["valid_syntax"], False)
    seen: dict[str, object] = {
        "valid_syntax": True,
        "canonical_14": emaid.key,
        "check_character": emaid.check_character,
        "canonical_15": emaid.with_check_character,
        "display": emaid.display,
        "provider": emaid.provider.value,
        "given_check_ok": emaid.check_digit is CheckDigit.GOOD,
    }
    if len(emaid.normalised) > len(emaid.key):
        seen["given_check_character"] = emaid.normalised[-1]
    wanted = {name: entry[name] for name in seen if name in entry}
    return _expect(entry["id"], wanted, {name: seen[name] for name in wanted})


def _din(entry: dict[str, Any]) -> Outcome:
    parsed = DinEvcoId.parse(entry["din"])
    seen = {
        "iso_14": parsed.to_iso().key,
        "iso_15": parsed.to_iso().with_check_character,
        "emi3_15": parsed.to_emi3().with_check_character,
    }
    wanted = {name: entry[name] for name in seen if name in entry}
    return _expect(entry["id"], wanted, {name: seen[name] for name in wanted})


# --- malformed ---------------------------------------------------------------------------------

Judge = Callable[[bytes, str], tuple[bool, str]]
"""Take a file's octets and its encoding; say whether it was accepted, and what was seen."""


def malformed(folder: Path) -> Iterator[Outcome]:
    """Judge certificates and PEM as contract certificates, CSRs by issuance, anchors by reading."""
    manifest = vectors.read_json(folder / "manifest.json")
    anchor = load((folder / "trust-anchor" / "ca.der").read_bytes())
    with _issuance() as judge_csr:
        judges: dict[str, Judge] = {
            "cert": lambda data, encoding: _as_contract(_check(data, encoding), anchor),
            "pem": lambda data, _: _as_contract(chain_check(data), anchor),
            "trust-anchor": lambda data, _: (bool(anchor_certificate(data)), "read"),
            "csr": judge_csr,
            "est-body": lambda data, encoding: judge_csr(csr_of(data), encoding),
            "crl": lambda data, _: _as_evidence(data, anchor),
            "ocsp-request": _as_question,
        }
        for case in manifest["cases"]:
            judge = judges.get(case["kind"])
            if judge is None:
                yield Outcome(case["id"], "skipped")
                continue
            yield _judged(case, (folder / case["file"]).read_bytes(), judge)


def _judged(case: dict[str, Any], data: bytes, judge: Judge) -> Outcome:
    begun = time.monotonic()
    try:
        accepted, seen = judge(data, case["encoding"])
    except (BadInput, PolicyViolation, Conflict, NotFound) as error:
        accepted, seen = False, f"{error.code}: {error.message}"
    except Exception as error:  # noqa: BLE001 - anything else is what these vectors look for
        return Outcome(case["id"], "failed", f"{type(error).__name__}: {error}")
    if time.monotonic() - begun > TIME_LIMIT:
        return Outcome(case["id"], "failed", "took more than 5 seconds")
    if not seen.isprintable():
        return Outcome(case["id"], "failed", "the answer holds control characters")
    if case["expect"].startswith("either") or accepted == (case["expect"] == "accept"):
        return Outcome(case["id"], "passed")
    return Outcome(case["id"], "failed", f"wanted {case['expect']}, got {seen}")


def _check(data: bytes, encoding: str) -> ContractCheck:
    return chain_check(data) if encoding == "pem" else ContractCheck(chain=(data,))


def _as_contract(check: ContractCheck, anchor: Certificate) -> tuple[bool, str]:
    decision: Decision = without_store(check, (anchor,), parse_time(JUDGED_AT))
    verdict = decision.verdict
    if isinstance(verdict, Accepted):
        return True, "accepted"
    return False, f"{verdict.fault.value}: {verdict.explanation}"


def _as_evidence(data: bytes, anchor: Certificate) -> tuple[bool, str]:
    kept, _ = check_crl(anchor, data, parse_time(JUDGED_AT))
    return True, f"used until {kept.next_update}"


def _as_question(data: bytes, encoding: str) -> tuple[bool, str]:
    if encoding == "url-path":
        data = request_in_path(data.decode("ascii", "replace").strip().removeprefix("/"))
    parsed = ocsp.parse_request(data)
    return True, f"{len(parsed.cert_ids)} certificates"


@contextmanager
def _issuance() -> Iterator[Judge]:
    """Make a throw-away home with the MO branch and the account DE8AA; yield a judge of CSRs."""
    with tempfile.TemporaryDirectory() as home:
        services = wiring.build(load_settings({}, Path(home)))
        text = (files("certs") / "hierarchies" / "demo.toml").read_text("utf-8")
        plans = [plan for plan in hierarchy.read(text) if plan.name.startswith("mo")]
        services.database.migrate()
        hierarchy.create(services.deployment, ADMIN, plans)
        parties.add_emsp(services.deployment, ADMIN, "DE8AA", "Conformance Mobility")

        def stored() -> int:
            with services.deployment.store.read() as tx:
                return len(tx.certificates.search(kinds=(Kind.CONTRACT,), limit=10_000))

        def judge(data: bytes, _: str) -> tuple[bool, str]:
            before = stored()
            try:
                issued = issue(
                    services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=data)
                )
            except PkiError:
                if stored() != before:
                    raise AssertionError("a refused CSR left something behind") from None
                raise
            _assert_is_leaf(load(issued.record.der))
            return True, f"issued {pem.encode(issued.record.der)[:27]}"

        try:
            yield judge
        finally:
            services.close()


def _assert_is_leaf(certificate: Certificate) -> None:
    """Whatever a CSR asked for, the profile decides."""
    usage = certificate.key_usage or frozenset()
    if certificate.is_ca or "key_cert_sign" in usage or certificate.extended_key_usage:
        raise AssertionError("the certificate may do more than its profile allows")


# --- EXI -----------------------------------------------------------------------------------------


def exi(folder: Path) -> Iterator[Outcome]:
    """Judge streams, messages and signed scenarios."""
    for case, result, seen in judges_exi.judge(folder):
        yield Outcome(case, result, seen)


KINDS: Final[dict[str, Callable[[Path], Iterator[Outcome]]]] = {
    "contract-ids": contract_ids,
    "malformed": malformed,
    "path": judges_path.path,
    "crl": judges_path.crl,
    "ocsp": judges_path.ocsp,
    "exi": exi,
}

if __name__ == "__main__":
    sys.exit(main())
