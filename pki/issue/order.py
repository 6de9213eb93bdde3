"""From a request to an order: key, name, party, issuer and validity, each judged."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import x448

from pki import access, contracts
from pki.errors import BadInput, NotFound, PkiError, PolicyViolation
from pki.ids import Edition, Emaid, EvccId, Pcid, SeccId
from pki.issue import rules
from pki.issue.book import Book, Line
from pki.issue.claims import claimed
from pki.issue.values import Order, require_suite, suite_for, validity_end
from pki.model import Holder, Issuer, IssuerState, Principal, Role
from pki.pkix import alternate, build, csr
from pki.pkix.leaf_cut import suite_of_spki
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import PrivateKey, Suite, generate
from pki.ports import Deployment, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRequest:
    """
    What a caller asks for.

    Attributes:
        kind: a leaf kind.
        request: CSR as DER or PEM; None to have the key generated here.
        spki: in place of a CSR, a key that the caller made or saw proven to be held, as
            `pki.pkix.build.spki` writes it.
        alternate_key: the X448 key beside it, where the profile has one.
        common_name: with a CSR, the CN that the caller demands, compared with the CSR's; without
            one, the CN.
        edition, suite: default -2; with a CSR its key decides and must agree.
        issuer: name of the issuer; default the active one of that kind, edition and suite.
        party: registered party whose name becomes O, for kinds whose CN names none (`cps`, `ocsp`,
            `station`, `csms`); with another, the one that the CN must belong to.
        not_before: begin of validity where it lies in the future; else it is now.
        cut: an end later than profile and issuer allow is brought forward, not refused.
        intent_id: for whoever must find it again after a crash; no two intents have the same.
    """

    kind: Kind
    request: bytes | None = None
    spki: bytes | None = None
    alternate_key: x448.X448PublicKey | None = None
    common_name: str | None = None
    edition: Edition | None = None
    suite: Suite | None = None
    issuer: str | None = None
    party: str | None = None
    not_after: dt.datetime | None = None
    not_before: dt.datetime | None = None
    cut: bool = False
    intent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """
    An order, and what the caller is told besides.

    Attributes:
        above: the issuer's certificate and those above it, below the root, as DER.
    """

    order: Order
    above: tuple[bytes, ...]
    ignored: tuple[str, ...]
    private_key: PrivateKey | None = field(repr=False)
    alternate_key: x448.X448PrivateKey | None = field(repr=False)


Wanted = tuple[Principal, IssueRequest]


def place(deployment: Deployment, principal: Principal, request: IssueRequest) -> Placed:
    """Judge a request and turn it into an order; errors as `pki.issue.issue` names them."""
    (found,) = place_many(deployment, [(principal, request)])
    if isinstance(found, PkiError):
        raise found
    return found


def place_many(deployment: Deployment, wanted: Sequence[Wanted]) -> list[Placed | PkiError]:
    """Judge requests together, with one read; what is wrong with one is told in its place."""
    asked = [_asked_or_error(principal, request) for principal, request in wanted]
    keys = [each.spki_sha256 for each in asked if isinstance(each, _Asked)]
    with deployment.store.read() as tx:
        book = Book(tx, keys)
        return [
            _placed_or_error(deployment, book, principal, request, each)
            for (principal, request), each in zip(wanted, asked, strict=True)
        ]


def _asked_or_error(principal: Principal, request: IssueRequest) -> _Asked | PkiError:
    try:
        return _asked(principal, request)
    except PkiError as error:
        return error


def _placed_or_error(
    deployment: Deployment,
    book: Book,
    principal: Principal,
    request: IssueRequest,
    asked: _Asked | PkiError,
) -> Placed | PkiError:
    if isinstance(asked, PkiError):
        return asked
    try:
        return _placed(deployment, book, principal, request, asked)
    except PkiError as error:
        return error


def _asked(principal: Principal, request: IssueRequest) -> _Asked:
    access.require(principal, access.ISSUE_ACTIONS.get(request.kind, access.Action.KEEP_HIERARCHY))
    asked = _key_and_name(request)
    if not build.needs_alternate_key(find(request.kind, asked.suite.edition), asked.suite):
        return replace(asked, alternate_key=None) if asked.alternate_key else asked
    if asked.private_key is not None:
        alternate_private = x448.X448PrivateKey.generate()
        return replace(
            asked,
            alternate_key=alternate_private.public_key(),
            alternate_private=alternate_private,
        )
    if asked.alternate_key is None:
        raise PolicyViolation(
            "alternate_key_missing",
            "An Ed448 provisioning certificate carries an X448 key as well; the CSR names none.",
            hint=f"Ask for the extension {alternate.OID} with the key's SubjectPublicKeyInfo.",
        )
    return asked


def _placed(
    deployment: Deployment, book: Book, principal: Principal, request: IssueRequest, asked: _Asked
) -> Placed:
    ask = (request.kind, asked.suite, request.issuer)
    line = book.line(ask, lambda: _issuer(book, request, asked.suite))
    return Placed(
        order=_order(deployment, book, line, principal, request, asked),
        above=line.above,
        ignored=_not_taken(asked),
        private_key=asked.private_key,
        alternate_key=asked.alternate_private,
    )


def _not_taken(asked: _Asked) -> tuple[str, ...]:
    taken = f"extension {alternate.OID}" if asked.alternate_key else ""
    return tuple(name for name in asked.ignored if name != taken)


def ignored_by(principal: Principal, request: IssueRequest) -> tuple[str, ...]:
    """Return what the CSR of a request asks for and does not get. Raises as `pki.issue.issue`."""
    return _not_taken(_asked(principal, request))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a request says by itself, whatever the store holds."""

    suite: Suite
    common_name: str
    spki: bytes
    ignored: tuple[str, ...] = ()
    alternate_key: x448.X448PublicKey | None = None
    private_key: PrivateKey | None = field(default=None, repr=False)
    alternate_private: x448.X448PrivateKey | None = field(default=None, repr=False)

    spki_sha256: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Hash the key once; it is blocked by that."""
        object.__setattr__(self, "spki_sha256", hashlib.sha256(self.spki).digest())


def _key_and_name(request: IssueRequest) -> _Asked:
    if request.request is None:
        return _generated(request) if request.spki is None else _given(request, request.spki)
    parsed = csr.parse(request.request)
    require_suite(request.edition, request.suite, parsed.suite)
    return _Asked(
        suite=parsed.suite,
        common_name=parsed.common_name,
        spki=parsed.spki,
        ignored=parsed.ignored,
        alternate_key=parsed.alternate_key,
    )


def _given(request: IssueRequest, spki: bytes) -> _Asked:
    suite = suite_of_spki(spki)
    if request.common_name is None or suite is None:
        raise BadInput("csr_missing", "Give a CSR, or the name to generate a key for.")
    require_suite(request.edition, request.suite, suite)
    return _Asked(
        suite=suite,
        common_name=request.common_name,
        spki=spki,
        alternate_key=request.alternate_key,
    )


def _generated(request: IssueRequest) -> _Asked:
    if request.common_name is None:
        raise BadInput("csr_missing", "Give a CSR, or the name to generate a key for.")
    suite = suite_for(request.edition, request.suite)
    key = generate(suite)
    return _Asked(
        suite=suite,
        common_name=request.common_name,
        spki=build.spki(key.public_key()),
        private_key=key,
    )


def _order(  # noqa: PLR0913 - who asks for what, and what is known
    deployment: Deployment,
    book: Book,
    line: Line,
    principal: Principal,
    request: IssueRequest,
    asked: _Asked,
) -> Order:
    issuer, profile = line.issuer, line.profile
    if request.kind is Kind.VEHICLE and profile.edition is not Edition.ISO20:
        raise PolicyViolation("suite_mismatch", "Vehicle certificates exist in -20 only.")
    common_name = _common_name(request, profile, asked)
    owner = _owner(profile, common_name, principal, request.party)
    access.require(principal, access.ISSUE_ACTIONS[request.kind], owner or None)
    organization = book.organization(profile.kind, owner, issuer)
    limits, now = deployment.enrolment, deployment.clock.now()
    rules.check_name(book.tx, limits, principal, request.kind, common_name, owner, now)
    again = book.named_before(profile, common_name, owner)
    rules.check_window(book.tx, limits, profile, common_name, owner, now, again=again)
    history = book.history(asked.spki_sha256)
    rules.check_key(history, limits, profile, asked.suite, asked.spki, common_name, owner)
    holder = Holder(
        kind=profile.kind, edition=profile.edition, common_name=common_name, owner=owner
    )
    book.claim(asked.spki_sha256, holder)
    if profile.kind is Kind.CONTRACT:
        contracts.check_identifier(book.tx, Emaid.parse(common_name, profile.edition))
    begin = max(now, request.not_before or now)
    return Order(
        profile=profile,
        issuer=issuer,
        issuer_certificate=line.certificate,
        spki=asked.spki,
        suite=asked.suite,
        subject=build.subject(
            profile,
            common_name=common_name,
            organization=organization,
            country=line.country,
        ),
        common_name=common_name,
        owner=owner,
        alternate_key=asked.alternate_key,
        intent_id=request.intent_id,
        claims=claimed(limits, profile, common_name, owner, asked.spki_sha256),
        not_before=begin,
        not_after=validity_end(
            profile, line.certificate, begin, request.not_after, cut=request.cut
        ),
    )


def _issuer(book: Book, request: IssueRequest, suite: Suite) -> tuple[Issuer, Profile]:
    if request.issuer is not None:
        named = book.active(request.issuer)
        if named is None:
            raise NotFound(
                "issuer_unknown",
                f"There is no active issuer {request.issuer}.",
                hint="`pnc issuer list` shows them.",
            )
        kind = Kind.PE_SECC if _is_private(request.kind, named) else request.kind
        profile = find(kind, suite.edition)
        if named.kind not in profile.issued_by or named.suite is not suite:
            raise PolicyViolation(
                "issuer_not_fitting",
                f"{named.name} is a {named.kind.value} with {named.suite.value}; it does not "
                f"issue {request.kind.value} certificates for {suite.value} keys.",
            )
        return named, profile
    profile = find(request.kind, suite.edition)
    return _newest(book.issuers, profile, suite), profile


def newest_issuer(tx: Transaction, profile: Profile, suite: Suite) -> Issuer:
    """
    Return the active issuer that signs new certificates of a profile.

    Raises:
        NotFound: `issuer_unknown`.
    """
    return _newest(tx.issuers.all(), profile, suite)


def _newest(issuers: Sequence[Issuer], profile: Profile, suite: Suite) -> Issuer:
    fitting = [
        issuer
        for issuer in issuers
        if issuer.state is IssuerState.ACTIVE
        and issuer.kind in profile.issued_by
        and issuer.suite is suite
    ]
    if not fitting:
        raise NotFound(
            "issuer_unknown",
            f"No active issuer for {profile.kind.value} certificates with {suite.value} keys.",
            hint="`pnc issuer list` shows the issuers, `pnc init` makes them.",
        )
    born = {i.name: i.created_at for i in reversed(issuers)}  # the first generation's
    return max(fitting, key=lambda issuer: _preference(issuer, born[issuer.name]))


def _preference(issuer: Issuer, born: dt.datetime) -> tuple[bool, dt.datetime, str, int]:
    """
    Prefer the newest CA, of its generations the last; a rotation makes no CA newer than another.

    Among CAs of many kinds (for responders) it is the one that issues contracts.
    """
    return issuer.kind is Kind.MO_SUB_CA2, born, issuer.name, issuer.generation


def _is_private(kind: Kind, issuer: Issuer) -> bool:
    return kind is Kind.SECC and issuer.kind is Kind.PE_ROOT


def _common_name(request: IssueRequest, profile: Profile, asked: _Asked) -> str:
    written = csr.check_common_name(profile, asked.common_name)
    if request.common_name is not None and request.request is not None:
        demanded = csr.check_common_name(profile, request.common_name)
        if not _same_name(profile, demanded, written):
            raise BadInput(
                "common_name_mismatch", f"The CSR names {written}, the request {demanded}."
            )
    return written


def _same_name(profile: Profile, one: str, other: str) -> bool:
    if profile.kind is Kind.CONTRACT:
        return Emaid.parse(one, profile.edition) == Emaid.parse(other, profile.edition)
    return one == other


def _owner(profile: Profile, common_name: str, principal: Principal, party: str | None) -> str:
    """Return the party that the CN belongs to, or the one named where the CN names none."""
    role = access.OWNER_ROLE.get(profile.kind, Role.CPS)
    named = access.party_id(role, party) if party is not None else None
    owner = _owner_by_name(profile, common_name)
    if owner is None:
        return named or next(iter(principal.parties), "")
    if named not in (None, owner):
        raise BadInput("party_mismatch", f"{common_name} belongs to {owner}, not to {named}.")
    return owner


def _owner_by_name(profile: Profile, common_name: str) -> str | None:
    match profile.kind:
        case Kind.CONTRACT:
            return Emaid.parse(common_name, profile.edition).provider.value
        case Kind.SECC | Kind.PE_SECC:
            return SeccId.parse(common_name).operator.value
        case Kind.OEM:
            return Pcid.parse(common_name, profile.edition).wmi.value
        case Kind.VEHICLE:
            return EvccId.parse(common_name).wmi.value
        case _:
            return None
