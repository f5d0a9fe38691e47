"""What a test sees of a recorder: the events, assertions on them, and the failures and answers that it orders."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

from ..client.wire.encoding import Encoder
from ..errors import ConfigurationError
from ..wiring.app import app_named
from .event import PublishedEvent
from .failures import Failure
from .recorder import Recorder
from .report import Expected, describe, failure_text

__all__ = ["Published"]


class Published:
    """The events that were published, in their order. Made by ``capture_published()`` and the fixture ``published``.

    ``immediate_on_commit``: record ``delay_on_commit`` and the outboxes at the call, without a commit.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    # -- what was published ----------------------------------------------------------------------------

    @property
    def events(self) -> list[PublishedEvent]:
        """All events so far, an event on several channels once for each."""
        return self._recorder.events.copy()

    def on(self, channel: str) -> list[PublishedEvent]:
        """The events on one channel."""
        return [event for event in self.events if event.channel == channel]

    def named(self, name: str) -> list[PublishedEvent]:
        """The events of one name."""
        return [event for event in self.events if event.name == name]

    def clear(self) -> None:
        """Forget the events so far. Keys stay used, as in production."""
        self._recorder.events.clear()

    @property
    def immediate_on_commit(self) -> bool:
        """Whether events that wait for a commit are recorded at the call."""
        return self._recorder.immediate_on_commit

    @immediate_on_commit.setter
    def immediate_on_commit(self, value: bool) -> None:
        self._recorder.immediate_on_commit = value

    # -- assertions ------------------------------------------------------------------------------------

    def assert_one(
        self, channel: str | None = None, name: str | None = None, data: Any = ANY, **fields: Any
    ) -> PublishedEvent:
        """Exactly one event was published with all of this; returns it. ``fields``: of :class:`PublishedEvent`.

        ``data`` may contain ``unittest.mock.ANY``, and values that the encoder turns into JSON.
        """
        __tracebackhide__ = True
        return self._assert_count(1, "exactly one", channel, name, data, fields)[0]

    def assert_none(self, channel: str | None = None, name: str | None = None, data: Any = ANY, **fields: Any) -> None:
        """No such event was published; without arguments: nothing was."""
        __tracebackhide__ = True
        self._assert_count(0, "no", channel, name, data, fields)

    def assert_count(
        self, count: int, channel: str | None = None, name: str | None = None, data: Any = ANY, **fields: Any
    ) -> list[PublishedEvent]:
        """Exactly ``count`` such events were published; returns them."""
        __tracebackhide__ = True
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"assert_count(count, channel, name): count is a {type(count).__name__}, expected a number")
        return self._assert_count(count, f"{count} times", channel, name, data, fields)

    def _assert_count(
        self, count: int, what: str, channel: str | None, name: str | None, data: Any, fields: dict[str, Any]
    ) -> list[PublishedEvent]:
        __tracebackhide__ = True
        expected, events = Expected(channel, name, data, fields, _encode), self.events
        found = [event for event in events if expected.matches(event)]
        if len(found) != count:
            raise AssertionError(failure_text(what, expected, found, events, self._hints()))
        return found

    def _hints(self) -> str:
        lost = self._recorder.lost()
        if lost:
            return f"{lost} calls came from processes forked under the recorder, which raised ForkedProcess there"
        return ""

    # -- orders ----------------------------------------------------------------------------------------

    def fail(self, error: Any, *, times: int | None = None) -> Failure:
        """Let the next calls raise an error, all or ``times`` of them. A call that fails records nothing.

        ``JournalUnavailable``, ``BacklogFull``: what stores an event raises it. ``SockudoHTTPError``, one of its kinds,
        ``SockudoConnectionError``: direct calls raise it, after the retries that it would get. As a class or an
        instance. Ends with ``.end()``, with :meth:`succeed`, or as a context manager with its block.
        """
        return self._recorder.failures.order(error, times)

    def succeed(self) -> None:
        """End all failures that were ordered."""
        self._recorder.failures.end()

    def answer(self, path: str, answer: Any) -> None:
        """The server's answer to the direct calls at a path below the app, or at a pattern of paths (``*``).

        ``published.answer("/channels/orders", {"occupied": True})``; also an error to raise, or a function of the path
        and the query. Publishes are answered as Sockudo does, queries only with what is given here.
        """
        self._recorder.answers.give(path, answer)

    def __len__(self) -> int:
        return len(self._recorder.events)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "\n".join([f"<Published: {len(self)} events>", *(f"  {describe(event)}" for event in self.events)])


def _encode(data: Any) -> str:
    """The text of data, by the encoder of the settings."""
    try:
        encoder = app_named().encoder
    except ConfigurationError:  # no default app
        encoder = Encoder()
    return encoder.payload(data)
