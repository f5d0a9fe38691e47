"""Ask this container's own Celery node whether it answers; exit 0 or 1. Run by the image's health check.

A process that is there proves nothing: a worker can be alive with a consumer that reads no more. So the question goes
the way the doorbells go, through the broker, to the node of this host alone (`celery@<hostname>`, Celery's default
name, or CELERY_NODENAME), and only that node's answer counts. Run it as a file, not with -m: that would import the
worker's app, whose start-up every check would pay for. It imports Celery and the settings.

A broker that is away makes the worker unhealthy too: it delivers what the sweep finds, but hears no doorbells. A broker
that is frozen is ended by the time limit of the health check.
"""

import os
import sys
from collections.abc import Mapping

from celery import Celery
from celery.utils.nodenames import gethostname

from sockudo_publisher.settings import Settings

#: Seconds to wait for the answer: a busy worker answers within one; the health check allows 15 in all.
TIMEOUT_S = 5.0


def node_name(environ: Mapping[str, str]) -> str:
    """The name of this host's worker: CELERY_NODENAME, else what Celery calls a worker that was given no name."""
    return environ.get("CELERY_NODENAME") or f"celery@{gethostname()}"


def answers(broker_url: str, node: str) -> bool:
    """Whether the node of that name answers a ping through the broker. Raises what the broker's transport raises."""
    with Celery("healthcheck", broker=broker_url, set_as_current=False) as app:
        return any(node in reply for reply in app.control.ping(destination=[node], timeout=TIMEOUT_S))


def main() -> int:
    """Ask, say what came back, and return the exit code."""
    node = node_name(os.environ)
    try:
        healthy = answers(Settings.from_env().broker_url, node)
    except Exception as error:  # noqa: BLE001  whatever the transport raises: the check says it and fails
        print(f"{node}: {type(error).__name__}", file=sys.stderr)
        return 1
    print(f"{node}: {'answers' if healthy else 'no answer'}", file=sys.stdout if healthy else sys.stderr)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
