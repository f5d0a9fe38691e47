"""Which Celery app a message goes through: ours, or the application's own, whose tasks it stands among."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from celery import Celery, Task, _state, current_app
from kombu.exceptions import SerializerNotInstalled
from kombu.serialization import prepare_accept_content, registry

from ..errors import ConfigurationError
from ..wiring.private_celery import celery_app, queue_name
from .options import for_another_app, names_queue

__all__ = [
    "app_of_canvas",
    "app_of_signatures",
    "bound_to",
    "check_registered",
    "foreign_app",
    "is_registered",
    "remember",
    "routed",
]

_Task = TypeVar("_Task", bound=Task)

#: What says where a message goes.
DESTINATION = ("queue", "exchange", "exchange_type", "routing_key")

#: Our task as each other Celery app knows it.
_by_app: dict[Celery, Any] = {}

#: The apps that called `register`, the last one last.
_registered: list[Celery] = []


def foreign_app() -> Celery | None:
    """The application's own current Celery app, if it has one; never ours.

    Celery knows the current app by thread: in the threads of a web server there is its stand-in, and
    the app that was registered last counts. Each call of `publish.delay` asks.
    """
    current = current_app._get_current_object()
    if current is celery_app:
        return None
    if not _is_stand_in(current):
        return current
    return _registered[-1] if _registered else None


def app_of_signatures() -> Celery:
    """The app that signatures of `publish` belong to: the application's, which may be current in another thread."""
    current = foreign_app()
    if current is None and current_app._get_current_object() is not celery_app:
        current = next((app for app in list(_state._get_active_apps()) if _was_current(app)), None)
    return current or celery_app


def is_registered(app: Celery) -> bool:
    """Whether its workers can run our task."""
    return app is celery_app or app in _registered


def remember(app: Celery) -> None:
    """An app has registered our task: where no app is current it is the one."""
    if app is not celery_app and app not in _registered:
        _registered.append(app)


def app_of_canvas(task_app: Celery, options: Mapping[str, Any]) -> Celery:
    """The app that a message among other tasks goes through.

    The task's own; else that of a following task; else the application's; ours where it has none. Raises
    :class:`ConfigurationError` where the workers of that app cannot run `publish`.
    """
    app = task_app
    if app is celery_app:
        app = _app_of_steps(options) or app_of_signatures()
    check_registered(app)
    return app


def check_registered(app: Celery) -> None:
    """Raise :class:`ConfigurationError` where the workers of this app cannot run `publish`."""
    if not is_registered(app):
        raise ConfigurationError(
            f"publish in a chain, group, chord or link of the Celery app {app.main!r}: its workers cannot run it; "
            "call sockudo_publisher.register(app) where the app is made"
        )


def routed(app: Celery, task: Task, options: Mapping[str, Any], *, may_raise: bool) -> dict[str, Any]:
    """The options of a message for another app: its route, never our queue; its serializer.

    Raises :class:`ConfigurationError` if ``may_raise``, where the app routes `publish` to our queue or reads no
    message of that serializer, and what Celery raises for a queue that the app does not have.
    """
    given = for_another_app(options)
    if names_queue(given, queue_name()):
        for name in DESTINATION:
            given.pop(name, None)
    if not _is_read_by(app, given.setdefault("serializer", app.conf.task_serializer)):
        if may_raise:
            raise ConfigurationError(
                f"serializer: the workers of the Celery app {app.main!r} do not read it (accept_content)"
            )
        given["serializer"] = app.conf.task_serializer
    destination = {name: given[name] for name in DESTINATION if name in given}
    route = app.amqp.router.route(destination, task.name, (), {}, task)
    if names_queue(route, queue_name()):
        if may_raise:
            raise ConfigurationError(
                f"publish in a chain, group, chord or link of the Celery app {app.main!r}: it would go to "
                f"{queue_name()!r}, the queue of this package's own workers (task_routes, task_default_queue); "
                "name another queue"
            )
        given["queue"] = app.conf.task_default_queue
    return given


def bound_to(app: Celery, task: _Task) -> _Task:
    """Our task for calls through another app, whether its workers can run it (`register`) or not."""
    if app is celery_app:
        return task
    if app not in _by_app:
        # A class of its own: Celery binds a task's class to its app, and ours stays with ours. It is bound when it
        # is first used or the app is finalized, so that nothing reads the app's configuration before it is there.
        ours = type(task)
        attributes = {"__module__": ours.__module__, "__bound__": False, "_app": app}
        kind: Any = type(ours.__name__, (ours,), attributes)
        _by_app.setdefault(app, kind())
    return _by_app[app]  # type: ignore[no-any-return]


def _app_of_steps(options: Mapping[str, Any]) -> Celery | None:
    """The app of the tasks that follow; ours is not looked for."""
    for name in ("chain", "link", "link_error", "chord"):
        given = options.get(name) or ()
        for one in given if isinstance(given, (list, tuple)) else (given,):
            app = getattr(one, "_app", None)
            # A shared task that is used in a thread without an app belongs to Celery's stand-in.
            if app is not None and app is not celery_app and not _is_stand_in(app):
                return app
    return None


def _is_read_by(app: Celery, serializer: str) -> bool:
    """Whether the workers of an app read messages of this serializer."""
    try:
        accepted: frozenset[str] = prepare_accept_content(app.conf.accept_content)  # type: ignore[no-untyped-call]
    except SerializerNotInstalled:
        return False
    return registry.name_to_type.get(serializer, serializer) in accepted


def _is_stand_in(app: Celery) -> bool:
    """Whether this is what Celery makes where a thread has no app."""
    return app.main == "default" and not app.set_as_current and app not in _registered


def _was_current(app: Celery) -> bool:
    return app is not celery_app and bool(app.set_as_current) and not _is_stand_in(app)
