"""Clients that go away, a dedup memory that is full, a server that stops: what the delivery rules are made for."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from typing import Any

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.http import Answer
from tests.conformance.raw import reset, send_request
from tests.conformance.setups import CUT, LIMITED_RATE, RESTARTED, SMALL, STOPPING
from tests.conformance.targets import Node, Target
from tests.support.timing import BUSY_S

pytestmark = pytest.mark.integration

FAULTS = "under-faults"
#: Items of a batch that takes long enough to be cut; the server checks for its client once in 64.
CUT_ITEMS = 2000
#: Attempts to cut one in its middle.
MAX_CUTS = 20


def batch(channel: str, count: int) -> list[dict[str, str]]:
    return [{"channel": channel, "name": "e", "data": str(n), "message_id": f"{channel}-{n}"} for n in range(count)]


def cut_in_the_middle(node: Node, name: str) -> tuple[list[dict[str, str]], list[str]]:
    """A batch whose client went away while the server published it: its items, and what was delivered."""
    for attempt in range(MAX_CUTS):
        items = batch(f"{name}-{attempt}", CUT_ITEMS)
        with node.socket() as socket:
            socket.subscribe(f"{name}-{attempt}")
            connection = send_request(node, "/batch_events", json.dumps({"batch": items}).encode(), {})
            socket.until("e")
            reset(connection)
            delivered = ["0"]
            # The handler has stopped when a second's silence has passed.
            while True:
                more = socket.texts()
                delivered += [text for text in more if text != "0"]
                if not more:
                    time.sleep(1.0)
                    if not (late := socket.texts()):
                        break
                    delivered += late
            if len(delivered) < CUT_ITEMS:
                return items, delivered
    raise AssertionError(f"none of {MAX_CUTS} batches was stopped in its middle")


@fact(
    "fault.cut",
    "A client that goes away stops its batch: a prefix is delivered, the next item keeps a claim that answers 503",
    promise=Promise.ONCE,
    source=FAULTS,
)
def test_client_goes_away_in_mid_batch(target: Target, name: str):
    node = target.node(CUT)
    items, delivered = cut_in_the_middle(node, name)
    stuck = len(delivered)
    answers = {
        "the prefix again": node.batch(*items[:stuck]).status,
        "the next item": node.post("/events", items[stuck]).line,
        "the item behind it": node.post("/events", items[stuck + 1]).status if stuck + 1 < len(items) else 200,
    }
    return {"delivered": "a prefix" if delivered == [str(n) for n in range(stuck)] else "not a prefix", **answers}


@fact(
    "fault.half_close",
    "A connection that its client half-closes is taken for gone: no answer",
    promise=Promise.ONCE,
    source=FAULTS,
)
def test_half_closed_connection(plain: Node, name: str):
    body = json.dumps({"batch": batch(name, CUT_ITEMS)}).encode()
    with send_request(plain, "/batch_events", body, {}) as connection:
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
        return "no answer" if not answer else answer.split(b"\r\n")[0].decode()


@fact(
    "fault.stuck_conflict",
    "While the claim is pending another payload is 400 at once",
    promise=Promise.ONCE,
    source="35-message_id",
)
def test_conflict_with_a_pending_claim(target: Target, name: str):
    node = target.node(CUT)
    items, delivered = cut_in_the_middle(node, name)
    return node.post("/events", {**items[len(delivered)], "data": "other"}).line


@fact(
    "fault.stuck_retry_after",
    "A pending claim says `Retry-After: 1`, after about a second",
    promise=Promise.OUTCOME,
    source="12-errors",
)
def test_headers_of_a_pending_claim(target: Target, name: str):
    node = target.node(CUT)
    items, delivered = cut_in_the_middle(node, name)
    start = time.monotonic()
    answer = node.post("/events", items[len(delivered)])
    return {"Retry-After": answer.headers.get("retry-after"), "waited": time.monotonic() - start > 0.8}


@fact(
    "fault.stuck_ends",
    "The claim ends with its time: then the item is delivered, and it alone",
    promise=Promise.KEPT,
    source=FAULTS,
)
def test_claim_ends(target: Target, name: str):
    node = target.node(CUT)
    items, delivered = cut_in_the_middle(node, name)
    stuck = items[len(delivered)]
    with node.socket() as socket:
        socket.subscribe(stuck["channel"])
        deadline = time.monotonic() + 60
        while node.post("/events", stuck).status == 503:
            assert time.monotonic() < deadline
            time.sleep(0.3)
        return {"delivered": len(socket.wait_for_texts(1))}


@fact(
    "fault.concurrent",
    "Twenty requests with one id at a time: delivered once, each a receipt or 503",
    promise=Promise.ONCE,
    source="35-message_id",
)
def test_requests_at_the_same_time(plain: Node, name: str):
    answers: list[Answer] = []
    item = {"channel": name, "name": "e", "data": "d", "message_id": name}
    with plain.socket() as socket:
        socket.subscribe(name)
        threads = [threading.Thread(target=lambda: answers.append(plain.post("/events", item))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        plain.event(channel=name, name="e", data="after")
        codes = {one.code for one in answers}
        return {"each a receipt or 503": codes <= {"200", "503 backpressure"}, "delivered": socket.wait_for_texts(2)}


@fact(
    "memory.full",
    "A full dedup memory stores no new id and says nothing: resends are delivered again",
    promise=Promise.DOCTOR,
    source="32-the-memory",
)
def test_full_memory(target: Target, name: str):
    with target.own_node(SMALL) as node:
        for start in range(0, 20_000, 2000):
            node.batch(
                *[
                    {"channel": "filler", "name": "e", "data": "d", "message_id": f"{name}-{n}"}
                    for n in range(start, start + 2000)
                ]
            )
        time.sleep(1.0)  # the cache evicts every 0.3 s
        forgotten = 0
        for n in range(20):
            item = {"channel": name, "name": "e", "data": "1", "message_id": f"{name}-new-{n}"}
            node.post("/events", item)
            time.sleep(0.5)
            answer = node.post("/events", {**item, "data": "2"})
            forgotten += answer.status == 200
        return {"forgets new ids": forgotten > 0}


@fact("memory.room", "With room enough it remembers twenty thousand ids", promise=Promise.ONCE, source="32-the-memory")
def test_memory_with_room(plain: Node, name: str):
    ids = [f"{name}-{n}" for n in range(20_000)]
    for start in range(0, len(ids), 2000):
        plain.batch(
            *[{"channel": name, "name": "e", "data": "1", "message_id": one} for one in ids[start : start + 2000]]
        )
    asked = ids[::1000]
    answers = {plain.event(channel=name, name="e", data="2", message_id=one).status for one in asked}
    return {"answers to another payload": sorted(answers)}


@fact("memory.restart", "A restart forgets every id", promise=Promise.DOCTOR, source="32-the-memory")
def test_restart_forgets(target: Target, name: str):
    with target.own_node(RESTARTED) as node:
        item = {"channel": name, "name": "e", "message_id": name}
        node.event(**item, data="1")
        before = node.event(**item, data="2").code
        node.server.restart()
        return {"before": before, "after": node.event(**item, data="2").code}


@fact("stop.sockets", "A server that stops closes its sockets with 4200", promise=Promise.CLIENT, source="103-stop")
def test_stop_closes_sockets(target: Target, name: str):
    with target.own_node(STOPPING) as node, node.socket() as socket:
        socket.subscribe(name)
        node.server.terminate()
        return socket.closed()


@fact("stop.draining", "While it stops, publishes are 503 `draining`", promise=Promise.OUTCOME, source="103-stop")
def test_stop_is_draining(target: Target, name: str):
    with target.own_node(STOPPING) as node:
        node.server.terminate()
        deadline = time.monotonic() + BUSY_S
        last: Any = "no answer"
        while time.monotonic() < deadline:
            try:
                answer = node.event(channel=name, name="e", data="d")
            except OSError:
                break
            last = answer.line
            if answer.status != 200:
                seconds = answer.headers.get("retry-after", "absent")
                last = f"{answer.line} (Retry-After: {'a number' if seconds.isdigit() else seconds})"
                break
        return last


@fact(
    "stop.exit", "It ends by itself after its grace period, with exit code 0", promise=Promise.CLIENT, source="103-stop"
)
def test_stop_ends(target: Target):
    with target.own_node(STOPPING) as node:
        node.server.terminate()
        return {"exit code": node.server.wait(30.0)}


@fact("stop.killed", "A killed server closes its sockets without a code", promise=Promise.CLIENT, source="103-stop")
def test_killed_server(target: Target, name: str):
    with target.own_node(STOPPING) as node, node.socket() as socket:
        socket.subscribe(name)
        node.server._signal_group(signal.SIGKILL)
        return socket.closed()


@fact(
    "rate.limit",
    "The rate limiter answers 429 with `error` and `message`, without a code, before the signature is checked",
    promise=Promise.OUTCOME,
    source="5-the-rate-limiter",
)
def test_rate_limit(target: Target, name: str):
    node = target.node(LIMITED_RATE)
    deadline = time.monotonic() + 60
    while (answer := node.post("/events", {}, secret="wrong")).status != 429:
        assert time.monotonic() < deadline, answer.line
    found = answer.json
    return {
        "status": answer.status,
        "fields": sorted(found),
        "Retry-After": "a number" if answer.headers.get("retry-after", "").isdigit() else "absent",
        "X-RateLimit-Limit": answer.headers.get("x-ratelimit-limit", "absent"),
        "Connection": answer.headers.get("connection", "absent"),
    }
