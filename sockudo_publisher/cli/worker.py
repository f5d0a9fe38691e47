"""``sockudo-publisher worker``: the same worker as ``celery -A worker worker``, from an installed wheel."""

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
    """Run a worker that delivers what is queued, until SIGTERM or Ctrl-C (a warm shutdown: nothing is lost).

    Takes the options of "celery worker", as in: worker --concurrency 4 --loglevel INFO. Without any it is
    right for production: the threads pool, a slot for each lane and some to spare, this package's queue.

    With --json the configuration is written as one JSON object when Celery has understood its options
    and before the worker starts. --json comes before Celery's options. The log goes to stderr.
    """
    if any(option in ("-A", "--app") or option.startswith("--app=") for option in celery_options):
        raise click.UsageError("the app is this package's own: -A does not apply")
    if any(option in ("-D", "--detach") for option in celery_options):
        raise click.UsageError("--detach: run this command under a supervisor, such as systemd")
    _prepare_for_pool(pool_name(celery_options))
    from ..config.settings import get_settings

    settings = get_settings()
    from ..workerapp.check_settings import check_settings

    check_settings(settings)
    from celery.signals import celeryd_init

    def tell(options: Mapping[str, Any], conf: Any, **_: Any) -> None:
        """Once Celery has understood its options, and before the worker greets."""
        out.emit(
            ok=True,
            apps=sorted(settings.app_urls()),
            broker=without_credentials(settings.broker_url),
            journal=without_credentials(settings.redis_url),
            pool=pool_name(celery_options) or conf.worker_pool,
            concurrency=options.get("concurrency") or conf.worker_concurrency,
        )
        if out.as_json:
            # Celery greets on stdout; a program that reads JSON there must not see it.
            sys.stdout.flush()
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    celeryd_init.connect(tell, weak=False)
    from celery.bin.celery import celery

    # Named outright: a variable APP would be the command's default. Errors of click are shown as those of this command.
    arguments = ["-A", "sockudo_publisher.workerapp", "worker", *celery_options]
    sys.exit(celery.main(arguments, prog_name="celery", standalone_mode=False))


def _prepare_for_pool(pool: str) -> None:
    """Replace sockets and threads for a green pool, before anything has used them; as Celery's own program does."""
    import celery

    try:
        celery.maybe_patch_concurrency(["celery", "-P", pool] if pool else ["celery"])
    except ImportError as error:
        raise click.UsageError(f"--pool {pool}: needs a library that is not installed ({error.name})") from None
