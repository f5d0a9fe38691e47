"""Connect to the broker and collect facts from the workers behind it. Decides nothing.

Other Celery apps may use the same broker. So the first command, ``active_queues``, goes to all nodes: every Celery
worker answers it. The second, our own command, goes only to the nodes that consume our queue.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from celery import Celery

from ...config.settings import Settings
from ...journal.app.workers import Target
from ...wiring.broker import bounded_connection
from ...wiring.celery_isolation import PrivateApp
from ...wiring.private_celery import configuration
from ...wiring.redis_scripts import send_scripts_with_eval
from .redis_rights import collect_rights
from .rights import BROKER_RIGHTS, UNNEEDED
from .values import BrokerFacts, QueueWorker

__all__ = ["collect_broker_facts"]

#: Seconds to connect, and for each answer of the broker.
CONNECT_S = 3.0
#: Seconds for the workers' answers: a broadcast always waits for all of them, so a short one comes first.
ANSWERS_S = (1.5, 6.0)

# Defined in workerapp: the doctor loads no code of a worker.
ABOUT = "sockudo_publisher_about"


def collect_broker_facts(settings: Settings, until: float = math.inf) -> BrokerFacts:
    """Check that the broker accepts a connection; collect the commands that it denies and the workers of our queue.

    ``until``: the instant of ``time.monotonic()`` at which the wait for workers' answers ends.
    """
    send_scripts_with_eval()
    # kombu masks passwords in its texts, but not users; other transports have other secrets. So show the kind alone.
    transport = settings.broker_url.partition(":")[0].partition("+")[0] or "broker"
    with PrivateApp("sockudo_publisher.doctor") as app:
        app.conf.update(configuration(settings))
        try:
            connection = bounded_connection(app, connect_s=CONNECT_S, send_s=CONNECT_S, read_s=max(ANSWERS_S))
        except Exception as error:  # noqa: BLE001 -- kombu raises many types for a bad URL
            return BrokerFacts(transport, failure=f"not a broker's URL ({type(error).__name__})")
        try:
            # connect() waits two seconds before its second and last attempt.
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECT_S)
            connection.default_channel  # noqa: B018 -- Redis: this opens the connection
        except Exception as error:  # noqa: BLE001 -- each transport has its own types
            connection.release()
            return BrokerFacts(transport, failure=_describe_error(error))
        try:
            denied = _collect_denied_commands(connection, settings.queue)
            try:
                workers = _collect_workers(app, connection, settings.queue, until)
                return BrokerFacts(transport, workers=workers, denied=denied)
            except Exception:  # noqa: BLE001 -- idem
                return BrokerFacts(transport, denied=denied)
        finally:
            connection.release()


def _collect_denied_commands(connection: Any, queue: str) -> frozenset[str]:
    """Commands that the user may not run, if the broker is a Redis that reports them."""
    if connection.transport.driver_type != "redis":
        return frozenset()
    try:
        client = connection.default_channel.client
        return collect_rights(client, UNNEEDED.union(*BROKER_RIGHTS.values()), queue).denied or frozenset()
    except Exception:  # noqa: BLE001 -- the next command meets the same error
        return frozenset()


def _collect_workers(app: Celery, connection: Any, queue: str, until: float) -> tuple[QueueWorker, ...] | None:
    """The workers that answer; ``None`` if the time is up before the longest wait."""
    nodes: list[str] = []
    for answers_s in ANSWERS_S:
        within_s = min(answers_s, until - time.monotonic())
        if within_s <= 0:
            return None
        nodes = sorted(
            node for node, queues in _broadcast(app, connection, "active_queues", within_s) if _has_queue(queues, queue)
        )
        if nodes:
            break
    else:
        return () if within_s == answers_s else None
    within_s = max(0.1, min(max(ANSWERS_S), until - time.monotonic()))
    answers = {
        node: answer
        for node, answer in _broadcast(app, connection, ABOUT, within_s, nodes)
        if isinstance(answer, Mapping) and "error" not in answer
    }
    return tuple(_read_worker(node, answers.get(node)) for node in nodes)


def _broadcast(
    app: Celery, connection: Any, command: str, within_s: float, nodes: list[str] | None = None
) -> list[tuple[str, Any]]:
    """Send one command and return the answers with their nodes. Two nodes with the same name (an error) both count."""
    options: dict[str, Any] = {} if nodes is None else {"destination": nodes, "limit": len(nodes)}
    replies = app.control.broadcast(command, reply=True, timeout=within_s, connection=connection, **options)
    return [pair for reply in replies or () for pair in reply.items()]


def _has_queue(queues: Any, name: str) -> bool:
    return isinstance(queues, list) and any(
        isinstance(queue, Mapping) and queue.get("name") == name for queue in queues
    )


def _read_worker(node: str, answer: Mapping[str, Any] | None) -> QueueWorker:
    if answer is None:
        return QueueWorker(node)
    targets = answer.get("targets")
    return QueueWorker(
        node,
        str(answer.get("version")),
        int(answer.get("lanes", 0)),
        tuple(map(str, answer.get("apps", ()))),
        {
            str(name): Target(str(one.get("app_id")), str(one.get("host")))
            for name, one in (targets.items() if isinstance(targets, Mapping) else ())
            if isinstance(one, Mapping)
        },
    )


def _describe_error(error: BaseException) -> str:
    """Describe an error without the URL, which may hold a secret."""
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
