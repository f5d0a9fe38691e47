"""docs/metrics.md: its tables name all metrics and all values of their labels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sockudo_publisher.metrics.collector import GAUGES
from sockudo_publisher.telemetry.names import COUNTERS, HISTOGRAMS, JOURNAL_SECONDS, LABEL_VALUES, PAUSE_REASONS

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text()
ROWS = {name: line for line in PAGE.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)[:3]}


def test_every_metric_is_in_the_tables() -> None:
    wanted = {f"{one.name}_total" for one in COUNTERS} | {one.name for one in (*HISTOGRAMS, JOURNAL_SECONDS)}
    wanted |= {name for name, _, _ in GAUGES} | {"paused", "redis_up"}
    assert wanted <= set(ROWS)


@pytest.mark.parametrize("name", sorted(LABEL_VALUES.keys() - {"pauses"}))
def test_every_label_value_is_in_its_row(name: str) -> None:
    label, values = LABEL_VALUES[name]
    row = ROWS[f"{name}_total"]
    assert f"`{label}`" in row
    assert [value for value in values if f"`{value}`" not in row] == []


def test_reasons_of_a_pause_are_in_its_row() -> None:
    assert [reason for reason in PAUSE_REASONS if f"`{reason}`" not in ROWS["paused"]] == []
