"""``sockudo-publisher health``: is this host's worker healthy? For probes of containers and supervisors."""

from __future__ import annotations

import click

from .exits import ExitCode
from .output import Output, plain

__all__ = ["command"]


@click.command("health")
@click.option(
    "--worker",
    metavar="NODE",
    help="The worker's Celery name, as in its log. Default: CELERY_NODENAME, else celery@HOSTNAME.",
)
@Output.command
def command(out: Output, *, worker: str | None) -> None:
    """Check that one worker can deliver: exit code 0, or 1 if a check fails.

    The checks: the settings are valid, Redis answers, the worker has announced itself in Redis within 15 seconds for
    each app, and its consumer reads the queue.
    """
    from ..config.settings import get_settings
    from ..errors import ConfigurationError
    from ..operations import health
    from ..wiring.health import HealthCheck

    node = worker or health.default_node()
    try:
        checks = health.worker_health(get_settings(), node)
    except ConfigurationError as error:
        checks = [HealthCheck("settings", str(error))]
    is_healthy = not any(one.problem for one in checks)
    for one in checks:
        out.print(f"[red]failed[/] {plain(one.name)}: {plain(one.problem)}" if one.problem else f"ok {plain(one.name)}")
    out.print_json(ok=is_healthy, worker=node, checks=[one._asdict() for one in checks])
    if not is_healthy:
        raise SystemExit(ExitCode.FAILED)
