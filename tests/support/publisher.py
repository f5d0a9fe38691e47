"""A caller that publishes numbered bursts, knows what it was promised, and repeats what failed as the errors say."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence

from sockudo_publisher import BacklogFull, JournalUnavailable, publish, publish_many

#: Events of a burst that go one by one, the rest in bulk.
SINGLES = 20
#: Seconds before a failed call is repeated.
REPEAT_S = 0.3
PAD = "x" * 180


class Publisher(threading.Thread):
    """Publishes ``total`` events over ``channels``, by `publish_many` and `delay`, with a pause between bursts.

    ``promised`` holds, by channel, the numbers whose calls have returned. A bulk call that fails is repeated with its
    ``key_prefix``, a single one with the message id of its error as key. The longest call is of either kind, returned
    or failed.
    """

    def __init__(self, channels: Sequence[str], total: int, burst: int, pause_s: float) -> None:
        super().__init__(name="publisher", daemon=True)
        self.channels = channels
        self.total, self.burst, self.pause_s = total, burst, pause_s
        self.promised: dict[str, list[int]] = defaultdict(list)
        self.count = 0
        self.repeats = 0
        self.longest_delay_s = self.longest_many_s = 0.0
        self.error: BaseException | None = None
        self.stop = threading.Event()

    @property
    def longest_call_s(self) -> float:
        """Of `delay` and `publish_many`."""
        return max(self.longest_delay_s, self.longest_many_s)

    def promises(self) -> dict[str, list[int]]:
        """What is promised so far."""
        return {channel: numbers.copy() for channel, numbers in tuple(self.promised.items())}

    def run(self) -> None:
        try:
            number = 0
            while number < self.total and not self.stop.is_set():
                last = min(number + self.burst, self.total)
                burst = [(self.channels[n % len(self.channels)], n) for n in range(number, last)]
                self._publish_many(burst[:-SINGLES])
                for channel, n in burst[-SINGLES:]:
                    self._publish(channel, n)
                for channel, n in burst:
                    self.promised[channel].append(n)
                number = last
                self.count = number
                time.sleep(self.pause_s)
        except BaseException as error:
            self.error = error
            raise

    def _publish_many(self, burst: list[tuple[str, int]]) -> None:
        if not burst:
            return
        prefix = f"burst-{burst[0][1]}"
        while True:
            started = time.monotonic()
            try:
                publish_many(((channel, "n", {"n": n, "pad": PAD}) for channel, n in burst), key_prefix=prefix)
                return
            except Exception as error:
                if not isinstance(getattr(error, "cause", error), JournalUnavailable | BacklogFull):
                    raise
            finally:
                self.longest_many_s = max(self.longest_many_s, time.monotonic() - started)
            self.repeats += 1
            time.sleep(REPEAT_S)

    def _publish(self, channel: str, n: int) -> None:
        key: str | None = None
        while True:
            started = time.monotonic()
            try:
                publish.delay(channel, "n", {"n": n, "pad": PAD}, key=key)
                return
            except JournalUnavailable as error:
                key = error.message_id or key
            except BacklogFull:
                pass  # nothing was stored
            finally:
                self.longest_delay_s = max(self.longest_delay_s, time.monotonic() - started)
            self.repeats += 1
            time.sleep(REPEAT_S)
