"""Java's PKIX revocation checker, a complete relying party, believes the running service."""

from __future__ import annotations

from pathlib import Path

import pytest

from pki.pkix.suites import Suite
from tests.interop.field import Field, run

SOURCE = Path(__file__).parent / "java" / "Relying.java"
MODES = {
    "by GET": (),
    "by POST": ("-Dcom.sun.security.ocsp.useget=false",),
    "with a nonce": ("-Djdk.security.certpath.ocspNonce=true",),
}


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled relying party."""
    folder = tmp_path_factory.mktemp("classes")
    run("javac", "-d", folder, SOURCE)
    return folder


def judged(
    field: Field, classes: Path, options: tuple[str, ...], *cases: tuple[Suite, str]
) -> list[str]:
    """Return what Java says of the chains of these leaves."""
    files = [
        str(field.file(suite, f"{name}.der"))
        for suite, state in cases
        for name in ("root", "sub1", "sub2", state)
    ]
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    said = run("java", *quick, *options, "-cp", classes, "Relying", field.url, *files)
    return said.splitlines()


@pytest.mark.parametrize("mode", MODES)
def test_java_tells_good_from_revoked_and_names_the_reason(
    field: Field, classes: Path, mode: str
) -> None:
    cases = [(suite, state) for suite in Suite for state in ("good", "revoked", "held")]
    said = judged(field, classes, MODES[mode], *cases, (Suite.P256, "never_issued"))
    expected = ["VALID", "REVOKED KEY_COMPROMISE at 0", "REVOKED CERTIFICATE_HOLD at 0"]
    assert said[: len(cases)] == expected * len(Suite)
    # I4: signed by the CA's own key and yet never issued
    assert said[-1].startswith("UNDETERMINED_REVOCATION_STATUS")
    assert said[-1].endswith("at 0")
