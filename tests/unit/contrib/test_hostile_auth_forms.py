"""Whatever is posted to an auth endpoint, the answer is 4xx, and nothing is signed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher import Sockudo
from sockudo_publisher.contrib.permissions import Registry, authorize, authorize_async, sign_in

pytestmark = pytest.mark.unit

CLIENT = Sockudo("app", "key", "secret")
REGISTRY = Registry()
REGISTRY.add("private-a.{x}", lambda user, x: True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "socket_id"),
        (b"\xff\xfe", "form body"),
        (b"socket_id=1.2", "channel_name"),
        (b"channel_name=private-a.1", "socket_id"),
        (b"socket_id=1.2&channel_name=", "channel_name"),
        (b"socket_id=x&channel_name=private-a.1", "socket_id"),
        (b"socket_id=1.2%0a&channel_name=private-a.1", "socket_id"),
        (b"socket_id=1.2&socket_id=1.3&channel_name=private-a.1", "socket_id"),
        (b"socket_id=1.2&channel_name=private-a.1&channel_name=private-a.2", "channel_name"),
        (b"socket_id=1.2&channel_name=private-a.1&channel_name[]=private-a.2", "channel_name"),
        (b"socket_id=1.2&channel_name[0]=private-a.1&channel_name[0]=private-a.2", "channel_name"),
        (b"socket_id=1.2&channel_name=%zz", "channel_name"),
        (b"socket_id=1.2&channel_name=%ff", "channel_name"),
        (b"socket_id=1.2&channel_name=public", "channel_name"),
        (b"socket_id=1.2&channel_name=:user::%7B%22id%22:%22admin%22%7D", "channel"),
        (b"socket_id=1.2&channel_name=private-" + b"x" * 300, "channel"),
        (b"socket_id=1.2&" + b"&".join(b"channel_name[%d]=private-a.%d" % (i, i) for i in range(101)), "channel_name"),
        (b"&".join(b"a=b" for _ in range(1100)), "form body"),
        ({"socket_id": "1.2", "channel_name": ["private-a.1", "private-a.2"]}, "channel_name"),
        ({"socket_id": 1.2, "channel_name": "private-a.1"}, "socket_id"),
        ({"socket_id": "1.2", "channel_name[0]": 5}, "channel_name[0]"),
        ([], "form body"),
        (None, "form body"),
    ],
)
def test_malformed_forms_are_400_and_name_the_field(body: Any, field: str) -> None:
    """In both worlds."""
    answer = authorize(REGISTRY, CLIENT, body, "ada")
    assert (answer.status, answer.field) == (400, field)
    assert list(answer.body) == ["error"]
    assert asyncio.run(authorize_async(REGISTRY, CLIENT, body, "ada")) == answer


@pytest.mark.parametrize("body", [b"x" * 10_000_000, "x" * 10_000_000])
def test_a_form_of_ten_megabytes_is_413(body: bytes | str) -> None:
    """Before anything is parsed, and before the user is looked at."""
    assert authorize(REGISTRY, CLIENT, body, None).status == 413
    assert sign_in(CLIENT, body, None, lambda user: None).status == 413


_NAMES = st.sampled_from(["socket_id", "channel_name", "channel_name[]", "channel_name[0]", "channel_name[1]", "x"])
_VALUES = st.one_of(st.sampled_from(["1.2", "private-a.1", "private-b", "%", "%00", "+"]), st.text(max_size=20))


@given(st.one_of(st.binary(max_size=200), st.lists(st.tuples(_NAMES, _VALUES), max_size=6)))
def test_any_form_has_an_answer(form: bytes | list[tuple[str, str]]) -> None:
    """200 or 4xx, never an exception; what is signed is what the permission allows."""
    if not isinstance(form, bytes):
        form = "&".join(f"{name}={value}" for name, value in form).encode(errors="surrogatepass")
    answer = authorize(REGISTRY, CLIENT, form, "ada")
    assert answer.status == 200 or 400 <= answer.status < 500
    if "auth" in answer.body:
        assert answer.body == CLIENT.authenticate("private-a.1", "1.2")
