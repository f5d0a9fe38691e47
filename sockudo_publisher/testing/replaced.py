"""What a recorder replaces in this process, and puts back: the three ends of publishing, and what is kept on the way.

The ends are the append to the journal (:class:`~..journal.producer.Producer`, of every app, for every caller), the
message to a broker, and the request to a server (:class:`~..client.http.calls.Calls`). Everything before them is
production's own code. The replacements are methods of the classes, so production code has no branch for tests and
costs nothing more. A test holds their signatures against the originals (tests/unit/testing).
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib.util import find_spec
from typing import Any

from ..client.http.calls import Calls
from ..client.http.retries import CLIENTS, as_retries
from ..client.sockudo import Sockudo
from ..client.wire.encoding import Encoder
from ..config.settings import Settings
from ..errors import ConfigurationError
from ..journal.appended import Appended, OnRefusal
from ..journal.producer import Producer
from ..journal.schedule.book import ScheduleBook
from ..journal.schedule.writer import Schedule
from ..outbox import django as django_outbox
from ..publishing import bulk_run
from ..redaction.frame_locals import without_locals
from ..tasks import on_commit, publish
from ..tasks.append import AppendTask
from ..tasks.message import read_event
from ..tasks.result import StoredResult
from ..wiring import app as apps
from .event import Call
from .message_producer import MessageProducer
from .recorder import Recorder, current_call
from .watched_commits import WatchedCommits

__all__ = ["DUMMY_MASTER_KEY", "DUMMY_URL", "Method", "Replacements", "replace_journal", "use_dummies"]

#: Where nothing is configured. No event leaves the process: the port is never used.
DUMMY_URL = "http://recorder-key:recorder-secret@127.0.0.1:6001/apps/recorder"
DUMMY_MASTER_KEY = "cmVjb3JkZXIgcmVjb3JkZXIgcmVjb3JkZXIgcmVjb3I="

#: Calls that publish through another method of the same task: the outer one is the caller's.
_OUTER = frozenset({"delay", "adelay", "apply_async", "on_commit"})

Method = Callable[..., Any]


class Replacements:
    """Attributes of classes and modules that are replaced, and their originals."""

    def __init__(self) -> None:
        self._originals: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Method], Method]) -> None:
        """Replace a method or a module's function by ``make(original)``."""
        original = vars(owner)[name]
        function = original.__func__ if isinstance(original, classmethod) else original
        made: Any = wraps(function)(make(function))
        self._originals.append((owner, name, original))
        setattr(owner, name, classmethod(made) if isinstance(original, classmethod) else made)

    def undo(self) -> None:
        """Put the originals back."""
        while self._originals:
            setattr(*self._originals.pop())


@contextmanager
def replace_journal(recorder: Recorder) -> Iterator[None]:
    """Record what this process publishes, in place of storing and sending it."""
    replacements = Replacements()
    commits = WatchedCommits(recorder)
    try:
        _replace_ends(replacements, recorder)
        _replace_notes(replacements, recorder)
        use_dummies(replacements)
        _replace_commits(replacements, recorder, commits)
        yield
    finally:
        replacements.undo()
        commits.stop()


