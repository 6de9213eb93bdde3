"""Ceremonies by file, their transcripts, and CAs whose root lies offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pki import audit, ceremony, hierarchy, parties, rotate
from pki.ceremony import Answer
from pki.ceremony.values import digest
from pki.errors import BadInput, Conflict, NotAllowed, NotFound, PkiError, PolicyViolation
from pki.ids import Fingerprint
from pki.issue import IssueRequest, issue
from pki.model import IssuerState, Principal, Role
from pki.pkix import path as paths
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.services import Services
from pki.status import StatusPolicy, crls
from tests.homes import ADMIN, demo_plans, make_home, opened
from tests.status import hosts

ROOT = Path(__file__).resolve().parent.parent
POLICY = StatusPolicy()
HEAD = '[ceremony]\ntitle = "A test"\npeople = ["Alice", "Bob"]\n'
NEW = """
[operator]
organization = "Test"
country = "DE"
[[edition]]
suffix = "2"
suite = "p256"
[[issuer]]
name = "oem"
kind = "oem_root"
common_name = "OEM Root"
"""
ROLL = '[[rollover]]\nissuer = "mo-2"\n'


def _run(services: Services, text: str, *, dry_run: bool = False) -> ceremony.Transcript:
    return ceremony.run(services.deployment, ADMIN, text, dry_run=dry_run)


def _intact(services: Services) -> bool:
    return not any(report.problem for report in audit.verify(services.deployment.store))


# --- one reviewed file ---------------------------------------------------------------------------


def test_a_rehearsal_changes_nothing_and_says_what_would_be_done(small: Services) -> None:
    with small.deployment.store.read() as tx:
        before = tx.audit.heads()
    done = _run(small, HEAD + NEW + ROLL, dry_run=True)
    assert done.dry_run
    assert "rehearsal" in done.text()
    assert [line.split()[0] for line in done.lines] == ["make", "prepare"]
    with small.deployment.store.read() as tx:
        assert tx.audit.heads() == before
        assert tx.issuers.get("oem-2.g1") is None


def test_a_ceremony_leaves_a_transcript_whose_hash_the_audit_keeps(small: Services) -> None:
    done = _run(small, HEAD + NEW)
    made = load(hosts.issuer_of(small, "oem-2.g1").certificate)
    text = ceremony.transcripts(small.deployment, ADMIN)[done.ceremony_id]
    assert text == done.text()
    for told in ("present: Alice", "by test", made.fingerprint.value, made.serial_number.value):
        assert told in text
    with small.deployment.store.read() as tx:
        (entry,) = [e for e in tx.audit.entries(audit.ADMIN) if e.action == "ceremony"]
    assert json.loads(entry.details)["transcriptSha256"] == digest(text)
    assert _intact(small)


def test_a_ceremony_that_is_repeated_makes_nothing_anew(small: Services) -> None:
    for first in ("made", "left"):
        assert _run(small, HEAD + NEW).lines[0].startswith(first)


def test_rollover_cross_certificate_and_retirement_stand_in_one_file_each(small: Services) -> None:
    _run(small, HEAD + ROLL)
    cross = '[[cross]]\nby = "mo-2.g1"\nsubject = "mo-2.g2"\n'
    assert "already" in _run(small, HEAD + cross).lines[0]  # the preparation made it
    _run(small, HEAD + ROLL + 'step = "switch"\n')
    rotate.close(small.deployment, ADMIN, "mo-2", grace=rotate.GRACE * 0)
    retire = '[[retire]]\nissuer = "mo-2.g1"\n'
    with pytest.raises(Conflict) as needed:
        _run(small, HEAD + retire)
    assert needed.value.code == "issuer_needed"
    _run(small, HEAD + retire + "abandon = true\n")
    assert hosts.issuer_of(small, "mo-2.g1").state is IssuerState.RETIRED


def test_the_example_is_a_ceremony(full: Services) -> None:
    text = (ROOT / "certs" / "ceremonies" / "rollover.toml").read_text()
    done = _run(full, text, dry_run=True)
    assert done.lines == ("prepare v2g-2.g2 after v2g-2.g1",)
    assert len(done.people) == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[rollover]]\n", "rollover.issuer is missing"),
        ('[[rollover]]\nissuer = "x"\nstep = "retire"\n', "no step"),
        ("[ceremony]\ntitle = 1\n", "another type"),
        ('[ceremony]\ntitle = "x"\npeople = [1]\n', "another type"),
        ("[retired]\n", "unknown table"),
        ('[[cross]]\nby = "a"\nsubject = "b"\nmore = 1\n', "unknown key"),
        ("[", "not TOML"),
    ],
)
def test_a_faulty_file_is_refused_with_its_faults(text: str, fault: str) -> None:
    with pytest.raises(BadInput) as caught:
        ceremony.read(text)
    assert fault in caught.value.message


@example("ceremony = 1")
@example("rollover = 1")
@example("[[rollover]]\nissuer = []")
@given(st.text())
def test_any_text_is_a_ceremony_or_a_named_fault(text: str) -> None:
    with suppress(BadInput):
        assert ceremony.read(text).title


@example('{"format": "pnc-ceremony-answer-1"}')
@example("[]")
@given(st.text())
def test_any_text_is_a_paper_or_refused(text: str) -> None:
    for read in (ceremony.read_request, ceremony.read_answer):
        with pytest.raises(BadInput) as caught:
            read(text)
        assert caught.value.code == "invalid_ceremony_file"


def test_only_an_administrator_holds_a_ceremony(small: Services) -> None:
    auditor = Principal(name="auditor", role=Role.AUDITOR)
    with pytest.raises(NotAllowed):
        ceremony.run(small.deployment, auditor, HEAD + NEW, dry_run=True)
    with pytest.raises(NotAllowed):
        ceremony.accept(small.deployment, auditor, "{}")


# --- an offline root -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Sides:
    """The machine with the root's key, and the installation that serves."""

    there: Services
    here: Services

    def introduce(self) -> str:
        answer, _ = ceremony.introduce(self.there.deployment, ADMIN, POLICY, "v2g-2")
        ceremony.accept(self.here.deployment, ADMIN, answer.text())
        return answer.text()

    def request(self) -> str:
        (plan,) = demo_plans("cpo1-2")
        asked, _ = ceremony.request(self.here.deployment, ADMIN, plan)
        return asked.text()

    def sign(self, request: str) -> Answer:
        answer, _ = ceremony.answer(self.there.deployment, ADMIN, POLICY, request)
        assert answer is not None
        return answer


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    make_home(tmp_path / "there", "v2g-2")
    make_home(tmp_path / "here", "mo-2")
    with opened(tmp_path / "there") as there, opened(tmp_path / "here") as here:
        yield Sides(there, here)


