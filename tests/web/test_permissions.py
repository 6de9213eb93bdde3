"""
The matrix of permissions: every route with every role, and what belongs to somebody else.

Who may is `access.GRANTS` and nothing else; which route asks for which permission stands in
`permission_table`. The verbs behind the routes are walked as well: each asks before it acts.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from pki import access, clients
from pki.model import Role
from pki.services import Services
from tests.web.calling import Caller, csr
from tests.web.conftest import ADMIN, installation, tokens
from tests.web.permission_table import EMAID, OPEN, PCID, Case, cases
from web.app import create_app

PKI = Path(access.__file__).parent
STRANGERS = {
    "emsp2": (Role.EMSP, ("FRMOB",)),
    "cpo2": (Role.CPO, ("DEXYZ",)),
    "oem2": (Role.OEM, ("WVW",)),
    "cps2": (Role.CPS, ("OTHER-CPS",)),
    "hub": (Role.HUB, ()),
}


@dataclass(frozen=True)
class Matrix:
    """An installation with a client of every role, and a second one of each subscriber."""

    services: Services
    caller: Caller

    def ask(self, case: Case, who: str | None) -> TestResponse:
        headers = dict(case.headers)
        if who is not None:
            headers["Authorization"] = f"Bearer {self.caller.tokens[who]}"
        return self.caller.app.test_client().open(
            case.where,
            method=case.method,
            json=case.body,
            data=case.data,
            headers=headers,
            environ_base={"REMOTE_ADDR": self.caller.peer},
        )


@pytest.fixture(scope="module")
def matrix(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """One installation for all cells; what one of them changes, no other looks at."""
    home = Path(shutil.copytree(template, tmp_path_factory.mktemp("matrix") / "home"))
    built = installation(home)
    known = tokens(home)
    for label, (role, parties) in STRANGERS.items():
        _, known[label] = clients.add(built.deployment, ADMIN, role, parties)
    yield Matrix(built, Caller(create_app(built), known))
    built.close()


def test_every_route_is_in_the_table(matrix: Matrix) -> None:
    listed = {(case.method, case.rule) for case in cases()}
    routes = {
        (method, rule.rule)
        for rule in matrix.caller.app.url_map.iter_rules()
        if not _of_partners(rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert listed == routes


def _of_partners(rule: str) -> bool:
    return rule == "/ocpi/versions" or rule.startswith("/ocpi/<")


def _refused(answer: TestResponse) -> bool:
    """EST has no body of ours; OCPI says it in an envelope; all others have the code."""
    text = answer.get_data().decode("utf-8", "replace")
    return "role_not_allowed" in text or (answer.status_code == 403 and not answer.is_json)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_who_may_call_it(matrix: Matrix, case: Case) -> None:
    stranger = matrix.ask(case, None)
    unknown = stranger.status_code == 401 or b"token_missing" in stranger.data
    if case.asks == OPEN:
        others = ("enroll", "/oauth/token")  # they ask for other credentials
        assert not unknown or any(word in case.where for word in others)
        return
    assert unknown
    for role in Role:
        answer = matrix.ask(case, role.value)
        assert answer.status_code not in (401, 500), role
        granted = role is Role.ADMIN or role in access.GRANTS[access.Action(case.asks)]
        assert _refused(answer) is not granted, (role, answer.status_code, answer.text[:200])


def test_a_token_of_ours_is_worth_nothing_where_partners_call(matrix: Matrix) -> None:
    for rule in matrix.caller.app.url_map.iter_rules():
        if not _of_partners(rule.rule):
            continue
        path = rule.rule.replace("<any('2.2.1', '2.3.0'):version>", "2.2.1")
        for name in ("country", "party", "uid", "object_id", "command"):
            path = path.replace(f"<{name}>", "START_SESSION" if name == "command" else "DE")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            for who in ("admin", "cpo", "emsp", "hub", None):
                case = Case(method, rule.rule, OPEN, path, body={})
                answer = matrix.ask(case, who)
                assert answer.status_code == 401, (method, path, who, answer.text[:100])


# --- somebody else's -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def owned(matrix: Matrix) -> dict[str, str]:
    """Things that belong to the first company of each role: by name, the end of their path."""
    call = matrix.caller.post
    found = {}
    for role, profile, name in (
        ("cpo", "secc", "DECPAE1"),
        ("emsp", "contract", EMAID),
        ("oem", "oem", PCID),
        ("cps", "cps", "Demo Provisioning"),
    ):
        body = {"profile": profile, "csr": csr(name), "commonName": name}
        more = {"party": "DEMO-CPS"} if role == "cps" else {}
        answer = call("/v1/certificates", body | more, role=role)
        assert answer.status_code == 201, answer.text
        found[role] = str((answer.json or {})["fingerprint"])
    body = {"emaid": "DEMOAC00000001"}
    assert call("/v1/contracts", body, role="emsp").status_code == 201
    credential = {"kind": "rfid", "uid": "04A23BC1"}
    path = "/v1/contracts/DEMOAC00000001/credentials"
    assert call(path, credential, role="emsp").status_code == 201
    hook = {"url": "https://hook.example/", "events": ["CONTRACT_CREATED"], "name": "x"}
    answer = call("/v1/webhook/endpoints", hook, role="emsp")
    found["webhook"] = str((answer.json or {}).get("id", ""))
    return found


@pytest.mark.parametrize("role", ["cpo", "emsp", "oem", "cps"])
def test_a_certificate_of_somebody_else_is_neither_shown_nor_touched(
    matrix: Matrix, owned: dict[str, str], role: str
) -> None:
    others = [f"{role}2", *({"cpo", "emsp", "oem", "cps"} - {role})]
    for who in others:
        path = f"/v1/certificates/{owned[role]}"
        assert matrix.caller.get(path, role=who).status_code == 404
        for verb, body in (("revoke", {"reason": "superseded"}), ("release", {})):
            answer = matrix.caller.post(f"{path}/{verb}", body, role=who)
            assert answer.status_code == 403, (who, verb)
        page = matrix.caller.get("/v1/certificates", role=who).json or {}
        assert owned[role] not in [c["fingerprint"] for c in page["certificates"]]
    assert matrix.caller.get(f"/v1/certificates/{owned[role]}", role=role).status_code == 200


_CONTRACT = "/v1/contracts/DEMOAC00000001"
_THEIRS = (
    ("emsp2", "GET", _CONTRACT, None),
    ("emsp2", "PATCH", _CONTRACT, {"state": "blocked"}),
    ("emsp2", "GET", f"{_CONTRACT}/credentials", None),
    ("emsp2", "POST", f"{_CONTRACT}/credentials", {"kind": "rfid", "uid": "04A23BC2"}),
    ("emsp2", "PATCH", f"{_CONTRACT}/credentials/rfid/04A23BC1", {"state": "blocked"}),
    ("emsp2", "PATCH", "/v1/emsps/DEMOA", {"whitelist": "ALWAYS"}),
    ("emsp2", "POST", "/v1/contracts", {"emaid": "DEMOAC00000002"}),
    ("emsp2", "GET", "/v1/ccp/lookupContract/DEMOAC00000001", None),
    ("emsp2", "DELETE", "/v1/ccp/signedContractData/DEMOAC00000001", None),
    ("oem2", "GET", f"/v1/oem/provCerts/{PCID}", None),
    ("oem2", "DELETE", f"/v1/oem/provCerts/{PCID}", None),
    ("oem2", "GET", f"/v1/ccp/signedContractData/{PCID}", None),
    ("oem2", "GET", f"/v1/ccp/provideSignedContractData/DEMOAC00000001/{PCID}", None),
)


@pytest.mark.parametrize(("who", "method", "path", "body"), _THEIRS)
def test_nothing_of_somebody_else_is_shown_or_changed(
    matrix: Matrix,
    owned: dict[str, str],
    who: str,
    method: str,
    path: str,
    body: dict[str, str] | None,
) -> None:
    assert owned
    answer = matrix.ask(Case(method, path, OPEN, body=body), who)
    assert answer.status_code == 403, answer.text
    assert "party_not_allowed" in answer.text


@pytest.mark.parametrize(
    "path", ["/v1/contracts", "/v1/commands", "/v1/agreements", "/v1/sessions", "/ocpp/pending"]
)
def test_lists_hold_nothing_of_somebody_else(
    matrix: Matrix, owned: dict[str, str], path: str
) -> None:
    assert owned
    for who in ("emsp2", "cpo2"):
        answer = matrix.caller.get(path, role=who)
        assert "DEMOA" not in answer.text or answer.status_code == 403


# --- verbs ---------------------------------------------------------------------------------------

_ASKS = frozenset(("require", "require_owner"))
_PURE = frozenset(("access", "gate", "model", "ports", "cli", "pkix", "store", "services"))


def _functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(PKI.rglob("*.py")):
        if path.relative_to(PKI).parts[0].removesuffix(".py") in _PURE:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield str(path.relative_to(PKI)), node


def _principal(node: ast.FunctionDef) -> str | None:
    """Return the name of the parameter that is a principal."""
    for argument in (*node.args.args, *node.args.kwonlyargs):
        if isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Principal":
            return argument.arg
    return None


def _handed_to(node: ast.FunctionDef, name: str) -> set[str]:
    """Return the names of the functions that get the principal."""
    found = set()
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(isinstance(value, ast.Name) and value.id == name for value in given):
                function = call.func
                found.add(function.attr if isinstance(function, ast.Attribute) else _id(function))
    return found


def _id(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


_INSIDE = {
    # parts of verbs that asked before, given what these looked up
    "agreements/__init__.py:write",
    "authorize/found.py:read",
    "authorize/places.py:covers",
    "ceremony/values.py:transcript",
    "enrol/consent.py:settle",
    "issue/phases.py:abandon",
    "issue/phases.py:carry_out",
    "issue/rules.py:check_name",
    "issue/rules.py:judge_again",
    "provision/generate.py:make",
    "authorize/after.py:questions_of",
    "authorize/alike.py:key_of",
    "repeat.py:once",
    "repeat.py:once_apart",
    "stations/__init__.py:operator_of",
    "status/responders.py:make",
    "validate/after.py:require_own",
    "validate/receipts.py:write",
    # these ask by way of the requests of a group: `issue.order.placed`
    "bulk/work.py:issue_rows",
    "bulk/work.py:prepare_rows",
    "issue/__init__.py:judged",
    "issue/__init__.py:issue",
    "issue/__init__.py:preview",
    "issue/order.py:place",
}
"""Functions that take a principal and ask nothing, each with its reason."""


def test_every_verb_asks_whether_its_caller_may() -> None:
    verbs = [
        (where, node.name, _handed_to(node, name))
        for where, node in _functions()
        if (name := _principal(node)) is not None
    ]
    asking = set(_ASKS)
    while more := {name for _, name, handed in verbs if handed & asking} - asking:
        asking |= more
    silent = {f"{where}:{name}" for where, name, handed in verbs if not handed & asking}
    assert len(verbs) > 100
    assert {each for each in silent if ":_" not in each} == _INSIDE