def _replace_ends(replacements: Replacements, recorder: Recorder) -> None:
    def append(_: Method) -> Method:
        def record(
            self: Producer,
            items: Any,
            *,
            on_refusal: OnRefusal = OnRefusal.STOP,
            begun: None = None,  # noqa: ARG001 -- nothing is begun, see below
        ) -> Appended:
            return recorder.append(self, items, on_refusal)

        return record

    def remember_keys(_: Method) -> Method:
        def record(self: Producer, items: Any, *, due_ms: int = 0, kept_ms: int = 0) -> Any:  # noqa: ARG001
            return recorder.remember_keys(self, items, kept_ms)

        return record

    def schedule(_: Method) -> Method:
        def record(self: Schedule, items: Any, due_ms: int) -> Appended:
            return recorder.schedule(self._producer, items, due_ms)

        return record

    def cancel(_: Method) -> Method:
        return lambda self, message_id: recorder.cancel(self._app, message_id)

    def is_cancelled(_: Method) -> Method:
        return lambda self, message_id: recorder.is_cancelled(self._app, message_id)

    def send(_: Method) -> Method:
        def record(_app: Any, send_with: Callable[[Any], Any]) -> Any:
            recorder.check_process()
            recorder.failures.raise_next(is_of_calls=False)
            return send_with(MessageProducer())

        return record

    def send_append(original: Method) -> Method:
        def record(self: AppendTask, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            recorder.check_process()
            event = read_event((kwargs or {}).get("event"))
            # Not `ignore_result=False`: a backend would be asked to wait for the result, over its own connection.
            original(self, args, kwargs, **{"producer": MessageProducer(), **options, "ignore_result": True})
            recorder.send_message(event)
            return StoredResult(event.prepared.message_id)

        return record

    def call(_: Method) -> Method:
        def record(self: Calls, method: str, suffix: str, **how: Any) -> dict[str, Any]:
            if (retries := how.get("retries", CLIENTS)) is not CLIENTS:
                as_retries(retries)  # raises for a wrong one
            return recorder.call(self, method, suffix, how.get("query"), how.get("body"))

        return record

    replacements.replace(Producer, "append", append)
    replacements.replace(Producer, "begin", lambda _: lambda _self, _items, *, on_refusal: None)  # noqa: ARG005
    replacements.replace(Producer, "remember_keys", remember_keys)
    replacements.replace(Schedule, "add", schedule)
    replacements.replace(ScheduleBook, "cancel", cancel)
    replacements.replace(ScheduleBook, "is_cancelled", is_cancelled)
    replacements.replace(Producer, "now_ms", lambda _: lambda _self: recorder.now_ms())
    replacements.replace(publish, "bounded_send", send)
    replacements.replace(AppendTask, "apply_async", send_append)
    replacements.replace(Calls, "call", call)


def _replace_notes(replacements: Replacements, recorder: Recorder) -> None:
    def payload(original: Method) -> Method:
        def note(self: Encoder, data: object) -> str:
            text: str = original(self, data)
            recorder.note_payload(text, data)
            return text

        return note

    def encoded(original: Method) -> Method:
        def note(self: Encoder, channel: Any, name: str, payload: str, *args: Any, **options: Any) -> bytes:
            body: bytes = original(self, channel, name, payload, *args, **options)
            recorder.note_encoded(body, payload)
            return body

        return note

    replacements.replace(Encoder, "payload", payload)
    for name in ("item", "plain_item", "event"):
        replacements.replace(Encoder, name, encoded)
    task = publish.Publish
    replacements.replace(task, "delay", _within(lambda _, kwargs: Call("delay", kwargs.get("key"))))
    if hasattr(task, "adelay"):
        replacements.replace(task, "adelay", _within(lambda _, kwargs: Call("adelay", kwargs.get("key"))))
    replacements.replace(task, "apply_async", _within(_call_of_options))
    replacements.replace(task, "apply", _within(_call_of_options))
    replacements.replace(
        task, "apply_async_on_commit", _within(lambda args, kwargs: _call_of_options(args, kwargs, is_on_commit=True))
    )
    replacements.replace(task, "run", _within(_call_of_run))
    replacements.replace(bulk_run.BulkRun, "add", _within(lambda *_: Call("publish_many")))


def use_dummies(replacements: Replacements) -> None:
    """An app and a master key where nothing is configured."""

    def url_of(original: Method) -> Method:
        def find(self: Settings, app: str) -> Any:
            return original(self, app) if self.url or self.apps else DUMMY_URL

        return find

    def master_key(original: Method) -> Method:
        return lambda settings: original(settings) or DUMMY_MASTER_KEY

    def from_env(original: Method) -> Method:
        def make(cls: type[Sockudo], env: str = "SOCKUDO_URL", **options: Any) -> Sockudo:
            with suppress(ConfigurationError):
                return original(cls, env, **options)  # type: ignore[no-any-return]
            if _is_in_environment(env):
                return original(cls, env, **options)  # type: ignore[no-any-return]
            if "encryption_master_key" not in options:
                options.setdefault("encryption_master_key_base64", DUMMY_MASTER_KEY)
            return cls.from_setting(env, DUMMY_URL, **options)

        return make

    replacements.replace(Settings, "url_of", url_of)
    replacements.replace(apps, "_master_key", master_key)
    replacements.replace(Sockudo, "from_env", from_env)


def _replace_commits(replacements: Replacements, recorder: Recorder, commits: WatchedCommits) -> None:
    def at_once(original: Method) -> Method:
        def run(store: Callable[[], None], using: str | None, robust: bool) -> None:
            if recorder.immediate_on_commit:
                store()
            else:
                original(store, using, robust)

        return run

    def insert(watch: Method) -> Callable[[Method], Method]:
        def make(original: Method) -> Method:
            def insert_rows(*args: Any) -> Any:
                recorder.check_process()
                result = original(*args)
                watch(result, *args)
                return result

            return insert_rows

        return make

    build = _within(lambda args, _: Call("outbox", args[0].key))
    replacements.replace(on_commit, "_run_on_commit", at_once)
    replacements.replace(django_outbox, "build_rows", build)
    replacements.replace(django_outbox, "_insert", insert(commits.after_django))
    if find_spec("sqlalchemy") is not None:
        from ..outbox import sqlalchemy as sqlalchemy_outbox

        replacements.replace(sqlalchemy_outbox, "build_rows", build)
        replacements.replace(sqlalchemy_outbox.Outbox, "_insert", insert(commits.after_sqlalchemy))


def _within(call_of: Callable[..., Call]) -> Callable[[Method], Method]:
    """Run the original within the call that ``call_of(args, kwargs)`` says; a call from within another stays its."""

    def make(original: Method) -> Method:
        def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
            outer, new = current_call.get(), call_of(args, kwargs)
            is_part = new.via in ("apply_async", "call") and outer is not None and outer.via in _OUTER
            return outer if is_part and outer is not None else new

        if inspect.iscoroutinefunction(original):

            async def run_async(*args: Any, **kwargs: Any) -> Any:
                token = current_call.set(call(args, kwargs))
                try:
                    return await original(*args, **kwargs)
                finally:
                    current_call.reset(token)

            return without_locals(run_async)

        def run(*args: Any, **kwargs: Any) -> Any:
            token = current_call.set(call(args, kwargs))
            try:
                return original(*args, **kwargs)
            finally:
                current_call.reset(token)

        return without_locals(run)

    return make


def _call_of_options(args: tuple[Any, ...], kwargs: dict[str, Any], *, is_on_commit: bool = False) -> Call:
    """``apply_async(args, kwargs, **options)``: the arguments of the event are by position or by name."""
    fields = kwargs.get("kwargs") or (args[2] if len(args) > 2 else None) or {}
    return Call(
        "on_commit" if is_on_commit else "apply_async",
        fields.get("key") if isinstance(fields, dict) else None,
        *(kwargs.get(name) for name in ("countdown", "eta", "expires")),
    )


def _call_of_run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """``publish(...)`` is a direct call; else a worker, or an eager app, runs a message."""
    return Call("call" if args[0].request.called_directly else "apply_async", kwargs.get("key"))


def _is_in_environment(env: str) -> bool:
    return bool(os.environ.get(env) or os.environ.get(f"{env}_FILE"))
