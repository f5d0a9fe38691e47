"""Check the running parts of the stack: `make stack ARGS=--check`.

Each check is a function of the running stack that returns a line for people, or raises AssertionError with what was
seen. A request is cut by hand here, below any HTTP library, since the moment is the point. Facts: the dedup memory and
the dropped request as measured on Sockudo 5.2.0 (worker/sockudo.toml, worker/nginx.conf).
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import time
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.stack import Stack, services, succeeds, worker_answers, worker_healthcheck
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber, ws_url

#: Seconds for the server to answer a request.
ANSWER_TIMEOUT_S = 30.0
#: Seconds after a batch's last byte at which its client goes away; Sockudo takes about 50 ms for 2,000 events.
CUTS_S = (0.005, 0.01, 0.02, 0.03)
#: Tries of one of them, until its request has arrived.
CUT_ATTEMPTS = 5


def subscribed(stack: Stack, channels: Sequence[str]) -> Subscriber:
    """A subscriber of these channels. It connects to Sockudo itself."""
    return Subscriber(ws_url(f"ws://127.0.0.1:{stack.ports.sockudo}", stack.key), *channels)


@dataclass(frozen=True)
class Answer:
    """The answer to one POST."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, items: Sequence[Mapping[str, Any]], *, cut_after_s: float | None = None) -> Answer | None:
    """Send one batch; with `cut_after_s` go away (RST) so long after its last byte, and return None."""
    credentials = Credentials.from_url(url)
    path = f"{credentials.path}/batch_events"
    body = json.dumps({"batch": items}, separators=(",", ":")).encode()
    query = credentials.signer().query("POST", path, now=time.time(), body=body)
    connection = http.client.HTTPConnection(credentials.host, credentials.port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("POST", f"{path}?{query}", body, {"Content-Type": "application/json"})
        if cut_after_s is not None:
            time.sleep(cut_after_s)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read())
    finally:
        connection.close()


def batch(channel: str, count: int) -> list[dict[str, str]]:
    """Events numbered from 0, each with an id of its own."""
    run = uuid.uuid4().hex
    return [
        {"name": "n", "channel": channel, "data": f"{number:05d}" + "." * 200, "message_id": f"{run}-{number}"}
        for number in range(count)
    ]


def remembers(url: str, item: Mapping[str, str]) -> bool:
    """Whether the server knows this id: another payload under it is then a conflict (else the probe is delivered)."""
    answer = post(url, [{**item, "data": "another payload"}])
    return answer is not None and answer.status == 400 and b"different payload" in answer.body


def cut_in_the_middle(stack: Stack, url: str, after_s: float, *, within_s: float = 3.0) -> tuple[int, bool]:
    """Cut a batch of 2,000; returns how many events were seen all the same, and whether the last id is remembered."""
    channel = f"cut-{uuid.uuid4().hex}"
    items = batch(channel, 2000)
    with subscribed(stack, [channel]) as subscriber:
        post(url, items, cut_after_s=after_s)
        wait_for(lambda: subscriber.count >= len(items), within_s)
    return subscriber.count, remembers(stack.direct_url, items[-1])


def check_limits(stack: Stack) -> str:
    """A batch of 2,000 is taken, each item with its receipt."""
    items = batch("limits", 2000)
    answer = post(stack.url, items)
    if answer is None or answer.status != 200:
        raise AssertionError(f"batch of {len(items)}: {answer}")
    receipts = json.loads(answer.body)["batch"]
    if not all("acknowledgement_id" in receipt for receipt in receipts) or len(receipts) != len(items):
        raise AssertionError("a receipt is missing")
    return f"{len(items)} events in one batch: all accepted"


def check_memory(stack: Stack) -> str:
    """The first of 20,000 ids is still known after the last: a server by default remembers no new one after 10,000."""
    batches = [batch("memory", 2000) for _ in range(10)]
    for items in batches:
        post(stack.url, items)
    forgotten = [items[0] for items in batches if not remembers(stack.url, items[0])]
    forgotten += [items[-1] for items in batches if not remembers(stack.url, items[-1])]
    if forgotten:
        raise AssertionError(f"forgotten: {len(forgotten)} of {2 * len(batches)} ids asked for")
    return "20,000 ids: all that were asked for are remembered"


def cut_after_arrival(stack: Stack, after_s: float) -> tuple[int, bool]:
    """As `cut_in_the_middle`, before nginx: again if nothing arrived.

    A reset discards what nginx has not read yet: such a request was cut too early on a busy machine.
    """
    for _ in range(CUT_ATTEMPTS):
        seen, remembered = cut_in_the_middle(stack, stack.url, after_s)
        if seen or remembered:
            break
    return seen, remembered


def check_cut(stack: Stack) -> str:
    """A request whose client goes away in the middle is carried to its end by nginx."""
    for after_s in CUTS_S:
        seen, remembered = cut_after_arrival(stack, after_s)
        if (seen, remembered) != (2000, True):
            raise AssertionError(f"cut after {after_s} s: {seen} of 2,000 events, last id remembered: {remembered}")
    return f"{len(CUTS_S)} batches cut in the middle: all finished, their last ids remembered"


def check_delivery(stack: Stack) -> str:
    """From the journal through the worker and nginx to a subscriber: each event once, in order per channel."""
    os.environ.update(stack.environment)
    from sockudo_publisher import publish_many

    channels = [f"stack-{number}" for number in range(16)]
    with subscribed(stack, channels) as subscriber:
        publish_many((channels[number % 16], "n", str(number)) for number in range(5000))
        wait_for(lambda: subscriber.count >= 5000, 30.0)
        wait_for(lambda: subscriber.count > 5000, 0.5)
    for index, channel in enumerate(channels):
        numbers = [int(data) for data in subscriber.data(channel)]
        if numbers != list(range(index, 5000, 16)):
            raise AssertionError(f"{channel}: {len(numbers)} events, expected {len(range(index, 5000, 16))} in order")
    return "5,000 events through journal, worker and nginx: each seen once, in order"


def check_health(stack: Stack) -> str:
    """The health checks of the image and of compose tell a worker that answers from one that does not."""
    if not worker_answers(stack.environment):
        raise AssertionError("the worker does not answer")
    if worker_answers({**stack.environment, "CELERY_NODENAME": "celery@absent"}):
        raise AssertionError("a node that does not exist is called healthy")
    composed = services(os.environ)
    if not succeeds(worker_healthcheck(composed, stack.ports)):
        raise AssertionError("/readyz does not answer 200")
    if succeeds(worker_healthcheck(composed, replace(stack.ports, worker=stack.ports.nginx))):
        raise AssertionError("a port without the worker's paths is called healthy")
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports.worker}/metrics", timeout=10) as answer:
        if b"\nsockudo_publisher_redis_up 1.0\n" not in answer.read():
            raise AssertionError("/metrics has no figures of the journal")
    return "the worker's health checks answer for its own node alone; its metrics are served"


CHECKS = (check_limits, check_memory, check_cut, check_delivery, check_health)


def check(stack: Stack) -> int:
    """Run every check and print its result. Returns the exit code."""
    failures = 0
    for one in CHECKS:
        try:
            print(f"ok      {one(stack)}", flush=True)
        except AssertionError as error:
            failures += 1
            print(f"FAILED  {one.__name__.removeprefix('check_')}: {error}", flush=True)
    return 1 if failures else 0
