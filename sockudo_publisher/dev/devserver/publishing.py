"""Publish one message, or a batch of them, to one app's sockets. Decides with the pure modules beside it.

The only wait is for a key that another request is publishing; items of a batch go one after the other, and
what was published before a failing item stays published (docs/server.md, 4.4).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from .config import AppConfig
from .decoding import Message
from .dedup import Claim, Conflict, Decision, DedupStore, InProgress, StoredReceipt, fingerprint
from .frames import delivery
from .refusal import Refusal
from .registry import Registry
from .validation import channels_of, check_ai_rules, check_batch_size, check_channel, check_dedup_key, check_event

__all__ = ["Publisher"]

#: How often, and after how many seconds each, a pending key is looked at again: about a second in all.
PENDING_LOOKS = 40
PENDING_LOOK_S = 0.025
#: Items of a batch after which other connections get their turn (the real server yields as often).
ITEMS_PER_TURN = 64


class Publisher:
    """Publishes for one app."""

    def __init__(self, app: AppConfig, registry: Registry, dedup: DedupStore) -> None:
        self._app = app
        self._registry = registry
        self._dedup = dedup

    async def publish(self, message: Message) -> dict[str, Any]:
        """One event. Returns the answer's body; raises :class:`Refusal`."""
        channels = await self._to_channels(message)
        return {"channels": channels} if message.wants_info else {"ok": True}

    async def publish_batch(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Each in turn. Returns the answer's body; raises the first item's :class:`Refusal`, and stops there."""
        check_batch_size(len(messages), self._app.limits)
        answers: list[dict[str, Any]] = []
        for index, message in enumerate(messages, 1):
            channels = await self._to_channels(message)
            # The answer is about `channel`, even where `channels` was published to.
            first = message.channel if message.channel is not None else next(iter(channels), "")
            answers.append(channels.get(first, {}) if message.wants_info else {})
            if index % ITEMS_PER_TURN == 0:
                await asyncio.sleep(0)
        return {"batch": answers} if any(message.wants_info for message in messages) else {}

    async def _to_channels(self, message: Message) -> dict[str, dict[str, Any]]:
        """To every channel of the message, also behind one that refuses; then the first refusal is raised."""
        name = check_event(message, self._app.limits)
        answers: dict[str, dict[str, Any]] = {}
        refusals: list[Refusal] = []
        for channel in channels_of(message, self._app.limits):
            try:
                answers[channel] = await self._to_channel(message, name, channel)
            except Refusal as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]
        return answers

    async def _to_channel(self, message: Message, name: str, channel: str) -> dict[str, Any]:
        check_channel(channel, self._app.limits)
        check_ai_rules(message)
        key = message.dedup_key
        if key is None:
            self._deliver(message, name, channel)
            acknowledgement_id = str(uuid.uuid4())
        else:
            check_dedup_key(key)
            match await self._begin(message, channel, key):
                case StoredReceipt(acknowledgement_id=receipt):
                    acknowledgement_id = receipt
                case Claim() as claim:
                    acknowledgement_id = message.message_id or str(uuid.uuid4())
                    self._publish_claimed(claim, message, name, channel, acknowledgement_id)
                case Conflict():
                    raise Refusal(400, "invalid_input", "idempotency key was already used with a different payload")
                case _:
                    raise Refusal(503, "backpressure", "idempotent publish is still in progress", retry_after=1)
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
        frame = None
        for socket in self._registry.audience(channel, excluding=message.socket_id):
            frame = frame or delivery(name, channel, message.data)
            socket.put(frame)

    def _answer(self, message: Message, channel: str, acknowledgement_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = {"acknowledgement_id": acknowledgement_id}
        wanted = (message.info or "").split(",")
        if "subscription_count" in wanted:
            answer["subscription_count"] = self._registry.count(channel)
        if "user_count" in wanted and channel.startswith("presence-"):
            answer["user_count"] = 0  # this server has no presence channels
        return answer
