"""What 5.2.0 answered, and what a run of another target makes of it."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .differences import DIFFERENCES
from .values import value_diff

__all__ = ["RECORDED_RELEASE", "Verdict", "judge", "load_recorded", "reason_of", "save_recorded"]

RECORDED_RELEASE = "5.2.0"
FILE = Path(__file__).with_name(f"facts-{RECORDED_RELEASE}.json")
#: Of a fact that could not be observed to its end.
NOT_THERE = "not there"


@dataclass(frozen=True)
class Verdict:
    """`state`: same, differs (listed, with its reason), changed (not listed), new (nothing recorded), skipped."""

    fact: str
    state: str
    observed: Any = None
    reason: str = ""
    diff: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.state in ("same", "differs", "skipped")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def load_recorded() -> dict[str, Any]:
    """What 5.2.0 answered, by fact."""
    return dict(json.loads(FILE.read_text())) if FILE.is_file() else {}


def save_recorded(observed: dict[str, Any]) -> None:
    """Write it, one fact a line for readable diffs."""
    lines = [f"  {json.dumps(key)}: {json.dumps(observed[key], ensure_ascii=False)}" for key in sorted(observed)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def reason_of(fact_id: str) -> str:
    """Why the embedded server differs there; empty if it must not."""
    return next((reason for pattern, reason in DIFFERENCES.items() if fnmatch.fnmatchcase(fact_id, pattern)), "")


def judge(fact_id: str, observed: Any, recorded: dict[str, Any], *, is_embedded: bool) -> Verdict:
    """Compare with what 5.2.0 answered."""
    if fact_id not in recorded:
        return Verdict(fact_id, "new", observed)
    if observed == recorded[fact_id]:
        return Verdict(fact_id, "same", observed)
    diff = tuple(value_diff(recorded[fact_id], observed))
    reason = reason_of(fact_id) if is_embedded else ""
    return Verdict(fact_id, "differs" if reason else "changed", observed, reason, diff)
