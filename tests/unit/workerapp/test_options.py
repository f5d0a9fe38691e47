"""Which options of `celery worker` our worker takes, leaves out and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher.errors import ConfigurationError
from sockudo_publisher.workerapp.options import check_queues, ineffective_options, own_options

pytestmark = pytest.mark.unit


def test_what_an_operator_may_choose_stays() -> None:
    given = {"concurrency": 4, "loglevel": "INFO", "max_tasks_per_child": 5, "max_memory_per_child": 9, "pool": "solo"}
    assert own_options(given) == given
    assert ineffective_options(given) == []


def test_time_limits_are_left_out_and_named() -> None:
    """A limit would cut a request, or drop a `publish` message before its event is stored."""
    given = {"time_limit": 5.0, "soft_time_limit": 3.0, "concurrency": 4}
    assert own_options(given) == {"concurrency": 4}
    assert ineffective_options(given) == ["--time-limit", "--soft-time-limit"]
    assert ineffective_options({"time_limit": None}) == []


def test_prefork_is_chosen_where_it_is_asked_for() -> None:
    assert own_options({"pool": object()}, asks_for_prefork=True) == {"pool": "prefork"}


@pytest.mark.parametrize(
    ("given", "extra", "word"),
    [
        ({"autoscale": (10, 2)}, [], "--autoscale"),
        ({"purge": True}, [], "--purge"),
        ({"pool_start_method": "spawn"}, [], "--pool-start-method"),
        ({}, ["broker.url=redis://h"], "broker_url"),
        ({}, ["worker.timer_precision=1", "task_time_limit=3"], "task_time_limit"),
        ({}, ["result_backend=django-db"], "result_backend"),
    ],
)
def test_what_would_lose_or_stop_is_refused(given: dict[str, Any], extra: list[str], word: str) -> None:
    """The error names the option; a value, which may hold a secret, is not repeated."""
    with pytest.raises(ConfigurationError, match=f"^{word}: ") as refused:
        own_options(given, extra)
    assert "redis://h" not in str(refused.value)


@pytest.mark.parametrize("extra", [["worker.timer_precision=1"], [".timer_precision=1"], ["WORKER_SOFT=2"]])
def test_configuration_of_the_worker_itself_is_taken(extra: list[str]) -> None:
    assert own_options({"purge": False, "autoscale": None}, extra) == {"purge": False, "autoscale": None}


@pytest.mark.parametrize(
    ("queues", "excluded", "beside"),
    [([], [], []), (["sockudo"], [], []), (["other", "sockudo"], [], ["other"]), (["other", "sockudo"], ["other"], [])],
)
def test_worker_reads_its_queue(queues: list[str], excluded: list[str], beside: list[str]) -> None:
    """Other queues beside it are named: tasks there that this worker does not know are discarded."""
    assert check_queues(queues, excluded, "sockudo") == beside


@pytest.mark.parametrize(("queues", "excluded"), [(["other"], []), ([], ["sockudo"]), (["sockudo"], ["sockudo"])])
def test_worker_without_its_queue_is_refused(queues: list[str], excluded: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="must read the queue sockudo"):
        check_queues(queues, excluded, "sockudo")
