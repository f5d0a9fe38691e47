"""The recorder: keeps what is published in this process, in place of the journal, the broker and the server.

Production code validates, encodes and encrypts; the recorder gets the finished bytes at the append, at the send of a
message or at the request (:mod:`.replaced`), and reads the event from them. What the bytes do not hold, such as the
caller's own object, was recorded when they were made.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import IdempotencyConflict
from ..journal.appended import Appended, Appending, OnRefusal, Refusal
from ..journal.keys import bucket_of
from ..journal.pack import Item, KeyedItem
from ..journal.schedule.book import CancelledChannels
from ..journal.schedule.writer import SCHEDULE_CONFLICT
from ..wiring import app as apps
from .direct_calls import Answers, IdMemory, read_publish
from .event import Call, PublishedEvent, SecretOf, Via, event_of_item
from .failures import Failures
from .ledger import Ledger

if TYPE_CHECKING:
    from ..client.http.calls import Calls
    from ..journal.producer import Producer
    from ..outbox.row import EventRow
    from ..tasks.message import FinishedEvent

__all__ = ["ForkedProcess", "Recorder", "current_call"]

#: The call that is made now, in this thread or task.
current_call: ContextVar[Call | None] = ContextVar("sockudo_publisher_call", default=None)

#: Calls whose event is recorded later than it is encoded: the later encoding does not replace the note of the first.
_DEFERRED = frozenset({"on_commit", "outbox"})


class ForkedProcess(RuntimeError):
    """A process that was forked under a recorder has published: the test cannot see its events."""


class Recorder:
    """What one recorder has recorded and remembers. Safe for threads."""

    def __init__(self, *, immediate_on_commit: bool = False) -> None:
        self.immediate_on_commit = immediate_on_commit
        self.events: list[PublishedEvent] = []
        self.failures = Failures()
        self.answers = Answers()
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._lost = mmap.mmap(-1, 1)  # shared with forked processes, which count up
        self._notes: dict[bytes, Call] = {}
        self._payloads = threading.local()
        self._ledgers: dict[tuple[str, str], Ledger] = {}
        self._ids = IdMemory()
        #: App, channel and key of countdowns: their event is recorded with its message, and not again when stored.
        self._scheduled: set[tuple[str, str, str]] = set()
        #: App, channel and message id of every scheduled event -> when it is due; app and id of what was cancelled.
        self._due_ms: dict[tuple[str, str, str], int] = {}
        self._fingerprints: dict[tuple[str, str, str], str] = {}
        self._cancelled: set[tuple[str, str]] = set()

    # -- what is kept when bytes are made -------------------------------------------------------------

    def note_payload(self, text: str, data: object) -> None:
        """``text`` was made of ``data``."""
        call, local = current_call.get(), self._payloads
        # `delay_on_commit` makes the text first, and the bytes of that text: the text is not what was given.
        if call is not None and call.via == "on_commit" and data is getattr(local, "text", None):
            return
        local.text, local.given = text, data

    def note_encoded(self, encoded: bytes, payload: str) -> None:
        """``encoded`` was made of a payload, for the current call."""
        known = self._notes.get(encoded)
        if known is not None and known.via in _DEFERRED:
            return
        local = self._payloads
        given = local.given if getattr(local, "text", None) is payload else payload
        self._notes[encoded] = replace(current_call.get() or Call(None), given=given)

    # -- in place of the journal -----------------------------------------------------------------------

    def now_ms(self) -> int:
        """The recorder's clock: this process' wall clock, which tools such as ``freezegun`` move."""
        return int(time.time() * 1000)

    def append(
        self, producer: Producer, items: Sequence[Item] | Sequence[KeyedItem], on_refusal: OnRefusal
    ) -> Appended:
        """As :meth:`Producer.append`: raises what the test has ordered, else the answer of the ledger."""
        self.check_process()
        self.failures.raise_next(is_of_calls=False)
        return self._append(producer, items, on_refusal)

    def append_rows(self, rows: Sequence[EventRow]) -> None:
        """Record committed rows of an outbox, as their relay will append them."""
        self.check_process()
        for row in rows:
            self._append(apps.app_named(row.app).producer, [row.keyed_item()], OnRefusal.SKIP)

    def remember_keys(self, producer: Producer, items: Sequence[KeyedItem], kept_ms: int) -> list[KeyedItem]:
        """As :meth:`Producer.remember_keys`."""
        self.check_process()
        self.failures.raise_next(is_of_calls=False)
        with self._lock:
            ttl_ms = kept_ms or producer.key_ttl_ms
            return self._ledger(producer).remember(items, now_ms=self.now_ms(), ttl_ms=ttl_ms)

    def schedule(self, producer: Producer, items: Sequence[KeyedItem], due_ms: int) -> Appended:
        """As :meth:`Schedule.add`: records the events of a countdown, which no worker will store."""
        self.check_process()
        app = producer.app
        secret_of = apps.app_named(app).encoder.channel_secret
        with self._lock:
            is_keyed = self._ledger(producer).knows(items[0], self.now_ms())
            if not is_keyed:  # a call with a key has failed before, if it had to
                self.failures.raise_next(is_of_calls=False)
            refused = self._refused_by_schedule(app, items)
            if len(refused) < len(items):
                self._cancelled.discard((app, items[0].key))
            for index, (item, message_id, fingerprint) in enumerate(items):
                place = app, item.channel, message_id
                if index in refused or place in self._due_ms:
                    continue
                self._due_ms[place] = due_ms
                self._fingerprints[place] = fingerprint
                if is_keyed:
                    self._scheduled.add(place)
                self._record(item, app, message_id if is_keyed else None, secret_of, "apply_async")
        return Appended(len(items) - len(refused), (), (), refused)

    def _refused_by_schedule(self, app: str, items: Sequence[KeyedItem]) -> dict[int, Refusal]:
        """Items whose bucket has another event under their id that is not due yet, as ``schedule.lua`` refuses them."""
        now_ms, refused = self.now_ms(), dict[int, Refusal]()
        for index, (item, message_id, fingerprint) in enumerate(items):
            place = app, item.channel, message_id
            if self._due_ms.get(place, 0) <= now_ms or self._fingerprints[place] == fingerprint:
                continue
            bucket, conflict = bucket_of(item.channel), IdempotencyConflict(SCHEDULE_CONFLICT, index=index)
            for other, one in enumerate(items):
                if bucket_of(one.channel) == bucket:
                    refused.setdefault(other, conflict)
        return refused

    def cancel(self, app: str, message_id: str) -> CancelledChannels:
        """As :meth:`ScheduleBook.cancel`: a scheduled event that is not due leaves the record."""
        self.check_process()
        self.failures.raise_next(is_of_calls=False)
        with self._lock:
            now_ms, ledger = self.now_ms(), self._ledger(apps.app_named(app).producer)
            waiting = [place for place, due_ms in self._due_ms.items() if due_ms > now_ms]
            channels = [channel for of_app, channel, id in waiting if (of_app, id) == (app, message_id)]
            for channel in channels:
                del self._due_ms[app, channel, message_id]
                self._scheduled.discard((app, channel, message_id))
                ledger.free(channel, message_id)
                self._cancelled.add((app, message_id))
            self.events = [
                one
                for one in self.events
                if (one.app, one.message_id) != (app, message_id) or one.channel not in channels
            ]
            return CancelledChannels(tuple(channels))

    def is_cancelled(self, app: str, message_id: str) -> bool:
        """As :meth:`ScheduleBook.is_cancelled`."""
        return (app, message_id) in self._cancelled

    def send_message(self, event: FinishedEvent) -> None:
        """Record the event of a message: a step of a canvas."""
        secret_of = apps.app_named(event.app).encoder.channel_secret
        key = event.prepared.key
        with self._lock:
            for item in event.prepared.items:
                place = event.app, item.channel, key or ""
                if key is not None and place in self._scheduled:
                    continue
                if key is not None:
                    self._scheduled.add(place)
                self._record(item, event.app, key, secret_of, "apply_async")

    def _append(
        self, producer: Producer, items: Sequence[Item] | Sequence[KeyedItem], on_refusal: OnRefusal
    ) -> Appended:
        app = producer.app
        secret_of = apps.app_named(app).encoder.channel_secret
        with self._lock:
            if not isinstance(items[0], KeyedItem):
                for item in items:
                    self._record(item, app, None, secret_of, "apply_async")  # type: ignore[arg-type]
                done = Appending()
                done.count = len(items)
                return done.result()
            keyed: Sequence[Any] = items
            default: Via = "outbox" if on_refusal is OnRefusal.SKIP else "apply_async"
            done, fresh = self._ledger(producer).append(
                keyed, on_refusal=on_refusal, now_ms=self.now_ms(), ttl_ms=producer._key_ttl_ms
            )
            for index in fresh:
                one: KeyedItem = keyed[index]
                place = app, one.channel, one.key
                if place in self._scheduled:
                    self._scheduled.discard(place)
                    continue
                self._record(one.item, app, one.key, secret_of, default)
            return done.result()

    def _record(self, item: Item, app: str, key: str | None, secret_of: SecretOf, default: Via) -> None:
        call = self._notes.pop(item.body, None) or Call(None, key)
        if call.via == "outbox":  # each row has a key, mostly not the caller's
            key = call.key
        fields = json.loads(item.body)
        how: Any = {"app": app, "key": key, "secret_of": secret_of, "call": call, "default": default}
        self.events.append(event_of_item(fields, item.channel, **how, collapse=item.collapse or None))

    def _ledger(self, producer: Producer) -> Ledger:
        place = producer._link.keyspace._prefix, producer.app
        return self._ledgers.setdefault(place, Ledger())

    # -- in place of the server ------------------------------------------------------------------------

    def call(
        self, client: Calls, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None
    ) -> dict[str, Any]:
        """The answer to a direct call; a publish is recorded. Raises what the test has ordered, or the server would."""
        self.check_process()
        self.failures.raise_next(is_of_calls=True)
        publish = read_publish(method, path, body)
        if publish is None:
            return self.answers.find(method, path, query)
        items, is_batch = publish
        app = _name_of(client)
        answers: list[dict[str, Any]] = []
        with self._lock:
            for item in items:
                receipt, is_repeat = self._ids.claim(client._credentials.app_id, item)
                if not is_repeat:
                    call = self._notes.get(item.encoded) or Call(None)
                    self.events.append(
                        event_of_item(
                            item.fields,
                            item.channel,
                            app=app,
                            key=call.key,
                            secret_of=client.encoder.channel_secret,
                            call=call,
                            default="call",
                        )
                    )
                answers.append(_info(item.channel, item.fields, receipt))
            for item in items:
                self._notes.pop(item.encoded, None)
        given = self.answers.find_given(path, query)
        if given is not None:
            return given
        if not any(answers):
            return {}
        if is_batch:
            return {"batch": answers}
        return {"channels": {item.channel: answer for item, answer in zip(items, answers, strict=True)}}

    # -- other processes -------------------------------------------------------------------------------

    def check_process(self) -> None:
        """Raise :class:`ForkedProcess` in a process that was forked under the recorder."""
        if os.getpid() != self._pid:
            self._lost[0] = min(255, self._lost[0] + 1)
            raise ForkedProcess(
                "published in a process that was forked under a recorder, whose events the test cannot see: "
                "publish in the test's own process, or use the fixture sockudo_stack"
            )

    def lost(self) -> int:
        """Calls that forked processes made, up to 255; none of their events is recorded."""
        return self._lost[0]


def _info(channel: str, fields: Mapping[str, Any], receipt: str) -> dict[str, Any]:
    """What the server answers about one event."""
    if fields.get("info") is None and fields.get("message_id") is None:
        return {}
    answer: dict[str, Any] = {"acknowledgement_id": receipt}
    wanted = (fields.get("info") or "").split(",")
    if "subscription_count" in wanted:
        answer["subscription_count"] = 0
    if "user_count" in wanted and channel.startswith("presence-"):
        answer["user_count"] = 0
    return answer


def _name_of(client: Calls) -> str:
    """The name of the app whose client this is; the app id of a client that the application has made itself."""
    for name, app in apps._apps.items():
        if app.__dict__.get("_client") is client:
            return name
    return client._credentials.app_id
