"""Publishing from coroutines under the recorder: group commit, bulk jobs, the client's threads."""

from __future__ import annotations

import asyncio

import pytest

from sockudo_publisher import AsyncSockudo, IdempotencyConflict, JournalUnavailable, apublish_many, publish
from sockudo_publisher.testing import Published

pytestmark = pytest.mark.unit


def test_coroutines_are_recorded(published: Published) -> None:
    async def run() -> None:
        data = {"id": 1}
        results = await asyncio.gather(*(publish.adelay("a", "e", n, key=f"k{n}") for n in range(20)))
        assert [result.id for result in results] == [f"k{n}" for n in range(20)]
        await publish.adelay("b", "given", data)
        assert published.named("given")[0].given is data
        with pytest.raises(IdempotencyConflict):
            await publish.adelay("a", "e", "other", key="k1")
        await apublish_many([("c", "bulk", 1), ("c", "bulk", 2)])
        async with AsyncSockudo.from_env() as client:
            await client.trigger("d", "direct", 1)
        with published.fail(JournalUnavailable), pytest.raises(JournalUnavailable):
            await publish.adelay("a", "e", 1)

    asyncio.run(run())
    assert [event.data for event in published.on("a")] == list(range(20))
    assert {(event.channel, event.via) for event in published.events} == {
        ("a", "adelay"),
        ("b", "adelay"),
        ("c", "publish_many"),
        ("d", "call"),
    }
    assert published.on("a")[3].key == "k3"
