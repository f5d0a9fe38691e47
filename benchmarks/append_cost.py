"""``python -m benchmarks.append_cost REVISION``: Redis' CPU of an append, beside an earlier script.

The items have no collapse keys: what those need must cost other events nothing. Both texts of ``append.lua`` run on one
Redis, in turns; the figure is the median of the pairs' ratios. CPU time of Redis' main thread counts, so other load
matters little. Needs git, and the history of the revision.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

import redis

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.pack import MAX_ITEMS, Item, pack
from sockudo_publisher.journal.redis import scripts

from .parts import ROOT

__all__: list[str] = []

LUA = "sockudo_publisher/journal/lua"
#: Calls of one measurement.
CALLS = 20_000
#: Calls in one pipeline.
CHUNK = 500
#: The body of an item, about as long as that of a small event.
BODY = b'{"channel":"prices","name":"tick","data":"{\\"n\\":1234567}","message_id":"0123456789abcdef0123456789abcdef"}'


def main() -> None:
    """Measure, and print a line for each size of pack."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.append_cost", description=__doc__)
    parser.add_argument("revision", help="of git: the package as it was")
    parser.add_argument("--rounds", type=int, default=9, help="pairs (default 9)")
    given = parser.parse_args()
    texts = {"now": scripts.script("append").text, "then": text_at(given.revision)}
    with (
        tempfile.TemporaryDirectory(prefix="sockudo-append-") as directory,
        RedisServer(Path(directory), appendonly=False) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        for items in (1, MAX_ITEMS):
            took: dict[str, list[float]] = {side: [] for side in texts}
            for number in range(given.rounds):
                for side in sorted(texts, reverse=bool(number % 2)):
                    took[side].append(cpu_us(client, texts[side], items))
            ratios = [now / then for now, then in zip(took["now"], took["then"], strict=True)]
            medians = {side: statistics.median(values) for side, values in took.items()}
            print(
                f"{items} items: {medians['now']:.2f} us of CPU a call, then {medians['then']:.2f}; "
                f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
            )


def text_at(revision: str) -> str:
    """The script at a revision, with its includes."""

    def show(name: str) -> str:
        command = ["git", "show", f"{revision}:{LUA}/{name}.lua"]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    return scripts._INCLUDE.sub(lambda match: show(f"include/{match.group(1)}"), show("append"))


def cpu_us(client: redis.Redis, text: str, items: int) -> float:
    """Microseconds of CPU that Redis' main thread takes for one call."""
    client.flushall()
    sha1 = client.script_load(text)
    packed = pack([Item(f"prices-{n}", BODY) for n in range(items)])
    args = (0, "0", "stop", items, packed.count, packed.earliest_expiry_ms, packed.meta, packed.body)
    calls = max(4 * CHUNK, CALLS // items)
    before = client.info("cpu")["used_cpu_user_main_thread"]
    for _ in range(calls // CHUNK):
        with client.pipeline(transaction=False) as pipe:
            for _ in range(CHUNK):
                pipe.evalsha(sha1, 2, "{b}:stream", "{b}:state", *args)
            pipe.execute()
    return (client.info("cpu")["used_cpu_user_main_thread"] - before) / calls * 1e6


if __name__ == "__main__":
    main()
