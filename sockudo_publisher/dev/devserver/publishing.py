"""Publish one message, or a batch of them, to one app's sockets. Decides with the pure modules beside it.

The only wait is for a key that another request is publishing; items of a batch go one after the other, and
what was published before a failing item stays published (docs/server.md, 4.4).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .app_keys import PROCESSING, KeyMemory, check_app_key
from .decoding import Message
from .dedup import Claim, Conflict, Decision, DedupStore, InProgress, StoredReceipt, fingerprint
from .event_log import AcceptedEvent, EventLog
from .frames import delivery
from .last_events import is_cache_channel
from .refusal import Refusal
from .state import AppState
from .validation import channels_of, check_ai_rules, check_batch_size, check_channel, check_dedup_key, check_event

__all__ = ["Publisher", "Spoiled", "Stopped"]

#: How often, and after how many seconds each, a pending id is looked at again: about a second in all.
PENDING_LOOKS = 40
PENDING_LOOK_S = 0.025
#: The same for a pending key of the app: 0.3 s.
PENDING_KEY_LOOKS = 6
PENDING_KEY_LOOK_S = 0.05
#: Items of a batch after which other connections get their turn. The real server yields after 64; a batch of 100, the
#: client's, is one turn here, in which each subscriber's frames are one system call.
ITEMS_PER_TURN = 128


@dataclass(frozen=True)
class Spoiled:
    """A fault in the middle of a request: stop before an item and keep its claim, or fail an item."""

    stop_at: int | None = None
    fail_at: int | None = None
    status: int = 500


class Stopped(Exception):
    """The request has stopped in its middle, as a fault wants."""


class Publisher:
    """Publishes for one app."""

    def __init__(self, state: AppState, dedup: DedupStore, keys: KeyMemory, log: EventLog) -> None:
        self._app = state.app
        self._state = state
        self._dedup = dedup
        self._keys = keys
        self._log = log

    async def publish(self, message: Message, header_key: str | None = None, spoiled: Spoiled = Spoiled()) -> Any:
        """One event. Returns the answer's body; raises :class:`Refusal`."""
        key = message.idempotency_key if message.idempotency_key is not None else header_key
        if key is None:
            return await self._publish_one(message, None, spoiled)
        check_app_key(key)
        name = f"{self._app.id}:{key}"
        return await self._once(name, lambda: self._publish_one(message, key, spoiled), "Idempotent publish")

    async def publish_batch(
        self,
        messages: Sequence[Message],
        header_key: str | None = None,
        spoiled: Spoiled = Spoiled(),
    ) -> Any:
        """Each in turn. Returns the answer's body; raises the first item's :class:`Refusal`, and stops there."""
        check_batch_size(len(messages), self._app.limits)
        for message in messages:
            if message.idempotency_key is not None:
                check_app_key(message.idempotency_key)
        if header_key is None:
            return await self._publish_all(messages, spoiled)
        check_app_key(header_key)
        name = f"{self._app.id}:batch:{header_key}"
        return await self._once(name, lambda: self._publish_all(messages, spoiled), "Idempotent batch publish")

    async def _publish_one(self, message: Message, key: str | None, spoiled: Spoiled) -> dict[str, Any]:
        channels = await self._to_channels(message, key, spoiled, 0)
        return {"channels": channels} if message.wants_info else {"ok": True}

    async def _publish_all(self, messages: Sequence[Message], spoiled: Spoiled) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        for index, message in enumerate(messages):
            channels = await self._to_channels_of_item(message, spoiled, index)
            # The answer is about `channel`, even where `channels` was published to.
            first = message.channel if message.channel is not None else next(iter(channels), "")
            answers.append(channels.get(first, {}) if message.wants_info else {})
            if (index + 1) % ITEMS_PER_TURN == 0:
                await asyncio.sleep(0)
        return {"batch": answers} if any(message.wants_info for message in messages) else {}

    async def _to_channels_of_item(self, message: Message, spoiled: Spoiled, index: int) -> dict[str, dict[str, Any]]:
        """An item whose own key exists, published or only claimed, is skipped and counts as done."""
        key = message.idempotency_key
        if key is None:
            return await self._to_channels(message, None, spoiled, index)
        name = f"{self._app.id}:{key}"
        if self._keys.get(name) is not None:
            self._log.count_replay()
            return {}
        self._keys.set(name, PROCESSING)
        channels = await self._to_channels(message, key, spoiled, index)
        self._keys.set(name, 1)
        return channels

    async def _once(self, name: str, act: Callable[[], Awaitable[dict[str, Any]]], what: str) -> Any:
        """Act for the first request with this key; answer the others with its answer."""
        answer = self._keys.get(name)
        for _ in range(PENDING_KEY_LOOKS):
            if answer is not PROCESSING:
                break
            await asyncio.sleep(PENDING_KEY_LOOK_S)
            answer = self._keys.get(name)
        if answer is PROCESSING:
            raise Refusal(503, "backpressure", f"{what} is still in progress", retry_after=1)
        if answer is not None:
            self._log.count_replay()
            return answer
        self._keys.set(name, PROCESSING)
        answer = await act()
        self._keys.set(name, answer)
        return answer

    async def _to_channels(
        self, message: Message, key: str | None, spoiled: Spoiled, index: int
    ) -> dict[str, dict[str, Any]]:
        """To every channel of the message, also behind one that refuses; then the first refusal is raised."""
        if spoiled.fail_at == index:
            raise Refusal(spoiled.status, "internal_error", "Internal server error")
        name = check_event(message, self._app.limits)
        answers: dict[str, dict[str, Any]] = {}
        refusals: list[Refusal] = []
        for channel in channels_of(message, self._app.limits):
            try:
                answers[channel] = await self._to_channel(message, name, channel, key, spoiled.stop_at == index)
            except Refusal as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]
        return answers

    async def _to_channel(
        self, message: Message, name: str, channel: str, app_key: str | None, stops: bool
    ) -> dict[str, Any]:
        check_channel(channel, self._app.limits)
        check_ai_rules(message)
        key = message.dedup_key_or(app_key)
        if key is None:
            if stops:
                raise Stopped
            acknowledgement_id = str(uuid.uuid4())
            self._deliver(message, name, channel)
        else:
            check_dedup_key(key)
            match await self._begin(message, channel, key):
                case StoredReceipt(acknowledgement_id=receipt):
                    acknowledgement_id = receipt
                    self._log.count_replay()
                case Claim() as claim:
                    if stops:
                        raise Stopped  # the claim stays, until its time is over
                    acknowledgement_id = message.message_id or str(uuid.uuid4())
                    self._publish_claimed(claim, message, name, channel, acknowledgement_id)
                case Conflict():
                    raise Refusal(400, "invalid_input", "idempotency key was already used with a different payload")
                case _:
                    raise Refusal(503, "backpressure", "idempotent publish is still in progress", retry_after=1)
        if is_cache_channel(channel):
            # Also for a replay: a late repeat brings its old event back, as on the real server.
            self._state.last_events.set(channel, delivery(name, channel, message.data))
        return self._answer(message, channel, acknowledgement_id)

    async def _begin(self, message: Message, channel: str, key: str) -> Decision:
        """Claim the key, or return the result of another request with it, after a wait of about a second."""
        record, payload = (self._app.id, channel, key), fingerprint(message, channel)
        decision = self._dedup.begin(record, payload)
        for _ in range(PENDING_LOOKS):
            if not isinstance(decision, InProgress):
                break
            await asyncio.sleep(PENDING_LOOK_S)
            decision = self._dedup.begin(record, payload)
        return decision

    def _publish_claimed(self, claim: Claim, message: Message, name: str, channel: str, receipt: str) -> None:
        try:
            self._deliver(message, name, channel)
        except BaseException:
            self._dedup.abort(claim)
            raise
        self._dedup.commit(claim, receipt)

    def _deliver(self, message: Message, name: str, channel: str) -> None:
        history = self._state.history
        if history is not None and not (message.extras or {}).get("ephemeral"):
            history.append(channel, _recorded(message, name, channel))
        frame, count = None, 0
        for socket in self._state.registry.audience(channel, excluding=message.socket_id):
            frame = frame or delivery(name, channel, message.data)
            socket.put(frame)
            count += 1
        at_ms = time.time_ns() // 1_000_000
        what = (channel, name, message.data, message.message_id, message.socket_id, message.tags, message.extras)
        self._log.accept(AcceptedEvent(self._app.id, *what, count, at_ms))

    def _answer(self, message: Message, channel: str, acknowledgement_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = {"acknowledgement_id": acknowledgement_id}
        wanted = (message.info or "").split(",")
        if "subscription_count" in wanted:
            answer["subscription_count"] = self._state.registry.count(channel)
        if "user_count" in wanted and channel.startswith("presence-"):
            answer["user_count"] = len(self._state.registry.members(channel))
        return answer


def _recorded(message: Message, name: str, channel: str) -> dict[str, Any]:
    """The message as history has it: without what is absent."""
    further = {"tags": message.tags, "extras": message.extras, "message_id": message.message_id}
    present = {field: value for field, value in further.items() if value is not None}
    return {"event": name, "channel": channel, "data": message.data, **present}
