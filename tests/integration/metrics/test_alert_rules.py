"""Each shipped alert, by Prometheus' own rule tests: it fires for its failure after its time, and not before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from sockudo_publisher.deploy_files import ALERTS, read_file
from tests.support.parts import need

pytestmark = pytest.mark.integration

PREFIX = "sockudo_publisher_"
RULES = {rule["alert"]: rule for group in yaml.safe_load(read_file(ALERTS))["groups"] for rule in group["rules"]}


class Case(NamedTuple):
    """Series by minute; ``fires_at``: minutes after which the alert fires; ``silent_at``: at which it does not."""

    series: dict[str, str]
    silent_at: float
    fires_at: float
    labels: dict[str, str]


APP = {"app": "default"}
JOB = 'job="sockudo-publisher",instance="w:9108"'


def _app(name: str, values: str, more: str = "") -> dict[str, str]:
    """One series of two workers, which show the same."""
    return {f'{PREFIX}{name}{{app="default",instance="{worker}"{more}}}': values for worker in ("w1", "w2")}


#: The failure begins in the fifth minute.
CASES = {
    "RedisAway": Case({f"{PREFIX}redis_up{{{JOB}}}": "1x4 0x20"}, 5, 7, {"job": "sockudo-publisher"}),
    "RedisFull": Case(
        {f"{PREFIX}redis_memory_bytes{{{JOB}}}": "50x4 90x20", f"{PREFIX}redis_max_memory_bytes{{{JOB}}}": "100x25"},
        *(9, 11),
        {"job": "sockudo-publisher"},
    ),
    "StoringFails": Case(_app("redis_errors_total", "0x4 1+1x20", ',where="append"'), 4, 7, APP),
    "SockudoAway": Case(_app("paused", "0x4 1x20", ',reason="unreachable"'), 6, 8, {**APP, "reason": "unreachable"}),
    "CredentialsRefused": Case(_app("paused", "0x4 1x20", ',reason="misconfigured"'), 5, 7, APP),
    "PausedByOperator": Case(_app("paused", "0x4 1x60", ',reason="operator"'), 34, 36, APP),
    "ServerForgets": Case(_app("dedup_memory_intact", "1x4 0x20"), 9, 11, APP),
    "WorkerDead": Case({f"up{{{JOB}}}": "1x4 0x20"}, 5, 7, {"job": "sockudo-publisher", "instance": "w:9108"}),
    "NoWorker": Case(_app("workers", "2x4 0x20"), 5, 7, APP),
    "MetricsMissing": Case({f"{PREFIX}redis_up{{{JOB}}}": "1x4 stale"}, 9, 11, {}),
    "ConsumerCancelled": Case({**_app("workers", "2x30"), **_app("workers_consuming", "2x4 1x20")}, 6, 8, APP),
    "DoorbellsLost": Case(
        _app("drains_without_doorbell_total", "0x4 1+1x20", ',reason="unheard"'), 6, 8, {**APP, "reason": "unheard"}
    ),
    "DeadLetters": Case(_app("events_dead_total", "0x4 1x20", ',reason="refused"'), 4, 6, {**APP, "reason": "refused"}),
    "HeldChannel": Case(_app("held_channels", "0x4 1x20"), 6, 8, APP),
    "OldestEvent": Case(_app("oldest_event_age_seconds", "0x4 61+60x20"), 6, 8, APP),
    "Backlog": Case(_app("backlog_events", "9x4 200000x30"), 14, 16, APP),
    "LanesFailing": Case(_app("failing_lanes", "0x4 1x20"), 6, 8, APP),
    "JournalUnreadable": Case(_app("journal_readable", "1x4 0x20"), 5, 7, APP),
    "ScheduledLate": Case(_app("scheduled_late_seconds", "0x4 61+60x20"), 6, 8, APP),
    "ScheduledParked": Case(_app("scheduled_parked_events", "0x4 1x20"), 5, 7, APP),
    "EventsUnstored": Case(
        _app("events_unstored_total", "0x4 1x20", ',outcome="lost"'), 4, 6, {**APP, "outcome": "lost"}
    ),
    "OutboxOld": Case(_app("outbox_oldest_row_age_seconds", "0x4 61+60x20"), 6, 8, APP),
    "OutboxParked": Case(_app("outbox_parked_rows", "0x4 1x20"), 5, 7, APP),
}


def test_every_alert_has_a_rule_test() -> None:
    assert {f"SockudoPublisher{name}" for name in CASES} == set(RULES)


def test_alert_fires_for_its_failure_after_its_time(tmp_path: Path) -> None:
    tests = []
    for name, case in CASES.items():
        alert = f"SockudoPublisher{name}"
        severity = RULES[alert]["labels"]["severity"]
        firing = {"alertname": alert, "alertstate": "firing", "severity": severity, **case.labels}
        labels = ", ".join(f'{key}="{value}"' for key, value in firing.items())
        fired = [{"labels": f"ALERTS{{{labels}}}", "value": 1}]
        expr = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        checks = [
            {"expr": expr, "eval_time": "3m", "exp_samples": []},
            {"expr": expr, "eval_time": f"{case.silent_at}m", "exp_samples": []},
            {"expr": expr, "eval_time": f"{case.fires_at}m", "exp_samples": fired},
        ]
        tests.append((case.series, checks))
    assert _promtool(tmp_path, *tests) == ""


def test_alert_is_over_when_its_failure_is(tmp_path: Path) -> None:
    """What was a counter's last increase leaves the range; what was a figure is as before."""
    tests = []
    for name, case in CASES.items():
        if name == "MetricsMissing":
            series = dict.fromkeys(case.series, "_x10 1x60")
        elif name in ("StoringFails", "DoorbellsLost", "DeadLetters", "EventsUnstored"):
            series = dict.fromkeys(case.series, "0x4 1+1x5 6x60")
        else:
            series = {key: f"{value} {value.split('x')[0]}x80" for key, value in case.series.items()}
        expr = f'ALERTS{{alertname="SockudoPublisher{name}"}}'
        # The failure's value holds from the fifth minute on; then the longest range of a rule, 15 minutes, goes by.
        lasts = [int(values.removesuffix(" stale").rpartition("x")[2]) for values in case.series.values()]
        minutes = 5 + max(lasts) + 17
        tests.append((series, [{"expr": expr, "eval_time": f"{minutes}m", "exp_samples": []}]))
    assert _promtool(tmp_path, *tests) == ""


