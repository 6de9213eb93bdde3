"""
Certificate policies without mappings (RFC 5280 6.1): a set per certificate takes the tree's place.

Where nothing is mapped, the nodes at one depth of the valid policy tree are a set of policies, and
each certificate turns one set into the next. A path that maps policies is refused: nothing here
could follow it, and ISO 15118 uses none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509

from pki.pkix.certificate import Certificate
from pki.pkix.path.values import ANY_POLICY, PolicyInputs

_MAPPINGS: Final = x509.ObjectIdentifier("2.5.29.33")
_DEMANDING: Final = frozenset(
    (
        _MAPPINGS,
        x509.ObjectIdentifier("2.5.29.36"),  # policyConstraints
        x509.ObjectIdentifier("2.5.29.54"),  # inhibitAnyPolicy
    )
)
_Value = TypeVar("_Value", bound=x509.ExtensionType)


@dataclass(slots=True)
class _State:
    """The variables of RFC 5280 6.1.2; the counters say how many certificates are still free."""

    valid: frozenset[str]
    explicit: int
    inhibit_any: int


def fault(path: tuple[Certificate, ...], inputs: PolicyInputs) -> str | None:
    """
    Say which policy demand the path breaks, or None.

    The anchor comes first, as if it were the first certificate of the path: its own policies and
    constraints bind what lies below it (RFC 5937 3.2).
    """
    demanding = [c for c in path if any(e.oid in _DEMANDING for e in c.extensions)]
    if not demanding and not inputs.require_explicit:
        return None  # nothing asks for a policy, so none can be missing
    mapping = next((c for c in demanding if any(e.oid == _MAPPINGS for e in c.extensions)), None)
    if mapping is not None:
        return f"{mapping.subject_text} maps policies, which is not supported"
    return _walk(path, inputs)


def _walk(path: tuple[Certificate, ...], inputs: PolicyInputs) -> str | None:
    """Go down from the anchor to the leaf."""
    free = len(path) + 1
    state = _State(
        valid=frozenset((ANY_POLICY,)),
        explicit=0 if inputs.require_explicit else free,
        inhibit_any=0 if inputs.inhibit_any else free,
    )
    anchor = path[-1]
    if _policies(anchor) is not None:
        _narrow(state, anchor)
    _prepare(state, anchor)
    for certificate in reversed(path[1:-1]):
        _narrow(state, certificate)
        if state.explicit == 0 and not state.valid:
            return _no_policy(certificate)
        _prepare(state, certificate)
    leaf = path[0]
    _narrow(state, leaf, last=True)
    _wrap_up(state, leaf)
    satisfied = _accepted(state.valid, inputs.acceptable)
    return None if state.explicit > 0 or satisfied else _no_policy(leaf)


def _no_policy(certificate: Certificate) -> str:
    return f"{certificate.subject_text} has no policy that is valid for the whole path"


def _accepted(valid: frozenset[str], acceptable: frozenset[str]) -> bool:
    """Intersect with the user's set (RFC 5280 6.1.5 (g)); anyPolicy stands for all others."""
    if ANY_POLICY in acceptable or ANY_POLICY in valid:
        return bool(valid) and bool(acceptable)
    return bool(valid & acceptable)


def _narrow(state: _State, certificate: Certificate, *, last: bool = False) -> None:
    """RFC 5280 6.1.3 (d) and (e)."""
    named = _policies(certificate) or frozenset()
    free_any = state.inhibit_any > 0 or (certificate.self_issued and not last)
    keeps_all = ANY_POLICY in named and free_any
    exact = named - {ANY_POLICY}
    found = exact if ANY_POLICY in state.valid else exact & state.valid
    state.valid = found | state.valid if keeps_all else found


def _prepare(state: _State, certificate: Certificate) -> None:
    """RFC 5280 6.1.4 (h) to (j)."""
    if not certificate.self_issued:
        state.explicit = max(state.explicit - 1, 0)
        state.inhibit_any = max(state.inhibit_any - 1, 0)
    constraints = _value(certificate, x509.PolicyConstraints)
    if constraints is not None and constraints.require_explicit_policy is not None:
        state.explicit = min(state.explicit, constraints.require_explicit_policy)
    inhibit = _value(certificate, x509.InhibitAnyPolicy)
    if inhibit is not None:
        state.inhibit_any = min(state.inhibit_any, inhibit.skip_certs)


def _wrap_up(state: _State, leaf: Certificate) -> None:
    """RFC 5280 6.1.5 (a) and (b)."""
    state.explicit = max(state.explicit - 1, 0)
    constraints = _value(leaf, x509.PolicyConstraints)
    if constraints is not None and constraints.require_explicit_policy == 0:
        state.explicit = 0


def _policies(certificate: Certificate) -> frozenset[str] | None:
    value: Iterable[x509.PolicyInformation] | None = _value(certificate, x509.CertificatePolicies)
    if value is None:
        return None
    return frozenset(policy.policy_identifier.dotted_string for policy in value)


def _value(certificate: Certificate, kind: type[_Value]) -> _Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
