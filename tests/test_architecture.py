"""The arrows of the architecture, and house rules that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("pki/**/*.py"), *ROOT.glob("web/**/*.py")])
MAX_LINES = 400
MAX_FUNCTION = 50

LAYER_0 = ("errors", "ids", "clock", "quick")
LAYER_1 = ("pkix", "v2g")
LAYER_1B = ("model", "ports")
LAYER_2 = ("keys", "store", "roaming")
VERBS: dict[str, set[str]] = {
    # verb: the other verbs that it may import
    "audit": {"access"},
    "access": set(),
    "gate": {"audit"},
    "clients": {"access", "audit", "gate"},
    "approve": {
        *("access", "audit", "ceremony", "clients", "emergency", "foreign", "gate", "hierarchy"),
        *("provision", "revoke", "rotate", "status", "trust"),
    },
    "render_admin": {"approve"},
    "doctor": {"access", "audit", "gate", "sign"},
    "recheck": {"access", "audit", "rotate"},
    "parties": {"access", "audit", "outbound"},
    "tokens": {"access", "audit"},
    "events": {"access", "audit", "outbound"},
    "contracts": {"access", "alike", "audit", "route"},
    "credentials": {"audit", "contracts"},
    "batches": set(),
    "repeat": {"batches"},
    "sessions": {"access", "authorize", "route"},
    "trust": {"access", "audit", "gate"},
    "limits": set(),
    "sign": {"audit", "limits"},
    "signer": {"sign"},
    "bulk": {"audit", "issue"},
    "expiry": {"access", "issue"},
    "pkcs12_file": set(),
    "issue": {"access", "audit", "contracts", "sign"},
    "enrol": {"access", "audit", "batches", "issue", "outbound"},
    "stations": {"access", "audit", "batches", "enrol", "issue"},
    "enrolments": {"access", "enrol", "stations"},
    "lookup": {"access", "issue"},
    "revoke": {"access", "audit", "gate", "lookup"},
    "validate": {"access", "batches", "contracts"},
    "directory": set(),
    "route": {"access", "audit", "directory"},
    "agreements": {"access", "audit", "directory"},
    "realtime": {"directory", "outbound"},
    "authorize": {"access", "agreements", "directory", "realtime", "route", "validate"},
    "beacon": set(),
    "desk": set(),
    "outbound": set(),
    "foreign": {"access", "audit", "gate", "outbound", "trust"},
    "partners": {"access", "audit", "authorize", "jobs", "outbound"},
    "jobs": set(),
    "status": {"access", "audit", "beacon", "issue", "jobs", "sign"},
    "hierarchy": {"access", "gate", "issue", "status", "trust"},
    "provision": {
        *("access", "audit", "contracts", "gate", "issue", "revoke", "route", "trust"),
        "validate",
    },
    "render_partners": {"partners"},
    "ceremony": {
        *("access", "audit", "gate", "hierarchy", "issue", "rotate", "status", "trust"),
    },
    "emergency": {
        *("access", "audit", "gate", "issue", "lookup", "provision", "revoke", "rotate"),
        "trust",
    },
    "backup": {"access", "audit", "gate", "sign", "status"},
    "rotate": {
        *("access", "audit", "events", "gate", "hierarchy", "issue", "provision", "status"),
        "tokens",
    },
    "demo": {"agreements", "clients", "parties"},
    "render_roaming": set(),
    "render_stations": set(),
    "render": {"access", "audit", "issue", "lookup", "revoke"},
}
LAYER_4 = ("settings", "services")

THIRD_PARTY: dict[str, set[str]] = {
    "pki.errors": set(),
    "pki.ids": set(),
    "pki.clock": set(),
    "pki.model": set(),
    "pki.ports": set(),
    "pki.pkix": {"cryptography", "asn1crypto"},
    "pki.pkix.path": {"cryptography", "asn1crypto", "OpenSSL"},
    "pki.v2g": {"cryptography", "asn1crypto"},
    "pki.v2g.xml": {"lxml"},
    "pki.pkix.fulllint": {"cryptography", "asn1crypto", "pkilint", "pyasn1"},
    "pki.keys": {"cryptography"},
    "pki.keys.pkcs11": {"cryptography", "pkcs11"},
    "pki.keys.token": {"pkcs11"},
    "pki.store": {"sqlalchemy", "alembic", "psycopg"},
    "pki.tokens": {"cryptography", "jwt"},
    "pki.validate.repeats": {"orjson"},
    "pki.settings": set(),
    "pki.services": set(),
    "pki.cli": {"click", "rich", "cryptography"},
    "web": {
        "flask",
        "werkzeug",
        "jsonschema",
        "ocpp",
        "orjson",
        "prometheus_client",
        "referencing",
        "cryptography",
        "gunicorn",
        "uvicorn",
        "uvicorn_worker",
        "httptools",
    },
}
VERB_THIRD_PARTY = {"cryptography"}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in ("pki", "web"):
                names = (alias.name for alias in node.names if not alias.name.startswith("__"))
                yield from (f"{node.module}.{name}" for name in names)
            else:
                yield node.module


def _part(module: str) -> str:
    """Return the second component: the layer's member inside `pki`."""
    return module.split(".")[1] if "." in module else ""


