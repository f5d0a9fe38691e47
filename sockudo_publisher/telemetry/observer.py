"""The protocol of what can be observed, and the observer that does nothing.

Every method takes numbers and names from fixed lists: no channel, event name, id or payload reaches an observer. A
method never raises and never waits, since the calls are in the path of every event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from .ages import Ages

__all__ = ["NOTHING", "Observer", "Several", "combine"]

#: What an observer that makes no spans returns: entered any number of times.
_NO_TRACE: Final[AbstractContextManager[str]] = nullcontext("")
_NO_SPAN: Final[AbstractContextManager[None]] = nullcontext()


class Observer:
    """The protocol; each method does nothing here. ``app`` is the name of an app in the settings."""

    #: Whether :meth:`publishing` has something to do: without it, a call spares the block.
    traces_calls = False

    def begin(self, app: str) -> None:
        """The process will count for this app: its series may begin at 0."""

    # -- storing ------------------------------------------------------------------------------------

    def appended(self, app: str, count: int) -> None:
        """``count`` events were stored in the journal by this process; those stored before are not counted."""

    def scheduled(self, app: str, count: int) -> None:
        """``count`` events were stored for a later time."""

    def unstored(self, app: str, outcome: str, count: int) -> None:
        """A caller went on without ``count`` events; ``outcome``: ``lost``, or ``unknown``."""

    def publishing(
        self,
        app: str,  # noqa: ARG002 -- of the protocol
        channels: Sequence[str],  # noqa: ARG002
        message_id: str,  # noqa: ARG002
    ) -> AbstractContextManager[str]:
        """Around the storing of one event; yields its trace context for the journal, ``""`` for none."""
        return _NO_TRACE

    def redis_error(self, app: str, where: str) -> None:
        """Redis failed; ``where``: ``append``, ``schedule``, ``drain`` or ``sweep``."""

    # -- delivering ---------------------------------------------------------------------------------

    def delivering(
        self,
        app: str,  # noqa: ARG002
        count: int,  # noqa: ARG002
        traces: Callable[[], Sequence[str]],  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Around a request with ``count`` events; ``traces()``: their trace contexts. :meth:`post` comes inside."""
        return _NO_SPAN

    def request_headers(self) -> Mapping[str, str]:
        """Headers for the request that is made now."""
        return {}

    def post(self, app: str, outcome: str, seconds: float, count: int) -> None:
        """A batch of ``count`` events was sent; ``outcome``: what the answer proves (docs/outcomes.md)."""

    def resent(self, app: str, count: int) -> None:
        """``count`` events are sent that an earlier attempt may have carried."""

    def settled(self, app: str, count: int, ages: Ages | None) -> None:
        """``count`` events were delivered; ``ages``: how long each had been stored, ``None``: not known."""

    def buried(self, app: str, reason: str, count: int = 1) -> None:
        """``count`` events became dead letters."""

    def left(self, app: str, reason: str, count: int) -> None:
        """``count`` events left the queue unsent; ``reason``: ``expired`` or ``collapsed``."""

    def uncertain(self, app: str, outcome: str, count: int) -> None:
        """``outcome`` of ``count`` uncertain events: ``resent``, ``parked``, ``in_history`` or ``expired``."""

    def held(self, app: str) -> None:
        """A channel began to wait behind its stuck event."""

    def paused(self, app: str, reason: str) -> None:
        """The app was paused, or its pause was prolonged."""

    def drained_without_doorbell(self, app: str, reason: str) -> None:
        """The sweep drained a lane itself; ``reason``: ``broker_away`` or ``unheard``."""


class Several(Observer):
    """Passes everything on to several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self.traces_calls = any(one.traces_calls for one in observers)

    def begin(self, app: str) -> None:
        """See :class:`Observer`, as for the others."""
        for one in self._observers:
            one.begin(app)

    def publishing(self, app: str, channels: Sequence[str], message_id: str) -> AbstractContextManager[str]:  # noqa: D102
        # One of them traces, at most: the others have no context to give.
        found = [one.publishing(app, channels, message_id) for one in self._observers]
        return next((one for one in found if one is not _NO_TRACE), _NO_TRACE)

    def delivering(self, app: str, count: int, traces: Callable[[], Sequence[str]]) -> AbstractContextManager[None]:  # noqa: D102
        found = [one.delivering(app, count, traces) for one in self._observers]
        return next((one for one in found if one is not _NO_SPAN), _NO_SPAN)

    def request_headers(self) -> Mapping[str, str]:  # noqa: D102
        return {name: value for one in self._observers for name, value in one.request_headers().items()}

    def appended(self, app: str, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.appended(app, count)

    def scheduled(self, app: str, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.scheduled(app, count)

    def unstored(self, app: str, outcome: str, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.unstored(app, outcome, count)

    def redis_error(self, app: str, where: str) -> None:  # noqa: D102
        for one in self._observers:
            one.redis_error(app, where)

    def post(self, app: str, outcome: str, seconds: float, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.post(app, outcome, seconds, count)

    def resent(self, app: str, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.resent(app, count)

    def settled(self, app: str, count: int, ages: Ages | None) -> None:  # noqa: D102
        for one in self._observers:
            one.settled(app, count, ages)

    def buried(self, app: str, reason: str, count: int = 1) -> None:  # noqa: D102
        for one in self._observers:
            one.buried(app, reason, count)

    def left(self, app: str, reason: str, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.left(app, reason, count)

    def uncertain(self, app: str, outcome: str, count: int) -> None:  # noqa: D102
        for one in self._observers:
            one.uncertain(app, outcome, count)

    def held(self, app: str) -> None:  # noqa: D102
        for one in self._observers:
            one.held(app)

    def paused(self, app: str, reason: str) -> None:  # noqa: D102
        for one in self._observers:
            one.paused(app, reason)

    def drained_without_doorbell(self, app: str, reason: str) -> None:  # noqa: D102
        for one in self._observers:
            one.drained_without_doorbell(app, reason)


#: Observes nothing: the default.
NOTHING = Observer()


def combine(observers: Sequence[Observer]) -> Observer:
    """One observer of several; :data:`NOTHING` of none."""
    if not observers:
        return NOTHING
    return observers[0] if len(observers) == 1 else Several(observers)
