"""The next tasks of a canvas that our own worker runs, and which of them it can send.

A canvas with tasks of an application belongs to the application's app (docs/celery.md). If it reaches our worker all
the same, the event is stored, and a next task is sent if it is one of this package or names a queue. Our app has no
route for other tasks: Celery would send them to our own queue, whose workers discard them. Such a step is replaced by
one that logs an error instead of being sent.

Decisions are functions of a signature's dictionary. Sources: celery/canvas.py, celery/app/trace.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from celery.canvas import Signature

from ..redaction import package_logger, printable

__all__ = ["UnsentStep", "find_unroutable_names", "replace_unsendable", "task_names"]

logger = package_logger("sockudo_publisher.steps")

#: Characters of a name that a log line shows; Celery's own names are far shorter.
MAX_NAME_LENGTH = 200

#: Whether our own worker runs a task of this name.
IsOurs = Callable[[str], bool]

#: Celery's own tasks that run another one: their argument `task`.
_MAPS = frozenset({"celery.map", "celery.starmap", "celery.chunks"})


class UnsentStep(Signature):  # type: ignore[misc]
    """A step without a queue: sending it logs an error and does nothing else."""

    def clone(self, *_args: Any, **_kwargs: Any) -> UnsentStep:
        """A copy of the same kind."""
        return UnsentStep(self, app=self._app)

    partial = clone

    def apply_async(self, *_args: Any, chain: Sequence[Any] = (), parent_id: object = None, **_kwargs: Any) -> None:
        """Log the names of the tasks that are not run. `parent_id`: the event's message id."""
        names = [*task_names(self), *(name for step in reversed(chain) for name in task_names(step))]
        for name in dict.fromkeys(names):
            logger.error(
                "step not sent: it names no queue task=%s message_id=%s remedy=sockudo_publisher.register(app)",
                printable(name[:MAX_NAME_LENGTH]),
                printable(str(parent_id or "-")[:MAX_NAME_LENGTH]),
            )

    def delay(self, *_args: Any, **_kwargs: Any) -> None:
        """Celery's, without arguments."""
        self.apply_async()


def find_unroutable_names(step: Any, is_ours: IsOurs) -> list[str]:
    """The names of the step's tasks for which our app knows no queue. Pure."""
    if isinstance(step, str):
        return [] if is_ours(step) else [step]
    if not isinstance(step, Mapping):
        return [_type_name(step)]
    if _has_queue(step):
        return []
    kind, arguments = step.get("subtask_type"), _arguments(step)
    if kind == "chain":
        # The worker of the first task sends the second one.
        return [
            name for first in list(arguments.get("tasks") or ())[:1] for name in find_unroutable_names(first, is_ours)
        ]
    if kind == "group":
        return _find_in_all(arguments.get("tasks"), is_ours)
    if kind == "chord":
        return _find_in_all([*_as_list(arguments.get("header")), arguments.get("body")], is_ours)
    if step.get("task") in _MAPS:
        return find_unroutable_names(arguments.get("task") or {}, is_ours)
    name = str(step.get("task"))
    return [] if is_ours(name) else [name]


def replace_unsendable(step: Any, is_ours: IsOurs) -> Any:
    """The step if our worker can send it, else an :class:`UnsentStep`. In a group each task is replaced by itself."""
    if not find_unroutable_names(step, is_ours):
        return step
    if not isinstance(step, Mapping | str):
        return UnsentStep(_type_name(step))
    if isinstance(step, Mapping) and step.get("subtask_type") == "group":
        tasks = [replace_unsendable(task, is_ours) for task in _arguments(step)["tasks"]]
        return {**step, "kwargs": {**_arguments(step), "tasks": tasks}}
    return UnsentStep(step)


def task_names(step: Any) -> list[str]:
    """The names of all tasks of a step, in their order. Pure."""
    if not isinstance(step, Mapping):
        return [str(step)] if isinstance(step, str) else []
    kind, arguments = step.get("subtask_type"), _arguments(step)
    if kind in ("chain", "group"):
        inner: Iterable[Any] = arguments.get("tasks") or ()
    elif kind == "chord":
        inner = [*_as_list(arguments.get("header")), arguments.get("body")]
    elif step.get("task") in _MAPS:
        inner = [arguments.get("task")]
    else:
        return [str(step.get("task"))]
    return [name for one in inner for name in task_names(one)]


def _find_in_all(steps: Any, is_ours: IsOurs) -> list[str]:
    return [name for step in steps or () if step is not None for name in find_unroutable_names(step, is_ours)]


def _arguments(step: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = step.get("kwargs")
    return arguments if isinstance(arguments, Mapping) else {}


def _type_name(step: object) -> str:
    """The type of a step that is no signature: a message may contain any value."""
    return f"(a {type(step).__name__})"


def _has_queue(step: Mapping[str, Any]) -> bool:
    options = step.get("options")
    return isinstance(options, Mapping) and any(options.get(name) for name in ("queue", "exchange", "routing_key"))


def _as_list(header: Any) -> list[Any]:
    """A chord's header as a list: it is a list of tasks, or a group."""
    if isinstance(header, Mapping):
        return [header]
    return list(header or ())
