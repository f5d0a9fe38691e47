"""Whatever a server answers, a call takes its timeout and two seconds, and 64 MB at most: client and worker."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.client.http.json_memory import json_bytes
from tests.support.answer_bounds import CALLS, TIMEOUT

from .conftest import Peer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures memory by Linux' /proc"),
]

#: What the page promises, and seconds that a busy machine may add.
MAX_BYTES = 64_000_000
MAX_SECONDS = TIMEOUT + 2
SLACK = 2.0
MIB = 1024 * 1024

Send = Callable[[Peer, socket.socket], None]
#: By answer and call: seconds, bytes, and the outcome.
Figures = dict[tuple[str, str], dict[str, Any]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes | Callable[[], bytes], head: bytes = HEAD, length: int | None = None) -> Send:
    """One answer, with the length that it has or says to have."""

    def send(server: Peer, connection: socket.socket) -> None:
        made = body() if callable(body) else body
        size = len(made) if length is None else length
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % size + made)
        server.stopping.wait(0.5)

    return send


def endless(start: bytes, piece: bytes) -> Send:
    """As fast as it is read."""

    def send(server: Peer, connection: socket.socket) -> None:
        connection.sendall(start)
        while not server.stopping.is_set():
            connection.sendall(piece)

    return send


def dripping(start: bytes, byte: bytes) -> Send:
    """A byte every twentieth of a second: each read succeeds in time."""

    def send(server: Peer, connection: socket.socket) -> None:
        connection.sendall(start)
        while not server.stopping.wait(0.05):
            connection.sendall(byte)

    return send


@functools.cache  # for the tests that send it alone
def bomb() -> bytes:
    """512 MB of zeros in half a megabyte, as one member of gzip: a block that stands for itself, again and again."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(MIB)
    block = pack.compress(zeros) + pack.flush(zlib.Z_FULL_FLUSH)
    checksum = functools.reduce(lambda before, _: zlib.crc32(zeros, before), range(512), 0)
    return gzip.compress(b"")[:10] + block * 512 + pack.flush() + struct.pack("<II", checksum, 512 * MIB)


