"""The tests' own tools: a faulty proxy whose faults fire, a subscriber that counts right."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from tests.support.http_api import HttpApi
from tests.support.proxy import Answer, Behaviour, Cut, Delay, Hang, Proxy, Truncate

pytestmark = pytest.mark.integration

EVENT = {"channel": "c", "name": "e", "data": "d"}


@pytest.fixture
def proxy(devserver):
    with Proxy(devserver.port) as proxy:
        yield proxy


@pytest.fixture
def api(devserver, proxy):
    return HttpApi(devserver, port=proxy.port)


CUTS: dict[str, tuple[Behaviour, type[Exception], bool]] = {
    "FIN before the end of the request": (Cut(request_bytes=50), http.client.RemoteDisconnected, False),
    "RST before the end of the request": (Cut(request_bytes=50, reset=True), ConnectionResetError, False),
    "FIN before the answer": (Cut(answer_bytes=0), http.client.RemoteDisconnected, True),
    "RST before the answer": (Cut(answer_bytes=0, reset=True), ConnectionResetError, True),
    "FIN in the answer's head": (Truncate(3), http.client.BadStatusLine, True),
}


@pytest.mark.parametrize(("behaviour", "error", "arrives"), CUTS.values(), ids=CUTS)
def test_a_cut_is_seen_by_the_client_and_noted(proxy, api, devserver, subscriber, behaviour, error, arrives):
    """Whether the event got through depends on where; the next connection passes."""
    channel = f"cut-{proxy.port}"
    seen = subscriber(devserver, channel)
    proxy.next(behaviour)
    with pytest.raises(error):
        api.event(**{**EVENT, "channel": channel, "data": "cut"})
    assert proxy.fired == 1
    assert proxy.connections[0].forwarded == (len(proxy.connections[0].request) if arrives else 50)
    assert api.event(**{**EVENT, "channel": channel, "data": "next"}).status == 200
    assert seen.take(1 + arrives) == ["cut", "next"][not arrives :]


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_cut_can_come_some_time_after_the_request(proxy, api, devserver, reset):
    """While the server is at it: here it is frozen, so that its answer cannot come first."""
    devserver.pause()
    proxy.next(Cut(after_s=0.1, reset=reset))
    start = time.monotonic()
    try:
        with pytest.raises(ConnectionResetError if reset else http.client.RemoteDisconnected):
            api.event(**EVENT)
    finally:
        devserver.resume()
    assert time.monotonic() - start >= 0.1
    assert proxy.fired == 1
    assert api.event(**EVENT).status == 200


def test_an_answer_s_body_can_be_cut_short(proxy, api):
    """The length in its head says more."""
    proxy.next(Truncate(100_000))  # longer than the answer: nothing to cut
    answer = api.event(**EVENT)
    assert proxy.fired == 0
    proxy.next(Truncate(len(proxy.connections[0].answer) - 3))
    with pytest.raises(http.client.IncompleteRead):
        api.event(**EVENT)
    assert proxy.fired == 1
    assert answer.json == {"ok": True}


def test_a_canned_answer_comes_instead(proxy, api):
    """The server sees nothing of the request."""
    proxy.next(Answer.http(502, b"<html>bad gateway</html>", "X-Upstream-Bytes-Sent: 0"))
    answer = api.event(**EVENT)
    assert (answer.status, answer.media_type, answer.headers["x-upstream-bytes-sent"]) == (502, "text/html", "0")
    assert proxy.connections[0].forwarded == 0
    assert json.loads(bytes(proxy.connections[0].request).partition(b"\r\n\r\n")[2]) == EVENT


def test_a_canned_answer_can_replace_the_server_s(proxy, api, devserver, subscriber):
    """The event is out, and the client does not know."""
    seen = subscriber(devserver, "canned")
    behaviour = Answer.http(504, b"")
    proxy.next(Answer(behaviour.data, forward=True))
    assert api.event(**{**EVENT, "channel": "canned"}).status == 504
    seen.wait_for_count(1)


@pytest.mark.parametrize("behaviour", [Delay(request_s=0.2), Delay(answer_s=0.2)], ids=["request", "answer"])
def test_a_delay_lengthens_and_loses_nothing(proxy, api, behaviour):
    """On the way there or back."""
    proxy.next(behaviour)
    start = time.monotonic()
    assert api.event(**EVENT).json == {"ok": True}
    assert time.monotonic() - start >= 0.2
    assert proxy.fired == 1


@pytest.mark.parametrize("forward", [False, True])
def test_a_hanging_server_never_answers(proxy, api, devserver, subscriber, monkeypatch, forward):
    """The request may have gone through or not."""
    monkeypatch.setattr("tests.support.http_api.ANSWER_S", 0.3)
    channel = f"hang-{forward}"
    seen = subscriber(devserver, channel)
    proxy.next(Hang(forward=forward))
    with pytest.raises(TimeoutError):
        api.event(**{**EVENT, "channel": channel})
    assert proxy.fired == 1
    assert seen.count == int(forward)


def test_a_refused_connection_is_refused_and_can_come_back(proxy, api):
    """On the same port."""
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        api.event(**EVENT)
    proxy.listen()
    assert api.event(**EVENT).status == 200


def test_a_subscriber_counts_what_a_busy_server_sends(devserver, subscriber):
    """64 channels on one socket, through a proxy, 10,000 events: all, in order, each once."""
    channels = [f"busy{number}" for number in range(64)]
    api = HttpApi(devserver)
    with Proxy(devserver.port) as proxy:
        seen = subscriber(proxy.url(devserver.ws_url()), *channels)
        for start in range(0, 10_000, 1000):
            items = [
                {"channel": channels[n % 64], "name": "e", "data": str(n), "message_id": f"busy-{n}"}
                for n in range(start, start + 1000)
            ]
            assert api.batch(*items).status == 200
        seen.wait_for_count(10_000)
        seen.ping()
        assert seen.by_channel() == {
            channel: [str(n) for n in range(number, 10_000, 64)] for number, channel in enumerate(channels)
        }
        arrivals = [at for at, _ in seen.raw()]
        assert arrivals == sorted(arrivals)
