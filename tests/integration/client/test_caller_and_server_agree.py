"""For each form of an event: what the caller says of it, and what a Sockudo as it comes answers, and the look-alike.

A later release that answers otherwise fails here, and names the form.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sockudo_publisher.client.wire import stock_server
from sockudo_publisher.client.wire.encoding import Encoder, _item_head, batch_body
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.errors import ValidationError
from tests.support.http_api import HttpAnswer, HttpApi
from tests.support.verdicts import ACCEPTED, CONFIGURED, REFUSED, STRICTER, nested

pytestmark = pytest.mark.integration

ENCODER = Encoder()
PLAIN = {"channel": "agree", "name": "e", "data": "x"}


@pytest.fixture(scope="module", params=["devserver", "sockudo"])
def api(request: pytest.FixtureRequest) -> HttpApi:
    return HttpApi(request.getfixturevalue(request.param))


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    """The warnings of a process that has not warned of anything yet."""
    monkeypatch.setattr(stock_server, "_warned", {})
    _item_head.cache_clear()
    with caplog.at_level(logging.WARNING, "sockudo_publisher.client"):
        yield caplog


def fields_of(form: dict[str, Any]) -> dict[str, Any]:
    """A whole event of that form, under an id that no other has."""
    return {**PLAIN, "message_id": uuid.uuid4().hex, **form}


def encoded(fields: dict[str, Any]) -> bytes:
    """What a worker would send. Raises ValidationError."""
    rest = dict(fields)
    return ENCODER.item(rest.pop("channel"), rest.pop("name"), ENCODER.payload(rest.pop("data")), **rest)


def posted_unchecked(api: HttpApi, fields: dict[str, Any]) -> HttpAnswer:
    """The same event from a client that checks nothing."""
    return api.post("/batch_events", json.dumps({"batch": [fields]}).encode())


@pytest.mark.parametrize("form", ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_caller_takes_the_server_takes(api: HttpApi, form: dict[str, Any]) -> None:
    """Byte for byte as a worker sends it."""
    body = batch_body([encoded(fields_of(form))])
    answer = api.post("/batch_events", body)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(("form", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_the_server_refuses_the_caller_refuses(api: HttpApi, form: dict[str, Any], expected: str) -> None:
    """Before it is stored: it would end as a dead letter."""
    fields = fields_of(form)
    assert posted_unchecked(api, fields).status in (400, 422)
    with pytest.raises(ValidationError) as caught:
        encoded(fields)
    assert expected in str(caught.value)


@pytest.mark.parametrize(("form", "expected"), STRICTER.values(), ids=STRICTER)
def test_what_the_caller_alone_refuses(api: HttpApi, form: dict[str, Any], expected: str) -> None:
    """Each has its reason in the table; nothing else is refused that the server takes."""
    fields = fields_of(form)
    assert posted_unchecked(api, fields).status == 200
    with pytest.raises(ValidationError) as caught:
        encoded(fields)
    assert expected in str(caught.value)


@pytest.mark.parametrize(("form", "expected"), CONFIGURED.values(), ids=CONFIGURED)
def test_what_needs_a_configured_server_is_warned_of(
    api: HttpApi, warned: pytest.LogCaptureFixture, form: dict[str, Any], expected: str
) -> None:
    """The server as it comes refuses it; the caller cannot know how it is configured, and warns once."""
    fields = fields_of(form)
    for _ in range(3):
        body = batch_body([encoded(fields)])
    assert api.post("/batch_events", body).status in (400, 403)
    assert [expected in record.getMessage() for record in warned.records].count(True) == 1


def test_ordinary_channels_and_names_are_not_warned_of(warned: pytest.LogCaptureFixture) -> None:
    """Nor is the channel of one user, whatever the id."""
    for form in ACCEPTED.values():
        encoded(fields_of(form))
    assert warned.records == []


def test_a_namespace_that_is_configured_is_taken(tmp_path, sockudo: SockudoServer) -> None:
    """So it must not be refused at the caller."""
    app = SockudoApp("named", "named-key", policy={"channels": {"channel_namespaces": [{"name": "user"}]}})
    with SockudoServer(tmp_path, [app], program=sockudo.program) as server:
        answer = HttpApi(server).post("/batch_events", batch_body([encoded({**PLAIN, "channel": "user:1"})]))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(("levels", "status"), [(126, 200), (127, 400)])
def test_a_direct_call_may_nest_two_levels_deeper(api: HttpApi, levels: int, status: int) -> None:
    """`/events` has two levels less around the event than a batch."""
    extras = {"z": nested(levels - 1)}
    assert api.post("/events", json.dumps({**PLAIN, "extras": extras}).encode()).status == status
    if status == 200:
        assert api.post("/events", ENCODER.event("agree", "e", "x", extras=extras)).status == 200
    else:
        with pytest.raises(ValidationError, match="extras: 127 levels of JSON, limit 126"):
            ENCODER.event("agree", "e", "x", extras=extras)


@pytest.mark.parametrize("key", ["", "k" * 129], ids=["empty", "long"])
def test_a_key_in_extras_counts_where_there_is_no_id(api: HttpApi, key: str) -> None:
    """It is the event's id then, and bounded as one."""
    fields = {**PLAIN, "extras": {"idempotencyKey": key}}
    assert posted_unchecked(api, fields).status == 400
    with pytest.raises(ValidationError, match=r"extras\.idempotencyKey: "):
        encoded(fields)
