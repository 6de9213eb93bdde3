"""Transcripts: what was done at a ceremony, with the hash of everything, for people to sign."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pki import audit
from pki.clock import format_time
from pki.model import Issuer, Principal
from pki.pkix.certificate import Certificate, load
from pki.ports import Deployment, Transaction

_INDEX = "ceremonies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """
    What was done, or would be.

    Attributes:
        people: who was present, as the reviewed file names them.
        files: SHA-256 (hex) of every file that came in or went out, by what it is.
        lines: the acts in order.
    """

    ceremony_id: str
    title: str
    people: tuple[str, ...]
    who: str
    at: dt.datetime
    files: Mapping[str, str]
    lines: tuple[str, ...]
    dry_run: bool = field(default=False)

    def text(self) -> str:
        """Return it as it is printed and kept; its SHA-256 stands in the audit chain."""
        head = [
            f"Ceremony {self.ceremony_id}: {self.title}",
            f"at {format_time(self.at)} by {self.who}",
            *(f"present: {name}" for name in self.people),
            *(f"{name}: SHA-256 {digest}" for name, digest in self.files.items()),
        ]
        end = ["This is a rehearsal; nothing was done."] if self.dry_run else []
        numbered = (f"{number}. {line}" for number, line in enumerate(self.lines, 1))
        return "\n".join((*head, "", *numbered, *end, ""))


def digest(text: str) -> str:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def transcript(  # noqa: PLR0913 - what stands in it
    deployment: Deployment,
    principal: Principal,
    title: str,
    files: Mapping[str, str],
    lines: list[str],
    *,
    people: tuple[str, ...] = (),
    dry_run: bool,
) -> Transcript:
    """Return the transcript of a ceremony, and keep it unless it was a rehearsal."""
    now = deployment.clock.now()
    made = Transcript(
        ceremony_id=f"{now:%Y%m%d%H%M%S}-{digest(json.dumps([title, *files.values()]))[:8]}",
        title=title,
        people=people,
        who=principal.name,
        at=now,
        files=files,
        lines=tuple(lines),
        dry_run=dry_run,
    )
    if not dry_run:
        with deployment.store.write() as tx:
            _keep(tx, made)
    return made


def _keep(tx: Transaction, made: Transcript) -> None:
    text = made.text()
    known = json.loads(tx.setting(_INDEX) or "[]")
    tx.put_setting(_INDEX, json.dumps([*known, made.ceremony_id]))
    tx.put_setting(f"ceremony.{made.ceremony_id}", text)
    details = {"title": made.title, "transcriptSha256": digest(text)}
    audit.note(tx, made.at, made.who, "ceremony", made.ceremony_id, details)


def kept(tx: Transaction) -> dict[str, str]:
    """Return the text of every transcript by its id, oldest first."""
    names = json.loads(tx.setting(_INDEX) or "[]")
    return {name: tx.setting(f"ceremony.{name}") or "" for name in names}


def told(issuer: Issuer) -> str:
    """Say what a CA is, with the hashes that people compare."""
    return f"{issuer.issuer_id} ({issuer.state.value}): " + of_certificate(load(issuer.certificate))


def of_certificate(certificate: Certificate) -> str:
    """Say what a certificate is, with the hashes that people compare."""
    return (
        f"{certificate.subject_text}, serial {certificate.serial_number.value}, "
        f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}, "
        f"certificate SHA-256 {certificate.fingerprint.value}, "
        f"key SHA-256 {hashlib.sha256(certificate.spki).hexdigest()}"
    )
