"""What the online side of a ceremony does: ask an offline CA, and accept what it answers."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import cast

from cryptography import x509

from pki import access, audit, gate, hierarchy, trust
from pki.ceremony.papers import Answer, Request, read_answer
from pki.ceremony.values import Transcript, digest, of_certificate, transcript
from pki.errors import Conflict, NotFound, PolicyViolation
from pki.hierarchy import ROOT_DOMAINS, IssuerPlan
from pki.ids import Fingerprint
from pki.issue import Order, twin_of
from pki.model import (
    Anchor,
    CertificateRecord,
    ChangeKind,
    CrlRecord,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Principal,
    Responder,
)
from pki.pkix import build, crl_read, lint
from pki.pkix.certificate import Certificate, load
from pki.pkix.profiles import find
from pki.pkix.suites import verifies
from pki.ports import Deployment, Transaction
from pki.status import responders


def request(
    deployment: Deployment, principal: Principal, plan: IssuerPlan
) -> tuple[Request, Transcript]:
    """
    Make the keys of a new CA and of an OCSP signer, and the file that asks for certificates.

    Asked again, it is the same keys and the same file.

    Raises:
        NotFound: `issuer_unknown`: the CA above was not introduced here.
        Conflict: `issuer_exists`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        parent = tx.issuers.active(plan.parent or "")
        known = [i.generation for i in tx.issuers.all() if i.name == plan.name]
        count = (
            sum(r.issuer_id == parent.issuer_id for r in tx.status.responders()) if parent else 0
        )
    if parent is None or not parent.offline:
        raise NotFound(
            "issuer_unknown",
            f"No offline issuer {plan.parent} is known here.",
            hint="`pnc ceremony introduce` makes the file there, `pnc ceremony accept` reads it.",
        )
    generation = max(known, default=0) + 1
    ca = hierarchy.key_for(deployment, f"{plan.name}.g{generation}", plan.suite)
    signer = hierarchy.key_for(deployment, _responder_label(parent, count), parent.suite)
    made = Request(
        plan=plan,
        generation=generation,
        parent=parent.name,
        ca=build.spki(ca.public_key),
        responder=build.spki(signer.public_key),
    )
    asked = {"generation": generation, "responder": _responder_label(parent, count)}
    with deployment.store.write() as tx:
        tx.put_setting(f"ceremony.request.{digest(made.text())}", json.dumps(asked))
    lines = [
        f"key of {plan.name}.g{generation}: SHA-256 {hashlib.sha256(made.ca).hexdigest()}",
        f"key of its issuer's OCSP signer: SHA-256 {hashlib.sha256(made.responder).hexdigest()}",
    ]
    files = {"request": digest(made.text())}
    title = f"request for {plan.name} to {parent.issuer_id}"
    return made, transcript(deployment, principal, title, files, lines, dry_run=False)


def _responder_label(parent: Issuer, count: int) -> str:
    return f"ocsp.{parent.issuer_id}.{count + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proven:
    """A certificate that is, octet for octet, what we would have signed ourselves."""

    order: Order
    certificate: Certificate
    key_label: str


