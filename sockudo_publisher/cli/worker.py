"""``sockudo-publisher worker``: the worker of ``celery -A worker worker``, from an installed wheel."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from ..redaction import without_credentials
from ..workerapp.pool_name import pool_name
from .output import Output

__all__ = ["command"]


@click.command(
    "worker",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[--json] [CELERY OPTIONS]...",
)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED, metavar="")
@Output.command
def command(out: Output, celery_options: tuple[str, ...]) -> None:
    """Run a worker that delivers queued events, until SIGTERM or Ctrl-C (a warm shutdown: nothing is lost).

    Takes the options of "celery worker", for example: worker --concurrency 4 --loglevel INFO. The defaults are
    right for production: the threads pool, a slot for each lane and four more, the queue of this package.

    With --json, given before Celery's options, the configuration is written as one JSON object before the worker
    starts. The log goes to stderr.
    """
    if any(option in ("-A", "--app") or option.startswith("--app=") for option in celery_options):
        raise click.UsageError("-A, --app: this command runs the app of this package; leave it out")
    if any(option in ("-D", "--detach") for option in celery_options):
        raise click.UsageError("--detach: run this command under a supervisor, such as systemd")
    _prepare_for_pool(pool_name(celery_options))
    from ..config.settings import get_settings

    settings = get_settings()
    from ..workerapp.check_settings import check_settings

    check_settings(settings)
    from celery.signals import celeryd_init

    def write_configuration(options: Mapping[str, Any], conf: Any, **_: Any) -> None:
        """Called after Celery has read its options and before the worker prints its banner."""
        out.print_json(
            ok=True,
            apps=sorted(settings.app_urls()),
            broker=without_credentials(settings.broker_url),
            journal=without_credentials(settings.redis_url),
            pool=pool_name(celery_options) or conf.worker_pool,
            concurrency=options.get("concurrency") or conf.worker_concurrency,
        )
        if out.as_json:
            # Celery prints its banner on stdout, where the reader expects only JSON.
            sys.stdout.flush()
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    celeryd_init.connect(write_configuration, weak=False)
    from celery.bin.celery import celery

    # With -A, as a variable APP would be celery's default. Errors of click are shown as those of this command.
    arguments = ["-A", "sockudo_publisher.workerapp", "worker", *celery_options]
    sys.exit(celery.main(arguments, prog_name="celery", standalone_mode=False))


def _prepare_for_pool(pool: str) -> None:
    """Patch sockets and threads for a green pool, before anything uses them, as the ``celery`` command does."""
    import celery

    try:
        celery.maybe_patch_concurrency(["celery", "-P", pool] if pool else ["celery"])
    except ImportError as error:
        raise click.UsageError(f"--pool {pool}: needs a library that is not installed ({error.name})") from None