def dense(size: int) -> bytes:
    """JSON whose objects are 34 times its size."""
    return b'{"batch":[' + b'{"":{}},' * ((size - 14) // 8) + b"{}]}"


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS: dict[str, Send] = {
    "gzip bomb": whole(bomb, HEAD + b"Content-Encoding: gzip\r\n"),
    "gzip bomb of an error": whole(bomb, HEAD.replace(b"200 OK", b"503 No") + b"Content-Encoding: GZip\r\n"),
    "deflate": whole(zlib.compress(b"{}"), HEAD + b"Content-Encoding: deflate\r\n"),
    "brotli, unknown here": whole(b"{}", HEAD + b"Content-Encoding: br\r\n"),
    "JSON of 16 MB": whole(functools.partial(dense, 16 * MIB)),
    "JSON of 16 MB as an error": whole(functools.partial(dense, 16 * MIB), HEAD.replace(b"200 OK", b"400 No")),
    "dense JSON of 1 MiB": whole(functools.partial(dense, MIB)),
    "dense JSON of 8 MiB": whole(functools.partial(dense, 8 * MIB - 1000)),
    "long text of 8 MiB with an emoji": whole(b'["\xf0\x9f\x98\x80' + b"a" * (8 * MIB - 1000) + b'"]'),
    "long text of 8 MiB with an escaped emoji": whole(b'["\\ud83d\\ude00' + b"a" * (8 * MIB - 1000) + b'"]'),
    "deep nesting": whole(b"[" * (MIB - 10)),
    "a number of a million digits": whole(b"9" * (MIB - 10)),
    "hundreds of MB": endless(HEAD + b"Content-Length: 400000000\r\n\r\n", b"x" * 65_536),
    "a body without an end": endless(HEAD + b"\r\n", b"x" * 65_536),
    "a refusal without an end": endless(HEAD.replace(b"200 OK", b"413 No") + b"\r\n", b"x" * 65_536),
    "chunks without an end": endless(CHUNKED, b"2\r\nxx\r\n" * 1000),
    "a chunk of 4 GB": endless(CHUNKED + b"FFFFFFFF\r\n", b"x" * 65_536),
    "a chunk's size without an end": endless(CHUNKED, b"0" * 65_536),
    "trailers without an end": endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: x\r\n" * 1000),
    "headers without an end": endless(HEAD, b"X-Header: x\r\n" * 1000),
    "long headers": endless(HEAD, b"X-Header: " + b"x" * 65_000 + b"\r\n"),
    "headers of carriage returns": endless(HEAD, b"X-Header: " + b"\r" * 65_000 + b"\r\n"),
    "one header without an end": endless(HEAD + b"X-Header: ", b"x" * 65_536),
    "a status line without an end": endless(b"HTTP/1.1 200 ", b"x" * 65_536),
    "interim answers without an end": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100),
    "a length that is too large": whole(b"{}", length=1000),
    "a length that is too small": whole(b'{"ok":true}', length=3),
    "a length that is none": whole(b"{}", HEAD + b"Content-Length: -5\r\n"),
    "a status line that drips": dripping(b"HTTP/1.1 200 ", b"x"),
    "headers that drip": dripping(HEAD + b"X-Header: ", b"x"),
    "a body that drips": dripping(HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
    "chunks that drip": dripping(CHUNKED, b"0"),
    "trailers that drip": dripping(CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: ", b"x"),
}
#: Of these a publish or a query may make something, or not, by Python's version and luck.
MAY_SUCCEED = {"trailers without an end", "trailers that drip", "a length that is none"}


def serve(send: Send) -> Send:
    def handle(server: Peer, connection: socket.socket) -> None:
        server.read_request(connection)
        send(server, connection)

    return handle


@dataclass(frozen=True)
class Played:
    """Some of the answers, with connections of the client's own or with a session of a caller's."""

    answers: tuple[str, ...]
    session: bool = False


#: It keeps a processor busy for the whole timeout, as chunks without an end do.
OWN_IN_DEPTH = Played(("trailers without an end",))
OWN = Played(tuple(name for name in ANSWERS if name not in OWN_IN_DEPTH.answers))
#: One or two of each kind: with a session, what reads the answers is the same code.
SESSION = Played(
    (
        *("gzip bomb", "gzip bomb of an error", "brotli, unknown here", "JSON of 16 MB", "dense JSON of 1 MiB"),
        *("hundreds of MB", "a body without an end", "a chunk of 4 GB", "long headers", "a length that is too small"),
        *("headers that drip", "a body that drips", "trailers that drip"),
    ),
    session=True,
)
SESSION_IN_DEPTH = Played(tuple(name for name in ANSWERS if name not in SESSION.answers), session=True)


def played(answers: Collection[str]) -> list[Any]:
    """These answers as parameters `figures` and `answer`; some are `long`."""
    return [
        pytest.param(figures, answer, id=f"{name}-{answer}", marks=marks)
        for name, figures, marks in (
            ("own connections", OWN, ()),
            ("own connections", OWN_IN_DEPTH, pytest.mark.long),
            ("a caller's session", SESSION, ()),
            ("a caller's session", SESSION_IN_DEPTH, pytest.mark.long),
        )
        for answer in figures.answers
        if answer in answers
    ]


@functools.cache  # each is played once, for all tests
def measure(played: Played) -> Figures:
    """What each answer cost each call."""
    bomb()  # before a call waits for it
    with contextlib.ExitStack() as ends:
        ok = ends.enter_context(Peer(serve(whole(b"{}"))))
        ports = {name: ends.enter_context(Peer(serve(ANSWERS[name]))).port for name in played.answers}
        waiting = [name for name in played.answers if name.endswith(("drip", "drips"))]
        given = {"session": played.session, "ok": ok.port, "ports": ports, "waiting": waiting}
        ran = subprocess.run(
            [sys.executable, "-m", "tests.support.answer_bounds"],
            input=json.dumps(given), capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    lines = map(json.loads, ran.stdout.splitlines())
    return {(line["answer"], line["call"]): line for line in lines}


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return measure(request.param)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("figures", "answer"), played(ANSWERS), indirect=["figures"])
def test_answer_is_bounded(figures: Figures, answer: str) -> None:
    """In memory and in time; and its fate is unknown, for a worker too."""
    for call in CALLS:
        found = figures[answer, call]
        assert found["bytes"] < MAX_BYTES, found
        assert found["seconds"] < MAX_SECONDS + SLACK, found
        if answer in MAY_SUCCEED:
            continue
        if call == "worker":
            assert found["outcome"] in ("UNKNOWN", "REFUSED", "TOO_LARGE"), found
        elif "JSON of 1 MiB" not in answer:
            assert found["error"] is not None, found


EXPECTED = {
    "gzip bomb": "HTTP 200 with an encoded body, expected identity",
    "gzip bomb of an error": "HTTP 503 with an encoded body",
    "hundreds of MB": "HTTP 200 with a body of more than {limit} bytes",
    "long headers": "more than 65536 bytes of headers",
    "headers that drip": "no complete answer within 1 s",
}


@pytest.mark.parametrize("call", [name for name in CALLS if name != "worker"])
@pytest.mark.parametrize(("figures", "answer"), played(EXPECTED), indirect=["figures"])
def test_error_names_the_limit(figures: Figures, answer: str, call: str) -> None:
    """And says that the fate is unknown."""
    found = figures[answer, call]
    limit = 1_048_576 if call.startswith("trigger") else 8_388_608
    assert (found["error"], found["sent"]) == ("SockudoConnectionError", True), found
    assert EXPECTED[answer].format(limit=limit) in found["text"]


@pytest.mark.parametrize(("figures", "answer"), played(set(ANSWERS) - MAY_SUCCEED), indirect=["figures"])
def test_worker_does_not_take_it_for_delivered(figures: Figures, answer: str) -> None:
    """Nor, where it is not Sockudo's own refusal, for refused."""
    assert figures[answer, "worker"]["outcome"] == "UNKNOWN"


def test_estimate_is_above_what_python_takes() -> None:
    """An answer of the size that is read unasked stays below the bound for larger ones, whatever it is."""
    assert json_bytes(dense(MIB)) > 34 * MIB
    page = json.dumps({"items": [{"serial": n, "message": {"data": "x" * 10_000}} for n in range(100)]}).encode()
    assert json_bytes(page) < 8 * MIB
