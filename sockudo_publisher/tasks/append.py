"""The task ``sockudo_publisher.append``: stores a finished event. Its messages are made by ``publish``.

A canvas and a retry each carry the event as it will be stored, so the worker that runs the message appends bytes.
Canvases go to the workers of the application's Celery app.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded

from ..config.settings import get_settings
from ..errors import BacklogFull, ConfigurationError, JournalUnavailable
from ..publishing.store import store_event
from ..redaction import package_logger
from ..redaction.frame_locals import without_locals
from ..wiring.app import app_named
from ..wiring.drain_task import DRAIN_TASK
from ..wiring.private_celery import add_own_task, celery_app, queue_name
from ..wiring.stop import wait_or_stop
from .canvas_steps import replace_unsendable
from .celery_task import Task
from .message import FinishedEvent, read_event, write_event
from .options import APPEND_TASK, PUBLISH_TASK
from .signature import HIDDEN

__all__ = ["AppendTask", "StoringTask", "append", "is_own_task"]

logger = package_logger("sockudo_publisher.tasks")

#: The tasks of our own worker, beside Celery's own.
_OWN_TASKS = frozenset({PUBLISH_TASK, APPEND_TASK, DRAIN_TASK})

#: Characters of a received name that a text repeats.
MAX_NAME = 50

#: Seconds until a message whose event the journal did not take is tried again; random, so that not all come at once.
RETRY_S = (1.0, 2.5)

#: Seconds: the longest wait between two tries of a worker to hand on an event of another namespace.
OTHER_NAMESPACE_CAP_S = 60.0

#: Seconds between two warnings of one process about such events: each of them comes back again and again.
WARN_EVERY_S = 60.0


class OtherNamespace(ConfigurationError):
    """The event belongs to the journal of another ``SOCKUDO_NAMESPACE`` than this worker's."""


class StoringTask(Task):
    """How a worker stores an event: exactly once, for as long as it takes. Base of ``publish`` and ``append``."""

    typing = False
    serializer = "json"
    #: What a worker logs and answers about messages of this task. Loaded by workers alone.
    Request = "sockudo_publisher.tasks.request:QuietRequest"
    acks_late = True
    reject_on_worker_lost = True
    # A hard time limit returns the message to the broker. The second name is the one before Celery 5.7.
    acks_on_failure, acks_on_timeout = True, False
    acks_on_failure_or_timeout = False
    max_retries = None
    ignore_result = False
    track_started = False

    #: When this process last warned of an event of another namespace (monotonic seconds).
    _warned_at = -WARN_EVERY_S

    def store(self, event: FinishedEvent) -> str:
        """Append an event to the journal, once for this task's id. Returns the message id.

        Raises ``Retry`` while the journal cannot take it, ``Reject`` if the worker ends meanwhile,
        :class:`IdempotencyConflict`, and :class:`ConfigurationError` for an app that is not configured here.
        """
        while True:
            try:
                try:
                    _check_namespace(event)
                    # Under the task's id: a message that Celery delivers twice appends once.
                    store_event(app_named(event.app), event.prepared, once_key=self.request.id)
                except (JournalUnavailable, BacklogFull, OtherNamespace) as error:
                    self._retry_later(event, error)
                else:
                    return event.prepared.message_id
            except SoftTimeLimitExceeded:
                # A limit that the application has for all of its tasks. Celery raises it once; the event goes first.
                logger.warning(
                    "soft time limit ignored, storing goes on app=%s channel=%s event=%s message_id=%s",
                    *_names_of(event),
                )

    def _retry_later(self, event: FinishedEvent, error: Exception) -> None:
        """Send the same event back to the broker, with a delay. Raises ``Retry``.

        Returns after the delay if the broker takes no message (it may be the same Redis, and full): Celery would drop
        the event then, and a rejected message ends the worker. The event waits in its slot until the worker stops;
        the sweep drains outside the slots meanwhile.
        """
        retries = self.request.retries
        wait_s = random.uniform(*RETRY_S)
        if isinstance(error, OtherNamespace):
            wait_s = min(OTHER_NAMESPACE_CAP_S, 2.0 ** min(retries, 10))
            self._warn_of_namespace(event, wait_s)
        again = {"event": write_event(event)}
        try:
            # The number is given here because an application's `task_annotations` may limit the retries of all tasks.
            raise self.retry(args=(), kwargs=again, exc=error, countdown=wait_s, max_retries=sys.maxsize) from None
        except Reject as no_broker:
            logger.warning(
                "event not stored and the broker takes no message, waiting in the slot app=%s channel=%s event=%s "
                "message_id=%s seconds=%.1f: %s",
                *(*_names_of(event), wait_s, error),
            )
            if wait_or_stop(wait_s):
                raise Reject(no_broker.reason, requeue=True) from None

    def _warn_of_namespace(self, event: FinishedEvent, wait_s: float) -> None:
        now = time.monotonic()
        if now - StoringTask._warned_at < WARN_EVERY_S:
            return
        StoringTask._warned_at = now
        logger.warning(
            "event of another namespace not stored, retried until a worker of that namespace takes it "
            "namespace=%r worker_namespace=%r app=%r message_id=%s retry_s=%.0f remedy=SOCKUDO_NAMESPACE",
            event.namespace[:MAX_NAME],
            get_settings().namespace,
            event.app[:MAX_NAME],
            event.prepared.message_id,
            wait_s,
        )

    @contextmanager
    def checking_next_steps(self) -> Iterator[None]:
        """Run the task's body, then replace the next tasks that our own worker cannot send."""
        try:
            yield
        except (Retry, Reject):
            raise
        except Exception:
            self._replace_unsendable("errbacks", "chord")
            raise
        self._replace_unsendable("callbacks", "chain", "chord")

    def _replace_unsendable(self, *kinds: str) -> None:
        if self.app is not celery_app:
            return  # the application's worker knows its own tasks
        for kind in kinds:
            steps = getattr(self.request, kind, None)
            if isinstance(steps, Mapping):  # the body of a chord
                setattr(self.request, kind, replace_unsendable(steps, is_own_task))
            elif steps:
                setattr(self.request, kind, [replace_unsendable(step, is_own_task) for step in steps])


