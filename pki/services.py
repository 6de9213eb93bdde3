"""The only wiring: settings in, everything that verbs need out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pki import foreign, repeat, rotate, route, tokens, validate
from pki.authorize import Roaming
from pki.beacon import Beacon
from pki.clock import Clock, SystemClock
from pki.desk import Desk
from pki.directory import Follower
from pki.errors import Unavailable
from pki.events import delivery
from pki.jobs import Job
from pki.keys.files import FileKeys
from pki.keys.vault import FileVault
from pki.model import IssuerState
from pki.partners import commands
from pki.partners.ask import OcpiAsk
from pki.partners.network import PartnerNetwork
from pki.partners.push import push_due
from pki.partners.resync import sync_due
from pki.partners.token_pages import forget_old
from pki.ports import Deployment
from pki.provision import upkeep
from pki.realtime import RealTime, WebHook
from pki.settings import MIN_PASSPHRASE, Settings
from pki.status import Answers, View, refresh
from pki.store.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """
    One running installation.

    Attributes:
        warnings: what weakens it, to be shown loudly at every start.
    """

    settings: Settings
    deployment: Deployment
    database: Database
    beacon: Beacon
    view: View
    answers: Answers
    partners: PartnerNetwork
    roaming: Roaming
    warnings: tuple[str, ...]

    @property
    def run_directory(self) -> Path:
        """Where files lie that can be made again: counters, fetched CRLs."""
        return self.settings.home / "run"

    def jobs(self) -> tuple[Job, ...]:
        """Return the periodic work of this installation."""
        own = refresh.jobs(self.deployment, self.view, self.answers, self.settings.status)
        fetch = Job(
            name="evidence",
            every=60.0,
            work=lambda: foreign.fetch_due(self.deployment, self.settings.outbound),
        )
        ranges = Job(name="ranges", every=60.0, work=lambda: route.settle(self.deployment))
        keys = Job(name="repeat", every=3600.0, work=lambda: repeat.prune(self.deployment))
        prune = Job(
            name="decisions",
            every=600.0,
            work=lambda: validate.prune(self.deployment, self.settings.keep_decisions),
        )
        token_keys = Job(
            name="token-keys",
            every=600.0,
            work=lambda: tokens.rotate_due(self.deployment),
        )
        generations = Job(
            name="rotation",
            every=60.0,
            work=lambda: rotate.settle(self.deployment, refresh.ACTOR),
        )
        expire = Job(
            name="partner-commands", every=5.0, work=lambda: commands.expire(self.partners)
        )
        provide = Job(name="cps", every=3600.0, work=lambda: upkeep.keep(self.deployment))
        webhooks = Job(
            name="webhooks",
            every=2.0,
            work=lambda: delivery.run(self.deployment, self.settings.outbound),
        )
        push = Job(name="partner-push", every=2.0, work=lambda: push_due(self.partners))
        marks = Job(name="page-marks", every=3600.0, work=lambda: forget_old(self.partners))
        resync = Job(name="partner-sync", every=900.0, work=lambda: sync_due(self.partners))
        roaming = (push, resync, ranges, keys, marks)
        return (*own, fetch, prune, token_keys, generations, expire, provide, webhooks, *roaming)

    def close(self) -> None:
        """End the view's thread, tell what is still to be told, give back database connections."""
        self.view.stop()
        self.answers.account(at_once=True)
        self.database.close()


def build(settings: Settings, *, clock: Clock | None = None) -> Services:
    """Wire an installation; touches neither the database nor a key."""
    beacon = Beacon(settings.home / "run" / "changes")
    database = Database(settings.database_url, on_change=beacon.announce)
    deployment = Deployment(
        store=database,
        keys=FileKeys(settings.home / "keys", partial(_passphrase, settings)),
        vault=FileVault(settings.home / "keys" / "storage.key", partial(_passphrase, settings)),
        clock=clock or SystemClock(),
        public_url=settings.public_url,
        demo=settings.demo,
        budget=settings.budget,
        tokens=settings.tokens,
        enrolment=settings.enrolment,
    )
    view = View(deployment, beacon, settings.status)
    deployment = replace(deployment, desk=Desk(database, view))
    directory = Follower(database, view)
    partners = PartnerNetwork(deployment=deployment, outbound=settings.outbound)
    hook = WebHook(directory.now, settings.outbound)
    return Services(
        settings=settings,
        deployment=deployment,
        database=database,
        beacon=beacon,
        view=view,
        partners=partners,
        answers=Answers(deployment, view, settings.status),
        roaming=Roaming(directory=directory, realtime=RealTime([OcpiAsk(partners), hook])),
        warnings=_warnings(settings),
    )


def check_start(services: Services) -> None:
    """
    Refuse to start what must not run.

    Raises:
        Unavailable: `store_unavailable`, `key_unavailable` (no passphrase), `demo_key` (a demo
            hierarchy in production mode).
    """
    services.deployment.store.ping()
    _passphrase(services.settings)
    if services.settings.demo:
        return
    with services.deployment.store.read() as tx:
        demo = [i.issuer_id for i in tx.issuers.all() if i.demo and i.state is not _RETIRED]
    if demo:
        raise Unavailable(
            "demo_key",
            f"{len(demo)} issuers hold demo keys ({', '.join(demo[:3])}, …); "
            "production mode refuses them.",
            hint="Start with an empty home and a hierarchy file of your own.",
        )


_RETIRED = IssuerState.RETIRED


def _warnings(settings: Settings) -> tuple[str, ...]:
    if settings.demo:
        return ("DEMO MODE: keys and tokens of this installation protect nothing.",)
    exposed = "CA keys sign OCSP answers, so they lie where strangers ask (status.signer)."
    return (
        *((exposed,) if settings.status.ca_signs else ()),
        "CA keys lie in encrypted files on this host, not in hardware.",
        "One person alone can issue, revoke and change trust (approvals.required = 0).",
    )


def _passphrase(settings: Settings) -> bytes:
    if settings.passphrase_file is None:
        return _demo_passphrase(settings.home / "keys" / "passphrase")
    phrase = _read(settings.passphrase_file)
    if len(phrase) < MIN_PASSPHRASE:
        raise Unavailable(
            "key_unavailable", f"The key passphrase is shorter than {MIN_PASSPHRASE} octets."
        )
    return phrase


def _demo_passphrase(path: Path) -> bytes:
    """Return the passphrase that a demo keeps beside its keys, made on first use."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _once(path, lambda: secrets.token_urlsafe(24).encode())
    except OSError as error:
        raise Unavailable("key_unavailable", f"{path.parent} cannot be written.") from error
    return _read(path)


def _once(path: Path, make: Callable[[], bytes]) -> None:
    """Create a file with made content unless it exists; complete or absent after a crash."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first; its passphrase counts
    finally:
        temporary.unlink()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise Unavailable(
            "key_unavailable", f"The passphrase file {path} cannot be read."
        ) from error
