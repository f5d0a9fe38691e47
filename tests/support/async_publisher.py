"""The caller of :mod:`.publisher` with coroutines: many calls of many channels wait at the same time."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from sockudo_publisher import BacklogFull, JournalUnavailable, publish

from .loops import run_in
from .publisher import PAD, REPEAT_S, Publisher

__all__ = ["AsyncPublisher"]


class AsyncPublisher(Publisher):
    """Publishes bursts with `adelay`, in a loop of that name.

    All calls of a burst are made at once. A call that fails is repeated with its error's message id as key, after which
    its channel's order is only promised if its later calls wait for it: ``one_by_one`` makes each channel's calls one
    after the other, the channels' at the same time. Every third call has a key of its own.
    """

    loop_name = "asyncio"
    one_by_one = False

    def run(self) -> None:
        try:
            run_in(self.loop_name, self._publish_all())
        except BaseException as error:
            self.error = error
            raise

    async def _publish_all(self) -> None:
        number = 0
        while number < self.total and not self.stop.is_set():
            last = min(number + self.burst, self.total)
            burst: dict[str, list[int]] = defaultdict(list)
            for n in range(number, last):
                burst[self.channels[n % len(self.channels)]].append(n)
            if self.one_by_one:
                await asyncio.gather(*(self._in_turn(channel, numbers) for channel, numbers in burst.items()))
            else:
                await asyncio.gather(
                    *(self._store(self.channels[n % len(self.channels)], n) for n in range(number, last))
                )
            for channel, numbers in burst.items():
                self.promised[channel] += numbers
            self.count = number = last
            await asyncio.sleep(self.pause_s)

    async def _in_turn(self, channel: str, numbers: list[int]) -> None:
        for n in numbers:
            await self._store(channel, n)

    async def _store(self, channel: str, n: int) -> None:
        loop = asyncio.get_running_loop()
        key = f"n-{n}" if n % 3 == 0 else None
        while True:
            started = loop.time()
            try:
                await publish.adelay(channel, "n", {"n": n, "pad": PAD}, key=key)
                return
            except (JournalUnavailable, BacklogFull) as error:
                key = getattr(error, "message_id", None) or key
            finally:
                self.longest_delay_s = max(self.longest_delay_s, loop.time() - started)
            self.repeats += 1
            await asyncio.sleep(REPEAT_S)
