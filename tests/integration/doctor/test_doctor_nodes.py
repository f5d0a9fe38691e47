"""Three real nodes behind an nginx that takes turns: the doctor finds out, whatever cache they have."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.stack import Part, find_nginx, nginx_user
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer, free_port
from sockudo_publisher.doctor.checks.delivering import DeliveryFacts, judge_delivering
from sockudo_publisher.doctor.facts.values import Cut
from tests.support.nginx import is_listening
from tests.support.parts import need
from tests.support.proxy import Proxy

from .conftest import SMALL, sockudo_findings

pytestmark = pytest.mark.integration

WEBSOCKETS = """
proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_header;
"""

FILE = """
worker_processes {workers}; pid nginx.pid; error_log stderr warn;
events {{}}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxied;
    fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    map $http_upgrade $connection_header {{ "" ""; default upgrade; }}
    {http}
}}
"""

BALANCER = """
upstream nodes {{ {nodes} }}
server {{
    listen 127.0.0.1:{port}; client_max_body_size 12m;
    location / {{ proxy_pass http://nodes; proxy_set_header Host $http_host; {more} }}
}}
"""


@pytest.fixture
def nginx_as(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start an nginx with these lines in its `http` block; answers its port, which they name as `{port}`."""
    need("nginx")
    with contextlib.ExitStack() as ends:

        def start(http: str, workers: int = 1) -> int:
            port = free_port()
            (tmp_path / "nginx.conf").write_text(FILE.format(workers=workers, http=http.replace("{port}", str(port))))
            command = [str(find_nginx()), "-p", f"{tmp_path}/", "-c", "nginx.conf", "-g", f"daemon off; {nginx_user()}"]
            part = Part(
                "nginx",
                command,
                {},
                lambda: is_listening(port),
                service={"stop_grace_period": "5s"},
                directory=tmp_path,
            )
            ends.enter_context(part)
            return port

        yield start


def balanced(nodes: list[SockudoServer], nginx_as: Callable[..., int], *, more: str = "", workers: int = 1) -> str:
    """The URL of these nodes behind an nginx that takes turns."""
    servers = " ".join(f"server 127.0.0.1:{node.port};" for node in nodes)
    http = BALANCER.format(nodes=servers, port="{port}", more=more)
    port = nginx_as(http, workers)
    return nodes[0].url.replace(f":{nodes[0].port}/", f":{port}/")


@pytest.fixture(scope="module")
def apart(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SockudoServer]]:
    """Three nodes with a cache each."""
    homes = [tmp_path_factory.mktemp("apart") for _ in range(2)]
    with SockudoServer(homes[0]) as second, SockudoServer(homes[1]) as third:
        yield [sockudo, second, third]


@pytest.fixture(scope="module")
def cluster(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SockudoServer]]:
    """Three nodes with one Redis for their cache and their adapter (skipped where `sockudo` is)."""
    homes = [tmp_path_factory.mktemp("cluster") for _ in range(3)]
    with contextlib.ExitStack() as ends:
        cache = ends.enter_context(RedisServer(tmp_path_factory.mktemp("cache"), password=""))
        place = {"host": "127.0.0.1", "port": cache.port}
        settings = {"adapter": {"driver": "redis"}, "database": {"redis": place}}
        yield [ends.enter_context(SockudoServer(home, cache_redis_url=cache.url, settings=settings)) for home in homes]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_three_nodes_with_a_cache_each_are_broken(apart, nginx_as, no_cuts, few_loads, workers) -> None:
    """Also where each worker of nginx takes turns of its own, so that the nodes come in any order."""
    found = sockudo_findings(balanced(apart, nginx_as, workers=workers), wanted=SMALL)
    assert found["sockudo.nodes"].state.value == "broken"
    assert "one node" in found["sockudo.nodes"].change
    assert found["sockudo.memory"].state.value == "broken"


