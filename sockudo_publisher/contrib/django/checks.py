"""System checks: the settings, the permissions, the outbox's table; with ``--deploy`` Redis and the cache.

Errors: ``sockudo.E001`` settings, ``E002`` this app's own settings, ``E003`` overlapping patterns, ``E004`` an
encrypted pattern without a master key, ``E005`` a pattern that no client can join, ``E011`` Redis' persistence,
``E012`` its eviction. Warnings: ``W001`` a redundant app, ``W002`` the outbox's table, ``W003`` two apps with one
secret, ``W004`` channels that the server does not protect, ``W010`` Redis was not reached, ``W011`` its persistence,
``W012`` its eviction, ``W013`` the cache for webhooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

from ...config.settings import DEFAULT_APP, Settings, get_settings
from ...errors import ConfigurationError
from ...outbox.django.apps import LABEL
from ...outbox.django.models import OutboxRow
from ...wiring.app import app_named, check_app
from ..permissions import apps_with_one_secret, check, default_registry
from .setting import django_setting

if TYPE_CHECKING:
    from ...doctor.finding import CheckFinding

__all__ = ["check_outbox_table", "check_permissions", "check_redis", "check_setting", "check_webhook_cache"]

_EXAMPLE = 'SOCKUDO = {"URL": "http://key:secret@127.0.0.1:6001/apps/app-id", "REDIS_URL": "redis://127.0.0.1:6379/0"}'
#: Code of a finding -> (id, hint).
_PERMISSIONS = {
    "overlap": ("sockudo.E003", "Change one of the patterns so that no channel matches both."),
    "no_master_key": ("sockudo.E004", "Set SOCKUDO['ENCRYPTION_MASTER_KEY_BASE64']: 32 random bytes in base64."),
    "presence_cache": ("sockudo.E005", "Use a presence- channel."),
    "open_cache": ("sockudo.W004", "Use private- or private-encrypted- channels."),
    "one_secret": ("sockudo.W003", "Give each app a secret of its own."),
}
#: Name of the doctor's finding -> number of our check.
_REDIS = {"redis.reachable": "010", "redis.persistence": "011", "redis.eviction": "012"}
_LOCAL_CACHES = ("django.core.cache.backends.locmem.", "django.core.cache.backends.dummy.")


@register("sockudo")
def check_setting(**_: Any) -> list[CheckMessage]:
    """The settings can be used; nothing is connected."""
    found: list[CheckMessage] = []
    try:
        _check_apps(get_settings())
    except ConfigurationError as error:
        found.append(Error(str(error), hint=f"As in {_EXAMPLE}", id="sockudo.E001"))
    try:
        django_setting()
    except ImproperlyConfigured as error:
        found.append(Error(str(error), hint="See docs/django.md, Settings.", id="sockudo.E002"))
    if getattr(apps.app_configs.get(f"{LABEL}_absorbed"), "is_absorbed", False):
        found.append(
            Warning(
                "INSTALLED_APPS: sockudo_publisher.outbox.django is part of sockudo_publisher.contrib.django",
                hint="Remove the first one; the table and its migrations stay as they are.",
                id="sockudo.W001",
            )
        )
    return found


@register("sockudo")
def check_permissions(**_: Any) -> list[CheckMessage]:
    """The patterns of the projects' ``channels.py``."""
    usable = _usable_settings()
    client = app_named(DEFAULT_APP if usable.url else next(iter(usable.app_urls()))).client if usable else None
    findings = [*check(default_registry, client), *(apps_with_one_secret(usable) if usable else ())]
    kinds = {"error": Error, "warning": Warning}
    return [
        kinds[one.level](one.text, hint=_PERMISSIONS[one.code][1], id=_PERMISSIONS[one.code][0]) for one in findings
    ]


@register(Tags.database, "sockudo")
def check_outbox_table(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The outbox's table is in the database to which the router writes it. Only if databases are to be checked."""
    from django.db import router

    alias = router.db_for_write(OutboxRow)
    if alias not in (databases or ()) or not router.allow_migrate_model(alias, OutboxRow):
        return []
    table = OutboxRow._meta.db_table
    try:
        with connections[alias].cursor() as cursor:
            tables = connections[alias].introspection.table_names(cursor)
    except DatabaseError:
        return []  # Django's own commands say that
    if table in tables:
        return []
    return [
        Warning(
            f"the outbox's table {table} is not in the database {alias!r}: add() fails there, and no relay runs",
            hint=f"python manage.py migrate {LABEL}",
            id="sockudo.W002",
        )
    ]


@register("sockudo", deploy=True)
def check_redis(**_: Any) -> list[CheckMessage]:
    """Redis keeps the events: persistence and eviction, as ``doctor`` judges them. Connects to it, for seconds."""
    # Only here: every command of manage.py loads this module.
    from ...doctor.checks.redis import judge_redis
    from ...doctor.facts.redis import collect_redis_facts

    usable = _usable_settings()
    if usable is None:
        return []
    try:
        facts = collect_redis_facts(usable.redis_url, namespace=usable.namespace)
    except ConfigurationError:
        return []  # E001 says that
    return list(_redis_messages(judge_redis(facts)))


def _redis_messages(findings: Iterable[CheckFinding]) -> Iterable[CheckMessage]:
    from ...doctor.finding import State

    for finding in findings:
        number = _REDIS.get(finding.name)
        if number is None or finding.state is State.FINE:
            continue
        if finding.state is State.UNKNOWN and finding.why == "Redis was not reached":
            continue  # said once
        is_error = finding.state is State.BROKEN and finding.name != "redis.reachable"
        kind: Callable[..., CheckMessage] = Error if is_error else Warning
        yield kind(
            f"{finding.name}: {finding.why}",
            hint=finding.change,
            id=f"sockudo.{'E' if is_error else 'W'}{number}",
        )


@register("sockudo", deploy=True)
def check_webhook_cache(**_: Any) -> list[CheckMessage]:
    """Processes that receive webhooks share a cache, so that a repeated event is known in each."""
    try:
        alias = django_setting().webhook_cache
    except ImproperlyConfigured:
        return []  # E002 says that
    backend = str(settings.CACHES[alias].get("BACKEND", ""))
    if not backend.startswith(_LOCAL_CACHES):
        return []
    return [
        Warning(
            f"the cache {alias!r} remembers webhook events in one process alone: another one may handle an event again",
            hint="SOCKUDO['WEBHOOK_CACHE']: the alias of a cache in Redis, Memcached or the database.",
            id="sockudo.W013",
        )
    ]


def _check_apps(usable: Settings) -> None:
    """Raise :class:`ConfigurationError` if there is no app, or one that cannot be addressed."""
    for name in usable.app_urls() or (DEFAULT_APP,):
        check_app(usable, name)


def _usable_settings() -> Settings | None:
    try:
        usable = get_settings()
        _check_apps(usable)
    except ConfigurationError:
        return None  # E001 says that
    return usable
