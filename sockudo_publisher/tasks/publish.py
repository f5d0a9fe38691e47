"""The task ``sockudo_publisher.publish``: what applications call, and what programs without this package send.

``publish.delay`` appends to the journal in the caller's process, without a Celery message; with a countdown the event
waits in the journal's schedule until it is due. A canvas needs a message: the caller finishes the event, and the
message runs the append task (append.py). A message of
``publish`` itself carries raw arguments: Celery beat, ``send_task``, and the later steps of a chain send these.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NoReturn

from celery import Celery
from celery._state import _task_stack, get_current_worker_task
from celery.local import Proxy

from ..client.wire.extras import ExtrasLike
from ..config.settings import get_settings
from ..errors import ConfigurationError, JournalUnavailable
from ..publishing.call import PublishCall, bind
from ..publishing.prepare import Prepared, prepare
from ..publishing.store import remember_event, schedule_event, store_event
from ..redaction.frame_locals import without_locals
from ..wiring.app import App, app_named
from ..wiring.broker import bounded_send
from ..wiring.drain_task import add_drain_task
from ..wiring.fork_gate import inside_client
from ..wiring.private_celery import add_own_task, celery_app, queue_name
from .append import StoringTask, append, is_own_task
from .canvas_steps import find_unroutable_names
from .message import REFUSALS, FinishedEvent, write_event, write_refusal
from .options import (
    PUBLISH_TASK,
    PublishOptions,
    Way,
    check_due_before_expiry,
    check_options,
    choose_way,
    drop_refused_options,
    due_ms,
    expiry_ms,
    options_for_own_queue,
    refuse_expiry_before,
)
from .other_apps import (
    add_registered_app,
    check_registered,
    current_other_app,
    find_canvas_app,
    is_registered,
    route_options,
    task_of_app,
)
from .rescue import UNAVAILABLE, goes_on, without_event
from .result import PublishResult, ScheduledResult, StoredResult, eager_result
from .signature import HIDDEN, QuietSignature

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from celery.canvas import Signature
    from typing_extensions import Unpack

    from ..publishing.receipts import Receipt

__all__ = ["Publish", "publish", "register"]

#: Celery's own tasks that call another task's body, item by item.
_MAPS = frozenset({"celery.map", "celery.starmap"})


class Publish(StoringTask):
    """``publish(channel, event, data, *, key, socket_id, tags, extras, app, delta, user_id, collapse)``.

    - ``publish.delay(...)``: stores the event and returns at once; a worker delivers it.
    - ``await publish.adelay(...)``: the same from a coroutine.
    - ``publish.apply_async((...), countdown=, eta=, expires=, link=, link_error=)``: as in Celery. An event that is due
      later waits in the journal, and ``result.revoke()`` takes it back. ``link`` runs when the event is stored, with
      the message id. It needs :func:`register`, as chains, groups and chords do.
    - ``publish(...)``: sends the event now, in this process, and returns a :class:`Receipt`.

    ``channel`` is a name or a sequence of up to 100; ``None`` with ``user_id``, the signed-in user whose connections
    get the event. ``data`` is a ``str`` or ``bytes`` (UTF-8), sent unchanged, or any value that JSON can represent; at
    most ``SOCKUDO_MAX_EVENT_BYTES`` (10,240) as sent. ``key`` (1 to 128 bytes) is the caller's idempotency key, valid
    for ``SOCKUDO_KEY_TTL`` seconds. ``extras``, ``delta``: as of :class:`Event`.
    ``collapse`` (1 to 128 bytes): while the event waits unsent, a later one of the same channel and collapse key
    replaces it.

    Raises :class:`ValidationError` before anything is stored, :class:`IdempotencyConflict`, :class:`BacklogFull`, and
    :class:`JournalUnavailable` within two seconds if Redis is away, or the broker where a message is needed.
    """

    name = PUBLISH_TASK

    # -- called by applications ---------------------------------------------------------------------

    @without_locals
    def delay(
        self,
        channel: str | Sequence[str] | None,
        event: str,
        data: Any,
        *,
        key: str | None = None,
        collapse: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: ExtrasLike | None = None,
        app: str | None = None,
        delta: bool | None = None,
        user_id: str | None = None,
    ) -> PublishResult:
        """Store an event. ``result.id`` is its message id."""
        call = PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id, collapse)
        if self._eager_app() is not None:
            return self.apply_async((), call.kwargs())
        # As `apply_async` without options, and without the checks of options.
        owner = app_named(app)
        prepared = prepare(owner, call)
        try:
            store_event(owner, prepared)
        except UNAVAILABLE as error:
            if not goes_on():
                raise
            return without_event(owner.name, call.event, prepared, error)
        return StoredResult(prepared.message_id)

    @without_locals
    async def adelay(
        self,
        channel: str | Sequence[str] | None,
        event: str,
        data: Any,
        *,
        key: str | None = None,
        collapse: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: ExtrasLike | None = None,
        app: str | None = None,
        delta: bool | None = None,
        user_id: str | None = None,
    ) -> PublishResult:
        """As ``delay``, from a coroutine: awaits that the event is stored, and does not block the loop.

        All calls that come while Redis answers share the next append (group commit). The order of a channel is the
        order in which the calls of a loop begin to run. Raises what ``delay`` raises, in the same times, and
        :class:`BacklogFull` at once if 100,000 events or 64 MiB of this process wait. Cancelled before its append
        begins, nothing is stored; after that the event is stored, unless Redis fails: with ``key=`` the call can be
        repeated safely. Raises :class:`RuntimeError` without a running asyncio loop.
        """
        running_loop, astore_event = _async_store or _load_async_store()
        loop = running_loop("adelay")
        call = PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id, collapse)
        if self._eager_app() is not None:  # sent now, over HTTP
            context = copy_context()
            return await loop.run_in_executor(None, context.run, self.apply_async, (), call.kwargs())
        owner = app_named(app)
        prepared = prepare(owner, call)
        try:
            await astore_event(owner, prepared, loop)
        except UNAVAILABLE as error:
            if not goes_on():
                raise
            return without_event(owner.name, call.event, prepared, error)
        return StoredResult(prepared.message_id)

    @without_locals
    def apply_async(  # type: ignore[override]  # the options have names and types
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[PublishOptions],
    ) -> PublishResult:
        """Store an event now, or until it is due; or send it as a Celery message if an option needs one."""
        is_next_step = _is_next_step(options)
        try:
            result = self._store_or_send(args or (), kwargs or {}, check_options(options), is_next_step)
        except REFUSALS as error:
            if not is_next_step:
                raise
            # Raised here it would fail the task before, which has succeeded. The message fails `publish` instead.
            result = self._send_step(self.app, write_refusal(error), drop_refused_options(options))
        return result

    @without_locals
    def delay_on_commit(
        self,
        channel: str | Sequence[str] | None,
        event: str,
        data: Any,
        *,
        key: str | None = None,
        collapse: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: ExtrasLike | None = None,
        app: str | None = None,
        delta: bool | None = None,
        user_id: str | None = None,
        using: str | None = None,
        robust: bool = False,
    ) -> str:
        """As ``delay``, once Django's transaction has committed (docs/transactions.md). Returns the message id."""
        call = PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id, collapse)
        return self.apply_async_on_commit((), call.kwargs(), using=using, robust=robust)

    @without_locals
    def apply_async_on_commit(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        using: str | None = None,
        robust: bool = False,
        **options: Unpack[PublishOptions],
    ) -> str:
        """As ``apply_async``, once Django's transaction has committed: checked now, countdowns start at the commit."""
        from .on_commit import apply_async_on_commit

        return apply_async_on_commit(self, args or (), kwargs or {}, options, using=using, robust=robust)

    if TYPE_CHECKING:

        def __call__(
            self,
            channel: str | Sequence[str] | None,
            event: str,
            data: Any,
            *,
            key: str | None = None,
            collapse: str | None = None,
            socket_id: str | None = None,
            tags: Mapping[str, str] | None = None,
            extras: ExtrasLike | None = None,
            app: str | None = None,
            delta: bool | None = None,
            user_id: str | None = None,
        ) -> Receipt:
            """Send the event now, in this process, by ``run``."""

    else:

        @without_locals
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Send the event now, by ``run``."""
            # Celery's own calls `run`, in a frame that keeps the arguments. With a method of our own, Celery's tracer
            # calls it too: the first call for its request is the run of the message, as in Celery's worker.
            request = self.request_stack.top
            if request is not None and not request.called_directly and not request._protected:
                request._protected = 1
                return self.run(*args, **kwargs)
            return super().__call__(*args, **kwargs)

    # -- signatures ---------------------------------------------------------------------------------

    def signature(self, args: Any = None, *starargs: Any, **starkwargs: Any) -> Signature:
        """A signature that belongs to the app in which it is used, and prints no payload."""
        app = None if self.app is celery_app else self.app
        one = QuietSignature(self.name, args, *starargs, **{"app": app, **starkwargs})
        for name in ("argsrepr", "kwargsrepr"):
            one.options.setdefault(name, HIDDEN)
        return one

    subtask = signature

    def signature_from_request(self, request: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The signature of a retry: a message of the append task, in the same app and for the same task id."""
        return task_of_app(self.app, append).signature_from_request(request or self.request, *args, **kwargs)

    def map(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused: Celery would call the task's body in a worker, item by item, which would bypass the journal."""
        raise TypeError(
            "publish.map, .starmap and .chunks: not with publish; use publish_many, which stores any number of events"
        )

    starmap = chunks = map

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery's own looks the name up in the current app, which ours never is.
        return _unpickle, (self.app is not celery_app,)

    # -- which way an event goes --------------------------------------------------------------------

    def _store_or_send(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: dict[str, Any], is_next_step: bool
    ) -> PublishResult:
        call = bind(args, kwargs)
        app = app_named(call.app)
        way = choose_way(options, is_next_step=is_next_step)
        through = self._choose_app(way, options, is_next_step=is_next_step)
        eager = self._eager_app()
        if eager is not None:  # needs no Redis, not even its clock
            prepared = _prepare(app, call, {"task_id": options.get("task_id")})
            options = {"throw": eager.conf.task_eager_propagates, **options, "task_id": prepared.message_id}
            runner = self if is_registered(self.app) else publish
            return eager_result(runner.apply((), call.kwargs(), **options))
        try:
            return self._store_or_send_prepared(app, call, options, way, through, is_next_step=is_next_step)
        except UNAVAILABLE as error:
            if way is Way.CANVAS or not goes_on():
                raise
            known_id = error.message_id if isinstance(error, JournalUnavailable) else options.get("task_id")
            return without_event(app.name, call.event, prepare(app, call, message_id=known_id), error)

    def _store_or_send_prepared(
        self, app: App, call: PublishCall, options: dict[str, Any], way: Way, through: Celery, *, is_next_step: bool
    ) -> PublishResult:
        if way is Way.NOW:
            prepared = _prepare(app, call, options)
            store_event(app, prepared)
            return StoredResult(prepared.message_id)
        if way is Way.LATER:
            return _schedule(app, call, options)
        try:
            prepared = _prepare(app, call, options, is_keyed=True)
            remember_event(app, prepared)  # its message is sent in any case: other tasks wait for this one
        except JournalUnavailable:
            if not is_next_step:
                raise
            # The message waits for the journal. Its own expiry and the ledger's check at the append remain.
            prepared = _prepare(app, call, {"task_id": options.get("task_id")}, is_keyed=True)
        message = write_event(_finish(app, prepared))
        options = {**options, "task_id": prepared.message_id}
        if is_next_step:
            return self._send_step(through, message, options)
        return self._send(through, message, options)

    def check_call_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The checked options of a call that is made later. Raises the errors of that call now."""
        given = check_options(options)
        way = choose_way(given)
        if way is Way.LATER:
            check_due_before_expiry(given)
        through = self._choose_app(way, given, is_next_step=False)
        if through is not celery_app and self._eager_app() is None:
            route_options(through, self, given, may_raise=True)
        return given

    def _choose_app(self, way: Way, options: Mapping[str, Any], *, is_next_step: bool) -> Celery:
        """The app that sends the message. Raises for options that the caller cannot have."""
        if way is not Way.CANVAS:
            return celery_app
        app = find_canvas_app(self.app, options)
        if app is celery_app and not is_next_step:
            _check_next_tasks(options)
        return app

    def _eager_app(self) -> Celery | None:
        """The app with ``task_always_eager``, ours or the application's, if there is one."""
        if _is_own_app_eager():
            return celery_app
        # `self.app` binds a task to its app, at the price of a tenth of a call of `adelay`; ours is bound.
        own = celery_app if self._app is celery_app else self.app  # type: ignore[attr-defined]
        for app in (own, current_other_app()):
            if app is not None and app is not celery_app and app.conf.task_always_eager:
                return app
        return None

    def _send(self, app: Celery, message: dict[str, Any], options: Mapping[str, Any]) -> PublishResult:
        """Send an append message while a caller waits. Raises :class:`JournalUnavailable` within two seconds."""
        task, options = task_of_app(app, append), _message_options(app, options, may_raise=True)
        try:
            result: PublishResult = bounded_send(
                app,
                lambda producer: task.apply_async(
                    (), {"event": message}, **{**options, "retry": False, "producer": producer}
                ),
            )
        except JournalUnavailable as error:
            error.message_id = options.get("task_id")
            raise
        return result

    def _send_step(self, app: Celery, message: dict[str, Any], options: Mapping[str, Any]) -> PublishResult:
        """Send an append message from a worker: no caller waits, and Celery's own connection tries longer."""
        task, options = task_of_app(app, append), _message_options(app, options, may_raise=False)
        result: PublishResult = task.apply_async((), {"event": message}, **options)
        return result

    # -- run by Celery, or called directly ----------------------------------------------------------

    def apply(self, *args: Any, **options: Any) -> Any:
        """Celery's: run in this process, eagerly. Refused if the workers of the app could not run it."""
        check_registered(self.app)
        return super().apply(*args, **options)

    @without_locals
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Called directly: send now and return the receipt. In a worker: store. Eagerly: send now.

        A worker and an eager run return the message id, which the next tasks of a canvas get.
        """
        request = self.request
        if request.called_directly:
            _refuse_call_by_map(self)
            return _send_now(bind(args, kwargs), None)
        if request.is_eager:
            return _send_now(bind(args, kwargs), request.id).message_id
        with self.checking_next_steps():
            call = bind(args, kwargs)
            app = app_named(call.app)
            return self.store(_finish(app, _prepare(app, call, {"task_id": request.id})))


def _is_own_app_eager() -> bool:
    """``celery_app.conf.task_always_eager``, read by its one name in our own configuration.

    Celery tries its old names too, in each of its maps: 7 us of a call of 120 us.
    """
    for settings in celery_app.conf.maps:
        if "task_always_eager" in settings:
            return bool(settings["task_always_eager"])
    return False


def _prepare(app: App, call: PublishCall, options: Mapping[str, Any], *, is_keyed: bool = False) -> Prepared:
    message_id = options.get("task_id")
    expires = options.get("expires")
    expires_ms = 0
    if expires is not None:
        expires_ms = expiry_ms(expires, lambda: _ask_time(app, call, options))
    return prepare(app, call, message_id=message_id, expires_ms=expires_ms, is_keyed=is_keyed)


def _schedule(app: App, call: PublishCall, options: Mapping[str, Any]) -> PublishResult:
    """Keep an event in the journal until it is due; store it at once if it is due already."""
    check_due_before_expiry(options)
    prepared = prepare(app, call, message_id=options.get("task_id"), is_keyed=True)  # a bad event needs no Redis
    now_ms = _ask_time(app, call, {"task_id": prepared.message_id})
    due = due_ms(options, now_ms)
    if (expires := options.get("expires")) is not None:
        expires_ms = expiry_ms(expires, lambda: now_ms)
        refuse_expiry_before(due, expires_ms)
        prepared = prepared._replace(items=tuple([item._replace(expires_ms=expires_ms) for item in prepared.items]))
    if due <= now_ms:
        store_event(app, prepared)
        return StoredResult(prepared.message_id)
    schedule_event(app, prepared, due, now_ms=now_ms)
    return ScheduledResult(prepared.message_id, app.name)


def _ask_time(app: App, call: PublishCall, options: Mapping[str, Any]) -> int:
    """Redis' time in ms. Raises :class:`JournalUnavailable` with the event's message id."""
    try:
        return app.producer.now_ms()
    except JournalUnavailable as error:
        error.message_id, error.stored = call.key or options.get("task_id") or uuid.uuid4().hex, False
        raise


def _finish(app: App, prepared: Prepared) -> FinishedEvent:
    return FinishedEvent(get_settings().namespace, app.name, prepared)


def _message_options(app: Celery, options: Mapping[str, Any], *, may_raise: bool) -> dict[str, Any]:
    """The caller's options that an append message of this app takes."""
    if app is celery_app:
        return options_for_own_queue(options, queue_name())
    return route_options(app, publish, options, may_raise=may_raise)


def _check_next_tasks(options: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigurationError` for next tasks that our own worker could not send."""
    for kind in ("chain", "link", "link_error", "chord"):
        given = options.get(kind) or ()
        for step in given if isinstance(given, list | tuple) else (given,):
            if names := find_unroutable_names(step, is_own_task):
                raise ConfigurationError(
                    f"{kind}: no Celery app is known for {', '.join(names)}; call sockudo_publisher.register(app) "
                    "with the app of these tasks, or name their queue"
                )


def _refuse_call_by_map(task: Publish) -> None:
    """Raise if one of Celery's mapping tasks calls; it stands below this task on the stack."""
    if any(one.name in _MAPS for one in _task_stack.stack[-2:-1]):
        task.map()


def _unpickle(is_of_other_app: bool) -> Publish:
    """The ``publish`` of this process for an unpickled one."""
    app = current_other_app() if is_of_other_app else None
    return publish if app is None else task_of_app(app, publish)


def _is_next_step(options: Mapping[str, Any]) -> bool:
    """Whether a worker makes this call for a canvas, after the task before: there is no caller to raise to."""
    is_in_canvas = options.get("parent_id") is not None or options.get("reply_to") is not None
    return is_in_canvas and get_current_worker_task() is not None


#: What `adelay` needs of `publishing.async_store`, which `delay` never loads.
_async_store: tuple[Callable[[str], AbstractEventLoop], Callable[..., Coroutine[Any, Any, None]]] | None = None


def _load_async_store() -> tuple[Callable[[str], AbstractEventLoop], Callable[..., Coroutine[Any, Any, None]]]:
    global _async_store  # noqa: PLW0603 -- an import statement costs every call a microsecond
    with inside_client:  # forks wait for the import
        from ..publishing.async_store import astore_event, running_loop
    _async_store = running_loop, astore_event
    return _async_store


def _send_now(call: PublishCall, message_id: str | None) -> Receipt:
    with inside_client:  # forks wait for the import
        from ..publishing.direct import send_now
    return send_now(call, message_id)


publish: Publish = add_own_task(Publish())


def register(app: Celery) -> Publish:
    """Let the workers of another Celery app run ``publish``: they store the event.

    For applications whose chains, groups, chords and links mix ``publish`` with tasks of their own, or whose
    ``celery beat`` has it in its schedule. The messages go through that app, to the queue that it routes
    ``sockudo_publisher.publish`` to. Returns ``publish`` as a task of that app. Raises :class:`TypeError` for an
    object that is no Celery app.
    """
    if not isinstance(app, Celery):  # a proxy of one passes
        raise TypeError(f"register() expects a Celery app, got {type(app).__name__}")
    # `celery.current_app` is another app in each thread; the current one of this thread is meant.
    if isinstance(app, Proxy):
        app = app._get_current_object()
    if app is celery_app:
        return publish
    for task in (publish, append):
        theirs = task_of_app(app, task)
        # Not by `app.register_task`, which finalizes the app: its configuration may not be there yet.
        app._tasks.register(theirs)
        if app.finalized:
            theirs.bind(app)
    add_drain_task(app)
    add_registered_app(app)
    return task_of_app(app, publish)
