"""The forms that frameworks have parsed, in place of the body that they have read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

PRIVATE = "socket_id=1.1&channel_name=private-a%40b&csrf=x"
PRESENCE = "socket_id=1.1&channel_name=presence-a"
MEMBER = {"user_id": "1"}


def flask_form(body: str) -> Mapping[str, Any]:
    """Of a Flask request whose body is gone then."""
    flask = pytest.importorskip("flask")
    app = flask.Flask("x")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with app.test_request_context("/", method="POST", data=body, headers=headers):
        form = flask.request.form
        assert dict(form)
        assert flask.request.get_data() == b""
        return form


def django_form(body: str) -> Mapping[str, Any]:
    """``QueryDict`` without its settings."""
    datastructures = pytest.importorskip("django.utils.datastructures")
    return datastructures.MultiValueDict(parse_qs(body, keep_blank_values=True))


def starlette_form(body: str) -> Mapping[str, Any]:
    """What ``await request.form()`` gives."""
    datastructures = pytest.importorskip("starlette.datastructures")
    return datastructures.FormData(parse_qsl(body, keep_blank_values=True))


class GetAll(Mapping):
    """As the multi-dicts of aiohttp, WebOb and Bottle are."""

    def __init__(self, body):
        self.lists = parse_qs(body, keep_blank_values=True)

    def __getitem__(self, name):
        return self.lists[name][0]

    def __iter__(self):
        return iter(self.lists)

    def __len__(self):
        return len(self.lists)

    def getall(self, name):
        return self.lists[name]


FORMS = {
    "flask": flask_form,
    "django": django_form,
    "starlette": starlette_form,
    "getall": GetAll,
    "dict": lambda body: dict(parse_qsl(body, keep_blank_values=True)),
    "dict of lists": lambda body: parse_qs(body, keep_blank_values=True),
}
MULTIPLE = {name: make for name, make in FORMS.items() if name != "dict"}


@pytest.fixture
def client():
    return Sockudo("a", "key", "secret", port=1)


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS.keys())
def test_parsed_form_is_as_good_as_its_body(client, make):
    """The same answers from each helper, under each of its names."""
    for helper in (client.authorize_private_channel, client.authenticate_private_channel):
        assert helper(make(PRIVATE)) == client.authorize_private_channel(PRIVATE)
    for helper in (client.authorize_presence_channel, client.authenticate_presence_channel):
        assert helper(make(PRESENCE), MEMBER) == client.authorize_presence_channel(PRESENCE.encode(), MEMBER)
    assert client.authenticate_user_form(make("socket_id=1.1"), {"id": "1"}) == client.authenticate_user(
        "1.1", {"id": "1"}
    )


BAD = {
    "missing": ("socket_id=1.1", "channel_name: not in the form"),
    "empty": ("socket_id=&channel_name=private-a", "socket_id: empty in the form"),
    "swapped": ("socket_id=private-a&channel_name=1.1", "socket_id: "),
    "sign-in": ("socket_id=1.1&channel_name=:user::{}", "channel: "),
    "public": ("socket_id=1.1&channel_name=a", "channel_name: expected private-"),
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize(("body", "complaint"), BAD.values(), ids=BAD.keys())
def test_bad_forms_are_refused_alike(client, make, body, complaint):
    """What would be signed is checked as in a body."""
    with pytest.raises(ValidationError, match=f"^{complaint}"):
        client.authorize_private_channel(make(body))


@pytest.mark.parametrize("make", MULTIPLE.values(), ids=MULTIPLE.keys())
@pytest.mark.parametrize("field", ["channel_name", "socket_id"])
def test_a_field_that_is_there_twice_is_refused(client, make, field):
    """One copy may have been checked, and the other would be signed."""
    value = {"channel_name": "private-b", "socket_id": "2.2"}[field]
    with pytest.raises(ValidationError, match=f"^{field}: twice in the form"):
        client.authorize_private_channel(make(f"{PRIVATE}&{field}={value}"))


@pytest.mark.parametrize("value", [5, None, b"1.1", {"a": 1}, [], [None]])
def test_a_value_that_is_no_text_is_refused(client, value):
    """As an uploaded file."""
    with pytest.raises(ValidationError, match=r"^socket_id: "):
        client.authorize_private_channel({"channel_name": "private-a", "socket_id": value})


def test_an_empty_body_says_what_to_give(client):
    """It is what Flask and Starlette leave once the form was read."""
    for empty in (b"", ""):
        with pytest.raises(
            ValidationError, match=r"^channel_name: not in the form body, .* give the form that it parsed"
        ):
            client.authorize_private_channel(empty)
    with pytest.raises(ValidationError, match=r"^form body: a list, expected bytes or str, or a parsed form"):
        client.authorize_private_channel([("socket_id", "1.1")])
