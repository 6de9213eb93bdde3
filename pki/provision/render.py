"""What the pools return, as JSON: one form for the command line and for HTTP."""

from __future__ import annotations

from typing import Any

from pki.clock import format_time
from pki.model import Bundle, CpsSigner, ProvisioningChain
from pki.pkix.certificate import load
from pki.provision.ccp import Held
from pki.provision.generate import Signed
from pki.provision.life import LifeReport
from pki.provision.pcp import Deposit
from pki.provision.rcp import Root
from pki.provision.shelf import Removal

Json = dict[str, Any]


def root_json(root: Root) -> Json:
    """Return a root of the pool."""
    certificate = root.certificate
    return {
        "rootId": root.root_id,
        "type": root.domain.value,
        "fingerprint": certificate.fingerprint.value,
        "subject": certificate.subject_text,
        "serialNumber": f"{certificate.serial:x}",
        "suite": certificate.suite.value if certificate.suite else None,
        "notBefore": format_time(certificate.not_before),
        "notAfter": format_time(certificate.not_after),
        "trustLists": [entry.value for entry in root.trust_lists],
        "crossCertificates": [cross.fingerprint.value for cross in root.cross],
        "addedAt": format_time(root.added_at),
    }


def chain_json(chain: ProvisioningChain) -> Json:
    """Return a car's chain without the certificates."""
    return {
        "pcid": chain.pcid.value,
        "suite": chain.suite.value,
        "fingerprint": chain.fingerprint.value,
        "root": chain.root.value,
        "subCas": len(chain.sub_cas),
        "notAfter": format_time(chain.not_after),
        "depositedAt": format_time(chain.deposited_at),
        "depositedBy": chain.deposited_by,
    }


def deposit_json(deposit: Deposit) -> Json:
    """Return what a deposit did, or would do."""
    return {
        **chain_json(deposit.chain),
        "replaced": deposit.replaced,
        "removal": removal_json(deposit.removal),
    }


def removal_json(removal: Removal) -> Json:
    """Return what leaves the pool."""
    return {
        "dryRun": removal.dry_run,
        "emaids": list(removal.emaids),
        "bundles": removal.bundles,
        "revoked": list(removal.revoked),
        "withoutDefault": list(removal.defaults),
        "events": list(removal.events),
    }


def signer_json(signer: CpsSigner) -> Json:
    """Return a leaf of the provisioning service."""
    return {
        "fingerprint": signer.fingerprint.value,
        "subject": load(signer.chain[0]).subject_text,
        "suite": signer.suite.value,
        "root": signer.root.value,
        "rootSubject": load(signer.root_der).subject_text,
        "notBefore": format_time(signer.not_before),
        "notAfter": format_time(signer.not_after),
    }


def bundle_json(bundle: Bundle) -> Json:
    """Return a bundle without its message."""
    return {
        "bundleId": bundle.bundle_id,
        "emaid": bundle.emaid.normalised,
        "pcid": bundle.pcid.value,
        "suite": bundle.suite.value,
        "certificate": bundle.certificate.value,
        "root": bundle.root.value,
        "notBefore": format_time(bundle.not_before),
        "notAfter": format_time(bundle.not_after),
        "octets": len(bundle.message),
        "deliveredAt": format_time(bundle.delivered_at) if bundle.delivered_at else None,
    }


def held_json(held: Held) -> Json:
    """Return a bundle and whether its contract is the car's default."""
    return {**bundle_json(held.bundle), "default": held.is_default}


def signed_json(signed: Signed) -> Json:
    """Return a bundle that was just signed."""
    return {
        **bundle_json(signed.bundle),
        "stored": signed.stored,
        "replaced": signed.replaced,
        "warnings": list(signed.warnings),
    }


def life_json(report: LifeReport) -> Json:
    """Return what a step in the life of a contract does, or would do."""
    return {
        **removal_json(report.removal),
        "emaid": report.emaid,
        "before": report.before.value,
        "after": report.after.value,
        "held": list(report.held),
        "released": list(report.released),
        "made": bundle_json(report.made) if report.made else None,
    }
