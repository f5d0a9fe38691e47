"""What was promised against what the server accepted and what was seen: lost, duplicated, reordered."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse, IncompleteRead
from io import BytesIO
from typing import Any

from sockudo_publisher.dev.subscriber import Received


@dataclass(frozen=True)
class Comparison:
    """Events that never came, copies beyond the first, and events that came before an earlier one of their channel.

    By the numbers that were promised, whole. ``dev.tally.Verdict`` is of a stream too long to keep.
    """

    promised: int
    lost: int
    duplicated: int
    reordered: int
    unexpected: int

    @property
    def is_exact(self) -> bool:
        """Each once, in order."""
        return not (self.lost or self.duplicated or self.reordered or self.unexpected)


def compare(promised: Mapping[str, Sequence[int]], seen: Mapping[str, Sequence[int]]) -> Comparison:
    """Compare, by channel, the numbers published (in order) with those seen. Pure."""
    lost = duplicated = reordered = unexpected = 0
    for channel in promised.keys() | seen.keys():
        wanted, got = promised.get(channel, ()), seen.get(channel, ())
        counts = Counter(got)
        lost += len(set(wanted) - set(got))
        unexpected += len(set(got) - set(wanted))
        duplicated += sum(count - 1 for count in counts.values())
        place = {number: index for index, number in enumerate(wanted)}
        first_seen = [place[number] for number in dict.fromkeys(got) if number in place]
        reordered += sum(later < earlier for earlier, later in itertools.pairwise(first_seen))
    return Comparison(sum(map(len, promised.values())), lost, duplicated, reordered, unexpected)


def numbers(events: Iterable[Received]) -> dict[str, list[int]]:
    """The `n` of every event's data, by channel, in order of arrival."""
    seen: dict[str, list[int]] = defaultdict(list)
    for event in events:
        seen[event.channel].append(json.loads(event.data)["n"])
    return dict(seen)


def accepted(exchanges: Iterable[tuple[bytes, bytes]]) -> dict[str, set[int]]:
    """The `n` of every event that a server has acknowledged, by channel: of requests to it, and its answers to them.

    What it took and could not say, since its client was gone, is not among them.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for request, answer in exchanges:
        if not request.startswith(b"POST") or not answer.startswith(b"HTTP/1.1 200"):
            continue
        receipts = _batch(_body(answer))
        items = _batch(request.partition(b"\r\n\r\n")[2])
        if len(receipts) != len(items) or not all(one.get("acknowledgement_id") for one in receipts):
            continue
        for item in items:
            data = str(item.get("data", ""))
            if data.startswith('{"n":'):
                found[item["channel"]].add(json.loads(data)["n"])
    return dict(found)


class _Wire:
    """An answer that was read, as ``http.client`` wants to read it."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: object) -> BytesIO:
        return BytesIO(self._answer)


def _body(answer: bytes) -> bytes:
    response = HTTPResponse(_Wire(answer))  # type: ignore[arg-type]
    response.begin()
    try:
        return response.read()
    except IncompleteRead:
        return b""


def _batch(body: bytes) -> list[dict[str, Any]]:
    try:
        batch = json.loads(body)["batch"]
    except (ValueError, TypeError, KeyError):
        return []
    return batch if isinstance(batch, list) else []
