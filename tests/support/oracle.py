"""What was promised against what was seen: lost, duplicated, reordered."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .subscriber import Received


@dataclass(frozen=True)
class Verdict:
    """Events that never came, copies beyond the first, and events that came before an earlier one of their channel."""

    promised: int
    lost: int
    duplicated: int
    reordered: int
    unexpected: int

    @property
    def is_exact(self) -> bool:
        """Each once, in order."""
        return not (self.lost or self.duplicated or self.reordered or self.unexpected)


def compare(promised: Mapping[str, Sequence[int]], seen: Mapping[str, Sequence[int]]) -> Verdict:
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
    return Verdict(sum(map(len, promised.values())), lost, duplicated, reordered, unexpected)


def numbers(events: Iterable[Received]) -> dict[str, list[int]]:
    """The `n` of every event's data, by channel, in order of arrival."""
    seen: dict[str, list[int]] = defaultdict(list)
    for event in events:
        seen[event.channel].append(json.loads(event.data)["n"])
    return dict(seen)
