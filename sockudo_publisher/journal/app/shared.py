"""What all workers of an app share: its pauses, the right to probe, learned batch limits, the dedup memory's verdict.

These are keys of the app, apart from the lanes. A take reads them in its round trip; a value that is a moment old costs
at most one request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..lease import TTL_MS
from ..redis.link import Command, RedisLink, checked
from ..redis.scripts import Answer
from ..unreadable import as_count, is_wrong_type
from .operator import OperatorPause, pause_command, read_operator_pause

__all__ = ["LONGEST_PAUSE_MS", "AppPause", "Limits", "Shared", "SharedView"]

#: Seconds that a learned limit is kept: after that the server is tried again, whose configuration may have changed.
LIMITS_TTL_S = 3600

#: Max ms of a pause: the longest that a server may ask for (``MAX_RETRY_AFTER_S`` of ``outcome``), and a minute for
#: clocks.
LONGEST_PAUSE_MS = 660_000


@dataclass(frozen=True)
class AppPause:
    """No worker sends to the app until ``until_ms`` (Redis' time), and then only the one that probes.

    ``count`` pauses came in a row since ``since_ms``; ``message``: the error text of the server.
    """

    reason: str
    message: str
    since_ms: int
    until_ms: int
    count: int

    def left_ms(self, now_ms: int) -> int:
        """Milliseconds until a worker may probe; 0 if they are more than a pause lasts (a clock was set back)."""
        left_ms = max(0, self.until_ms - now_ms)
        return left_ms if left_ms <= LONGEST_PAUSE_MS else 0


@dataclass(frozen=True)
class Limits:
    """Limits of a batch that the server has shown; ``None``: no limit known."""

    events: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class SharedView:
    """The pauses, the limits and the dedup memory's verdict at the time of a take.

    ``pause``: of a server in trouble; ``operator_pause``: of a person, who alone ends it.

    Until ``forgets_until_ms`` (Redis' time) the server counts as one that forgets ids; ``checked_ms``: the last time at
    which it was seen to remember new ids, 0 for never. ``unreadable``: records that cannot be read and count as absent:
    the name of a key (:class:`AppKeys`), and after a blank the field if only that is wrong.
    """

    pause: AppPause | None
    limits: Limits
    forgets_until_ms: int = 0
    checked_ms: int = 0
    unreadable: tuple[str, ...] = ()
    operator_pause: OperatorPause | None = None


class Shared:
    """Reads and writes what the workers of one app share."""

    def __init__(self, link: RedisLink, app: str) -> None:
        self._link = link
        self._keys = link.keyspace.app(app)

    def read_commands(self) -> tuple[Command, ...]:
        """Commands for the round trip of a take; :func:`read_view` reads the answers."""
        return (
            ("HGETALL", self._keys.pause),
            ("HMGET", self._keys.limits, "events", "bytes"),
            ("HMGET", self._keys.memory, "forgets_until", "checked"),
            pause_command(self._keys.operator_pause),
        )

    def view(self) -> SharedView:
        """Read it in a round trip of its own."""
        return read_view(self._link.run(self.read_commands()))

    def pause(self, reason: str, wait_s: float, message: str = "") -> int:
        """Pause the app for ``wait_s`` from now; answers the number of pauses in a row."""
        answer = self._link.script("pause", (self._keys.pause,), (reason, int(wait_s * 1000), message[:500]))
        return int(answer[1])

    def try_probe(self, token: str) -> bool:
        """Take or renew the right to probe whether the server is back; ``False``: another worker has it.

        The right lasts as long as a lease, and is renewed with the lease of the same token (:mod:`.lease`): a worker
        that died keeps no other from probing.
        """
        answer = self._link.script("take_right", (self._keys.probe,), (token, TTL_MS))
        return bool(answer[0] == Answer.DONE)

    def end_probe(self, token: str) -> None:
        """Give the right to probe back, unless it has expired and another worker has it."""
        self._link.script("drop_right", (self._keys.probe,), (token,))

    def resume(self, token: str, count: int) -> bool:
        """End the pause, as the server has answered; ``False``: the app was paused again meanwhile.

        ``token``: of the worker that probes, whose right ends too; ``count``: the pauses in a row that it has seen. An
        operator's pause goes on.
        """
        answer = self._link.script("resume", (self._keys.pause, self._keys.probe), (token, count))
        return bool(answer[0] == Answer.DONE)

    def learn(self, limits: Limits) -> None:
        """Record limits that the server has shown; the smaller of old and new holds."""
        fields: list[Any] = []
        for name, new in (("events", limits.events), ("bytes", limits.bytes)):
            if new is not None:
                fields += (name, new)
        if fields:
            self._link.script("learn", (self._keys.limits,), (LIMITS_TTL_S, *fields))


def read_view(answers: Sequence[Any]) -> SharedView:
    """The view by the answers of :meth:`Shared.read_commands`; a record that cannot be read counts as absent."""
    unreadable: list[str] = []
    found: list[Any] = []
    for name, answer in zip(("pause", "limits", "memory", "operator_pause"), answers, strict=True):
        wrong = is_wrong_type(answer)
        if wrong:
            unreadable.append(name)
        found.append(None if wrong else checked(answer))
    pause = _read_pause(found[0] or {}, unreadable)
    limits = []
    for value in found[1] or (None, None):
        limit = as_count(value, low=1, high=2**31 - 1) if value else None
        if value and limit is None:
            unreadable.append("limits")
        limits.append(limit)
    times_ms = []
    for field, value in zip(("forgets_until", "checked"), found[2] or (None, None), strict=True):
        time_ms = as_count(value or 0)
        if time_ms is None:
            unreadable.append(f"memory {field}")
        times_ms.append(time_ms or 0)
    forgets_until_ms, checked_ms = times_ms
    names = tuple(dict.fromkeys(unreadable))
    return SharedView(
        pause, Limits(*limits), forgets_until_ms, checked_ms, names, read_operator_pause(found[3] or None)
    )


def _read_pause(fields: Any, unreadable: list[str]) -> AppPause | None:
    if not isinstance(fields, dict):  # RESP2 answers a flat list
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    if not fields:
        return None
    numbers = [as_count(fields.get(name) or 0) for name in (b"since", b"until", b"count")]
    if None in numbers or not numbers[1]:
        unreadable.append("pause")
        return None
    since_ms, until_ms, count = (number or 0 for number in numbers)
    reason, message = (fields.get(name, b"").decode(errors="replace") for name in (b"reason", b"message"))
    return AppPause(reason, message, since_ms=since_ms, until_ms=until_ms, count=count)
