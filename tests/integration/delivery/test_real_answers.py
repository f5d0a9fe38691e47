"""The real server's answers, as `classify` reads them and as the model of the other tests gives them.

So neither the table of docs/outcomes.md nor the model can drift from what the server says.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sockudo_publisher.client.http import calls as client_module
from sockudo_publisher.client.http.signing import Signer
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.delivery.outcome import NoReply, Outcome, Reply, classify
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.errors import SockudoConnectionError
from tests.unit.delivery import model
from tests.unit.delivery.model import body_of

pytestmark = pytest.mark.integration

#: Small, so that each limit can be crossed by a few bytes.
LIMITED = SockudoApp(
    id="limited",
    key="limited-key",
    secret="limited-secret",
    limits={"max_event_batch_size": 5, "max_event_payload_in_kb": 1, "max_event_name_length": 20},
)

#: Requests cut before the server is believed not to leave a claim behind (seen: half of them do).
MAX_CUTS = 60


@pytest.fixture(scope="module")
def server(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """A server of our own, with an app of small limits beside one without; `sockudo` says whether there is any."""
    free = SockudoApp(id="free", key="free-key", secret="free-secret", limits={})
    with SockudoServer(tmp_path_factory.mktemp("answers"), [LIMITED, free], dedup_ttl_s=30) as one:
        yield one


def post(url: str, body: bytes, timeout: float = 20.0) -> Reply | NoReply:
    """One attempt as a worker makes it (run_drain.run)."""
    with closing(Sockudo.from_url(url)) as client:
        try:
            response = client.send("POST", "/batch_events", body=body, timeout=timeout)
        except SockudoConnectionError as error:
            return NoReply(sent=error.sent, message=str(error))
        return Reply(response.status, response.body, {name.lower(): value for name, value in response.headers.items()})


def event(message_id: str | None = None, **fields: object) -> bytes:
    """One element of a batch."""
    document = {"channel": "c", "name": "n", "data": "x", "message_id": message_id or uuid.uuid4().hex, **fields}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def conflict(url: str) -> bytes:
    """A batch whose id was used with other data."""
    used = uuid.uuid4().hex
    assert classify(post(url, body_of([event(used)])), 1).outcome is Outcome.ACCEPTED
    return body_of([event(used, data="y")])


#: name: (body, or what makes it from the URL; items; what it proves; the model's answer of that kind)
ANSWERS: dict[str, tuple[bytes | Callable[[str], bytes], int, Outcome, Reply | None]] = {
    "accepted": (body_of([event("a1"), event("a2")]), 2, Outcome.ACCEPTED, model.receipts(["a1", "a2"])),
    "batch too large": (
        body_of([event() for _ in range(6)]),
        6,
        Outcome.TOO_LARGE,
        model.batch_too_large(6, 5),
    ),
    "long event name": (body_of([event(name="n" * 30)]), 1, Outcome.REFUSED, model.LONG_NAME),
    "an event name that speaks of batches": (
        body_of([event(name="Batch size (6) exceeds limit (5)")]),
        1,
        Outcome.REFUSED,
        None,
    ),
    "payload too large": (body_of([event(data="x" * 2000)]), 1, Outcome.REFUSED, model.PAYLOAD),
    "body over 10 MiB": (
        body_of([event(data="x" * (10 * 1024 * 1024 + 1))]),
        1,
        Outcome.TOO_LARGE,
        model.BODY_TOO_LARGE,
    ),
    "conflict": (conflict, 1, Outcome.CONFLICT, model.CONFLICT),
    "bad JSON": (b'{"batch":[', 1, Outcome.REFUSED, model.BAD_JSON),
    "empty body": (b"", 1, Outcome.REFUSED, None),
    "not UTF-8": (b'{"batch":[{"name":"\xff","channel":"c","data":"x"}]}', 1, Outcome.REFUSED, None),
    "wrong type": (b'{"batch":[{"name":1,"channel":"c","data":"x"}]}', 1, Outcome.REFUSED, model.WRONG_TYPE),
    "no batch": (b'{"foo":[]}', 1, Outcome.REFUSED, None),
    "bad channel name": (body_of([event(channel="a b")]), 1, Outcome.REFUSED, model.REFUSED),
    "AI event": (body_of([event(name="ai-output")]), 1, Outcome.REFUSED, model.AI_EVENT),
    "AI extras": (body_of([event(extras={"ai": {"transport": {"a": "b"}}})]), 1, Outcome.REFUSED, None),
    "no channel": (body_of([event(channel=None)]), 1, Outcome.REFUSED, None),
    "no event name": (body_of([event(name=None)]), 1, Outcome.REFUSED, None),
    "long id": (body_of([event("x" * 129)]), 1, Outcome.REFUSED, None),
    "no id, so no receipt": (
        b'{"batch":[{"name":"n","channel":"c","data":"x"}]}',
        1,
        Outcome.UNKNOWN,
        None,
    ),
    "nothing in the batch": (body_of([]), 1, Outcome.UNKNOWN, None),
}


def shape(reply: Reply) -> tuple[object, ...]:
    """What of an answer the classification can depend on: without its numbers, names and positions."""
    kind = reply.headers.get("content-type")
    try:
        document = json.loads(reply.body)
    except ValueError:
        return reply.status, kind, reply.body[:45]
    if "error" in document:
        text = re.sub(r"'[^']*'|\d+", "#", document["error"])
        return reply.status, kind, document["code"], document["status"], text
    return reply.status, kind, document


@pytest.mark.parametrize("name", ANSWERS)
def test_real_answer_is_classified_and_modelled(server: SockudoServer, name: str) -> None:
    """One answer of the table: what it proves, and that the model says the same in the same words."""
    body, count, outcome, modelled = ANSWERS[name]
    reply = post(server.url, body if isinstance(body, bytes) else body(server.url))
    assert isinstance(reply, Reply)
    finding = classify(reply, count)
    assert finding.outcome is outcome, reply
    assert outcome is not Outcome.TOO_LARGE or finding.limit == (5 if count == 6 else None)
    if modelled is not None:
        assert shape(reply) == shape(modelled)
        assert reply.headers.get("connection") == "close"


@pytest.mark.parametrize(
    ("part", "other", "modelled"),
    [
        pytest.param(LIMITED.key, "unknown", model.UNKNOWN_APP, id="unknown key"),
        pytest.param(LIMITED.secret, "guessed", model.BAD_SIGNATURE, id="wrong secret"),
        pytest.param("/apps/limited", "/apps/free", None, id="another app's id"),
        pytest.param("/apps/limited", "/apps/unknown", None, id="unknown id"),
    ],
)
def test_wrong_credentials_are_a_misconfiguration(
    server: SockudoServer, part: str, other: str, modelled: Reply | None
) -> None:
    """Nothing is published, nothing is refused."""
    assert part in server.url
    reply = post(server.url.replace(part, other), body_of([event()]))
    assert isinstance(reply, Reply)
    assert classify(reply, 1).outcome is Outcome.MISCONFIGURED
    if modelled is not None:
        assert shape(reply) == shape(modelled)


@pytest.mark.parametrize("skew_s", [-700, 700])
def test_clock_skew_is_a_misconfiguration(server: SockudoServer, monkeypatch: pytest.MonkeyPatch, skew_s: int) -> None:
    """A signature from ten minutes beside now; the server's error has that, and so has the log line."""

    class Skewed:
        def time(self) -> float:
            return time.time() + skew_s

        def __getattr__(self, name: str) -> object:
            return getattr(time, name)

    monkeypatch.setattr(client_module, "time", Skewed())
    reply = post(server.url, body_of([event()]))
    finding = classify(reply, 1)
    assert finding.outcome is Outcome.MISCONFIGURED, reply
    assert "imestamp" in finding.message


