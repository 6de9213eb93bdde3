"""Settings as a file."""

from __future__ import annotations

from pki.enrol.policy import label_toml
from pki.model import Budget
from pki.outbound import Network
from pki.settings import enrolment, keys
from pki.settings.keys import quoted
from pki.settings.values import Settings, default_database, usual_approvals
from pki.status.policy import StatusPolicy


def to_toml(settings: Settings) -> str:
    """Write settings in the form that `load` reads."""
    lines = [
        "# Written by `pnc serve`; the environment overrides it.",
        f"mode = {quoted(settings.mode.value)}",
        *_database_line(settings),
        f"public_url = {quoted(settings.public_url)}",
        "",
        "[approvals]",
        *_required_line(settings),
        f"expire_hours = {int(settings.approvals.lifetime.total_seconds()) // 3600}",
    ]
    lines += [
        *keys.to_lines(settings.keys),
        "",
        "[audit]",
        f"checkpoint_entries = {settings.audit.entries}",
        f"checkpoint_minutes = {settings.audit.seconds // 60}",
        "",
        "[decisions]",
        f"keep_days = {settings.keep_decisions.days}",
        "",
        "[ocpp]",
        f"base64url_hash_data = {str(settings.base64url_hash_data).lower()}",
        "",
        *enrolment.lines(settings.enrolment),
        *_rate_lines(settings),
        "[bulk]",
        f"signers = [{', '.join(quoted(str(path)) for path in settings.bulk_signers)}]",
        "",
        *_est_lines(settings),
        "[outbound]",
        f"allowed_networks = {_listed(settings.outbound.allowed)}",
        "",
        *_budget_lines(settings.budget),
        *_status_lines(settings.status),
        "[tokens]",
        f"audiences = [{', '.join(quoted(name) for name in settings.tokens.audiences)}]",
        f"lifetime_minutes = {int(settings.tokens.lifetime.total_seconds()) // 60}",
        f"key_days = {settings.tokens.key_life.days}",
        "",
        "[serve]",
        f"host = {quoted(settings.host)}",
        f"port = {settings.port}",
        f"workers = {settings.workers}",
        f"mtls_port = {settings.mtls_port}",
        f"tls_certificate = {quoted(str(settings.tls_certificate or ''))}",
        f"tls_key = {quoted(str(settings.tls_key or ''))}",
        "",
    ]
    return "\n".join(lines)


def _required_line(settings: Settings) -> list[str]:
    """Write nothing that the mode implies: a home may change its mode."""
    required = settings.approvals.required
    return [f"required = {required}"] if required != usual_approvals(settings.mode) else []


def _database_line(settings: Settings) -> list[str]:
    """Write no address that the home itself implies: a copied home is to use its own database."""
    if settings.database_url == default_database(settings.home):
        return []
    return [f"database_url = {quoted(settings.database_url)}"]


def _listed(networks: tuple[Network, ...]) -> str:
    return "[" + ", ".join(quoted(str(network)) for network in networks) + "]"


def _rate_lines(settings: Settings) -> list[str]:
    return [
        f"requests_per_minute = {settings.enrol.requests_per_minute}",
        f"certificates_per_minute = {settings.enrol.certificates_per_minute}",
        "",
    ]


def _est_lines(settings: Settings) -> list[str]:
    policy = settings.enrol
    return [
        "[est]",
        f"labels = [{', '.join(label_toml(n, v) for n, v in policy.labels.items())}]",
        f"trusted_header = {quoted(policy.trusted_header or '')}",
        f"trusted_proxies = {_listed(policy.trusted_proxies)}",
        "",
    ]


def _budget_lines(budget: Budget) -> list[str]:
    return [
        "[provisioning]",
        f"warn_octets = {budget.warning}",
        f"max_octets = {budget.refusal}",
        f"max_octets_iso20 = {budget.refusal_iso20}",
        "",
    ]


def _status_lines(policy: StatusPolicy) -> list[str]:
    return [
        "[status]",
        f"ocsp_hours = {int(policy.validity.total_seconds()) // 3600}",
        f"max_age = {policy.max_age}",
        f"max_view_age = {int(policy.max_view_age)}",
        f"unissued = {quoted('revoked' if policy.unissued_revoked else 'unknown')}",
        f"responder_id = {quoted('name' if policy.responder_by_name else 'key')}",
        f"signer = {quoted('ca' if policy.ca_signs else 'delegated')}",
        f"crl_hours = {int(policy.crl_validity.total_seconds()) // 3600}",
        f"responder_renewal_days = {policy.responder_renewal.days}",
        "",
    ]