def test_a_sub_ca_is_signed_by_a_root_whose_key_never_was_here(sides: Sides) -> None:
    here = sides.here
    sides.introduce()
    request = sides.request()
    assert request == sides.request()
    rehearsed, _ = ceremony.answer(sides.there.deployment, ADMIN, POLICY, request, dry_run=True)
    assert rehearsed is None
    answer = sides.sign(request).text()
    assert ceremony.accept(here.deployment, ADMIN, answer, dry_run=True).dry_run
    for _ in range(2):  # the second time nothing is left to be done
        ceremony.accept(here.deployment, ADMIN, answer)
    hierarchy.create(here.deployment, ADMIN, demo_plans("cpo2-2"))
    parties.add_party(here.deployment, ADMIN, Role.CPO, "DECPA", "Demo Charging")
    secc = issue(here.deployment, ADMIN, IssueRequest(kind=Kind.SECC, common_name="DECPAS0001"))
    root = load(hosts.issuer_of(here, "v2g-2.g1").certificate)
    chain = [load(der) for der in secc.chain]
    assert isinstance(paths.find(chain[0], tuple(chain[1:]), (root,)), paths.Path)
    with here.deployment.store.read() as tx:
        (sub,) = tx.certificates.search(kinds=(Kind.CPO_SUB_CA1,))
    assert hosts.ask(here, sub) == hosts.GOOD  # by the signer that the root delegated
    assert crls.publish_due(here.deployment, ADMIN, POLICY) > 0
    assert crls.current(here.deployment, "v2g-2", 0).issuer_id == "v2g-2.g1"
    assert _intact(here)
    assert _intact(sides.there)
    assert not list((here.settings.home / "keys").glob("v2g-2*"))


def test_transcripts_of_both_sides_name_the_same_hashes(sides: Sides) -> None:
    sides.introduce()
    answer = sides.sign(sides.request())
    ceremony.accept(sides.here.deployment, ADMIN, answer.text())
    both = [ceremony.transcripts(s.deployment, ADMIN) for s in (sides.there, sides.here)]
    there, here = ("\n".join(kept.values()) for kept in both)
    for told in (answer.request, digest(answer.text())):
        assert told in there
        assert told in here
    assert Fingerprint.of(answer.certificate).value in there
    assert Fingerprint.of(answer.certificate).value in here


def test_without_its_key_here_a_root_makes_no_sub_ca_by_itself(sides: Sides) -> None:
    sides.introduce()
    with pytest.raises(Conflict) as caught:
        hierarchy.create(sides.here.deployment, ADMIN, demo_plans("cpo1-2"))
    assert caught.value.code == "issuer_offline"
    with pytest.raises(NotFound):
        ceremony.request(sides.there.deployment, ADMIN, demo_plans("cpo1-2")[0])


def test_an_answer_that_is_not_what_was_asked_for_changes_nothing(sides: Sides) -> None:
    introduction = sides.introduce()
    request = sides.request()
    answer = sides.sign(request)
    other = json.loads(request)
    other["plan"]["common_name"] = "Another name"
    renamed = sides.sign(json.dumps(other))
    wrong = [
        (replace(answer, request="0" * 64), "request_unknown"),
        (replace(renamed, request=answer.request, plan=answer.plan), "answer_differs"),
        (replace(answer, certificate=answer.responder), "answer_differs lint_failed"),
        (replace(answer, responder=answer.certificate), "answer_differs lint_failed"),
        (replace(answer, issuer=answer.certificate), "issuer_unknown"),
        (replace(answer, plan=renamed.plan), "answer_differs"),
    ]
    with sides.here.deployment.store.read() as tx:
        before = tx.audit.heads()
    for one, code in wrong:
        with pytest.raises(PkiError) as caught:
            ceremony.accept(sides.here.deployment, ADMIN, one.text())
        assert caught.value.code in code.split()
    forged = ceremony.read_answer(introduction)
    with pytest.raises(PolicyViolation):
        ceremony.accept(
            sides.here.deployment, ADMIN, replace(forged, issuer=answer.certificate).text()
        )
    with sides.here.deployment.store.read() as tx:
        assert tx.audit.heads() == before


def test_a_root_signs_no_kind_that_is_not_its_own(sides: Sides) -> None:
    sides.introduce()
    request = json.loads(sides.request())
    request["plan"]["kind"] = "secc"
    with pytest.raises(Conflict) as caught:
        ceremony.answer(sides.there.deployment, ADMIN, POLICY, json.dumps(request))
    assert caught.value.code == "issuer_not_fitting"
    request["parent"] = "nobody"
    with pytest.raises(NotFound):
        ceremony.answer(sides.there.deployment, ADMIN, POLICY, json.dumps(request))
