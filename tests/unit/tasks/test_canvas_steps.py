"""Which steps of a canvas our own worker may send: those that are ours, or that name where to."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from celery import Celery, chain, chord, chunks, group, signature, xmap

from sockudo_publisher.tasks.canvas_steps import UnsentStep, find_unroutable_names, replace_unsendable, task_names

pytestmark = pytest.mark.unit

APP = Celery("steps", set_as_current=False)


def step(name: str, **options: Any) -> Any:
    return signature(name, app=APP, options=options)


def is_ours(name: str) -> bool:
    return name in ("ours", "celery.accumulate")


SHAPES: dict[str, tuple[Any, list[str]]] = {
    "ours": (step("ours"), []),
    "theirs": (step("a"), ["a"]),
    "a name": ("a", ["a"]),
    "the name of our task": ("ours", []),
    "with a queue": (step("a", queue="q"), []),
    "with a routing key": (step("a", routing_key="q"), []),
    "with an exchange": (step("a", exchange="x"), []),
    "queue that is none": (step("a", queue=None), ["a"]),
    "chain: the first decides": (chain(step("a", queue="q"), step("b")), []),
    "chain without a queue": (chain(step("a"), step("b", queue="q")), ["a"]),
    "group": (group(step("a"), step("b", queue="q"), step("c")), ["a", "c"]),
    "group with a queue of its own": (group(step("a"), step("b")).set(queue="q"), []),
    "chord": (chord([step("a"), step("b", queue="q")], step("c")), ["a", "c"]),
    "chord that can be sent": (chord([step("ours"), step("b", queue="q")], step("c", queue="q")), []),
    "map": (xmap(step("a"), [1]), ["a"]),
    "chunks": (chunks(step("a"), [1], 1), ["a"]),
    "chain in a group": (group(chain(step("a"), step("b")), step("ours")), ["a"]),
    "not a signature": (5, ["(a int)"]),
    "nothing in it": ({}, ["None"]),
    "arguments of another kind": ({"task": "a", "kwargs": 5, "options": 5}, ["a"]),
    "group without tasks": ({"task": "celery.group", "subtask_type": "group", "kwargs": {}}, []),
}


@pytest.mark.parametrize(("given", "names"), SHAPES.values(), ids=SHAPES)
def test_names_of_what_cannot_be_sent(given: Any, names: list[str]) -> None:
    """As it was made, and as it comes out of a message."""
    assert find_unroutable_names(given, is_ours) == names
    assert find_unroutable_names(json.loads(json.dumps(given)), is_ours) == names


def test_group_keeps_the_members_that_can_be_sent() -> None:
    """Only the others are replaced; a chord is sent whole or not at all, since it counts its members."""
    kept = replace_unsendable(json.loads(json.dumps(group(step("a"), step("b", queue="q")))), is_ours)
    first, second = kept["kwargs"]["tasks"]
    assert isinstance(first, UnsentStep)
    assert not isinstance(second, UnsentStep)
    assert isinstance(replace_unsendable(chord([step("a"), step("ours")], step("ours")), is_ours), UnsentStep)


@pytest.mark.parametrize("send", ["apply_async", "delay", "clone", "signature"])
def test_unsent_step_writes_its_tasks_into_the_log(send: str, caplog: pytest.LogCaptureFixture) -> None:
    """However Celery sends it: each task by name, those behind it too; it is an error, and nothing is raised."""
    unsent = UnsentStep(chain(step("a"), step("b")))
    if send == "clone":
        unsent = unsent.clone((1,))
    if send == "signature":
        unsent = signature(unsent, app=APP)
    with caplog.at_level(logging.ERROR, "sockudo_publisher.tasks.canvas_steps"):
        if send == "delay":
            unsent.delay([1])
        else:
            unsent.apply_async((1,), chain=[step("d"), step("c")], parent_id="p")
    names = ["a", "b"] if send == "delay" else ["a", "b", "c", "d"]
    assert [f"task={name} " in record.getMessage() for name, record in zip(names, caplog.records, strict=True)] == [
        True
    ] * len(names)


def test_log_line_of_a_hostile_name_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """A message may hold any text as a name."""
    with caplog.at_level(logging.ERROR, "sockudo_publisher.tasks.canvas_steps"):
        UnsentStep("a\nERROR forged" + "x" * 1000).apply_async(parent_id="id")
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert "message_id=id " in record.getMessage()
    assert len(record.getMessage()) < 400


def test_names_of_all_tasks_of_a_step() -> None:
    """In their order, through each kind."""
    assert task_names(chord([step("a"), chain(step("b"), step("c"))], step("d"))) == ["a", "b", "c", "d"]
    assert task_names(xmap(step("a"), [1])) == ["a"]
    assert task_names(None) == []
