"""The only wiring: settings in, everything that verbs need out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pki import approve, expiry, foreign, repeat, rotate, route, sign, stations, tokens, validate
from pki.audit import checkpoints
from pki.audit.checkpoints import Sealer
from pki.authorize import Roaming
from pki.beacon import Beacon
from pki.clock import Clock, SkewGuard, SystemClock
from pki.desk import Desk
from pki.directory import Follower
from pki.doctor import Place
from pki.enrol import consent
from pki.errors import Unavailable
from pki.events import delivery
from pki.jobs import Job
from pki.keys.files import FileKeys
from pki.keys.homes import SplitKeys
from pki.keys.pkcs8 import RANDOM, STRONG
from pki.keys.secret import Secret, into_memory
from pki.keys.vault import FileVault
from pki.model import IssuerState
from pki.partners import commands
from pki.partners.ask import OcpiAsk
from pki.partners.network import PartnerNetwork
from pki.partners.push import push_due
from pki.partners.resync import sync_due
from pki.partners.token_pages import forget_old
from pki.ports import Deployment, Keys, Snapshots
from pki.provision import upkeep
from pki.realtime import RealTime, WebHook
from pki.settings import MIN_PASSPHRASE, Settings
from pki.settings.keys import Backend, Delegated, Prove
from pki.signer import RemoteKeys, SignerClient
from pki.stations import signing
from pki.status import Answers, View, refresh
from pki.store.db import Database
from pki.store.grants import signer_grants


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """
    One running installation.

    Attributes:
        secrets: what opens the keys.
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
    secrets: tuple[Secret, ...]
    warnings: tuple[str, ...]

    @property
    def run_directory(self) -> Path:
        """Where files lie that can be made again: counters, fetched CRLs."""
        return self.settings.home / "run"

    def place(self) -> Place:
        """Return what `pki.doctor` wants to know besides the deployment."""
        settings = self.settings
        sources = (settings.keys.passphrase, settings.keys.pin)
        secret = [source.path for source in sources if source and source.path]
        return Place(
            home=settings.home,
            secret=(*secret, *((settings.tls_key,) if settings.tls_key else ())),
            weaknesses=(*self.warnings, *_weaknesses(settings)),
            checkpoint_seconds=settings.audit.seconds,
        )

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
        approvals = Job(name="approvals", every=60.0, work=lambda: approve.expire(self.deployment))
        expire = Job(
            name="partner-commands", every=5.0, work=lambda: commands.expire(self.partners)
        )
        provide = Job(name="cps", every=3600.0, work=lambda: upkeep.keep(self.deployment))
        webhooks = Job(
            name="webhooks",
            every=2.0,
            work=lambda: delivery.run(self.deployment, self.settings.outbound),
        )
        queue = Job(name="stations", every=60.0, work=self._keep_stations)
        expiries = Job(name="expiry", every=600.0, work=lambda: expiry.notify(self.deployment))
        push = Job(name="partner-push", every=2.0, work=lambda: push_due(self.partners))
        marks = Job(name="page-marks", every=3600.0, work=lambda: forget_old(self.partners))
        resync = Job(name="partner-sync", every=900.0, work=lambda: sync_due(self.partners))
        audited = Job(
            name="audit",
            every=float(self.settings.audit.seconds),
            work=lambda: checkpoints.keep(self.deployment),
        )
        roaming = (expiries, push, resync, ranges, keys, marks, approvals, queue)
        others = (fetch, prune, token_keys, generations, expire, provide, webhooks, audited)
        return (*own, *others, *roaming)

    def _keep_stations(self) -> int:
        done = signing.finish(self.deployment) + stations.prune(self.deployment)
        return done + consent.prune(self.deployment)

    def close(self) -> None:
        """End the view's thread, tell what is still to be told, give back database connections."""
        self.view.stop()
        self.answers.account(at_once=True)
        self.database.close()


def build(settings: Settings, *, clock: Clock | None = None) -> Services:
    """
    Wire an installation; touches neither the database nor a key.

    Args:
        clock: in place of this host's, whose time then counts as right.
    """
    opening = _secrets(settings)
    client = SignerClient(settings.keys.socket) if settings.keys.socket else None
    keys = _keys(settings, opening) if client is None else _beside(settings, opening, client)
    return _build(settings, clock, opening, keys, client)


def build_signer(settings: Settings, *, clock: Clock | None = None) -> Services:
    """Wire the process that holds the keys of CAs, with its own way into the database."""
    opening = _secrets(settings)
    url = settings.keys.signer_database or settings.database_url
    keys = _keys(settings, opening)
    return _build(replace(settings, database_url=url), clock, opening, keys, None)


def _build(
    settings: Settings,
    clock: Clock | None,
    opening: _Secrets,
    keys: Keys,
    client: SignerClient | None,
) -> Services:
    beacon = Beacon(settings.home / "run" / "changes")
    skew = SkewGuard(settings.keys.max_skew) if clock is None else None
    clock = clock or SystemClock()
    sealer = Sealer(keys=keys, clock=clock, entries=settings.audit.entries)
    database = Database(settings.database_url, on_change=beacon.announce, before_commit=sealer.seal)
    deployment = Deployment(
        store=database,
        keys=keys,
        signer=client,
        limits=settings.keys.limits,
        prove_each=settings.keys.prove is Prove.EACH,
        skew=skew,
        vault=FileVault(settings.home / "keys" / "storage.key", opening.passphrase),
        clock=clock,
        public_url=settings.public_url,
        demo=settings.demo,
        budget=settings.budget,
        tokens=settings.tokens,
        enrolment=settings.enrolment,
        approvals=settings.approvals,
    )
    view = View(deployment, beacon, settings.status)
    deployment = replace(deployment, desk=Desk(database, view))
    directory = Follower(database, view)
    partners = PartnerNetwork(deployment=deployment, outbound=settings.outbound)
    hook = WebHook(directory.now, settings.outbound, deployment.vault)
    return Services(
        settings=settings,
        deployment=deployment,
        database=database,
        beacon=beacon,
        view=view,
        partners=partners,
        answers=Answers(deployment, view, settings.status),
        roaming=Roaming(directory=directory, realtime=RealTime([OcpiAsk(partners), hook])),
        secrets=tuple(secret for secret in (opening.passphrase, opening.pin) if secret),
        warnings=_warnings(settings, holds=client is None),
    )


