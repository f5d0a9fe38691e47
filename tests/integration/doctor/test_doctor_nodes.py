"""Three real nodes behind an nginx that takes turns: the doctor finds out, whatever cache they have."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Part, find_nginx, nginx_user
from sockudo_publisher.dev.embedded import SockudoServer, free_port
from sockudo_publisher.doctor.checks.delivering import DeliveryFacts, judge_delivering
from sockudo_publisher.doctor.facts import sockudo as room
from sockudo_publisher.doctor.facts.values import Cut
from tests.support.nginx import is_listening
from tests.support.parts import need

from .conftest import sockudo_findings

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
def no_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut requests have tests of their own."""
    monkeypatch.setattr(room, "MIN_CUT_EVENTS", room.CUT_EVENTS + 1)
    monkeypatch.setattr(room, "MIN_AGE_S", 0.0)


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


def cluster(redis_as: Callable[..., Any], sockudo_as: Callable[..., SockudoServer], count: int) -> list[SockudoServer]:
    """Nodes with one Redis for their cache and their adapter."""
    cache = redis_as()
    place = {"host": "127.0.0.1", "port": cache.port}
    settings = {"adapter": {"driver": "redis"}, "database": {"redis": place}}
    return [sockudo_as(cache_redis_url=cache.url, settings=settings) for _ in range(count)]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_three_nodes_with_a_cache_each_are_broken(sockudo_as, nginx_as, no_cuts, workers) -> None:
    """Also where each worker of nginx takes turns of its own, so that the nodes come in any order."""
    nodes = [sockudo_as() for _ in range(3)]
    found = sockudo_findings(balanced(nodes, nginx_as, workers=workers))
    assert found["sockudo.nodes"].state.value == "broken"
    assert "one node" in found["sockudo.nodes"].change
    assert found["sockudo.memory"].state.value == "broken"


def test_three_nodes_with_one_cache_are_a_risk(sockudo_as, redis_as, nginx_as, no_cuts) -> None:
    """Without a subscriber: the doctor's own WebSocket is counted by one node alone."""
    nodes = cluster(redis_as, sockudo_as, 3)
    found = sockudo_findings(balanced(nodes, nginx_as, more=WEBSOCKETS))
    assert found["sockudo.memory"].state.value == "fine"
    assert found["sockudo.nodes"].state.value == "risk"
    assert "several nodes answer" in found["sockudo.nodes"].why
    # The same nodes where no WebSocket passes: nothing tells them from one, which is no reason to call it fine.
    found = sockudo_findings(balanced(nodes, nginx_as))
    assert found["sockudo.nodes"].state.value == "unknown"
    assert "no WebSocket passes" in found["sockudo.nodes"].why


def test_one_node_behind_a_proxy_is_fine(sockudo, nginx_as, no_cuts) -> None:
    """The doctor's WebSocket is counted in every answer."""
    found = sockudo_findings(balanced([sockudo], nginx_as, more=WEBSOCKETS))
    assert found["sockudo.nodes"].state.value == "fine"
    assert "one node's numbers" in found["sockudo.nodes"].why


def test_the_printed_nginx_is_all_that_is_needed(sockudo, nginx_as) -> None:
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
