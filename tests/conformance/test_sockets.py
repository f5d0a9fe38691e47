"""Connections: greeting, ping, frames that cannot be read, socket ids."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.conformance.fact import Promise, fact
from tests.conformance.http import App
from tests.conformance.setups import CROWDED, FULL, ORIGINS
from tests.conformance.socket import Socket
from tests.conformance.targets import Node, Target

pytestmark = pytest.mark.integration

SOURCE = "11-websockets"
CODES = "12-codes-of-websockets"


@fact(
    "socket.greeting",
    "A connection is greeted with its socket id and an activity timeout of 120 s, in a text that holds JSON",
    promise=Promise.CLIENT,
    source=SOURCE,
    quick=True,
)
def test_greeting(plain: Node):
    with plain.socket() as socket:
        return {
            "frame": sorted(socket.greeting),
            "data is text": isinstance(socket.greeting["data"], str),
            "data": {**socket.data_of(socket.greeting), "socket_id": "ID"},
        }


@fact(
    "socket.id",
    "A socket id is two numbers with a point, another for each connection",
    promise=Promise.CHECKED,
    source=SOURCE,
)
def test_socket_id(plain: Node):
    ids = set()
    for _ in range(20):
        with plain.socket() as socket:
            whole, _, fraction = socket.id.partition(".")
            assert whole.isdigit()
            assert fraction.isdigit()
            ids.add(socket.id)
    return {"different ids": len(ids)}


@fact(
    "socket.protocol",
    "Any protocol number but 2 is protocol 7; a value that is no number is 400",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_protocol(plain: Node):
    def ask(query: str) -> str:
        try:
            with plain.socket(query) as socket:
                return str(socket.greeting["event"])
        except InvalidStatus as refusal:
            return str(refusal.response.status_code)

    return {
        query or "none": ask(query)
        for query in (
            "",
            "protocol=7",
            "protocol=5&client=js&version=8.3",
            "client=js",
            "protocol=x",
            "protocol=300",
            "protocol=-1",
            "protocol=",
        )
    }


@fact("socket.unknown_key", "An unknown key is not greeted", promise=Promise.CLIENT, source=CODES)
def test_unknown_key(plain: Node):
    with Socket(plain.address, App("unknown", "unknown", "x"), greeted=False) as socket:
        closed = socket.closed()
        return {"frames": socket.frames, "closed": closed}


@fact("socket.ping", "`pusher:ping` is answered by `pusher:pong`", promise=Promise.CLIENT, source=SOURCE, quick=True)
def test_ping(plain: Node):
    with plain.socket() as socket:
        socket.send(":ping", {})
        first = socket.next()
        socket.send(":ping")
        return {"with data": first, "without": socket.next()}


FRAMES = {
    "no JSON": "nonsense",
    "no object": "[]",
    "no event": '{"x":1}',
    "no channel": '{"event":"pusher:subscribe","data":{}}',
    "no data": '{"event":"pusher:subscribe"}',
    "data that is no JSON": '{"event":"pusher:subscribe","data":"x"}',
    "unknown event": '{"event":"pusher:whatever","data":{}}',
    "pong": '{"event":"pusher:pong","data":{}}',
}


@fact(
    "socket.bad_frames",
    "A frame that cannot be read is an error 4000, and the connection stays",
    promise=Promise.CLIENT,
    source=CODES,
)
def test_bad_frames(plain: Node):
    with plain.socket() as socket:
        found = {}
        for case, frame in FRAMES.items():
            socket.send_text(frame)
            # The parser's own text may change with its library.
            found[case] = [": ".join(error.split(": ")[:2]) for error in socket.errors()]
        return found


@fact("socket.binary", "A binary frame of JSON", promise=Promise.CLIENT, source=SOURCE)
def test_binary_frame(plain: Node, name: str):
    with plain.socket() as socket:
        socket.send_text(b'{"event":"pusher:subscribe","data":{"channel":"%s"}}' % name.encode())
        return [frame["event"] for frame in socket.settle()]


@fact("socket.close", "A client's close is answered with its code", promise=Promise.CLIENT, source=SOURCE)
def test_close(plain: Node):
    with plain.socket() as socket:
        socket.close()
        return {"closed": socket.closed()}


@fact("socket.large", "An event of one MiB arrives whole", promise=Promise.KEPT, source=SOURCE)
def test_large_event(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        plain.event(channel=name, name="e", data="x" * (1 << 20))
        return {"bytes": len(socket.wait_for_texts(1)[0])}


@fact("socket.many", "Fifty subscribers each get every event in order", promise=Promise.ORDER, source="6-order")
def test_many_subscribers(plain: Node, name: str):
    with contextlib.ExitStack() as ends:
        sockets = [ends.enter_context(plain.socket()) for _ in range(50)]
        for socket in sockets:
            socket.subscribe(name)
        plain.batch(*[{"channel": name, "name": "e", "data": str(n)} for n in range(20)])
        found = {tuple(socket.wait_for_texts(20)) for socket in sockets}
        return {"different logs": len(found), "in order": found == {tuple(str(n) for n in range(20))}}


@fact("socket.origin", "Without `allowed_origins` any origin may connect", promise=Promise.ACCESS, source=SOURCE)
def test_any_origin(plain: Node):
    with Socket(plain.address, plain.app, origin="https://anywhere.example", greeted=False) as socket:
        frame = socket.next()
        return socket.error_of(frame) if frame["event"].endswith(":error") else str(frame["event"])


@fact(
    "socket.origins",
    "With `allowed_origins` another origin, or none, is refused",
    promise=Promise.ACCESS,
    source=SOURCE,
)
def test_allowed_origins(target: Target):
    node = target.node(ORIGINS)

    def ask(origin: str | None) -> str:
        with Socket(node.address, node.app, origin=origin, greeted=False) as socket:
            frame = socket.next()
            return socket.error_of(frame) if frame["event"].endswith(":error") else frame["event"]

    return {str(origin): ask(origin) for origin in ("https://shop.example", "https://other.example", None)}


def second_connection(node: Node) -> dict[str, Any]:
    with node.socket(), Socket(node.address, node.app, greeted=False) as second:
        closed = second.closed()
        return {"frames": [second.error_of(frame) for frame in second.frames], "closed": closed}


@fact(
    "socket.app_limit",
    "A connection over the app's `max_connections` ends without a code",
    promise=Promise.CLIENT,
    source=CODES,
)
def test_connections_of_an_app(target: Target):
    return second_connection(target.node(CROWDED))


@fact(
    "socket.node_limit",
    "A connection over the server's `max_connections` is closed with 4100",
    promise=Promise.CLIENT,
    source=CODES,
)
def test_connections_of_a_server(target: Target):
    return second_connection(target.node(FULL))
