"""Ask this container's own Celery node whether it reads our queue; exit 0 or 1. Run by the image's health check.

A process that is there proves nothing: a worker can be alive with a consumer that reads no more. So the question goes
the way the doorbells go, through the broker, to the node of this host alone (`celery@<hostname>`, Celery's default
name, or CELERY_NODENAME), and only that node's answer counts. Run it as a file, not with -m: that would import the
worker's app, whose start-up every check would pay for. It imports Celery and the settings.

A broker that is away makes the worker unhealthy too, and so does a consumer that remote control has cancelled: it
delivers what the sweep finds, but hears no doorbells. A broker that is frozen is ended by the time limit of the health
check.
"""

import os
import sys
from collections.abc import Mapping

from celery.utils.nodenames import gethostname

from sockudo_publisher.config.settings import Settings
from sockudo_publisher.wiring.celery_isolation import PrivateApp

#: Seconds to wait for the answer: a busy worker answers within one; the health check allows 15 in all.
TIMEOUT_S = 5.0

#: Nodes of one name that are heard.
MAX_NAMESAKES = 8


def node_name(environ: Mapping[str, str]) -> str:
    """The name of this host's worker: CELERY_NODENAME, else what Celery calls a worker that was given no name."""
    return environ.get("CELERY_NODENAME") or f"celery@{gethostname()}"


def queues_of(broker_url: str, node: str, ours: str) -> set[str] | None:
    """The queues that nodes of that name read; ``None``: no answer. Raises what the broker's transport raises.

    A worker of another Celery app on this host and broker has the same name by default: where the first answer does not
    name ``ours``, all of them are heard.
    """
    found: set[str] | None = None
    with PrivateApp("healthcheck", broker=broker_url) as app:
        for most in (1, MAX_NAMESAKES):
            replies = app.control.broadcast(
                "active_queues", destination=[node], reply=True, timeout=TIMEOUT_S, limit=most
            )
            for queues in [queues for reply in replies or () for queues in reply.values() if isinstance(queues, list)]:
                found = (found or set()) | {str(queue.get("name")) for queue in queues}
            if not found or ours in found:
                break
    return found


def main() -> int:
    """Ask, say what came back, and return the exit code."""
    node = node_name(os.environ)
    try:
        settings = Settings.from_env()
        queues = queues_of(settings.broker_url, node, settings.queue)
    except Exception as error:  # noqa: BLE001  whatever the transport raises: the check says it and fails
        print(f"{node}: {type(error).__name__}", file=sys.stderr)
        return 1
    ours = settings.queue
    healthy = ours in (queues or ())
    words = "no answer" if queues is None else f"reads {ours}" if healthy else f"does not read the queue {ours}"
    print(f"{node}: {words}", file=sys.stdout if healthy else sys.stderr)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
