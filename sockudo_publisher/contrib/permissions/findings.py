"""What is wrong with permissions before the first request: for the checks of a framework. Pure, except the loggers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...client.http.credentials import Credentials
from ...client.sockudo import Sockudo
from ...config.settings import Settings
from ...errors import ConfigurationError, ValidationError
from ...redaction import package_logger
from .pattern import ChannelKind
from .registry import Registry

__all__ = ["Finding", "apps_with_one_secret", "check", "refuse_errors"]

logger = package_logger("sockudo_publisher.contrib.permissions")


@dataclass(frozen=True)
class Finding:
    """``level``: an ``error`` denies subscriptions, a ``warning`` is a risk. ``text``: one line."""

    level: Literal["error", "warning"]
    code: Literal["overlap", "no_master_key", "open_cache", "presence_cache", "one_secret"]
    text: str


def check(registry: Registry, client: Sockudo | None = None) -> tuple[Finding, ...]:
    """What is wrong with the registry's patterns. ``client``: says whether there is a master key.

    Errors: two patterns that match one channel; an encrypted pattern without a master key; a presence cache channel,
    which Sockudo 5.2.0 lets no client join. Warnings: private cache channels, whose subscribers it does not check.
    """
    findings = [
        Finding(
            "error",
            "overlap",
            f"{_shown(one.pattern)} ({one.name}) and {_shown(other.pattern)} ({other.name}) match the same channels, "
            "which are denied therefore",
        )
        for one, other in registry.overlaps()
    ]
    for permission in registry:
        kind = permission.pattern.kind if permission.pattern else None
        where = f"{_shown(permission.pattern)} ({permission.name})"
        if kind is None:
            continue
        if kind.is_encrypted and client is not None and not _has_master_key(client):
            findings.append(
                Finding(
                    "error", "no_master_key", f"{where}: needs SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64, which is not set"
                )
            )
        if kind is ChannelKind.PRESENCE_CACHE:
            findings.append(
                Finding(
                    "error", "presence_cache", f"{where}: Sockudo 5.2.0 lets no client join presence-cache- channels"
                )
            )
        elif kind.is_cache:
            findings.append(
                Finding(
                    "warning",
                    "open_cache",
                    f"{where}: Sockudo 5.2.0 does not check the signature on {kind.value} channels, any client with "
                    "the app's key may join; use channels without cache for what is not public",
                )
            )
    return tuple(findings)


def apps_with_one_secret(settings: Settings) -> tuple[Finding, ...]:
    """A warning for each app whose secret is an earlier app's too: a permission given in one counts in the other.

    The signature is over socket and channel, with the app's secret: a browser that changes the key before it has a
    signature for the other app. Raises ``ConfigurationError`` for a malformed URL.
    """
    findings: list[Finding] = []
    owners: dict[str, tuple[str, str]] = {}
    for name in settings.app_urls():
        credentials = Credentials.from_url(settings.url_of(name), setting=f"app {name!r}")
        first, first_id = owners.setdefault(credentials.secret, (name, credentials.app_id))
        if first != name and first_id != credentials.app_id:
            text = f"apps {first!r} and {name!r} have one secret: what one of them permits, the other permits too"
            findings.append(Finding("warning", "one_secret", text))
    return tuple(findings)


def refuse_errors(findings: tuple[Finding, ...]) -> None:
    """Log the warnings, and raise ``ConfigurationError`` with all errors if there is one."""
    for finding in findings:
        if finding.level == "warning":
            logger.warning("permissions: %s", finding.text)
    errors = [finding.text for finding in findings if finding.level == "error"]
    if errors:
        raise ConfigurationError("permissions: " + "; ".join(errors))


def _shown(pattern: object) -> str:
    return repr(getattr(pattern, "text", None)) if pattern is not None else "every channel"


def _has_master_key(client: Sockudo) -> bool:
    try:
        return client.encoder.channel_secret("private-encrypted-x") is not None
    except ValidationError:
        return False
