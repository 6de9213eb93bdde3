"""SoftHSM2 for tests: tokens of a directory of our own, made and taken away."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)
PIN = "a pin that no log shows"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftHsm:
    """
    SoftHSM2 with a directory of tokens.

    Attributes:
        module: its shared library.
        directory: holds the tokens, the configuration and the PIN.
    """

    module: Path
    directory: Path

    @property
    def tokens(self) -> Path:
        """Where the tokens lie: a directory each."""
        return self.directory / "tokens"

    @property
    def pin_file(self) -> Path:
        """File with the PIN of every token."""
        return self.directory / "pin"

    @property
    def configuration(self) -> Path:
        """What SOFTHSM2_CONF names."""
        return self.directory / "softhsm2.conf"

    def token(self) -> str:
        """Make a token; return its label."""
        label = f"pnc-{secrets.token_hex(4)}"
        given = ["--label", label, "--pin", PIN, "--so-pin", "so pin of a test"]
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", *given], check=True, capture_output=True
        )
        return label

    def settings(self, token: str, **further: str) -> str:
        """Return the settings of an installation whose keys are in a token."""
        lines = {
            "backend": "pkcs11",
            "pkcs11_module": str(self.module),
            "pkcs11_token": token,
            "pin_file": str(self.pin_file),
            **further,
        }
        return "[keys]\n" + "".join(f'{key} = "{value}"\n' for key, value in lines.items())


@pytest.fixture(scope="session")
def soft_hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """SoftHSM2 for the session; skips where it is not installed."""
    module = next((path for path in MODULES if path.exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        if os.environ.get("PNC_REQUIRE_PEERS"):
            pytest.fail("SoftHSM2 is not installed (softhsm2)")
        pytest.skip("SoftHSM2 is not installed (softhsm2)")
    directory = tmp_path_factory.mktemp("softhsm")
    hsm = SoftHsm(module=module, directory=directory)
    hsm.tokens.mkdir()
    hsm.pin_file.write_text(PIN)
    hsm.configuration.write_text(
        f"directories.tokendir = {hsm.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(hsm.configuration)
    yield hsm
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before
