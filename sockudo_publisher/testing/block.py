"""``sockudo_block``: a test that publishes outside of a fixture fails, and fixtures connect to this machine alone.

A test that reaches for a developer's Redis or server passes on one machine and not on another, and may publish to
people. So the ends of publishing (:mod:`.replaced`) are closed for the whole session, and fixtures open them.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from . import active
from .replaced import Method, Replacements, use_dummies

__all__ = ["Block", "is_loopback"]


#: How the names of this package's threads begin.
OWN_THREADS = "sockudo-publisher-"


class Block:
    """The plugin that is registered with ``sockudo_block = true``."""

    def __init__(self, allowed_hosts: Sequence[str]) -> None:
        self._allowed_hosts = frozenset(allowed_hosts)
        self._replacements = Replacements()
        self._attempts: list[str] = []

    def pytest_sessionstart(self) -> None:
        """Close the ends of publishing."""
        from ..client.http.calls import Calls
        from ..journal.producer import Producer
        from ..journal.redis.link import RedisLink
        from ..publishing.group_commit import _Group
        from ..tasks import publish
        from ..wiring import broker

        use_dummies(self._replacements)  # or a test would fail for a missing setting
        replace = self._replacements.replace
        for owner, name in ((Producer, "append"), (Producer, "remember_keys"), (Producer, "now_ms")):
            replace(owner, name, self._closed)
        # At the coroutine's call: a failure in the thread that appends would end it, and the coroutine would wait.
        replace(_Group, "add", self._closed)
        replace(publish, "bounded_send", self._closed)
        replace(Calls, "call", self._closed)
        replace(Calls, "send", self._guarded(lambda client: client._credentials.host))
        for name in ("run", "send"):
            replace(RedisLink, name, self._guarded(_host_of_link))
        # Doorbells look it up there too, with the first connection.
        replace(broker, "bounded_connection", self._guarded(lambda app: app.connection_for_write().hostname or ""))

    def pytest_sessionfinish(self) -> None:
        """Open them again: the process may go on."""
        self._replacements.undo()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """Fail a test whose code has caught the failure, or published in a thread."""
        result = yield
        attempts, self._attempts = self._attempts, []
        if attempts:
            pytest.fail(attempts[0], pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """A failure that the test shows by itself is not shown a second time."""
        report = yield
        # Of a unittest.TestCase pytest sets the error only here.
        if call.excinfo is not None and str(call.excinfo.value) in self._attempts:
            self._attempts.clear()
        return report

    def _closed(self, original: Method) -> Method:
        def check(*args: Any, **kwargs: Any) -> Any:
            if not active.is_allowed():
                self._fail(
                    "this test publishes, or calls Sockudo, outside of a fixture (sockudo_block): name `published` or "
                    "a server's fixture as an argument of the test, or use capture_published()"
                )
            return original(*args, **kwargs)

        return check

    def _guarded(self, host_of: Callable[[Any], str]) -> Callable[[Method], Method]:
        def make(original: Method) -> Method:
            def check(owner: Any, *args: Any, **kwargs: Any) -> Any:
                host = host_of(owner)
                if not is_loopback(host) and host not in self._allowed_hosts:
                    self._fail(
                        f"this test connects to {host} (sockudo_block): fixtures give servers of this machine; "
                        "another host is allowed by the ini option sockudo_allowed_hosts"
                    )
                return original(owner, *args, **kwargs)

            return check

        return make

    def _fail(self, text: str) -> None:
        self._attempts.append(text)
        if threading.current_thread().name.startswith(OWN_THREADS):
            raise RuntimeError(text)  # pytest's failure is no Exception: it would end the thread, and its callers wait
        pytest.fail(text, pytrace=True)


def _host_of_link(link: Any) -> str:
    url = link._url
    return urlsplit(url if isinstance(url, str) else url.reveal()).hostname or ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone: no lookup. An empty host is a socket in the file system."""
    name = host.strip("[]").rstrip(".").lower()
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