def test_failed_expectations_are_named(tmp_path: Path) -> None:
    """All of them, each by its alert: the tests above have many in one run of the tool."""
    silent = [{"expr": 'ALERTS{alertname="SockudoPublisherNoWorker"}', "eval_time": "9m", "exp_samples": []}]
    away = [{"expr": 'ALERTS{alertname="SockudoPublisherWorkerDead"}', "eval_time": "9m", "exp_samples": []}]
    told = _promtool(tmp_path, (CASES["NoWorker"].series, silent), (CASES["WorkerDead"].series, away))
    assert 'alertname="SockudoPublisherNoWorker"' in told
    assert 'alertname="SockudoPublisherWorkerDead"' in told


def test_healthy_deployment_fires_nothing(tmp_path: Path) -> None:
    series = {
        f"up{{{JOB}}}": "1x60",
        f"{PREFIX}redis_up{{{JOB}}}": "1x60",
        f"{PREFIX}redis_memory_bytes{{{JOB}}}": "50x60",
        f"{PREFIX}redis_max_memory_bytes{{{JOB}}}": "100x60",
        **_app("workers", "2x60"),
        **_app("dedup_memory_intact", "1x60"),
        **_app("journal_readable", "1x60"),
        **_app("backlog_events", "0+10x60"),
        **_app("oldest_event_age_seconds", "1x60"),
        **_app("dead_letters", "3x60"),
        **_app("events_dead_total", "0+1x60", ',reason="expired"'),
        **_app("redis_errors_total", "1x60", ',where="append"'),
        **_app("paused", "0x60", ',reason="busy"'),
        **_app("scheduled_events", "5000x60"),
        **_app("scheduled_late_seconds", "0.1x60"),
        **_app("scheduled_parked_events", "0x60"),
        **_app("events_unstored_total", "0x60", ',outcome="lost"'),
    }
    checks = [{"expr": "ALERTS", "eval_time": f"{at}m", "exp_samples": []} for at in (1, 20, 50)]
    assert _promtool(tmp_path, (series, checks)) == ""


def test_events_lost_before_the_first_scrape_are_seen(tmp_path: Path) -> None:
    """A program that starts while Redis is away: its counter begins above 0. Its restart at 0 is no loss."""
    series = {f'{PREFIX}events_unstored_total{{app="default",outcome="lost",instance="web"}}': "_x4 3x20 0x40"}
    expr = 'ALERTS{alertname="SockudoPublisherEventsUnstored",alertstate="firing"}'
    labels = 'alertname="SockudoPublisherEventsUnstored",alertstate="firing",app="default",outcome="lost"'
    fired = [{"labels": f'ALERTS{{{labels},severity="critical"}}', "value": 1}]
    checks = [
        {"expr": expr, "eval_time": f"{at}m", "exp_samples": fired if fires else []}
        for at, fires in ((3, False), (5, True), (8, True), (12, False), (24, False), (30, False))
    ]
    assert _promtool(tmp_path, (series, checks)) == ""


@pytest.mark.parametrize("alert", RULES)
def test_alert_says_what_to_do(alert: str) -> None:
    rule = RULES[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["runbook_url"].startswith(
        "https://github.com/sockudo/sockudo-publisher/blob/main/docs/operate/runbook/"
    )
    assert rule["annotations"]["summary"]


def _promtool(directory: Path, *tests: tuple[dict[str, str], list[dict[str, Any]]]) -> str:
    """Run rule tests, each of series and what is expected of them; returns the failures, ``""`` for none."""
    promtool = need("prometheus").with_name("promtool")
    (directory / ALERTS).write_text(read_file(ALERTS))
    content = {
        "rule_files": [ALERTS],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": values} for key, values in series.items()],
                "promql_expr_test": checks,
            }
            for series, checks in tests
        ],
    }
    file = directory / "tests.yml"
    file.write_text(yaml.safe_dump(content))
    done = subprocess.run(
        [promtool, "test", "rules", file],
        env={**os.environ, "GOGC": "400"},  # a fifth of its work is the collection of garbage
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
