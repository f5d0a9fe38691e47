"""The Celery face: ``publish`` and ``drain``.

``publish.delay`` appends to the journal in the caller's process: no Celery message per event. What
needs a message carries the finished item; the worker that runs it appends, under the task's id. A countdown
goes to our own workers, a canvas (chain, group, chord, link) through the app whose tasks it stands among.
"""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from celery import Celery, Task
from celery._state import _task_stack, get_current_worker_task
from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded
from celery.local import Proxy
from celery.result import AsyncResult

from ..client.wire.limits import check_channels, check_id, check_tags
from ..config.settings import get_settings
from ..delivery.backoff import backoff_s
from ..errors import BacklogFull, ConfigurationError, JournalUnavailable, ValidationError
from ..publishing.call import PublishCall, bind
from ..publishing.prepare import Prepared, prepare
from ..publishing.receipts import Receipt
from ..publishing.store import schedule_event, store_event
from ..wiring.app import App, app_named
from ..wiring.broker import bounded_send
from ..wiring.celery_isolation import PACKAGE, chosen_app, end_with_usage
from ..wiring.doorbell import DRAIN_TASK, doorbell
from ..wiring.private_celery import celery_app, configured, queue_name
from ..workerapp import run_drain as draining
from .canvas_steps import names_without_queue, sendable
from .message import FINISHED, REFUSALS, from_message, refusal, refused, ring_from, to_message
from .options import Way, check_destination, checked, expiry_ms, for_our_queue, way_of, without_refused
from .other_apps import app_of_canvas, bound_to, check_registered, foreign_app, is_registered, remember, routed
from .result import StoredResult, later_result, sent_result
from .signature import HIDDEN, QuietSignature

__all__ = ["PublishTask", "drain", "publish", "register"]

logger = logging.getLogger("sockudo_publisher.tasks")

#: Celery's own tasks that call another task's body, item by item.
_MAPS = frozenset({"celery.map", "celery.starmap"})

#: The tasks of our own worker, beside Celery's own.
_OURS = frozenset({"sockudo_publisher.publish", DRAIN_TASK})


class _NoApp(Task):  # type: ignore[misc]
    """A task that ``celery -A`` names in place of an app ends the command with one line."""

    @property
    def user_options(self) -> NoReturn:
        """No task has them. The ``celery`` command reads them from what ``-A`` names: end it with a usage line."""
        if chosen := chosen_app():
            end_with_usage(f"-A {chosen}: a task, not an app; use -A {PACKAGE}")
        raise AttributeError("user_options")


