"""A service that really runs, with certificates in every state, for peers that are not ours."""

from __future__ import annotations

from tests.interop.field import field
from tests.web.authority import authority, authority_home, authority_template
from tests.web.conftest import template

__all__ = ["authority", "authority_home", "authority_template", "field", "template"]
