"""A worker among the others of its apps: it says where it delivers to, and ends where it contradicts them.

A worker that finds a live one which delivers the same app to another Sockudo app would send the events of
two deployments to either of them, by chance. Only Redis knows of both, so both write there where they deliver to.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from ..config.settings import get_settings
from ..errors import ConfigurationError, JournalUnavailable
from ..journal.app.workers import BEAT_S, TTL_MS, LiveWorker, Target, WorkerRegistry, first_rival, other_hosts
from ..redaction import package_logger
from ..wiring.app import app_named, setting_of, target_of

__all__ = ["Presence"]

logger = package_logger("sockudo_publisher.presence")


class Presence:
    """One worker's announcements. ``node`` is its Celery name; ``is_consuming()``: it reads the queue now;
    ``watches``: it can stay at quiet lanes.
    """

    def __init__(self, node: str, is_consuming: Callable[[], bool] | None = None, *, watches: bool = False) -> None:
        self._node = node
        self._watches = watches
        self._is_consuming = is_consuming
        self._owner = uuid.uuid4().hex
        self._next: dict[str, float] = {}  # app -> when to announce it again, monotonic
        self._workers: dict[str, tuple[LiveWorker, ...]] = {}
        self._warned: set[tuple[str, Target]] = set()

    def enter(self) -> None:
        """Announce all apps, before the worker takes anything.

        Raises :class:`ConfigurationError` where a live worker delivers one of them to another Sockudo app. A
        Redis that is away is no reason not to start: the first beat finds out.
        """
        try:
            for name in get_settings().app_urls():
                self._announce(name, None)  # its consumer starts later
        except JournalUnavailable as error:
            logger.warning("worker not compared with other workers yet error=%s", error)
        except ConfigurationError:
            self.leave()
            raise

    def beat(self, name: str) -> None:
        """Announce an app again when it is time. Raises as :meth:`enter`, and :class:`JournalUnavailable`."""
        if time.monotonic() >= self._next.get(name, 0.0):
            self._announce(name, None if self._is_consuming is None else self._is_consuming())

    def place_among(self, name: str) -> tuple[int, int] | None:
        """The place of this worker among the live ones that watch the app's quiet lanes, from 0, and their number, at
        the last beat.

        ``None``: it does not, or does not read the queue, or Redis has forgotten it.
        """
        found = [one.owner for one in self._workers.get(name, ()) if one.watches and one.is_consuming is not False]
        return (found.index(self._owner), len(found)) if self._owner in found else None

    def leave(self) -> None:
        """Take the announcements back; what Redis does not take runs out."""
        for name in self._next:
            try:
                self._registry(name).leave(self._owner)
            except JournalUnavailable as error:
                logger.debug("announcement not removed app=%s error=%s", name, error)

    def _announce(self, name: str, is_consuming: bool | None) -> None:
        settings = get_settings()
        target = target_of(settings, name)
        workers = self._registry(name).announce(
            self._owner, self._node, target, is_consuming=is_consuming, watches=self._watches
        )
        self._next[name] = time.monotonic() + BEAT_S
        self._workers[name] = workers
        mine = next((one for one in workers if one.owner == self._owner), None)
        rival = None if mine is None else first_rival(mine, workers)
        if rival is not None:
            raise ConfigurationError(_refusal(setting_of(settings, name), name, target, rival))
        for other in other_hosts(target, workers):
            if (name, other.target) not in self._warned:
                self._warned.add((name, other.target))
                logger.warning(
                    "workers deliver one app to two hosts app=%s host=%s other_node=%s other_host=%s",
                    *(name, target.host, other.node, other.target.host),
                )

    @staticmethod
    def _registry(name: str) -> WorkerRegistry:
        return WorkerRegistry(app_named(name).journal.link, name)


def _refusal(setting: str, name: str, target: Target, rival: LiveWorker) -> str:
    return (
        f"{setting}: app id {target.app_id!r}, but worker {rival.node} delivers app {name!r} of this Redis to "
        f"app id {rival.target.app_id!r} at {rival.target.host}: set SOCKUDO_NAMESPACE for one of the two deployments, "
        f"or stop that worker first (one that was killed is forgotten after {TTL_MS // 1000} s)"
    )
