"""A program that measures what single answers cost a client: ``python -m tests.support.answer_bounds``.

Reads a JSON object of names and ports, which of them only keep a call waiting, and whether to use a session of the
caller's. For each name it makes the calls in processes of their own, forked from one that has answered a call before,
and prints a line of JSON each. Calls that only wait do so at once, the others one after the other.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests

from sockudo_publisher import Sockudo
from sockudo_publisher.delivery.outcome import classify
from sockudo_publisher.errors import CallError
from sockudo_publisher.telemetry.observer import NOTHING
from sockudo_publisher.workerapp.drain_requests import post_batch

#: Seconds of one attempt.
TIMEOUT = 1.0


def deliver(client: Sockudo) -> str:
    """As a worker does; the outcome's name."""
    body = b'{"batch":[{"channel":"c","name":"e","data":"x","message_id":"1"}]}'
    app: Any = SimpleNamespace(client=client, observer=NOTHING)
    return classify(post_batch(app, body, TIMEOUT), 1).outcome.name


CALLS: dict[str, Callable[[Sockudo], Any]] = {
    "trigger": lambda client: client.trigger("c", "e", "x"),
    "channels_info": lambda client: client.channels_info(),
    "worker": deliver,
}


def memory(field: str) -> int:
    """Bytes, of ``VmRSS`` (now) or ``VmHWM`` (the most since it was reset)."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def measured(client: Sockudo, call: Callable[[Sockudo], Any]) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before, started = memory("VmRSS"), time.monotonic()
    result: dict[str, Any] = {"error": None, "sent": None, "outcome": None, "text": ""}
    try:
        outcome = call(client)
        result["outcome"] = outcome if isinstance(outcome, str) else "answered"
    except CallError as error:
        result |= {"error": type(error).__name__, "sent": error.sent, "text": str(error)}
    return {**result, "seconds": time.monotonic() - started, "bytes": memory("VmHWM") - before}


def read_all(response: requests.Response, **_: Any) -> None:
    """A hook that reads what it gets."""
    assert response.content is not None


def main() -> None:
    given = json.load(sys.stdin)
    session = requests.Session() if given["session"] else None
    if session is not None:
        session.hooks["response"].append(read_all)

    def client(port: int) -> Sockudo:
        return Sockudo("a", "k", "s", port=port, timeout=TIMEOUT, retries=0, session=session)

    client(given["ok"]).trigger("c", "e", "x")
    cases = [(name, call) for name in given["ports"] for call in CALLS]
    waiting = [case for case in cases if case[0] in given["waiting"]]
    for together in (waiting, *([case] for case in cases if case not in waiting)):
        children = {}
        for name, call in together:
            child = os.fork()
            if child == 0:
                found = measured(client(given["ports"][name]), CALLS[call])
                os.write(1, json.dumps({"answer": name, "call": call, **found}).encode() + b"\n")
                os._exit(0)
            children[child] = name, call
        for child, case in children.items():
            _, status = os.waitpid(child, 0)
            assert status == 0, (case, status)


if __name__ == "__main__":
    main()
