"""What the doctor finds of a real Sockudo that is set up badly, or not there (well: test_doctor_command.py)."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.dev.embedded import SockudoApp, free_port
from sockudo_publisher.doctor.facts import sockudo as room
from sockudo_publisher.doctor.facts.sockudo import CHANNEL, Wanted
from tests.support.proxy import Answer, Hang, Pass, Proxy

from .conftest import SMALL, leave_out_cuts, sockudo_findings

pytestmark = pytest.mark.integration


def states(findings) -> dict[str, str]:
    return {name: finding.state.value for name, finding in findings.items()}


def of(findings, state) -> set[str]:
    """The names of what is in this state."""
    return {name for name, finding in findings.items() if finding.state.value == state}


def test_a_server_without_a_proxy_stops_when_its_client_goes(sockudo, loads_in_turn):
    """All is well but that: requests that are dropped stop in the middle of their batch."""
    found = sockudo_findings(sockudo.url)
    assert of(found, "risk") == {"sockudo.dropped_requests"}
    assert "proxy_ignore_client_abort on" in found["sockudo.dropped_requests"].change
    assert of(found, "unknown") == {"delivery"}, "which Redis tells"
    assert "10 of 10" in found["sockudo.memory"].why


def test_only_our_channel_is_published_to(sockudo, subscriber, no_cuts, few_loads):
    """What the server takes is all for our channel; limits are asked for with what it refuses whole."""
    seen = subscriber(sockudo, CHANNEL)
    with Proxy(sockudo.port) as proxy:
        assert states(sockudo_findings(proxy.url(sockudo.url)))["sockudo.memory"] == "fine"
        exchanges = [(bytes(one.request), bytes(one.answer)) for one in proxy.connections]
    taken = []
    for request, answer in exchanges:
        if request.startswith(b"POST") and answer.startswith(b"HTTP/1.1 200"):
            taken += json.loads(request.partition(b"\r\n\r\n")[2])["batch"]
    assert {item["channel"] for item in taken} == {CHANNEL}
    ids = {item["message_id"] for item in taken}
    assert len(ids) == room.CANARIES + 1, "the canaries, and the one id that all nodes are asked for"
    assert len(seen.take(len(ids))) == len(ids)
    seen.wait_until_quiet()
    assert seen.count == len(ids)


class TestAccess:
    def test_a_wrong_secret(self, sockudo):
        """The app is known, the secret is not its own."""
        found = sockudo_findings(sockudo.url.replace(":secret@", ":of-mine@"))
        assert states(found)["sockudo.app"] == "fine"
        assert states(found)["sockudo.signature"] == "broken"
        assert "the secret in SOCKUDO_URL" in found["sockudo.signature"].change
        assert states(found)["sockudo.batch_events"] == "unknown"
        assert not any("of-mine" in finding.why + finding.change for finding in found.values())

    def test_an_unknown_key(self, sockudo):
        """404: the signature was not even looked at."""
        found = sockudo_findings(sockudo.url.replace("//key:", "//nokey:"))
        assert states(found)["sockudo.app"] == "broken"
        assert "no app with this key" in found["sockudo.app"].why
        assert states(found)["sockudo.signature"] == "unknown"

    def test_the_key_of_another_app(self, sockudo):
        """401, but not for the secret."""
        found = sockudo_findings(sockudo.url.replace("/apps/app", "/apps/other"), app_id="other")
        assert states(found)["sockudo.app"] == "broken"
        assert "another app than other" in found["sockudo.app"].why
        assert states(found)["sockudo.signature"] == "unknown"

    @pytest.mark.parametrize(
        ("ahead_s", "state"), [(-700, "broken"), (-100, "risk"), (0, "fine"), (100, "risk"), (700, "broken")]
    )
    def test_clocks_that_differ(self, sockudo, no_cuts, few_loads, monkeypatch, ahead_s, state):
        """Beyond ten minutes it refuses; that is not a wrong secret."""
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - ahead_s)
        found = sockudo_findings(sockudo.url, wanted=SMALL)
        assert states(found)["sockudo.clock"] == state
        assert states(found)["sockudo.signature"] == ("unknown" if state == "broken" else "fine")
        if ahead_s:
            assert ("ahead" if ahead_s > 0 else "behind") in found["sockudo.clock"].why
            assert "NTP" in found["sockudo.clock"].change

    def test_unreachable_server(self):
        """Refused: start it, or correct the port."""
        found = sockudo_findings(f"http://key:of-mine@127.0.0.1:{free_port()}/apps/app")
        assert states(found)["sockudo.reachable"] == "broken"
        assert "refused" in found["sockudo.reachable"].why
        assert "port in SOCKUDO_URL" in found["sockudo.reachable"].change
        assert of(found, "unknown") == set(found) - {"sockudo.reachable"}
        assert "of-mine" not in str(found)

    def test_no_such_host(self):
        """The name server is to blame, or the name."""
        found = sockudo_findings("http://key:secret@nowhere.invalid:6001/apps/app")
        assert "host not found" in found["sockudo.reachable"].why
        assert "name server" in found["sockudo.reachable"].change

    def test_https_to_a_port_that_does_not_speak_it(self, sockudo):
        """The scheme is the setting to change."""
        found = sockudo_findings(sockudo.url.replace("http://", "https://"))
        assert states(found)["sockudo.reachable"] == "broken"
        assert "https://" in found["sockudo.reachable"].change

    def test_a_proxy_without_a_server(self, sockudo):
        """A proxy answers 502: not Sockudo."""
        with Proxy(sockudo.port, Answer.http(502, b"<h1>Bad Gateway</h1>")) as proxy:
            found = sockudo_findings(proxy.url(sockudo.url))
        assert states(found)["sockudo.reachable"] == "broken"
        assert "proxy" in found["sockudo.reachable"].why

    def test_another_web_server(self, sockudo):
        """Another web server on that port is not a Sockudo that does not know the app."""
        with Proxy(sockudo.port, Answer.http(404, b"<h1>Not Found</h1>")) as proxy:
            found = sockudo_findings(proxy.url(sockudo.url))
        assert states(found)["sockudo.reachable"] == "broken"
        assert states(found)["sockudo.app"] == "unknown"

    def test_a_server_that_hangs(self, sockudo, monkeypatch):
        """At once, and in the middle: what was found until then stays, the rest is unknown, soon."""
        monkeypatch.setattr(room, "ANSWER_S", 1.0)
        with Proxy(sockudo.port, Hang()) as proxy:
            found = sockudo_findings(proxy.url(sockudo.url))
            assert "no complete answer" in found["sockudo.reachable"].why
            proxy.next(Pass(), Pass(), Pass())
            start = time.monotonic()
            found = sockudo_findings(proxy.url(sockudo.url))
            assert time.monotonic() - start < 15
        assert states(found)["sockudo.signature"] == states(found)["sockudo.batch_events"] == "fine"
        assert states(found)["sockudo.memory"] == states(found)["sockudo.history"] == "unknown"

    def test_the_time_is_up(self, sockudo):
        """Nothing is asked after it."""
        found = sockudo_findings(sockudo.url, within_s=0)
        assert "fine" not in states(found).values()


def test_limits_that_we_would_run_into(sockudo_as, few_loads, monkeypatch):
    """Batches, events and names: each with the server's setting and ours; history and the limiter, too."""
    app = SockudoApp(
        limits={
            "max_event_batch_size": 400,
            "max_event_payload_in_kb": 5,
            "max_event_name_length": 100,
            "max_channel_name_length": 120,
        }
    )
    server = sockudo_as(
        [app],
        history=True,
        settings={
            "rate_limiter": {"enabled": True, "api_rate_limit": {"max_requests": 500, "window_seconds": 60}},
            "http_api": {"request_limit_in_mb": 2},
        },
    )
    found = sockudo_findings(server.url)
    changes = {name: finding.change for name, finding in found.items()}
    assert "max_event_batch_size = 500" in changes["sockudo.batch_events"]
    assert "SOCKUDO_BATCH_MAX_EVENTS=400" in changes["sockudo.batch_events"]
    assert "request_limit_in_mb = 5" in changes["sockudo.batch_bytes"]
    assert "max_event_payload_in_kb = 10" in changes["sockudo.event_bytes"]
    assert "SOCKUDO_MAX_EVENT_BYTES=5120" in changes["sockudo.event_bytes"]
    assert "max_event_name_length = 200" in changes["sockudo.names"]
    assert "max_channel_name_length = 200" in changes["sockudo.names"]
    assert "[rate_limiter]" in changes["sockudo.rate_limit"]
    assert "[history]" in changes["sockudo.history"]
    assert of(found, "broken") == {"sockudo.event_bytes"}
    assert of(found, "risk") == {
        *("sockudo.batch_events", "sockudo.batch_bytes", "sockudo.names"),
        *("sockudo.rate_limit", "sockudo.history", "sockudo.dropped_requests"),
    }
    leave_out_cuts(monkeypatch)
    suited = sockudo_findings(server.url, wanted=Wanted(400, 1_000_000, 5120))
    assert of(suited, "risk") == {"sockudo.names", "sockudo.rate_limit", "sockudo.history"}


