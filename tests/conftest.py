"""Fixtures for all tests: the real parts, started once. Where one is absent: tests/support/parts.py."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
import redis

from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer, SockudoServer
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.order import spread
from tests.support.parts import (
    described_parts,
    need,
    pytest_make_collect_report,
    pytest_runtest_makereport,
)
from tests.support.stack import DEDUP_TTL_S, Server, SharedStack, Stack, SubscriberFactory, settings_of
from tests.support.warm import share_parent

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

# Beside other load an example takes what it takes: it has the time that its test has (pytest's own timeout).
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    max_examples=25,
    # With few examples, few of the first are the small ones, which filters let pass.
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
    print_blob=True,
)
# Of `make test-depth`.
hypothesis.settings.register_profile("deep", hypothesis.settings.get_profile("unhurried"), max_examples=150)
hypothesis.settings.load_profile("unhurried")

# Each connection to Redis parses the whole metadata of its client for one line: a millisecond, five thousand times in
# the tests of three rooms.
importlib.metadata.version = functools.lru_cache(importlib.metadata.version)


def pytest_report_header() -> str:
    """Which real parts there are: a green run without them is worth less."""
    return "real parts: " + ", ".join(f"{name} {where or 'NOT FOUND'}" for name, where in described_parts().items())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """What each of several processes would do for itself is done once: imports, and in a fresh clone the compiling."""
    is_fresh = not list(Path(__file__).parent.glob("unit/*/__pycache__"))
    if is_fresh and not sys.dont_write_bytecode:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-n0", "-q", "-q", "-p", "no:cacheprovider"]
        subprocess.run(
            [*command, *config.args], cwd=config.invocation_params.dir, stdout=subprocess.DEVNULL, check=False
        )
    share_parent()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Without the garbage collector, which would look at more and more that stays: a fifth of the time of collection.

    What there is then (modules, tests) stays to the end, so later collections of garbage leave it aside.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For several processes, files that wait and files that compute in turn: neither leaves the processors idle."""
    if hasattr(config, "workerinput"):
        places = spread(item.nodeid.partition("::")[0] for item in items)
        items.sort(key=lambda item: places[item.nodeid.partition("::")[0]])


@pytest.fixture(autouse=True)
def own_celery_apps() -> Iterator[None]:
    """A test's `register(app)`, and its current app, count in that test alone.

    An eager app would send another test's events by itself, and `Celery(...)` makes its app the thread's current one.
    """
    module, state = sys.modules.get("sockudo_publisher.tasks.other_apps"), sys.modules.get("celery._state")
    before = list(module._registered) if module else []
    current = state._tls.current_app if state else None
    yield
    module, state = sys.modules.get("sockudo_publisher.tasks.other_apps"), sys.modules.get("celery._state")
    if module is not None:
        module._registered[:] = before
    if state is not None:
        state._tls.current_app = current


@pytest.fixture(scope="module", autouse=True)
def no_leases_of_earlier_files() -> Iterator[None]:
    """A holder that a test left would renew its lease to the end of the run: hundreds of threads in each process."""
    yield
    module = sys.modules.get("sockudo_publisher.journal.lease")
    for keeper in tuple(module._keepers) if module else ():
        with keeper._lock:
            keeper._leases.clear()  # its thread ends by itself


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of this run. Tests that stop or freeze it start their own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty database."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def sockudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """The real server as the promise needs it: a million ids, 60 s, no history. Tests use channels of their own."""
    need("sockudo")
    with SockudoServer(tmp_path_factory.mktemp("sockudo"), dedup_ttl_s=DEDUP_TTL_S) as server:
        yield server


@pytest.fixture(scope="session")
def devserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServerProcess]:
    """The look-alike, with the same settings."""
    with DevServerProcess(tmp_path_factory.mktemp("devserver"), dedup_ttl_s=DEDUP_TTL_S) as server:
        yield server


@pytest.fixture
def subscriber() -> Iterator[SubscriberFactory]:
    """`subscriber(server, *channels)`: a confirmed subscriber, closed with the test; a `ws_url` does too."""
    with ExitStack() as ends:

        def subscribe(server: Server | str, *channels: str, secret: str | None = None) -> Subscriber:
            url = server if isinstance(server, str) else server.ws_url()
            secret = secret or (None if isinstance(server, str) else server.apps[0].secret)
            return ends.enter_context(Subscriber(url, *channels, secret=secret))

        yield subscribe


@pytest.fixture
def stack(
    redis_server: RedisServer,
    redis_url: str,
    sockudo: SockudoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """An empty Redis, the real server, and their settings in this process' environment."""
    ends = ExitStack()
    stack = Stack(redis_server, sockudo, tmp_path, ends)
    with settings_of(stack, monkeypatch), ends:
        yield stack


@pytest.fixture(scope="module")
def shared(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStack]:
    """For tests that can share workers: a file's fixture starts them, `shared.of_test()` is what a test has."""
    directory = tmp_path_factory.mktemp("shared")
    with RedisServer(directory / "redis") as server, ExitStack() as ends:
        yield SharedStack(Stack(server, sockudo, directory, ends))
