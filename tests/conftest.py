"""Fixtures and settings for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import database_url, postgres_server, postgres_url
from tests.homes import (
    anywhere,
    full,
    full_home,
    full_home_template,
    small,
    small_home,
    small_home_template,
)
from tests.tokens import soft_hsm

# The machine decides how long an example takes; hang limits are tested where they matter.
settings.register_profile(
    "pnc", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("pnc")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of third-party test vectors."""
    folder = Path(os.environ.get("PNC_VECTORS") or ROOT / "../shared/vectors").resolve()
    if not folder.is_dir():
        pytest.skip(f"PNC_VECTORS: there is no folder {folder}")
    return folder


__all__ = [
    "anywhere",
    "database_url",
    "full",
    "full_home",
    "full_home_template",
    "postgres_server",
    "postgres_url",
    "small",
    "small_home",
    "small_home_template",
    "soft_hsm",
]
