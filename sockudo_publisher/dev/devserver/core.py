"""The whole server without its sockets: the states of all apps, the memories, the log, the faults. No I/O.

It survives a restart that keeps the memory; one that does not makes a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .app_keys import KeyMemory
from .config import AppConfig, ServerConfig
from .dedup import DedupStore
from .event_log import EventLog
from .faults import Faults, ServerControl
from .history import MessageHistory
from .presence_history import MemberHistory
from .publishing import Publisher
from .state import AppState, Later, Notify

__all__ = ["Core"]


class Core:
    """All that the handlers share. ``notifier`` gives each app the function that its webhooks' events go to."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        notifier: Callable[[AppConfig], Notify] | None = None,
        later: Later = lambda _seconds, _action: None,
    ) -> None:
        self.config = config
        self.log = EventLog()
        self.dedup = DedupStore(config.dedup_ttl_s, config.dedup_capacity, clock)
        self.keys = KeyMemory(config.dedup_ttl_s, config.dedup_capacity, clock)
        #: What goes wrong on request.
        self.faults = Faults(CoreControl(self))
        #: Seconds by which the server's clock is ahead.
        self.skew_s = 0.0
        #: Whether it is about to end: publishes are 503, and no subscriber may connect.
        self.is_draining = False
        self.states = {
            app.id: AppState(
                app,
                notify=(notifier or _silent)(app),
                later=later,
                history=MessageHistory(app.id) if config.has_history else None,
                presence_history=MemberHistory(app.id) if config.has_presence_history else None,
            )
            for app in config.apps
        }
        self.publishers = {
            app_id: Publisher(state, self.dedup, self.keys, self.log) for app_id, state in self.states.items()
        }

    def use_control(self, control: ServerControl) -> None:
        """Do with this what faults do at once."""
        self.faults = Faults(control)

    @property
    def now_s(self) -> float:
        """The server's wall clock, in seconds since 1970."""
        return time.time() + self.skew_s

    def forget_ids(self) -> None:
        """Forget every id and every key."""
        self.dedup.forget()
        self.keys.forget()

    def disconnect(self) -> None:
        """Forget the connections: the server was stopped."""
        for state in self.states.values():
            state.disconnect()

    def forget(self) -> None:
        """Forget what a restart of the real server does: ids, keys, last events, histories."""
        self.forget_ids()
        for state in self.states.values():
            state.forget()

    def reset(self) -> None:
        """Be as new: nothing is remembered, and memory and clock are as configured."""
        self.forget()
        self.dedup.resize(self.config.dedup_capacity)
        self.keys.resize(self.config.dedup_capacity)
        self.skew_s = 0.0
        self.log.clear()


class CoreControl:
    """What faults do at once to a server that listens on nothing."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def forget_ids(self) -> None:
        """Empty the dedup memory."""
        self._core.forget_ids()

    def shrink_memory(self, capacity: int) -> None:
        """Keep at most this number of ids."""
        self._core.dedup.resize(capacity)
        self._core.keys.resize(capacity)

    def skew_clock(self, seconds: float) -> None:
        """Be ahead by this time."""
        self._core.skew_s = seconds

    def refuse(self, seconds: float | None) -> None:
        """It listens on nothing."""
        del seconds
        raise ValueError("refuse: this server listens on nothing that it could close")

    def accept(self) -> None:
        """Nothing was closed."""


def _silent(_app: AppConfig) -> Notify:
    return lambda _event: None
