"""Ask the broker for a connection, and the workers behind it who they are. Decides nothing.

Other Celery apps may use the same broker. So first all nodes are asked for their queues, a question that
each of them knows, and then those that have ours for what only ours can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery

from ...config.settings import Settings
from ...journal.app.workers import Target
from ...wiring.broker import bounded_connection
from ...wiring.celery_isolation import PrivateApp
from ...wiring.private_celery import configuration
from ...wiring.redis_scripts import send_scripts_with_eval
from .redis_rights import look_at_rights
from .rights import BROKER_RIGHTS, UNNEEDED
from .values import BrokerFacts, Worker

__all__ = ["look_at_broker"]

#: Seconds to connect, and for each answer of the broker.
CONNECT_S = 3.0
#: Seconds in which workers may answer: first a short look, since it always lasts its whole time, then a long one.
ANSWERS_S = (1.5, 6.0)

# In workerapp, which makes the process that imports it a worker's.
ABOUT = "sockudo_publisher_about"


def look_at_broker(settings: Settings) -> BrokerFacts:
    """Whether the broker takes a connection, and which workers have our queue."""
    send_scripts_with_eval()
    # kombu masks passwords in its words, not users, and other transports have other secrets: the kind alone is shown.
    transport = settings.broker_url.partition(":")[0].partition("+")[0] or "broker"
    with PrivateApp("sockudo_publisher.doctor") as app:
        app.conf.update(configuration(settings))
        try:
            connection = bounded_connection(app, connect_s=CONNECT_S, send_s=CONNECT_S, read_s=max(ANSWERS_S))
        except Exception as error:  # noqa: BLE001 -- whatever kombu makes of a URL
            return BrokerFacts(transport, failure=f"not a broker's URL ({type(error).__name__})")
        try:
            # connect() waits two seconds before its second and last try.
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECT_S)
            connection.default_channel  # noqa: B018 -- with Redis the connection is only made here
        except Exception as error:  # noqa: BLE001 -- whatever the broker's client raises
            connection.release()
            return BrokerFacts(transport, failure=_words(error))
        try:
            denied = _denied(connection, settings.queue)
            try:
                return BrokerFacts(transport, workers=_workers(app, connection, settings.queue), denied=denied)
            except Exception:  # noqa: BLE001 -- idem
                return BrokerFacts(transport, denied=denied)
        finally:
            connection.release()


def _denied(connection: Any, queue: str) -> frozenset[str]:
    """What our user may not run, where the broker is a Redis that says so."""
    if connection.transport.driver_type != "redis":
        return frozenset()
    try:
        client = connection.default_channel.client
        return look_at_rights(client, UNNEEDED.union(*BROKER_RIGHTS.values()), queue).denied or frozenset()
    except Exception:  # noqa: BLE001 -- whatever it is, the next question meets it too
        return frozenset()


def _workers(app: Celery, connection: Any, queue: str) -> tuple[Worker, ...]:
    nodes: list[str] = []
    for within_s in ANSWERS_S:
        nodes = sorted(
            node for node, queues in _asked(app, connection, "active_queues", within_s) if _has_ours(queues, queue)
        )
        if nodes:
            break
    else:
        return ()
    told = {
        node: answer
        for node, answer in _asked(app, connection, ABOUT, max(ANSWERS_S), nodes)
        if isinstance(answer, Mapping) and "error" not in answer
    }
    return tuple(_worker(node, told.get(node)) for node in nodes)


def _asked(
    app: Celery, connection: Any, command: str, within_s: float, nodes: list[str] | None = None
) -> list[tuple[str, Any]]:
    """The answers to one command, by node; two nodes of one name (a mistake of the deployment's) both count."""
    options: dict[str, Any] = {} if nodes is None else {"destination": nodes, "limit": len(nodes)}
    replies = app.control.broadcast(command, reply=True, timeout=within_s, connection=connection, **options)
    return [pair for reply in replies or () for pair in reply.items()]


def _has_ours(queues: Any, ours: str) -> bool:
    return isinstance(queues, list) and any(
        isinstance(queue, Mapping) and queue.get("name") == ours for queue in queues
    )


def _worker(node: str, told: Mapping[str, Any] | None) -> Worker:
    if told is None:
        return Worker(node)
    targets = told.get("targets")
    return Worker(
        node,
        str(told.get("version")),
        int(told.get("lanes", 0)),
        tuple(map(str, told.get("apps", ()))),
        {
            str(name): Target(str(one.get("app_id")), str(one.get("host")))
            for name, one in (targets.items() if isinstance(targets, Mapping) else ())
            if isinstance(one, Mapping)
        },
    )


def _words(error: BaseException) -> str:
    """What happened, in words that hold no URL."""
    cause: BaseException | None = error
    while cause is not None:
        if "auth" in type(cause).__name__.lower() or "AccessRefused" in type(cause).__name__:
            return "refuses the user or password"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return f"no answer within {CONNECT_S:g} s"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return f"cannot be reached ({type(error).__name__})"
