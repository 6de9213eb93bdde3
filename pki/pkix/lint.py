"""
Our own lints: every certificate, or its twin, must pass them before it may leave the process (I6).

The rules stand in `lint_rules` and `lint_extensions`, one function each. Signatures are not
verified here, since a twin is signed with a throw-away key.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pki.pkix import lint_extensions, lint_rules, lint_view
from pki.pkix.lint_view import Finding, IssuerFacts, Rule, View, take_apart
from pki.pkix.profiles import Profile

READABLE: Final = Finding(
    rule="x690_10_readable",
    clause="X.690 clause 10, RFC 5280 4.1",
    message="it is not a certificate in DER",
)
"""What is found in bytes that no rule can be asked about."""

RULES: Final[Mapping[str, Rule]] = MappingProxyType(lint_view.RULES)
"""Every rule by its id, in the order in which they are asked."""

REGISTERED: Final = (lint_rules, lint_extensions)
"""The modules whose import filled `RULES`."""


def lint(der: bytes, profile: Profile, issuer: IssuerFacts | None) -> tuple[Finding, ...]:
    """
    Return what a certificate breaks of its profile; empty means that it may be issued.

    Args:
        der: the certificate or its twin; any octets are answered, never raised upon.
        profile: what it is to be.
        issuer: its issuer; None for a self-signed root.
    """
    try:
        view = take_apart(der, profile, issuer)
    except ValueError:  # DerError, and elements too few or too many
        return (READABLE,)
    return tuple(finding for rule in RULES.values() for finding in _ask(rule, view))


def lint_varying(view: View) -> tuple[Finding, ...]:
    """
    Return what a leaf breaks by what differs between leaves of one shape.

    Args:
        view: from `pki.pkix.template.Template.view`, which held all else against a linted twin.
    """
    return tuple(finding for rule in _VARYING for finding in _ask(rule, view))


_VARYING: Final = tuple(rule for rule in RULES.values() if rule.varies)


def _ask(rule: Rule, view: View) -> list[Finding]:
    try:
        messages = list(rule.check(view))
    except ValueError as error:
        messages = [f"it is malformed: {error}"]
    if not messages:
        return _NOTHING
    return [Finding(rule=rule.rule_id, clause=rule.clause, message=text) for text in messages]


_NOTHING: Final[list[Finding]] = []


__all__ = [
    "READABLE",
    "RULES",
    "Finding",
    "IssuerFacts",
    "Rule",
    "View",
    "lint",
    "lint_varying",
    "take_apart",
]