class PublishTask(_NoApp):
    """``publish(channel, event, data, *, key=None, socket_id=None, tags=None, extras=None, app=None)``.

    - ``publish.delay(...)``: stores the event and returns at once; a worker delivers it.
    - ``publish.apply_async((...), countdown=, eta=, expires=, link=, link_error=)``: as in Celery.
      ``link`` fires when the event is stored, with the message id. It needs :func:`register`, as chains,
      groups and chords do.
    - ``publish(...)``: sends it now, in this process, and returns a :class:`Receipt`.

    ``channel`` is a name or a sequence of up to 100; ``data`` a ``str`` or ``bytes`` (UTF-8), sent as it
    is, or anything JSON can hold, at most ``SOCKUDO_MAX_EVENT_BYTES`` (10,240) as sent. ``key`` (1..128
    bytes) is the caller's own idempotency key, remembered for ``SOCKUDO_KEY_TTL``.

    Raises :class:`ValidationError` before anything is stored, :class:`IdempotencyConflict`,
    :class:`BacklogFull`, and :class:`JournalUnavailable` within two seconds when Redis is away, or the
    broker where a message is needed.
    """

    name = "sockudo_publisher.publish"
    typing = False
    serializer = "json"
    acks_late = True
    reject_on_worker_lost = True
    # A hard time limit gives the message back; the second name is Celery's before 5.7, which asks for no reason.
    acks_on_failure, acks_on_timeout = True, False
    acks_on_failure_or_timeout = False
    max_retries = None
    ignore_result = False
    track_started = False

    # -- called by applications ---------------------------------------------------------------------

    def delay(
        self,
        channel: str | Sequence[str],
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        app: str | None = None,
    ) -> AsyncResult:
        """Store an event. ``result.id`` is its message id."""
        call = PublishCall(channel, event, data, key, socket_id, tags, extras, app)
        if self._eager_app() is not None:
            return self.apply_async((), call.kwargs())
        # The same as apply_async without options, without the looks at them.
        owner = app_named(app)
        prepared = prepare(owner, call)
        store_event(owner, prepared)
        return StoredResult(prepared.message_id)

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """Store an event now, or send it as a Celery message where an option needs one."""
        if isinstance(kwargs, Mapping) and FINISHED & kwargs.keys():  # a retry, or a message that is sent on
            return self._send_again(dict(kwargs), {name: given for name, given in options.items() if given is not None})
        is_next_step = _is_next_step(options)
        try:
            return self._store_or_send(args or (), kwargs or {}, checked(options), is_next_step)
        except REFUSALS as error:
            if not is_next_step:
                raise
            # Raised here it would fail the task before, which has done its work.
            return self._send_step(self.app, {"refused": refusal(error)}, without_refused(options))

    def _store_or_send(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: dict[str, Any], is_next_step: bool
    ) -> AsyncResult:
        call = bind(args, kwargs)
        app = app_named(call.app)
        way = way_of(options, is_next_step=is_next_step)
        through = self._checked_way(way, options, is_next_step=is_next_step)
        eager = self._eager_app()
        if eager is not None:  # needs no Redis, so its time is not asked
            prepared = _prepare(app, call, {"task_id": options.get("task_id")})
            options = {"throw": eager.conf.task_eager_propagates, **options, "task_id": prepared.message_id}
            runs_it = self if is_registered(self.app) else publish
            return sent_result(runs_it.apply((), call.kwargs(), **options))
        if way is Way.NOW:
            prepared = _prepare(app, call, options)
            store_event(app, prepared)
            return StoredResult(prepared.message_id)
        try:
            prepared = _prepare(app, call, options, is_keyed=True)
            # Stored already: nothing is sent, unless other tasks wait for this one.
            if not schedule_event(app, prepared) and way is Way.LATER:
                return StoredResult(prepared.message_id)
        except JournalUnavailable:
            if not is_next_step:
                raise
            # The message waits for the journal; its own expiry and the append's look at the ledger remain.
            prepared = _prepare(app, call, {"task_id": options.get("task_id")}, is_keyed=True)
        message = {"prepared": to_message(app, prepared)}
        options = {**options, "task_id": prepared.message_id}
        if is_next_step:
            return self._send_step(through, message, options)
        if way is Way.LATER:
            # Its result is in our backend: another app looks for the children of its task in its own.
            options["add_to_parent"] = False
            return later_result(self._send(through, message, options))
        return self._send(through, message, options)

    def checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a call that is made later. Raises now what they would be refused with then."""
        given = checked(options)
        through = self._checked_way(way_of(given), given, is_next_step=False)
        if through is not celery_app and self._eager_app() is None:
            routed(through, publish, given, may_raise=True)
        return given

    def _checked_way(self, way: Way, options: Mapping[str, Any], *, is_next_step: bool) -> Celery:
        """The app that a message goes through. Raises what the caller is refused with."""
        if way is Way.LATER:
            check_destination(options, queue_name())
        if way is not Way.CANVAS:
            return celery_app
        app = app_of_canvas(self.app, options)
        if app is celery_app and not is_next_step:
            _check_steps(options)
        return app

    def signature(self, args: Any = None, *starargs: Any, **starkwargs: Any) -> Any:
        """A signature that belongs to the app it is used in, and shows no payload."""
        app = None if self.app is celery_app else self.app
        one = QuietSignature(self.name, args, *starargs, **{"app": app, **starkwargs})
        for name in ("argsrepr", "kwargsrepr"):
            one.options.setdefault(name, HIDDEN)
        return one

    subtask = signature

    def signature_from_request(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's, for a retry: it goes the way that its message came."""
        one = super().signature_from_request(*args, **kwargs)
        one._app = self.app
        return one

    def _refuse_to_map(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Celery would call the task's body in a worker, item by item, which would send past the journal."""
        raise TypeError(
            "publish.map, .starmap and .chunks: not with publish; use publish_many, which stores any number of events"
        )

    map = starmap = chunks = _refuse_to_map

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery's own looks for the name in the current app, which ours never is.
        return _in_this_process, (self.app is not celery_app,)

    if TYPE_CHECKING:

        def __call__(
            self,
            channel: str | Sequence[str],
            event: str,
            data: Any,
            *,
            key: str | None = None,
            socket_id: str | None = None,
            tags: Mapping[str, str] | None = None,
            extras: Mapping[str, Any] | None = None,
            app: str | None = None,
        ) -> Receipt:
            """Celery's own; what `run` answers to it."""

    def _eager_app(self) -> Celery | None:
        """The app that is told to run its tasks where they are called, ours or the application's."""
        if _ours_is_eager():
            return celery_app
        for app in (self.app, foreign_app()):  # the task's app is mostly ours
            if app is not None and app is not celery_app and app.conf.task_always_eager:
                return app
        return None

    def _send(self, app: Celery, kwargs: dict[str, Any], options: Mapping[str, Any]) -> AsyncResult:
        """As a message through this app, while a caller waits."""
        task, options = bound_to(app, publish), _message_options(app, options, may_raise=True)
        try:
            return bounded_send(
                app,
                lambda producer: task._send_as_celery(kwargs, {**options, "retry": False, "producer": producer}),
            )
        except JournalUnavailable as error:
            error.message_id = options.get("task_id")
            raise

    def _send_step(self, app: Celery, kwargs: dict[str, Any], options: Mapping[str, Any]) -> AsyncResult:
        """As a message through this app, from its worker: no caller waits, and Celery's own way is the more patient."""
        task, options = bound_to(app, publish), _message_options(app, options, may_raise=False)
        return task._send_as_celery(kwargs, options)

    def _send_again(self, kwargs: dict[str, Any], options: Mapping[str, Any]) -> AsyncResult:
        """As a message to the queue that it came from."""
        if self.app is celery_app:
            configured()
        options = {"queue": queue_name(), **options} if self.app is celery_app else dict(options)
        return self._send_as_celery(kwargs, {**options, "argsrepr": HIDDEN, "kwargsrepr": HIDDEN})

    def _send_as_celery(self, kwargs: dict[str, Any], options: dict[str, Any]) -> AsyncResult:
        return super().apply_async((), kwargs, **options)

    def apply(self, *args: Any, **options: Any) -> Any:
        """Celery's: run here and now, by itself or in an eager canvas. Refused where a worker would not know it."""
        check_registered(self.app)
        return super().apply(*args, **options)

    # -- run by Celery, or called directly ----------------------------------------------------------

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Send now when called directly, and return the receipt; eagerly too, or append in a worker: the message id."""
        if self.request.called_directly:
            if _called_by_map():
                self._refuse_to_map()
            return _publish_now(bind(args, kwargs), None)
        if self.request.is_eager:
            # As in a worker: the tasks that follow are given the message id.
            return _publish_now(bind(args, kwargs), self.request.id).message_id
        try:
            message_id = self._append(args, kwargs)
        except (Retry, Reject):
            raise
        except Exception:
            self._leave_out("errbacks", "chord")
            raise
        self._leave_out("callbacks", "chain", "chord")
        return message_id

    def _append(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """What a message is for: the event in the journal, once. Returns its id."""
        if "refused" in kwargs:
            raise refused(kwargs["refused"])
        if "prepared" in kwargs:
            app, prepared = from_message(kwargs["prepared"])
        else:
            call = bind(args, kwargs)
            app = app_named(call.app)
            prepared = _prepare(app, call, {"task_id": self.request.id})
        while True:
            try:
                # Under the task's id: a message that Celery delivers twice appends once.
                try:
                    store_event(app, prepared, once_key=self.request.id)
                except (JournalUnavailable, BacklogFull) as error:
                    self._try_again_later(app, prepared, error)
                else:
                    return prepared.message_id
            except SoftTimeLimitExceeded:
                # A limit that the application has for all of its tasks, and Celery tells it once: the event goes first.
                logger.warning("soft time limit has no effect, storing goes on message_id=%s", prepared.message_id)

    def _try_again_later(self, app: App, prepared: Prepared, error: Exception) -> None:
        """Again and again: the broker has the event, only the journal has not. The same bytes, so one nonce.

        Raises ``Retry``. Returns where the broker takes no message either (it may be the same Redis, and
        full): Celery would drop the event then, and to give it back would end the worker. It waits in its
        slot for as long as the worker runs; the sweep drains outside the slots meanwhile.
        """
        wait_s = 1.0 + backoff_s(self.request.retries + 1)
        finished = {"prepared": to_message(app, prepared)}
        try:
            # ServerReply here, as an application's `task_annotations` for all tasks count for this one too.
            raise self.retry(args=(), kwargs=finished, exc=error, countdown=wait_s, max_retries=sys.maxsize) from None
        except Reject as no_broker:
            logger.warning("event %s waits: %s; the broker does not take it back", prepared.message_id, error)
            if draining.wait_or_stop(wait_s):
                raise Reject(no_broker.reason, requeue=True) from None

    def _leave_out(self, *kinds: str) -> None:
        """Before our own worker sends what follows: what it cannot send writes an error into its log instead."""
        if self.app is not celery_app:
            return
        for kind in kinds:
            steps = getattr(self.request, kind, None)
            if isinstance(steps, Mapping):  # the body of a chord
                setattr(self.request, kind, sendable(steps, _is_ours))
            elif steps:
                setattr(self.request, kind, [sendable(step, _is_ours) for step in steps])

    # -- in a transaction of Django -------------------------------------------------------------------

    def delay_on_commit(self, *args: Any, using: str | None = None, robust: bool = False, **kwargs: Any) -> str:
        """As ``delay``, once Django's transaction has committed (docs/transactions.md). Returns the message id."""
        return self.apply_async_on_commit(args, kwargs, using=using, robust=robust)

    def apply_async_on_commit(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        using: str | None = None,
        robust: bool = False,
        **options: Any,
    ) -> str:
        """As ``apply_async``, once Django's transaction has committed: validated now, countdowns start then."""
        from .on_commit import apply_async_on_commit

        return apply_async_on_commit(self, args or (), kwargs or {}, options, using=using, robust=robust)


def _ours_is_eager() -> bool:
    """``celery_app.conf.task_always_eager`` by the one name that our own configuration has for it.

    Celery tries the old names too, in each of its maps: 7 us of a 120 us call.
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
        try:
            expires_ms = expiry_ms(expires, app.producer.now_ms)
        except JournalUnavailable as error:
            error.message_id, error.stored = call.key or message_id or uuid.uuid4().hex, False
            raise
    return prepare(app, call, message_id=message_id, expires_ms=expires_ms, is_keyed=is_keyed)


def _message_options(app: Celery, options: Mapping[str, Any], *, may_raise: bool) -> dict[str, Any]:
    """What a message through this app takes of the caller's options."""
    if app is celery_app:
        configured()
        options = for_our_queue(options, queue_name())
    else:
        options = routed(app, publish, options, may_raise=may_raise)
    return {**options, "argsrepr": HIDDEN, "kwargsrepr": HIDDEN}


def _is_ours(name: str) -> bool:
    """Whether our own worker runs this task. In a caller's process our app also has its shared tasks."""
    return name in _OURS or name.startswith("celery.")


def _check_steps(options: Mapping[str, Any]) -> None:
    """Refuse what our own worker could not send after the event."""
    for kind in ("chain", "link", "link_error", "chord"):
        given = options.get(kind) or ()
        for step in given if isinstance(given, list | tuple) else (given,):
            if names := names_without_queue(step, _is_ours):
                raise ConfigurationError(
                    f"{kind}: no Celery app is known for {', '.join(names)}; call sockudo_publisher.register(app) "
                    "with the app of these tasks, or name their queue"
                )


def _called_by_map() -> bool:
    """Whether the caller of this task is one of Celery's that map; the stack's top is this task."""
    return any(task.name in _MAPS for task in _task_stack.stack[-2:-1])


def _in_this_process(of_their_app: bool) -> PublishTask:
    """What an unpickled ``publish`` is here."""
    app = foreign_app() if of_their_app else None
    return publish if app is None else bound_to(app, publish)


def _is_next_step(options: Mapping[str, Any]) -> bool:
    """Whether a worker calls this for a canvas, after the task before: there is no caller to raise to."""
    is_of_a_canvas = options.get("parent_id") is not None or options.get("reply_to") is not None
    return is_of_a_canvas and get_current_worker_task() is not None


def _publish_now(call: PublishCall, message_id: str | None) -> Receipt:
    """POST one event in this process; not ordered with queued events, needs no Redis."""
    if call.key is not None:
        message_id = check_id(call.key, field="key")
    if call.tags is not None:
        check_tags(call.tags)
    message_id = message_id or uuid.uuid4().hex
    answer = app_named(call.app).client.trigger(
        check_channels(call.channel, field="channel"),
        call.event,
        call.data,
        socket_id=call.socket_id,
        message_id=message_id,
        tags=call.tags,
        extras=call.extras,
    )
    receipts = answer.get("channels", {})
    ids = {name: str(info.get("acknowledgement_id", "")) for name, info in receipts.items()}
    return Receipt(message_id, ids)


def register(app: Celery) -> PublishTask:
    """Let the workers of another Celery app run ``publish``: they store the event.

    For applications whose chains, groups, chords and links mix ``publish`` with tasks of their own, or whose
    ``celery beat`` has it in its schedule. Such messages go through that app, to the queue that it routes the task
    ``sockudo_publisher.publish`` to. Returns the task as registered with that app. Raises :class:`TypeError` for what
    is no Celery app.
    """
    if not isinstance(app, Celery):  # a stand-in for one passes
        raise TypeError(f"register() expects a Celery app, got {type(app).__name__}")
    # `celery.current_app` stands for another app in each thread; what is registered is the one that it is here.
    if isinstance(app, Proxy):
        app = app._get_current_object()
    task = bound_to(app, publish)
    if app is celery_app:
        return task
    # Not by its `register_task`, which finalizes the app: its configuration may not be there yet.
    app._tasks.register(task)
    if app.finalized:
        task.bind(app)
    app.task(drain.run, name=DRAIN_TASK, base=Task, shared=False, **_DRAIN_OPTIONS)
    # Where one broker serves both apps, their workers run drains too, and must end with a warm shutdown.
    draining.stop_with_worker()
    remember(app)
    return task


publish: PublishTask = celery_app.register_task(PublishTask())


#: Acknowledged early: a lost doorbell is rung again by the sweep.
_DRAIN_OPTIONS = {"ignore_result": True, "acks_late": False}


@celery_app.task(name=DRAIN_TASK, base=_NoApp, shared=False, **_DRAIN_OPTIONS)  # type: ignore[untyped-decorator]
def drain(*args: Any, **kwargs: Any) -> None:
    """``drain(app, lane, channel=None)``: deliver a lane until it is empty.

    What is no ring is refused in a line: a slot that it kept would be missing for the others. Raises nothing.
    """
    try:
        app, lane, channel = ring_from(args, kwargs, get_settings().app_urls())
    except ValidationError as error:
        logger.error("doorbell refused: %s", error)  # noqa: TRY400 -- the message says it all
        return
    ring = draining.run_guarded(app, lane, channel)
    if ring is not None:
        doorbell.ring(app, (lane,), after_s=ring.after_s, channel=channel)
