"""Check the settings when a worker starts: invalid ones end it at once, with one line and exit code 2.

A worker with such settings would start and deliver nothing. Knows Celery's signals, the settings and the apps.
"""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Any, NoReturn

from celery.signals import celeryd_after_setup, celeryd_init

from ..config.misspelled import unknown_variables
from ..config.settings import Settings, get_settings
from ..errors import ConfigurationError
from ..redaction import package_logger
from ..wiring.app import check_apps
from ..wiring.celery_isolation import end_with_usage, ignored_variables

__all__ = ["check_settings", "refuse", "start_with_worker"]

logger = package_logger("sockudo_publisher.settings")


def check_settings(settings: Settings) -> None:
    """Raise :class:`ConfigurationError` if a worker with these settings could never deliver."""
    check_apps(settings)


def refuse(error: ConfigurationError) -> NoReturn:
    """End the ``celery`` command with one line; in any other program raise the error."""
    if not _is_celery(sys.argv[:1]):
        raise error
    end_with_usage(str(error))


def start_with_worker() -> None:
    """Check the settings when a worker starts, and not when another command imports the app."""
    celeryd_init.connect(_check, weak=False, dispatch_uid="sockudo_publisher.check_settings")
    celeryd_after_setup.connect(_warn, weak=False, dispatch_uid="sockudo_publisher.unknown_variables")


def _check(**_: Any) -> None:
    try:
        check_settings(get_settings())
    except ConfigurationError as error:
        end_with_usage(str(error))


def _warn(**_: Any) -> None:
    ignored = ignored_variables()
    if ignored:
        logger.info("only SOCKUDO_* variables configure this worker; not read: %s", ", ".join(ignored))
    for name, nearest in unknown_variables().items():
        meant = f", did you mean {nearest}?" if nearest else ""
        logger.warning("%s: no setting has this name%s", name, meant)


def _is_celery(argv: list[str]) -> bool:
    """Whether this is ``celery`` or ``python -m celery``."""
    program = PurePath(argv[0]) if argv else PurePath()
    return program.stem == "celery" or (program.name, program.parent.name) == ("__main__.py", "celery")
