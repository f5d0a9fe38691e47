"""The tasks that follow ``publish`` in a canvas that our own worker runs, and which of them it can send.

A canvas with other tasks belongs to the app that these live in (docs/celery.md). One that reaches our worker all
the same is stored, and what follows is sent if it is ours or names a queue. Our app has no route for anything
else: Celery would send it to our own queue, whose workers discard it. Such a step is replaced by one that writes
an error into the log where it would have been sent.

Decisions are functions of a signature's dictionary; facts: celery/canvas.py, celery/app/trace.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from celery.canvas import Signature

__all__ = ["UnsentStep", "names_without_queue", "sendable"]

logger = logging.getLogger("sockudo_publisher.steps")

#: Characters of a name that the log has; Celery's own are far shorter.
MAX_NAME_LENGTH = 200

#: Whether a task's name is one that our own worker runs.
IsOurs = Callable[[str], bool]

#: Celery's own tasks that run another one, which they have as the argument `task`.
_MAPS = frozenset({"celery.map", "celery.starmap", "celery.chunks"})


class UnsentStep(Signature):  # type: ignore[misc]
    """A step without a queue: sending it writes an error into the log, and does nothing else."""

    def clone(self, *_args: Any, **_kwargs: Any) -> UnsentStep:
        """A copy, which stays what it is."""
        return UnsentStep(self, app=self._app)

    partial = clone

    def apply_async(self, *_args: Any, chain: Sequence[Any] = (), parent_id: object = None, **_kwargs: Any) -> None:
        """Write the names of the tasks that are not run. `parent_id` is the task before: the event's message id."""
        names = [*task_names(self), *(name for step in reversed(chain) for name in task_names(step))]
        for name in dict.fromkeys(names):
            logger.error(
                "step not sent: it names no queue task=%s message_id=%s remedy=sockudo_publisher.register(app)",
                _printable(name),
                _printable(str(parent_id or "-")),
            )

    def delay(self, *_args: Any, **_kwargs: Any) -> None:
        """As Celery's, without arguments."""
        self.apply_async()


def names_without_queue(step: Any, is_ours: IsOurs) -> list[str]:
    """The tasks of a step that our app would have to send without knowing a queue for them. Pure."""
    if isinstance(step, str):
        return [] if is_ours(step) else [step]
    if not isinstance(step, Mapping):
        return [_kind_of(step)]
    if _names_queue(step):
        return []
    kind, arguments = step.get("subtask_type"), _arguments(step)
    if kind == "chain":
        # The worker of the first task sends the second one.
        return [
            name for first in list(arguments.get("tasks") or ())[:1] for name in names_without_queue(first, is_ours)
        ]
    if kind == "group":
        return _of_all(arguments.get("tasks"), is_ours)
    if kind == "chord":
        return _of_all([*_listed(arguments.get("header")), arguments.get("body")], is_ours)
    if step.get("task") in _MAPS:
        return names_without_queue(arguments.get("task") or {}, is_ours)
    name = str(step.get("task"))
    return [] if is_ours(name) else [name]


def sendable(step: Any, is_ours: IsOurs) -> Any:
    """The step as our worker may send it; an :class:`UnsentStep` where it must not. Of a group the others remain."""
    if not names_without_queue(step, is_ours):
        return step
    if not isinstance(step, Mapping | str):
        return UnsentStep(_kind_of(step))
    if isinstance(step, Mapping) and step.get("subtask_type") == "group":
        tasks = [sendable(task, is_ours) for task in _arguments(step)["tasks"]]
        return {**step, "kwargs": {**_arguments(step), "tasks": tasks}}
    return UnsentStep(step)


def task_names(step: Any) -> list[str]:
    """All tasks of a step, in their order. Pure."""
    if not isinstance(step, Mapping):
        return [str(step)] if isinstance(step, str) else []
    kind, arguments = step.get("subtask_type"), _arguments(step)
    if kind in ("chain", "group"):
        inner: Iterable[Any] = arguments.get("tasks") or ()
    elif kind == "chord":
        inner = [*_listed(arguments.get("header")), arguments.get("body")]
    elif step.get("task") in _MAPS:
        inner = [arguments.get("task")]
    else:
        return [str(step.get("task"))]
    return [name for one in inner for name in task_names(one)]


def _of_all(steps: Any, is_ours: IsOurs) -> list[str]:
    return [name for step in steps or () if step is not None for name in names_without_queue(step, is_ours)]


def _printable(text: str) -> str:
    """A name out of a message, as a log line takes it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_NAME_LENGTH])


def _arguments(step: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = step.get("kwargs")
    return arguments if isinstance(arguments, Mapping) else {}


def _kind_of(step: object) -> str:
    """Of what is no signature its type: a message may hold anything."""
    return f"(a {type(step).__name__})"


def _names_queue(step: Mapping[str, Any]) -> bool:
    options = step.get("options")
    return isinstance(options, Mapping) and any(options.get(name) for name in ("queue", "exchange", "routing_key"))


def _listed(header: Any) -> list[Any]:
    """A chord's header: its tasks, or a group of them."""
    if isinstance(header, Mapping):
        return [header]
    return list(header or ())
