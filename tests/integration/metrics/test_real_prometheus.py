"""A real Prometheus scrapes a real worker, and evaluates every shipped rule and every query of the dashboard."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sockudo_publisher import publish, publish_many
from sockudo_publisher.deploy_files import ALERTS, DASHBOARD, read_file
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.metrics.page import PREFIX
from tests.support.parts import need
from tests.support.prometheus import Prometheus, prometheus
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

#: Panels of parts that this deployment does not have: queries that are valid and have no value here.
WITHOUT_VALUE = {"outbox_rows", "outbox_parked_rows", "outbox_oldest_row_age_seconds", "scheduled_events"}
#: What is known only after a while, or only of a Redis with a limit.
SOMETIMES = {"dedup_memory_intact", "redis_max_memory_bytes"}


def queries_of_dashboard() -> list[tuple[str, str]]:
    """(panel, query) with its variables filled in."""
    found = []
    for panel in json.loads(read_file(DASHBOARD))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$app", ".*").replace("$__rate_interval", "1m")
            assert "$" not in query, query
            found.append((panel["title"], query))
    return found


def test_prometheus_evaluates_all_rules_and_panels(stack: Stack, tmp_path: Path) -> None:
    need("prometheus")
    port = free_port()
    stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
    channels = stack.channels(4)
    with prometheus(tmp_path / "prometheus", [port]) as server:
        for number in range(8):
            publish_many((channel, "n", {"n": number}) for channel in channels)
            time.sleep(0.5)
        settled = f"sum({PREFIX}events_settled_total)"
        assert wait_for(lambda: [one["value"][1] for one in server.query(settled)] == ["32"], 60), server.query(settled)
        # Two scrapes more, so that rates have a value.
        time.sleep(2.5)

        empty = []
        for title, query in queries_of_dashboard():
            names = set(re.findall(rf"{PREFIX}(\w+?)(?:_total|_bucket|_sum|_count)?\b", query))
            result = server.query(query)
            if not result and not names & (WITHOUT_VALUE | SOMETIMES | {"events_stored"}):
                empty.append((title, query))
        assert not empty, "queries without a value on a deployment that flows"
        [group] = server.get("rules")["groups"]
        assert len(group["rules"]) == len(yaml.safe_load(read_file(ALERTS))["groups"][0]["rules"])
        assert wait_for(lambda: _health(server) == {"ok"}, 30), server.get("rules")
        for rule in group["rules"]:
            server.query(rule["query"])
        firing = {one["labels"]["alertname"] for one in server.get("alerts")["alerts"] if one["state"] == "firing"}
        assert firing == set(), "a deployment that flows"

        publish.delay(channels[0], "ai-output", "x")  # refused for Sockudo's rules: a dead letter, at once an alert
        assert wait_for(lambda: _alert(server, "SockudoPublisherDeadLetters") is not None, 60)
        alert = _alert(server, "SockudoPublisherDeadLetters")
        assert alert is not None
        assert alert["labels"]["reason"] == "refused"
        assert alert["annotations"]["summary"] == "Events of default became dead letters (refused)"
        assert alert["annotations"]["runbook_url"].endswith("/runbook/dead-letters.md")


def _health(server: Prometheus) -> set[str]:
    return {rule["health"] for group in server.get("rules")["groups"] for rule in group["rules"]}


def _alert(server: Prometheus, name: str) -> Any:
    for one in server.get("alerts")["alerts"]:
        if one["labels"]["alertname"] == name and one["state"] == "firing":
            return one
    return None