def test_three_nodes_with_one_cache_are_a_risk(cluster, nginx_as, no_cuts, loads_in_turn) -> None:
    """Without a subscriber: the doctor's own WebSocket is counted by one node alone."""
    found = sockudo_findings(balanced(cluster, nginx_as, more=WEBSOCKETS), wanted=SMALL)
    assert found["sockudo.memory"].state.value == "fine"
    assert found["sockudo.nodes"].state.value == "risk"
    assert "several nodes answer" in found["sockudo.nodes"].why
    # The same nodes where no WebSocket passes: nothing tells them from one, which is no reason to call it fine.
    found = sockudo_findings(balanced(cluster, nginx_as), wanted=SMALL)
    assert found["sockudo.nodes"].state.value == "unknown"
    assert "no WebSocket passes" in found["sockudo.nodes"].why


class RoundRobin(Proxy):
    """Each connection to the next of several servers, as a balancer would."""

    def __init__(self, *ports: int) -> None:
        self._turn = itertools.cycle(ports)
        super().__init__(ports[0])

    def target(self) -> int:
        return next(self._turn)


@pytest.mark.long
def test_nodes_with_memories_of_their_own_are_broken(apart, no_cuts, few_loads) -> None:
    """Two of them behind a balancer: a resend to the other one is delivered again."""
    one, other, _ = apart
    with RoundRobin(one.port, other.port) as balancer:
        found = sockudo_findings(balancer.url(one.url), wanted=SMALL)
    assert found["sockudo.nodes"].state.value == "broken"
    assert '[cache] driver = "redis"' in found["sockudo.nodes"].change
    assert found["sockudo.memory"].state.value == "broken"
    assert '[cache] driver = "redis"' in found["sockudo.memory"].change


def test_nodes_that_share_a_cache_are_a_risk(cluster, subscriber, no_cuts, loads_in_turn) -> None:
    """They remember as one, but neither order nor completeness is kept between them: their own numbers tell."""
    one, other, _ = cluster
    subscriber(one, "c")
    with RoundRobin(one.port, other.port) as balancer:
        found = sockudo_findings(balancer.url(one.url), wanted=SMALL)
    assert found["sockudo.memory"].state.value == "fine"
    assert found["sockudo.nodes"].state.value == "risk"
    assert "one node's own address" in found["sockudo.nodes"].change


def test_one_node_behind_a_proxy_is_fine(sockudo, nginx_as, no_cuts, loads_in_turn) -> None:
    """The doctor's WebSocket is counted in every answer."""
    found = sockudo_findings(balanced([sockudo], nginx_as, more=WEBSOCKETS), wanted=SMALL)
    assert found["sockudo.nodes"].state.value == "fine"
    assert "one node's numbers" in found["sockudo.nodes"].why


def test_the_printed_nginx_is_all_that_is_needed(sockudo, nginx_as, few_loads) -> None:
    """What the finding tells to put into the `http` block: requests of clients that are gone are finished."""
    facts = DeliveryFacts(cuts=[Cut.STOPPED], server=f"http://127.0.0.1:{sockudo.port}")
    change = next(one.change for one in judge_delivering(facts) if one.name == "sockudo.dropped_requests")
    assert not re.search(r"docker-compose|worker/|docs/", change), "a wheel has none of them"
    [block] = re.findall(r"`(server \{.*\})`", change)
    port = nginx_as(block.replace("listen 8080;", "listen 127.0.0.1:{port};"))
    for _ in range(5):  # on a busy machine nginx may not have read a request whole before it is dropped
        found = sockudo_findings(sockudo.url.replace(f":{sockudo.port}/", f":{port}/"))
        assert found["sockudo.dropped_requests"].state.value in ("fine", "unknown")
        if found["sockudo.dropped_requests"].state.value == "fine":
            break
    assert found["sockudo.dropped_requests"].state.value == "fine", found["sockudo.dropped_requests"]
    assert found["sockudo.batch_bytes"].state.value == "fine"
