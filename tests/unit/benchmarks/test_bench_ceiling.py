"""The ceiling's input: what a worker would send."""

from __future__ import annotations

import json

import pytest

from benchmarks.ceiling import LANES, requests
from benchmarks.workload import CHANNELS, DATA_BYTES, events
from sockudo_publisher.journal.keys import lane_of

pytestmark = pytest.mark.unit

URL = "http://key:secret@127.0.0.1:6001/apps/app"


def items(**options):
    """The batches of some requests, and their declared numbers."""
    found = list(requests(URL, 2000, 100, **options))
    return [json.loads(request.partition(b"\r\n\r\n")[2])["batch"] for request, _ in found], [n for _, n in found]


def test_no_request_shares_a_channel_with_another_lane():
    """Requests that do wait for each other in the server, and the ceiling would be none."""
    batches, counts = items()
    assert sum(counts) == 2000
    assert [len(batch) for batch in batches] == counts
    assert all(len({lane_of(item["channel"], LANES) for item in batch}) == 1 for batch in batches)
    lanes = [lane_of(batch[0]["channel"], LANES) for batch in batches]
    assert len(set(lanes[:LANES])) == LANES  # those under way together are of different lanes


def test_every_event_has_an_id_of_its_own():
    """The server would answer a repeated one from its memory, which costs less."""
    batches, _ = items()
    assert len({item["message_id"] for batch in batches for item in batch}) == 2000


def test_mixed_requests_hold_all_channels():
    """The comparison that shows what lanes are worth."""
    batches, _ = items(mixed=True)
    assert {item["channel"] for item in batches[0]} == set(CHANNELS)


def test_the_events_are_of_the_size_that_is_claimed():
    """230 bytes of compact JSON, whatever the number."""
    sizes = {len(json.dumps(data, separators=(",", ":"))) for _, _, data in events(1000)}
    assert sizes == {DATA_BYTES}
