"""An application that publishes numbers to one channel while a test changes the deployment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sockudo_publisher import JournalUnavailable, publish

__all__ = ["LONG_S", "publishing"]

#: Seconds for a condition, on a machine that is busy.
LONG_S = 90.0


@contextmanager
def publishing(channel: str, every_s: float = 0.2, *, repeats: bool = False) -> Iterator[list[str]]:
    """Numbers, until the end of the block; a call that fails fails the test.

    ``repeats``: a call that raises `JournalUnavailable` is repeated with its `message_id` as key (docs/publishing.md).
    """
    sent: list[str] = []
    ended = threading.Event()
    errors: list[Exception] = []

    def send(data: str) -> None:
        key = None
        while True:
            try:
                publish.delay(channel, "n", data, key=key)
            except JournalUnavailable as error:
                if not repeats or ended.is_set():
                    raise
                key = error.message_id
                ended.wait(0.1)
            else:
                return

    def run() -> None:
        while not ended.wait(every_s):
            try:
                send(str(len(sent)))
            except Exception as error:
                errors.append(error)
                return
            sent.append(str(len(sent)))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join(LONG_S)
    assert errors == []