def test_a_server_as_it_comes_is_a_risk(sockudo_as, no_cuts, few_loads):
    """Its rate limiter is on: a hundred requests a minute; it refuses the next."""
    server = sockudo_as(settings={"rate_limiter": {"enabled": True}})
    first = sockudo_findings(server.url, wanted=SMALL)["sockudo.rate_limit"]
    assert (first.state.value, "100 requests" in first.why) == ("risk", True)
    assert "RATE_LIMITER_ENABLED=false" in first.change
    # With a few requests left it is refused in the middle of its look, with none from the beginning.
    client = Sockudo.from_url(server.url)
    while int(client.send("GET", "/channels").headers["X-RateLimit-Remaining"]) > 5:
        pass
    for _ in range(2):
        limited = sockudo_findings(server.url, wanted=SMALL)
        assert states(limited)["sockudo.rate_limit"] == "broken"
        assert states(limited)["sockudo.reachable"] == "fine"


@pytest.mark.long
def test_a_memory_that_is_full_is_broken(sockudo_as, no_cuts, few_loads, monkeypatch):
    """At the server's default of 10,000 ids it remembers no new one; the finding has the setting and a number."""
    monkeypatch.setattr(room, "MIN_AGE_S", 1.0)
    server = sockudo_as(cache_max_capacity=10_000)
    assert states(sockudo_findings(server.url, wanted=SMALL))["sockudo.memory"] == "fine"
    client = Sockudo.from_url(server.url)
    for _ in range(12):
        run = uuid.uuid4().hex
        items = [{"name": "n", "channel": "others", "data": "x", "message_id": f"{run}{n}"} for n in range(2000)]
        assert client.send("POST", "/batch_events", body=json.dumps({"batch": items}).encode()).status == 200
    found = sockudo_findings(server.url, wanted=SMALL)["sockudo.memory"]
    assert found.state.value == "broken"
    assert "of 10 ids remembered" in found.why
    assert "max_capacity" in found.change


def test_no_memory_at_all_is_broken(sockudo_as, no_cuts, few_loads):
    """Idempotency switched off: answers look as always."""
    app = SockudoApp()
    off = {"policy": {"idempotency": {"enabled": False}}}
    apps = [{"id": app.id, "key": app.key, "secret": app.secret, "enabled": True, **off}]
    server = sockudo_as([app], settings={"app_manager": {"array": {"apps": apps}}})
    found = sockudo_findings(server.url, wanted=SMALL)
    assert states(found)["sockudo.memory"] == "broken"
    assert "[idempotency] enabled = true" in found["sockudo.memory"].change
    assert states(found)["sockudo.nodes"] == "unknown"


def test_one_node_with_subscribers_is_one(sockudo, subscriber, no_cuts, loads_in_turn):
    """Its numbers are the same every time."""
    subscriber(sockudo, "c")
    found = sockudo_findings(sockudo.url, wanted=SMALL)["sockudo.nodes"]
    assert found.state.value == "fine"
    assert "one node's numbers" in found.why