@contextmanager
def database_at(url: str) -> Iterator[Snapshots]:
    """Open the database of an installation that is not there yet; contacts nothing."""
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def check_start(services: Services) -> None:
    """
    Refuse to start what must not run.

    Raises:
        Unavailable: `store_unavailable`, `key_unavailable` (no passphrase), `demo_key` (a demo
            hierarchy in production mode), `restore_unconfirmed`.
    """
    services.deployment.store.ping()
    with services.deployment.store.read() as tx:
        sign.refuse_restored(tx)
    for secret in services.secrets:
        secret()
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
_IN_FILES: Final = "CA keys lie in encrypted files on this host, not in hardware."


def _warnings(settings: Settings, *, holds: bool) -> tuple[str, ...]:
    if settings.demo:
        return ("DEMO MODE: keys and tokens of this installation protect nothing.",)
    exposed = "CA keys sign OCSP answers, so they lie where strangers ask (status.signer)."
    return (
        *((exposed,) if settings.status.ca_signs else ()),
        *((_IN_FILES,) if holds and settings.keys.backend is Backend.FILES else ()),
    )


def _weaknesses(settings: Settings) -> tuple[str, ...]:
    """Return what may be meant so, and is told by `pnc doctor` alone."""
    whole = any(network.prefixlen == 0 for network in settings.outbound.allowed)
    few = settings.approvals.required == 1
    return (
        *(("Every internal address may be called (outbound.allowed_networks).",) if whole else ()),
        *(("One other person is enough (approvals.required).",) if few else ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secrets:
    """What opens the keys; asked for once where it is asked for."""

    passphrase: Secret
    pin: Secret | None


def _secrets(settings: Settings) -> _Secrets:
    source, pin = settings.keys.passphrase, settings.keys.pin
    if source is None:
        phrase = Secret(name="demo passphrase", path=settings.home / "keys/passphrase", make=_draw)
    else:
        phrase = Secret(name="key passphrase", path=source.path, shortest=MIN_PASSPHRASE)
    return _Secrets(
        passphrase=phrase,
        pin=Secret(name="PIN of the token", path=pin.path) if pin is not None else None,
    )


def _keys(settings: Settings, secrets_: _Secrets) -> Keys:
    own = settings.keys
    work = STRONG if own.passphrase is not None else RANDOM
    lying = FileKeys(settings.home / "keys", secrets_.passphrase, work)
    if own.backend is not Backend.PKCS11 or own.module is None or secrets_.pin is None:
        return lying
    token = _token(own.module, own.token, secrets_.pin, settings.home / "run" / "token.lock")
    return SplitKeys(token, lying) if own.delegated is Delegated.FILES else token


def _beside(settings: Settings, opening: _Secrets, client: SignerClient) -> Keys:
    """Return the keys of a process beside the signer: those of CAs are there."""
    remote = RemoteKeys(client)
    if settings.keys.delegated is Delegated.SAME:
        return remote
    work = STRONG if settings.keys.passphrase is not None else RANDOM
    return SplitKeys(remote, FileKeys(settings.home / "keys", opening.passphrase, work))


def _token(module: Path, token: str, pin: Secret, lock: Path) -> Keys:
    try:
        from pki.keys.pkcs11 import TokenKeys  # noqa: PLC0415 - the binding is an extra
    except ImportError as error:
        raise Unavailable(
            "key_unavailable",
            "python-pkcs11 is not installed, and keys.backend is pkcs11.",
            hint="Install pnc-pki[hsm].",
        ) from error
    return TokenKeys(module, token, pin, lock)


def hand_down(services: Services) -> tuple[dict[str, str], tuple[int, ...]]:
    """
    Return the variables by which children find what opens the keys, and descriptors to pass on.

    What was asked for at the terminal lies in memory that only they can open.

    Raises:
        Unavailable: `key_unavailable`.
    """
    sources = (services.settings.keys.passphrase, services.settings.keys.pin)
    names = ("PNC_KEY_PASSPHRASE_FILE", "PNC_KEY_PIN_FILE")
    environment: dict[str, str] = {}
    descriptors: list[int] = []
    for name, source, secret in zip(names, sources, services.secrets, strict=False):
        if source is not None and source.path is None:
            descriptor, path = into_memory(secret())
            descriptors.append(descriptor)
            environment[name] = str(path)
        elif source is not None:
            environment[name] = str(source.path)
    return environment, tuple(descriptors)


def _draw(path: Path) -> None:
    """Write the passphrase that a demo keeps beside its keys."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _once(path, lambda: secrets.token_urlsafe(24).encode())


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


__all__ = [
    "Services",
    "build",
    "build_signer",
    "check_start",
    "database_at",
    "hand_down",
    "signer_grants",
]
