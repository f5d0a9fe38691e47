"""Which Celery app a call goes through: ours, or the application's own, whose tasks it stands among."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from celery import Celery, Task, current_app

from .celery_app import celery_app

__all__ = ["app_of_canvas", "bound_to", "foreign_app", "remember"]

_Task = TypeVar("_Task", bound=Task)

#: Our task as each other Celery app knows it.
_by_app: dict[Celery, Any] = {}

#: The apps that called `register`, the last one last.
_registered: list[Celery] = []


def foreign_app() -> Celery | None:
    """The application's own Celery app, if it has one; never ours.

    Celery knows the current app by thread: in the threads of a web server there is its stand-in, and
    the app that was registered counts.
    """
    current = current_app._get_current_object()
    if current is celery_app:
        return None
    if current.main == "default":
        return _registered[-1] if _registered else None
    return current


def remember(app: Celery) -> None:
    """An app has registered our task: where no app is current it is the one."""
    if app is not celery_app and app not in _registered:
        _registered.append(app)


def app_of_canvas(options: Mapping[str, Any]) -> Celery | None:
    """The app of the tasks that follow; ours is not looked for."""
    for name in ("chain", "link", "link_error", "chord"):
        given = options.get(name) or ()
        for one in given if isinstance(given, (list, tuple)) else (given,):
            app = getattr(one, "_app", None)
            if app is not None and app is not celery_app:
                return app
    return None


def bound_to(app: Celery, task: _Task) -> _Task:
    """Our task for calls through another app, whether its workers can run it (`register`) or not."""
    if app is celery_app:
        return task
    if app not in _by_app:
        # A class of its own: Celery binds a task's class to its app, and ours stays with ours.
        ours = type(task)
        kind: Any = type(ours.__name__, (ours,), {"__module__": ours.__module__, "__bound__": False, "_app": None})
        kind.bind(app)
        _by_app.setdefault(app, kind())
    return _by_app[app]  # type: ignore[no-any-return]
