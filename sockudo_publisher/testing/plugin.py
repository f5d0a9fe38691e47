"""The pytest plugin: fixtures and the option ``sockudo_block``.

Every session with this package installed loads it. So it imports pytest and the standard library alone; a fixture loads
what it needs when a test uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..dev.embedded import SockudoServer
    from .recorded import Published
    from .server import TestServer
    from .stack import Stack
    from .subscriber import Subscriber

BLOCK = "sockudo_block"
ALLOWED_HOSTS = "sockudo_allowed_hosts"
STACK_APPS = "sockudo_stack_apps"
MARKER = "sockudo"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    parser.addini(
        BLOCK, "fail tests that publish outside of a fixture of sockudo-publisher", type="bool", default=False
    )
    parser.addini(
        ALLOWED_HOSTS, "with sockudo_block: hosts beside this machine to which fixtures may connect", type="args"
    )
    parser.addini(STACK_APPS, "names of apps that sockudo_stack has beside the default one", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and block publishing if the ini file asks for it."""
    config.addinivalue_line(
        "markers", f"{MARKER}(immediate_on_commit=False): how the fixture `published` records (sockudo-publisher)"
    )
    if config.getini(BLOCK):
        from .block import Block

        config.pluginmanager.register(Block(config.getini(ALLOWED_HOSTS)), "sockudo_publisher_block")


@pytest.fixture
def published(request: pytest.FixtureRequest) -> Iterator[Published]:
    """What the test publishes, recorded in place of being stored and sent: no Redis, no server.

    ``@pytest.mark.sockudo(immediate_on_commit=True)``: record ``delay_on_commit`` and the outboxes at the call.
    """
    from .capture import capture_published

    mark = request.node.get_closest_marker(MARKER)
    options = {} if mark is None else mark.kwargs
    if mark is not None and (mark.args or options.keys() - {"immediate_on_commit"}):
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: takes immediate_on_commit=True or False, nothing else")
    capture = capture_published(**options)
    capture.where = f"the fixture `published` of {request.node.nodeid}"
    with capture as published:
        yield published


# -- with a server of the test's own: the extra `testing` ---------------------------------------------------


@pytest.fixture(scope="session")
def _sockudo_server() -> Iterator[TestServer]:
    from .extra import require_extra

    require_extra("sockudo_server")
    from .server import APP, TestServer

    with TestServer([APP]) as server:
        yield server


@pytest.fixture
def sockudo_server(_sockudo_server: TestServer) -> Iterator[TestServer]:
    """The embedded Sockudo, which the settings name: ``publish(...)`` and ``Sockudo.from_env()`` send to it.

    ``.url``, ``.key``, ``.secret``; ``.faults`` for what goes wrong. It begins each test as a new server.
    """
    with _use_server("sockudo_server", _sockudo_server.url):
        yield _sockudo_server
    _sockudo_server.empty()


@pytest.fixture(scope="session")
def _sockudo_real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    from .extra import require_extra

    require_extra("sockudo_real")
    from ..dev.embedded import EmbeddedError, SockudoServer, find_sockudo
    from .server import APP

    try:
        program = find_sockudo()
    except EmbeddedError as error:
        pytest.fail(f"sockudo_real: {error}", pytrace=False)
    if program is None:
        pytest.skip("sockudo_real: no Sockudo here; name its binary in SOCKUDO_BIN, or put `sockudo` on the PATH")
    with SockudoServer(tmp_path_factory.mktemp("sockudo_real"), [APP]) as server:
        yield server


@pytest.fixture
def sockudo_real(_sockudo_real: SockudoServer) -> Iterator[SockudoServer]:
    """The real Sockudo, which the settings name; the test is skipped where there is none (``SOCKUDO_BIN``).

    It lives as long as the session: use channels and keys of the test's own.
    """
    with _use_server("sockudo_real", _sockudo_real.url):
        yield _sockudo_real


@pytest.fixture(scope="session")
def _sockudo_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    from .extra import require_extra

    require_extra("sockudo_stack")
    from ..dev.embedded import PartMissing
    from .stack import Stack

    try:
        stack = Stack(tmp_path_factory.mktemp("sockudo_stack"), request.config.getini(STACK_APPS))
    except PartMissing as error:
        pytest.fail(f"sockudo_stack: {error}", pytrace=False)
    yield stack
    stack.stop()


@pytest.fixture
def sockudo_stack(_sockudo_stack: Stack) -> Iterator[Stack]:
    """A Redis, the embedded Sockudo and a worker, which the settings name: ``publish.delay`` reaches subscribers.

    They start with the first test that asks, and each test finds them empty. ``.server.faults`` for what goes wrong.
    """
    stack = _sockudo_stack
    fields = {
        "redis_url": stack.redis_url,
        "broker_url": "",
        "namespace": "",
        "apps": stack.app_urls(),
        "lanes": stack.lanes,
    }
    with _use_server("sockudo_stack", stack.url, **fields):
        yield stack
    stack.empty()


@pytest.fixture
def sockudo_subscriber(request: pytest.FixtureRequest) -> Iterator[Subscriber]:
    """A subscriber of the server that the test uses: ``.subscribe("orders")``, ``.wait_for("orders", count=3)``.

    Of ``sockudo_stack``, ``sockudo_real`` or ``sockudo_server``, whichever the test names; else of ``sockudo_server``.
    """
    names = ("sockudo_stack", "sockudo_real", "sockudo_server")
    server: Any = request.getfixturevalue(
        next((name for name in names if name in request.fixturenames), "sockudo_server")
    )
    from .subscriber import Subscriber

    with Subscriber(server) as subscriber:
        yield subscriber


@contextmanager
def _use_server(fixture: str, url: str, **fields: Any) -> Iterator[None]:
    """Let the settings and the environment of this process name a server, and publishing is meant."""
    from ..config.settings import get_settings, temporary_settings
    from .active import publishing_allowed
    from .replaced import DUMMY_MASTER_KEY
    from .server import close_connections

    key = get_settings().encryption_master_key_base64 or DUMMY_MASTER_KEY
    with ExitStack() as ends:
        ends.enter_context(publishing_allowed(fixture))
        environment = ends.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("SOCKUDO_URL", url)
        environment.delenv("SOCKUDO_URL_FILE", raising=False)
        ends.enter_context(temporary_settings(url=url, encryption_master_key_base64=key, **fields))
        ends.callback(close_connections)
        yield
