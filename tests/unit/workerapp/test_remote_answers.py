"""Answers to remote control: settings stay, passwords go."""

from __future__ import annotations

from typing import Any

import pytest
from celery.worker.control import Panel

from sockudo_publisher.workerapp.remote_answers import MASK, hide_secrets, without_secrets

pytestmark = pytest.mark.unit

SECRET = "S3CRET"


@pytest.mark.parametrize(
    "answer",
    [
        {"broker": {"ssl": {"ssl_password": SECRET, "ssl_keyfile": "/key"}}},
        {"broker": {"alternates": [f"redis://:{SECRET}@a/0", f"amqp://user:{SECRET}@b//"]}},
        {"broker": {"hostname": f"redis+socket://u:{SECRET}@/tmp/x.sock?virtual_host=1"}},
        {"broker_url": f"rediss://host/0?ssl_password={SECRET}&ssl_cert_reqs=required"},
        {"ok": f"broker_url: 'redis://:{SECRET}@a/0;redis://:{SECRET}@b/0'\nresults: redis://{SECRET}@c/0"},
        {"broker_transport_options": {"sentinel_kwargs": {"password": SECRET}, "client_secret": SECRET}},
        [[[{"access_token": SECRET}]]],
        (f"http://key:{SECRET}@host/apps/a",),
    ],
)
def test_password_is_taken_out_at_any_place(answer: Any) -> None:
    """Of a name that says it, and in a URL."""
    assert SECRET not in repr(without_secrets(answer))


def test_rest_of_an_answer_stays() -> None:
    """Names, numbers, addresses, and a secret that is not set."""
    answer = {
        "hostname": "host",
        "port": 6379,
        "ssl": {"ssl_keyfile": "/key"},
        "password": None,
        "url": "redis://h:1/0",
    }
    assert without_secrets(answer) == answer


def test_circle_ends() -> None:
    """An answer that contains itself is cut."""
    circle: dict[str, Any] = {}
    circle["x"] = circle
    assert MASK in repr(without_secrets(circle))


def test_commands_are_wrapped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's module may be imported twice, as by two programs in one process."""
    monkeypatch.setattr(
        Panel, "data", {name: lambda _state: {"password": SECRET} for name in ("conf", "report", "stats")}
    )
    hide_secrets()
    once = dict(Panel.data)
    hide_secrets()
    assert once == Panel.data
    assert Panel.data["stats"](None) == {"password": MASK}
