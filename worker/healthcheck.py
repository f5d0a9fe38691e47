"""Check whether this container's Celery node reads the package's queue; exit 0 or 1. Run by the image's health check.

A running process proves nothing: a worker can be alive while its consumer no longer reads. So the check sends a
request through the broker, as doorbells go, to the node of this host only (`celery@<hostname>`, Celery's default name,
or CELERY_NODENAME), and accepts only that node's answer. Run it as a file, not with -m, which would import the worker's
app and make each check slower. It imports Celery and the settings.

The worker is unhealthy too if the broker is down, or if remote control has cancelled the consumer: then only the sweep
delivers, and doorbells are not received. If the broker is frozen, the time limit of the health check ends the check.
"""

import os
import sys
from collections.abc import Mapping

from celery.utils.nodenames import gethostname

from sockudo_publisher.config.settings import Settings
from sockudo_publisher.wiring.celery_isolation import PrivateApp

#: Seconds to wait for the answer: a busy worker answers within one; the health check allows 15 in all.
TIMEOUT_S = 5.0

#: The most answers of nodes with one name that are read.
MAX_NAMESAKES = 8


def node_name(environ: Mapping[str, str]) -> str:
    """The name of this host's worker: CELERY_NODENAME, else Celery's default name."""
    return environ.get("CELERY_NODENAME") or f"celery@{gethostname()}"


def queues_of(broker_url: str, node: str, ours: str) -> set[str] | None:
    """The queues that nodes of that name read; ``None``: no answer. Raises what the broker's transport raises.

    A worker of another Celery app on this host and broker has the same name by default. So if the first answer does not
    contain ``ours``, several answers are read.
    """
    found: set[str] | None = None
    with PrivateApp("healthcheck", broker=broker_url) as app:
        for max_replies in (1, MAX_NAMESAKES):
            replies = app.control.broadcast(
                "active_queues", destination=[node], reply=True, timeout=TIMEOUT_S, limit=max_replies
            )
            for queues in [queues for reply in replies or () for queues in reply.values() if isinstance(queues, list)]:
                found = (found or set()) | {str(queue.get("name")) for queue in queues}
            if not found or ours in found:
                break
    return found


def main() -> int:
    """Check, print the result, and return the exit code."""
    node = node_name(os.environ)
    try:
        settings = Settings.from_env()
        queues = queues_of(settings.broker_url, node, settings.queue)
    except Exception as error:  # noqa: BLE001  any error of the transport is printed, and the check fails
        print(f"{node}: {type(error).__name__}", file=sys.stderr)
        return 1
    ours = settings.queue
    healthy = ours in (queues or ())
    result = "no answer" if queues is None else f"reads {ours}" if healthy else f"does not read the queue {ours}"
    print(f"{node}: {result}", file=sys.stdout if healthy else sys.stderr)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
