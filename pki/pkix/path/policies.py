"""
Certificate policies (RFC 5280 6.1 with RFC 9618): the valid policy graph, one level at a time.

What a level says of the path below it stands in its own nodes: what each expects next, and whether
it goes back to a policy that the user accepts. So the levels above are not kept, and hostile
mappings cannot make them grow (RFC 9618 1.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509

from pki.pkix.certificate import Certificate
from pki.pkix.der import SEQUENCE, DerError, children, element_at, oid_text
from pki.pkix.path.values import ANY_POLICY, PolicyInputs

_MAPPINGS: Final = x509.ObjectIdentifier("2.5.29.33")
_DEMANDING: Final = frozenset(
    (
        _MAPPINGS,
        x509.ObjectIdentifier("2.5.29.36"),  # policyConstraints
        x509.ObjectIdentifier("2.5.29.54"),  # inhibitAnyPolicy
    )
)
_OID: Final = 0x06
_Value = TypeVar("_Value", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class _Node:
    """
    One policy that is valid so far, for everything that leads to it.

    Attributes:
        expected: policies by which the next certificate may go on with it.
        accepted: one way to it begins at a policy that the user accepts (6.1.5 (g)).
    """

    expected: frozenset[str]
    accepted: bool


@dataclass(slots=True)
class _State:
    """The variables of RFC 5280 6.1.2; the counters say how many certificates are still free."""

    inputs: PolicyInputs
    level: dict[str, _Node]
    explicit: int
    mapping: int
    inhibit_any: int

    def child_of_any(self, policy: str, *expected: str) -> _Node:
        """Return a node below anyPolicy: where the user's own set of policies is asked."""
        wanted = self.inputs.acceptable
        return _Node(frozenset(expected or (policy,)), ANY_POLICY in wanted or policy in wanted)


def fault(path: tuple[Certificate, ...], inputs: PolicyInputs) -> str | None:
    """
    Say which policy demand the path breaks, or None.

    The anchor comes first, as if it were the first certificate of the path: its own policies and
    constraints bind what lies below it (RFC 5937 3.2).
    """
    for certificate in path:
        if _repeats(certificate):
            return f"{certificate.subject_text} names a policy twice (RFC 5280 4.2.1.4)"
    demanding = any(e.oid in _DEMANDING for c in path for e in c.extensions)
    if not demanding and not inputs.require_explicit:
        return None  # nothing asks for a policy, so none can be missing
    return _walk(path, inputs)


def _walk(path: tuple[Certificate, ...], inputs: PolicyInputs) -> str | None:
    """Go down from the anchor to the leaf."""
    free = len(path) + 1
    state = _State(
        inputs=inputs,
        level={ANY_POLICY: _Node(frozenset((ANY_POLICY,)), bool(inputs.acceptable))},
        explicit=0 if inputs.require_explicit else free,
        mapping=0 if inputs.inhibit_mapping else free,
        inhibit_any=0 if inputs.inhibit_any else free,
    )
    anchor = path[-1]
    if _policies(anchor) is not None:
        _narrow(state, anchor)
    found = _prepare(state, anchor)
    for certificate in reversed(path[1:-1]):
        if found is not None:
            return found
        _narrow(state, certificate)
        if state.explicit == 0 and not state.level:
            return _no_policy(certificate)
        found = _prepare(state, certificate)
    return found or _leaf(state, path[0])


def _leaf(state: _State, leaf: Certificate) -> str | None:
    """RFC 5280 6.1.5 (a), (b) and (g)."""
    _narrow(state, leaf, last=True)
    state.explicit = max(state.explicit - 1, 0)
    constraints = _value(leaf, x509.PolicyConstraints)
    if constraints is not None and constraints.require_explicit_policy == 0:
        state.explicit = 0
    satisfied = any(node.accepted for node in state.level.values())
    return None if state.explicit > 0 or satisfied else _no_policy(leaf)


def _no_policy(certificate: Certificate) -> str:
    return f"{certificate.subject_text} has no policy that is valid for the whole path"


