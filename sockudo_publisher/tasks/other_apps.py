"""Chooses the Celery app that sends a message: this package's own, or the application's, if its tasks are involved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from celery import Celery, Task, _state, current_app
from kombu.exceptions import SerializerNotInstalled
from kombu.serialization import prepare_accept_content, registry

from ..errors import ConfigurationError
from ..wiring.private_celery import celery_app, queue_name
from .options import options_for_other_app, sends_to_queue

__all__ = [
    "add_registered_app",
    "check_registered",
    "current_other_app",
    "find_canvas_app",
    "find_signature_app",
    "is_registered",
    "route_options",
    "task_of_app",
]

_Task = TypeVar("_Task", bound=Any)

#: Options that say where a message goes.
DESTINATION = ("queue", "exchange", "exchange_type", "routing_key")

#: Our tasks as each other Celery app has them, by app and task name.
_by_app: dict[tuple[Celery, str], Any] = {}

#: The apps that called `register`, in their order.
_registered: list[Celery] = []


def current_other_app() -> Celery | None:
    """The application's current Celery app, if it has one; never ours.

    Celery keeps the current app per thread. In other threads, as those of a web server, it is Celery's default app;
    there the app that was registered last counts. Called by each `publish.delay`.
    """
    current = _state.get_current_app()
    if current is celery_app:
        return None
    if not _is_default_app(current):
        return current
    return _registered[-1] if _registered else None


def find_signature_app() -> Celery:
    """The app of a `publish` signature: the application's, which may be current in another thread; else ours."""
    current = current_other_app()
    if current is None and current_app._get_current_object() is not celery_app:
        current = next((app for app in list(_state._get_active_apps()) if _was_current(app)), None)
    return current or celery_app


def is_registered(app: Celery) -> bool:
    """Whether the workers of this app can run our tasks."""
    return app is celery_app or app in _registered


def add_registered_app(app: Celery) -> None:
    """Note that an app has our tasks. Threads without a current app use the last one."""
    if app is not celery_app and app not in _registered:
        _registered.append(app)


def find_canvas_app(task_app: Celery, options: Mapping[str, Any]) -> Celery:
    """The app that sends a `publish` message of a canvas.

    The app of the task itself, else that of a next task, else the application's, else ours. Raises
    :class:`ConfigurationError` if the workers of that app cannot run `publish`.
    """
    app = task_app
    if app is celery_app:
        app = _app_of_next_tasks(options) or find_signature_app()
    check_registered(app)
    return app


def check_registered(app: Celery) -> None:
    """Raise :class:`ConfigurationError` if the workers of this app cannot run `publish`."""
    if not is_registered(app):
        raise ConfigurationError(
            f"publish in a chain, group, chord or link of the Celery app {app.main!r}: its workers cannot run it; "
            "call sockudo_publisher.register(app) where the app is made"
        )


def route_options(app: Celery, task: Task, options: Mapping[str, Any], *, may_raise: bool) -> dict[str, Any]:
    """The options of a message of another app. Checks its route and its serializer.

    Raises :class:`ConfigurationError` if ``may_raise``, when the app routes `publish` to our queue or its workers do
    not read the serializer, and Celery's own error for a queue that the app does not have. Without ``may_raise`` the
    message goes to the app's default queue, with its default serializer.
    """
    given = options_for_other_app(options)
    if sends_to_queue(given, queue_name()):
        for name in DESTINATION:
            given.pop(name, None)
    if not _is_read_by(app, given.setdefault("serializer", app.conf.task_serializer)):
        if may_raise:
            raise ConfigurationError(
                f"serializer: the workers of the Celery app {app.main!r} do not read it (accept_content)"
            )
        given["serializer"] = app.conf.task_serializer
    destination = {name: given[name] for name in DESTINATION if name in given}
    route = app.amqp.router.route(destination, given.get("route_name") or task.name, (), {}, task)
    if sends_to_queue(route, queue_name()):
        if may_raise:
            raise ConfigurationError(
                f"publish in a chain, group, chord or link of the Celery app {app.main!r}: it would go to "
                f"{queue_name()!r}, the queue of this package's own workers (task_routes, task_default_queue); "
                "name another queue"
            )
        given["queue"] = app.conf.task_default_queue
    return given


def task_of_app(app: Celery, task: _Task) -> _Task:
    """Our task for calls through another app, whether its workers can run it (`register`) or not."""
    if app is celery_app:
        return task
    place = app, task.name
    if place not in _by_app:
        # A class of its own: Celery binds a task's class to its app, and ours stays bound to our app. It is bound at
        # the first use or when the app is finalized, so that the app's configuration is not read too early.
        kind: Any = type(task)
        attributes = {"__module__": kind.__module__, "__bound__": False, "_app": app}
        _by_app.setdefault(place, type(kind.__name__, (kind,), attributes)())
    return _by_app[place]  # type: ignore[no-any-return]


def _app_of_next_tasks(options: Mapping[str, Any]) -> Celery | None:
    """The app of the next tasks, if it is another one than ours."""
    for name in ("chain", "link", "link_error", "chord"):
        given = options.get(name) or ()
        for one in given if isinstance(given, (list, tuple)) else (given,):
            app = getattr(one, "_app", None)
            # A shared task used in a thread without an app belongs to Celery's default app.
            if app is not None and app is not celery_app and not _is_default_app(app):
                return app
    return None


def _is_read_by(app: Celery, serializer: str) -> bool:
    """Whether the workers of an app read messages of this serializer."""
    try:
        accepted: frozenset[str] = prepare_accept_content(app.conf.accept_content)  # type: ignore[no-untyped-call]
    except SerializerNotInstalled:
        return False
    return registry.name_to_type.get(serializer, serializer) in accepted


def _is_default_app(app: Celery) -> bool:
    """Whether Celery made this app itself, in a thread without one."""
    return app.main == "default" and not app.set_as_current and app not in _registered


def _was_current(app: Celery) -> bool:
    return app is not celery_app and bool(app.set_as_current) and not _is_default_app(app)