BELOW_2 = {*LAYER_0, *LAYER_1, *LAYER_1B}
ALLOWED: dict[str, set[str]] = {
    **{part: set(LAYER_0) for part in (*LAYER_0, *LAYER_1)},
    **{part: BELOW_2 for part in (*LAYER_1B, *LAYER_2)},  # noqa: C420 - shared sets, never changed
    "settings": BELOW_2 | {"enrol", "outbound", "status"},
    **{verb: BELOW_2 | others for verb, others in VERBS.items()},
    "partners": {*BELOW_2, "roaming", *VERBS["partners"]},
    "services": {*BELOW_2, *LAYER_2, *VERBS, *LAYER_4},
}
ALLOWED_5 = {*BELOW_2, "roaming", *VERBS, *LAYER_4}


def _allowed(module: str) -> set[str]:
    """Return the members of `pki` that a module may import, besides its own package."""
    return ALLOWED.get(_part(module), ALLOWED_5) if module.startswith("pki") else ALLOWED_5


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_arrows_point_downwards(path: Path) -> None:
    module = _name(path)
    if module == "pki":
        return
    imported = {name for name in _imports(path) if name.split(".")[0] == "pki" and "." in name}
    own = ".".join(module.split(".")[:2])
    foreign = {_part(name) for name in imported if not name.startswith(own)}
    assert foreign <= _allowed(module)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_pki_knows_no_web_and_web_no_store(path: Path) -> None:
    module = _name(path)
    roots = {name.split(".")[0] for name in _imports(path)}
    if module.startswith("pki"):
        assert not roots & {"web", "flask"}
    else:
        assert not {n for n in _imports(path) if n.startswith(("pki.store", "pki.keys"))}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_third_party_imports_are_the_layers_own(path: Path) -> None:
    import sys  # noqa: PLC0415

    module = _name(path)
    outside = {name.split(".")[0] for name in _imports(path)}
    outside -= {"pki", "web", "__future__", *sys.stdlib_module_names}
    rule = next(
        (THIRD_PARTY[key] for key in sorted(THIRD_PARTY, key=len, reverse=True)
         if module == key or module.startswith(key + ".")),
        VERB_THIRD_PARTY,
    )  # fmt: skip
    assert outside <= rule


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            body = node.body
            start = node.lineno
            if ast.get_docstring(node) and len(body) > 1 and body[0].end_lineno:
                start = body[0].end_lineno
            assert node.end_lineno - start <= MAX_FUNCTION, node.name


@pytest.mark.parametrize("path", sorted(ROOT.glob("pki/**/*.py")), ids=_name)
def test_no_keyword_bags(path: Path) -> None:
    if path.parts[-2:] == ("cli", "output.py"):
        return  # the decorator that click's callbacks go through
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.args.kwarg is None, node.name


def test_only_sign_uses_a_ca_key() -> None:
    users = {
        _name(path)
        for path in MODULES
        if re.search(r"\.signer\(|\.sign\(", path.read_text("utf-8"))
    }
    assert users <= {
        "pki.sign",
        "pki.keys.files",  # the key's own home
        "pki.keys.homes",  # as above
        "pki.keys.pkcs11",  # as above
        "pki.signer.client",  # asks the signer; its own keys are none of a CA
        "pki.signer.server",  # public halves, and keys that are no CA's
        "pki.pkix.suites",  # the primitive
        "pki.issue.twins",  # the twin's throw-away key
        "pki.hierarchy",  # reads the public half of a key that it made
        "pki.status.responders",  # as the hierarchy
        "pki.tokens",  # keys of access tokens
        "pki.audit.checkpoints",  # keys of the audit: no CA key
        "pki.doctor",  # looks whether a key can be opened, and signs nothing
        "web.tls",  # key of a demo listener
        "pki.provision.signers",  # leaves of the provisioning service: no CA key
        "pki.status.signing",  # delegated signers: no CA key
        "pki.status.answers",  # as above: calls it
        "pki.events.keys",  # the key of the webhooks' secrets
        "pki.status.templates",  # as above
    }
    assert "keys.signer" not in (ROOT / "pki/issue/twins.py").read_text("utf-8")


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_no_private_key_machine_path_or_index_host_is_committed() -> None:
    key = re.compile(r"^-----BEGIN (EC |RSA |ENCRYPTED )?PRIVATE " + "KEY-----", re.MULTILINE)
    place = re.compile(r"(?<!/v1)/ro" + r"ot/|/wo" + r"rk/|index-" + r"url|://[^ ]*/simple/")
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        assert not key.search(text), path
        assert not place.search(text), path


def test_the_lock_files_pin_every_requirement_with_hashes() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / name).read_text("utf-8")
        pins = re.findall(r"^[a-z0-9][^ \n]*==[^ \n]+", text, re.MULTILINE)
        assert len(pins) > 20
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text