def test_another_path_is_a_misconfiguration(server: SockudoServer) -> None:
    """As with a URL whose path a proxy does not know: 404 in plain text."""
    with closing(Sockudo.from_url(server.url)) as client:
        response = client.send("POST", "/no_such_thing", body=b"{}")
    assert classify(Reply(response.status, response.body, response.headers), 1).outcome is Outcome.MISCONFIGURED


def test_no_server_is_not_sent_and_a_silent_one_is_unknown() -> None:
    """The two ends of having no answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"http://k:s@127.0.0.1:{port}/apps/a"
        assert classify(post(url, body_of([event()]), timeout=0.3), 1).outcome is Outcome.UNKNOWN
    assert classify(post(url, body_of([event()])), 1).outcome is Outcome.NOT_SENT


def test_cut_request_leaves_a_stuck_item_that_prefixes_find(server: SockudoServer) -> None:
    """503 in the words of the table; what is before the item is accepted, the item alone is stuck."""
    url = server.url_of(server.apps[1])
    for _ in range(MAX_CUTS):
        items = [event(channel=f"cut-{n % 7}") for n in range(400)]
        cut(url, body_of(items))
        reply = post(url, body_of(items))
        if classify(reply, len(items)).outcome is Outcome.STUCK:
            break
    else:
        pytest.fail(f"{MAX_CUTS} requests were cut and none left a claim: has the server learned to finish them?")
    assert isinstance(reply, Reply)
    assert shape(reply) == shape(model.STUCK)
    assert reply.headers["retry-after"] == model.STUCK.headers["retry-after"]

    free, bad = 0, len(items)
    while bad - free > 1:
        middle = (free + bad) // 2
        outcome = classify(post(url, body_of(items[:middle])), middle).outcome
        assert outcome in {Outcome.ACCEPTED, Outcome.STUCK}
        free, bad = (middle, bad) if outcome is Outcome.ACCEPTED else (free, middle)
    assert classify(post(url, body_of(items[free:bad])), 1).outcome is Outcome.STUCK
    rest = items[bad:]
    assert not rest or classify(post(url, body_of(rest)), len(rest)).outcome is Outcome.ACCEPTED


def cut(url: str, body: bytes) -> None:
    """Send a request whole and reset the connection a few milliseconds later, in the middle of the batch."""
    parts = urlsplit(url)
    assert parts.username
    assert parts.password
    path = f"{parts.path}/batch_events"
    query = Signer(parts.username, parts.password).query("POST", path, body=body, now=time.time())
    head = f"POST {path}?{query} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        time.sleep(0.003)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_limited_server_is_busy(sockudo: SockudoServer, tmp_path: Path) -> None:
    """429 of the request limiter: its body has no code, its Retry-After may be 0."""
    limits = {"rate_limiter": {"enabled": True, "api_rate_limit": {"max_requests": 10, "window_seconds": 60}}}
    with SockudoServer(tmp_path, settings=limits) as limited:
        for _ in range(30):
            reply = post(limited.url, body_of([event()]))
            finding = classify(reply, 1)
            if finding.outcome is not Outcome.ACCEPTED:
                break
    assert isinstance(reply, Reply)
    assert reply.status == 429
    assert finding.outcome is Outcome.BUSY
    assert finding.retry_after_s is not None
    assert 1 <= finding.retry_after_s <= 60
