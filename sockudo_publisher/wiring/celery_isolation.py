"""A Celery app that only this package configures: no environment, no ``celeryconfig``, no Django.

Celery reads ``CELERY_*`` variables for every app of a process, before the app's own configuration: a
``CELERY_BROKER_URL`` of the application would send this package's doorbells and messages to a broker where none of
its workers listens. The same variables reach the ``celery`` command's options (``CELERY_WORKER_QUEUES``,
``BROKER_URL``, ``LOADER``, ...). Knows Celery and no module of this package but the redaction.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, NoReturn

import click
from celery import Celery, Task
from celery.app.utils import Settings
from celery.loaders.app import AppLoader
from click.core import ParameterSource

from ..redaction import printable

__all__ = [
    "PACKAGE",
    "USAGE",
    "OwnTask",
    "PrivateApp",
    "chosen_app",
    "end_with_usage",
    "ignored_variables",
    "is_chosen",
    "names_package",
    "refuse_other_app",
]

#: What ``-A`` names to start this package's app.
PACKAGE = "sockudo_publisher"

#: Exit code of wrong arguments and settings (docs/cli.md).
USAGE = 2

#: Options of the ``celery`` command that say where an app's parts are, and what says it for ours.
_FOREIGN_OPTIONS = {
    "broker": "-b, --broker: set SOCKUDO_BROKER_URL instead",
    "result_backend": "--result-backend: this app keeps its results in the Redis of SOCKUDO_REDIS_URL; leave it out",
    "loader": "--loader: this app has its own; leave it out",
    "config": "--config: only SOCKUDO_* variables configure this app; leave it out",
}

#: Variables without the prefix that the ``celery`` command reads as options.
_WITHOUT_PREFIX = ("BROKER_URL", "CONFIG_MODULE", "LOADER", "RESULT_BACKEND")

#: Variables of Celery that configure no app: its debugging, and what Celery sets itself in a worker.
_HARMLESS = ("CELERY_LOG_", "CELERY_NODENAME", "CELERY_RDB", "CELERY_SKIP_CHECKS", "CELERY_TRACE_APP")


class _OwnLoader(AppLoader):  # type: ignore[misc]
    """Reads no configuration: not the module that ``CELERY_CONFIG_MODULE`` names either."""

    def read_configuration(self, env: str = "") -> Mapping[str, Any]:  # noqa: ARG002 -- Celery's signature
        """Nothing."""
        return {}


class _OwnSettings(Settings):  # type: ignore[misc]
    """Celery's, whose addresses are those of the app's configuration and never the environment's."""

    @property
    def broker_url(self) -> Any:
        return self.get("broker_url")

    @property
    def broker_read_url(self) -> Any:
        return self.get("broker_read_url") or self.broker_url

    @property
    def broker_write_url(self) -> Any:
        return self.get("broker_write_url") or self.broker_url

    @property
    def result_backend(self) -> Any:
        return self.get("result_backend")


class PrivateApp(Celery):  # type: ignore[misc]
    """Never the current app nor the default one.

    ``worker_class``: ``module:Class`` of its worker program; ``task_module``: what the ``celery`` command imports.
    """

    worker_class = "celery.apps.worker:Worker"
    task_module = ""

    def __init__(self, main: str, **options: Any) -> None:
        # A loader that is given is not looked for in CELERY_LOADER. The fixup for Django would make this the process'
        # default app and end a worker whose DJANGO_SETTINGS_MODULE cannot be imported.
        super().__init__(main, set_as_current=False, loader=_OwnLoader, fixups=(), **options)
        self._own_settings()

    def _load_config(self) -> Any:
        super()._load_config()
        return self._own_settings()

    def _own_settings(self) -> Any:
        # Celery's settings take any attribute that is set for one of the configuration's.
        object.__setattr__(self._conf, "__class__", _OwnSettings)
        return self._conf

    def _get_default_loader(self) -> Any:
        return _OwnLoader

    @property
    def user_options(self) -> Mapping[str, Any]:
        """Celery's; the ``celery`` command looks at them once it has chosen its app, before it reads a command."""
        context = click.get_current_context(silent=True)
        if context is not None and "app" in context.params:
            _use_command_line_alone(context)
            if self.task_module:
                import_module(self.task_module)
        return self._user_options

    @user_options.setter
    def user_options(self, options: defaultdict[str, Any]) -> None:
        self._user_options = options

    @cached_property
    def Worker(self) -> Any:  # noqa: N802 -- Celery's name
        """The worker program."""
        return self.subclass_with_self(self.worker_class, name="Worker")


class OwnTask(Task):  # type: ignore[misc]
    """A task of this package: named by ``celery -A`` in place of an app, it ends the command with one line."""

    @property
    def user_options(self) -> NoReturn:
        """No task has them. The ``celery`` command reads them from what ``-A`` names: end it with a usage line."""
        if chosen := chosen_app():
            end_with_usage(f"-A {chosen}: a task, not an app; use -A {PACKAGE}")
        raise AttributeError("user_options")


def _use_command_line_alone(context: click.Context) -> None:
    """Options of the ``celery`` program count where they are written, not where a variable has them."""
    root = context.find_root()
    root.auto_envvar_prefix = None  # the command's own options are read with it, next
    for name, message in _FOREIGN_OPTIONS.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            end_with_usage(message)


def chosen_app() -> str:
    """What ``-A`` of the ``celery`` command names in this process, or ``""``."""
    context = click.get_current_context(silent=True)
    chosen = None if context is None else context.find_root().params.get("app")
    return chosen if isinstance(chosen, str) else ""


def is_chosen(app: Celery) -> bool:
    """Whether the ``celery`` command of this process works with this app, whichever module led it there."""
    context = click.get_current_context(silent=True)
    return context is not None and getattr(context.find_root().obj, "app", None) is app


def names_package(chosen: str) -> bool:
    """Whether ``-A`` names a module of this package."""
    return chosen.partition(":")[0].partition(".")[0] == PACKAGE


def refuse_other_app(own: Celery, instance: Any, **_: Any) -> None:
    """Refuse a worker whose ``-A`` names a module here that leads Celery to another app: it would deliver nothing."""
    chosen = chosen_app()
    if instance.app is not own and names_package(chosen):
        end_with_usage(f"-A {chosen}: not an app of this package; use -A {PACKAGE}")


def end_with_usage(message: str) -> NoReturn:
    """Print one line and exit with the code for wrong arguments."""
    print(f"Error: {printable(message)}", file=sys.stderr)
    # Celery's signals and its search for an app let this through, and no other error.
    raise SystemExit(USAGE)


def ignored_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Names of the variables that would configure another Celery app of this process, sorted; this one they do not."""
    names: Iterable[str] = os.environ if environ is None else environ
    return sorted(
        name
        for name in names
        if name in _WITHOUT_PREFIX or (name.startswith("CELERY") and not name.startswith(_HARMLESS))
    )
