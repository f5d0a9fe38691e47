"""The shipped rules and the dashboard ask only for metrics that there are, and their files are in the package."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from sockudo_publisher.deploy_files import ALERTS, DASHBOARD, read_file
from sockudo_publisher.telemetry.names import COUNTERS, HISTOGRAMS, JOURNAL_SECONDS, LABEL_VALUES, PREFIX

pytestmark = pytest.mark.unit

GAUGES_ELSEWHERE = {"outbox_rows", "outbox_oldest_row_age_seconds", "outbox_parked_rows"}
RULES = yaml.safe_load(read_file(ALERTS))["groups"][0]["rules"]
PANELS = json.loads(read_file(DASHBOARD))["panels"]


def known_names() -> set[str]:
    from sockudo_publisher.metrics.collector import GAUGES

    names = {f"{one.name}_total" for one in COUNTERS} | {name for name, _, _ in GAUGES} | GAUGES_ELSEWHERE
    names |= {"paused", "redis_up", "redis_memory_bytes", "redis_max_memory_bytes"}
    for one in (*HISTOGRAMS, JOURNAL_SECONDS):
        names |= {f"{one.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def expressions() -> list[str]:
    return [rule["expr"] for rule in RULES] + [t["expr"] for panel in PANELS for t in panel.get("targets", ())]


def test_only_metrics_that_exist_are_asked_for() -> None:
    used = {name for expr in expressions() for name in re.findall(rf"{PREFIX}(\w+)", expr)}
    assert used <= known_names()
    assert len(used) > 20


def test_only_known_label_values_are_asked_for() -> None:
    values = {value for _, known in LABEL_VALUES.values() for value in known}
    for expr in expressions():
        for given in re.findall(r'(?:reason|outcome|where)[=!]~?"([^"]+)"', expr):
            assert set(given.split("|")) <= values, expr


def test_every_counter_is_on_the_dashboard() -> None:
    shown = " ".join(t["expr"] for panel in PANELS for t in panel.get("targets", ()))
    missing = {f"{one.name}_total" for one in COUNTERS if f"{PREFIX}{one.name}_total" not in shown}
    assert missing <= {"events_scheduled_total", "holds_total", "pauses_total"}, "gauges show these three"


def test_panels_have_their_own_places() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