def _narrow(state: _State, certificate: Certificate, *, last: bool = False) -> None:
    """RFC 5280 6.1.3 (d) and (e)."""
    named = _policies(certificate) or frozenset()
    expected: dict[str, bool] = {}
    for node in state.level.values():
        for policy in node.expected:
            expected[policy] = expected.get(policy, False) or node.accepted
    found: dict[str, _Node] = {}
    for policy in named - {ANY_POLICY}:
        if policy in expected:
            found[policy] = _Node(frozenset((policy,)), expected[policy])
        elif ANY_POLICY in state.level:
            found[policy] = state.child_of_any(policy)
    free_any = state.inhibit_any > 0 or (certificate.self_issued and not last)
    if ANY_POLICY in named and free_any:
        for policy in expected.keys() - found.keys():
            found[policy] = _Node(frozenset((policy,)), expected[policy])
    state.level = found


def _prepare(state: _State, certificate: Certificate) -> str | None:
    """RFC 5280 6.1.4 (a), (b) and (h) to (j); say why a mapping cannot be followed, or None."""
    found = _map(state, certificate)
    if not certificate.self_issued:
        state.explicit = max(state.explicit - 1, 0)
        state.mapping = max(state.mapping - 1, 0)
        state.inhibit_any = max(state.inhibit_any - 1, 0)
    constraints = _value(certificate, x509.PolicyConstraints)
    if constraints is not None:
        state.explicit = _lower(state.explicit, constraints.require_explicit_policy)
        state.mapping = _lower(state.mapping, constraints.inhibit_policy_mapping)
    inhibit = _value(certificate, x509.InhibitAnyPolicy)
    if inhibit is not None:
        state.inhibit_any = min(state.inhibit_any, inhibit.skip_certs)
    return found


def _lower(counter: int, limit: int | None) -> int:
    return counter if limit is None else min(counter, limit)


def _map(state: _State, certificate: Certificate) -> str | None:
    """RFC 5280 6.1.4 (a) and (b): a mapped policy is expected under its other names from now on."""
    try:
        mappings = _mappings(certificate)
    except DerError:
        return f"{certificate.subject_text} has policy mappings that cannot be read"
    for policy, subjects in mappings.items():
        if ANY_POLICY in {policy, *subjects}:
            return f"{certificate.subject_text} maps anyPolicy, which is no policy to map"
        if state.mapping == 0:
            state.level.pop(policy, None)
        elif policy in state.level:
            state.level[policy] = _Node(frozenset(subjects), state.level[policy].accepted)
        elif ANY_POLICY in state.level:
            state.level[policy] = state.child_of_any(policy, *subjects)
    return None


def _mappings(certificate: Certificate) -> dict[str, set[str]]:
    """Read `SEQUENCE OF SEQUENCE { OID, OID }` (RFC 5280 4.2.1.5). Raises DerError."""
    found: dict[str, set[str]] = {}
    value = next((e.value for e in certificate.extensions if e.oid == _MAPPINGS), None)
    if not isinstance(value, x509.UnrecognizedExtension):
        return found
    der = value.value
    outer = element_at(der, 0, len(der))
    pairs = list(children(der, outer))
    if outer.tag != SEQUENCE or outer.end != len(der) or not pairs:
        raise DerError("not one SEQUENCE of mappings")
    for pair in pairs:
        items = list(children(der, pair))
        if pair.tag != SEQUENCE or [item.tag for item in items] != [_OID, _OID]:
            raise DerError("not a pair of policies")
        policy, subject = (oid_text(der[item.body : item.end]) for item in items)
        found.setdefault(policy, set()).add(subject)
    return found


def _policies(certificate: Certificate) -> frozenset[str] | None:
    value: Iterable[x509.PolicyInformation] | None = _value(certificate, x509.CertificatePolicies)
    if value is None:
        return None
    return frozenset(policy.policy_identifier.dotted_string for policy in value)


def _repeats(certificate: Certificate) -> bool:
    value = _value(certificate, x509.CertificatePolicies) or ()
    named = [policy.policy_identifier for policy in value]
    return len(set(named)) < len(named)


def _value(certificate: Certificate, kind: type[_Value]) -> _Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