class AppendTask(StoringTask):
    """``append(event)``: store a finished event. Not for callers: use ``publish``."""

    name = APPEND_TASK

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Celery's, by the route of ``publish``. No header shows the payload."""
        if self.app is celery_app:
            options = {"queue": queue_name(), **options}
        route_name = options.pop("route_name", None) or PUBLISH_TASK
        options |= {"route_name": route_name, "argsrepr": HIDDEN, "kwargsrepr": HIDDEN}
        return super().apply_async(args, kwargs, **options)

    @without_locals
    def run(self, event: object = None) -> str:
        """Store the event of a message. Returns its message id.

        Raises what :func:`read_event` and :meth:`store` raise.
        """
        with self.checking_next_steps():
            return self.store(read_event(event))


def _names_of(event: FinishedEvent) -> tuple[str, str, str, str]:
    """App, channels, event name and message id, for a log line."""
    items = event.prepared.items
    try:
        name = str(json.loads(items[0].body)["name"])
    except (ValueError, LookupError, TypeError, RecursionError):
        name = "-"
    return event.app, ",".join(item.channel for item in items), name, event.prepared.message_id


def is_own_task(name: str) -> bool:
    """Whether our own worker runs this task. In a caller's process our app also has Celery's shared tasks."""
    return name in _OWN_TASKS or name.startswith("celery.")


def _check_namespace(event: FinishedEvent) -> None:
    """Raise :class:`OtherNamespace` if another journal than this process' is meant.

    Stored here the event would wait where no worker looks for it, or another deployment would deliver it. The event
    is retried instead: a worker of its own namespace may read the same queue, or start later. To fail would lose the
    event, and to reject it would return it to this worker at once, in a busy loop.
    """
    here = get_settings().namespace
    if event.namespace != here:
        raise OtherNamespace(
            f"SOCKUDO_NAMESPACE: the event is of namespace {event.namespace[:MAX_NAME]!r}, "
            f"this worker's is {here!r}; set the same value for callers and workers"
        )


append: AppendTask = add_own_task(AppendTask())