def accept(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> Transcript:
    """
    Take over what an offline CA answered: its introduction, a new CA, its OCSP signer, its CRL.

    Raises:
        BadInput: `invalid_ceremony_file`.
        NotFound: `issuer_unknown`; `request_unknown`: it answers none of our requests.
        PolicyViolation: `answer_differs`: something is not as we asked; `lint_failed`.
        Conflict: `issuer_exists`: under that name another CA is known.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    answer = read_answer(text)
    files = {"answer": digest(text)}
    proven = _proven(deployment, answer) if answer.request else []
    if not answer.request:
        _prove_introduction(answer)
        lines = [f"{answer.issuer_id}: " + of_certificate(load(answer.issuer))]
        title = f"introduction of {answer.issuer_id}"
    else:
        files["request"] = answer.request
        lines = [f"{p.key_label}: " + of_certificate(p.certificate) for p in proven]
        title = f"answer of {answer.issuer_id} for {answer.plan.name}"
    if not dry_run:
        gate.enter(deployment, principal, "ceremony.accept", {"file": text})
        _store(deployment, principal, answer, proven)
    return transcript(deployment, principal, title, files, lines, dry_run=dry_run)


# --- proving -------------------------------------------------------------------------------------


def _differs(why: str) -> PolicyViolation:
    return PolicyViolation(
        "answer_differs", f"The answer is not what was asked for: {why}.", hint="Accept nothing."
    )


def _prove_introduction(answer: Answer) -> None:
    """Refuse what is no root that signs itself, or breaks the profile of its kind."""
    root = load(answer.issuer)
    profile = find(answer.plan.kind, answer.plan.suite.edition)
    own = x509.load_der_x509_certificate(answer.issuer)
    if not profile.self_signed or not verifies(
        root.public_key, own.signature, own.tbs_certificate_bytes
    ):
        raise _differs("it is no root that signs itself")
    findings = lint.lint(answer.issuer, profile, None)
    if findings:
        raise PolicyViolation("lint_failed", f"The root breaks its profile: {findings[0].message}.")
    _prove_crl(answer.crl, root)


def _prove_crl(crl: bytes, issuer: Certificate) -> None:
    read = x509.load_der_x509_crl(crl) if crl else None
    if read is not None and not verifies(
        issuer.public_key, read.signature, read.tbs_certlist_bytes
    ):
        raise _differs("its CRL is not signed by it")


def _proven(deployment: Deployment, answer: Answer) -> list[_Proven]:
    with deployment.store.read() as tx:
        asked = tx.setting(f"ceremony.request.{answer.request}")
        issuer = tx.issuers.get(answer.issuer_id)
    if not asked:
        raise NotFound("request_unknown", "The answer is to no request of this installation.")
    if issuer is None or issuer.certificate != answer.issuer:
        raise NotFound("issuer_unknown", f"{answer.issuer_id} was not introduced here.")
    told = json.loads(asked)
    _prove_crl(answer.crl, load(issuer.certificate))
    ca = hierarchy.key_for(
        deployment, f"{answer.plan.name}.g{told['generation']}", answer.plan.suite
    )
    signer = hierarchy.key_for(deployment, told["responder"], issuer.suite)
    orders = (
        (hierarchy.order_for(deployment, answer.plan, issuer, ca.public_key), answer.certificate),
        (responders.order(deployment, issuer, signer.public_key), answer.responder),
    )
    labels = (f"{answer.plan.name}.g{told['generation']}", str(told["responder"]))
    return [
        _Proven(order=_prove(deployment, order, der), certificate=load(der), key_label=label)
        for (order, der), label in zip(orders, labels, strict=True)
    ]


def _prove(deployment: Deployment, order: Order, der: bytes) -> Order:
    """Return the order of a certificate, if its octets are those of our own linted twin (I6)."""
    certificate = load(der)
    found = x509.load_der_x509_certificate(der)
    order = replace(order, not_before=certificate.not_before, not_after=certificate.not_after)
    issuer = cast("Certificate", order.issuer_certificate)
    if certificate.not_after > issuer.not_after:
        raise _differs("it outlives its issuer")
    hierarchy.lint_fully(deployment, order)
    twin = x509.load_der_x509_certificate(twin_of(deployment, order, certificate.serial_number))
    if twin.tbs_certificate_bytes != found.tbs_certificate_bytes:
        raise _differs("a certificate has other octets than ours would have (public_url?)")
    if not verifies(issuer.public_key, found.signature, found.tbs_certificate_bytes):
        raise _differs("a signature does not verify")
    return order


# --- storing -------------------------------------------------------------------------------------


def _store(
    deployment: Deployment, principal: Principal, answer: Answer, proven: list[_Proven]
) -> None:
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        if not proven:
            _store_root(tx, deployment, principal, answer)
        for one in proven:
            if tx.certificates.by_fingerprint(one.certificate.fingerprint) is None:
                _store_certificate(tx, deployment, principal, one, answer.plan)
        if answer.crl:
            _store_crl(tx, answer)
        for kind in (ChangeKind.ISSUERS, ChangeKind.TRUST):
            tx.status.add_change(kind, answer.issuer_id, None, now)


def _store_root(
    tx: Transaction, deployment: Deployment, principal: Principal, answer: Answer
) -> None:
    known = tx.issuers.get(answer.issuer_id)
    if known is not None:
        if known.certificate != answer.issuer:
            raise Conflict("issuer_exists", f"{answer.issuer_id} is another CA here.")
        return
    generation = int(answer.issuer_id.rpartition(".g")[2])
    root = _issuer(deployment, answer.plan, answer.issuer_id, generation)
    now = deployment.clock.now()
    _add_issuer(tx, principal, replace(root, certificate=answer.issuer, key_label=""))
    domain = ROOT_DOMAINS.get(answer.plan.kind)
    certificate = load(answer.issuer)
    if domain is not None and not tx.trust.was_anchor(certificate.fingerprint, domain):
        anchor = Anchor(
            fingerprint=certificate.fingerprint,
            domain=domain,
            der=answer.issuer,
            added_at=now,
            added_by=principal.name,
        )
        trust.put(tx, anchor, certificate)


def _issuer(deployment: Deployment, plan: IssuerPlan, issuer_id: str, generation: int) -> Issuer:
    return Issuer(
        issuer_id=issuer_id,
        name=plan.name,
        generation=generation,
        kind=plan.kind,
        edition=plan.suite.edition,
        suite=plan.suite,
        state=IssuerState.ACTIVE,
        certificate=b"",
        parent_id=None,
        key_label=issuer_id,
        owner="",
        demo=deployment.demo,
        created_at=deployment.clock.now(),
        crl_url=plan.crl_url,
        crl_shards=plan.crl_shards,
    )


def _add_issuer(tx: Transaction, principal: Principal, issuer: Issuer) -> None:
    tx.issuers.add(issuer)
    audit.record(
        tx,
        chain=issuer.issuer_id,
        at=issuer.created_at,
        actor=principal.name,
        action="issuer.add",
        subject=issuer.issuer_id,
        details={"state": issuer.state.value, "offline": issuer.offline},
    )


def _store_certificate(
    tx: Transaction,
    deployment: Deployment,
    principal: Principal,
    one: _Proven,
    plan: IssuerPlan,
) -> None:
    record = _record(deployment, one)
    tbs = x509.load_der_x509_certificate(record.der).tbs_certificate_bytes
    tx.intents.add(
        Intent(
            intent_id=record.intent_id,
            issuer_id=record.issuer_id,
            serial=record.serial,
            profile=one.order.profile.profile_id,
            kind=record.kind,
            edition=record.edition,
            suite=record.suite,
            tbs=tbs,
            owner="",
            requested_by=principal.name,
            state=IntentState.COMPLETED,  # it was spent where the key is
            created_at=record.issued_at,
        )
    )
    tx.certificates.add(record)
    details = {"intent": record.intent_id, "fingerprint": record.fingerprint.value}
    audit.record(
        tx,
        chain=record.issuer_id,
        at=record.issued_at,
        actor=principal.name,
        action="certificate.issue",
        subject=record.serial.value,
        details=details,
    )
    if one.order.profile.ca:
        _store_ca(tx, deployment, principal, one, plan)
    else:
        _store_responder(tx, one, record)


def _store_ca(
    tx: Transaction, deployment: Deployment, principal: Principal, one: _Proven, plan: IssuerPlan
) -> None:
    generation = int(one.key_label.rpartition(".g")[2])
    issuer = _issuer(deployment, plan, one.key_label, generation)
    _add_issuer(
        tx,
        principal,
        replace(issuer, certificate=one.certificate.der, parent_id=one.order.issuer.issuer_id),
    )


def _store_responder(tx: Transaction, one: _Proven, record: CertificateRecord) -> None:
    tx.status.add_responder(
        Responder(
            fingerprint=record.fingerprint,
            issuer_id=record.issuer_id,
            key_label=one.key_label,
            der=record.der,
            not_before=record.not_before,
            not_after=record.not_after,
        )
    )


def _record(deployment: Deployment, one: _Proven) -> CertificateRecord:
    certificate, order = one.certificate, one.order
    return CertificateRecord(
        fingerprint=Fingerprint.of(certificate.der),
        issuer_id=order.issuer.issuer_id,
        serial=certificate.serial_number,
        der=certificate.der,
        kind=order.profile.kind,
        edition=order.profile.edition,
        suite=order.suite,
        subject=order.subject.text,
        common_name=order.common_name,
        not_before=order.not_before,
        not_after=order.not_after,
        owner="",
        spki_sha256=hashlib.sha256(order.spki).digest(),
        intent_id=secrets.token_hex(12),
        issued_at=deployment.clock.now(),
    )


def _store_crl(tx: Transaction, answer: Answer) -> None:
    """Publish the CRL that came with the answer, unless a newer one is here."""
    facts = crl_read.read_facts(answer.crl)
    tx.status.put_crl(
        CrlRecord(
            issuer_id=answer.issuer_id,
            shard=0,
            number=facts.number,
            this_update=facts.this_update,
            next_update=facts.next_update,
            entries=sum(1 for _ in crl_read.read_entries(answer.crl)),
            octets=len(answer.crl),
            sha256=hashlib.sha256(answer.crl).digest(),
            sequence=tx.status.sequence(),
        ),
        (answer.crl,),
    )
