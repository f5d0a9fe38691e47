"""The queries of channels, on the wire: paths, parameters, and what never gets there."""

import pytest

from sockudo_publisher.client.http.retries import Retries
from sockudo_publisher.errors import BadRequest, NotFound, ServerError, SockudoConnectionError, ValidationError
from tests.support.wire import wired

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("arguments", "options", "query"),
    [
        ((), {}, {}),
        ((None, []), {}, {}),
        (("",), {}, {}),
        (("presence-",), {}, {"filter_by_prefix": "presence-"}),
        (("presence-", ["user_count"]), {}, {"filter_by_prefix": "presence-", "info": "user_count"}),
        ((), {"prefix_filter": "a b+c&d=é%", "attributes": "subscription_count"},
         {"filter_by_prefix": "a b+c&d=é%", "info": "subscription_count"}),
    ],
)  # fmt: skip
def test_channels_info(wire, arguments, options, query):
    """pusher's arguments; what is not asked for is not sent."""
    wire.answer = lambda _: {"channels": {"presence-room": {"user_count": 4}}}
    assert wire.client.channels_info(*arguments, **options) == {"channels": {"presence-room": {"user_count": 4}}}
    assert (wire.only.method, wire.only.path, wire.only.query) == ("GET", "/channels", query)


def test_pusher_queries_carry_no_body_md5(wire):
    """pusher 3.3.4 signs a digest of no body with each, and Sockudo answers 401: no query works with it."""
    wire.client.channels_info("presence-", ["user_count"])
    wire.client.channel_info("presence-room", ["user_count"])
    wire.client.users_info("presence-room")
    # That there is no body_md5, and that the signature holds without it, is checked with every request (wire.py).
    assert [sent.method for sent in wire.sent] == ["GET"] * 3


@pytest.mark.parametrize("name", ["room", "presence-a,b;c@d=e.f_g", "ns:room", "#server-to-user-7", "..."])
def test_names_are_escaped_once_and_signed_so(wire, name):
    """What is special in a URL is escaped; the wire checks the signature over the escaped path."""
    escaped = name.replace(",", "%2C").replace(";", "%3B").replace("@", "%40").replace("=", "%3D")
    escaped = escaped.replace(":", "%3A").replace("#", "%23")
    wire.client.channel_info(name)
    assert wire.only.path == f"/channels/{escaped}"


def test_channel_info_and_users_info(wire):
    """The server's object as it is."""
    wire.answer = lambda sent: (
        {"users": [{"id": "13"}]} if sent.path.endswith("/users") else {"occupied": True, "new": 1}
    )
    assert wire.client.channel_info("presence-room", ["user_count", "subscription_count"]) == {
        "occupied": True,
        "new": 1,
    }
    assert wire.client.users_info("presence-room") == {"users": [{"id": "13"}]}
    info, users = wire.sent
    assert (info.path, info.query) == ("/channels/presence-room", {"info": "user_count,subscription_count"})
    assert (users.path, users.query) == ("/channels/presence-room/users", {})


QUERIES = {
    "channels": lambda client: client.channels_info(),
    "occupied": lambda client: client.channel_info("c"),
    "users": lambda client: client.users_info("presence-c"),
    "items": lambda client: client.channel_history("c"),
    "items of all pages": lambda client: next(client.iter_channel_history("c")),
    "stream": lambda client: client.history_state("c"),
    "items of presence": lambda client: client.channel_presence_history("presence-c"),
    "items of all pages of presence": lambda client: next(client.iter_channel_presence_history("presence-c")),
    "members": lambda client: client.channel_presence_snapshot("presence-c"),
    "stream of presence": lambda client: client.presence_history_state("presence-c"),
    "item": lambda client: client.get_message("c", 1),
    "items of versions": lambda client: client.get_message_versions("c", 1),
    "items of annotations": lambda client: client.list_annotations("c", 1),
}


@pytest.mark.parametrize("body", [{}, [], 1, None, {"ok": True}], ids=str)
@pytest.mark.parametrize(("name", "query"), QUERIES.items(), ids=QUERIES.keys())
def test_a_success_without_what_was_asked_for_is_no_answer(name, query, body):
    """Every query raises it itself, after it was tried again; the field of an answer is there to be read."""
    field = name.partition(" ")[0]
    with wired(retries=Retries(attempts=2, first_wait_s=0.001)) as wire:
        wire.answer = lambda _: body
        with pytest.raises(SockudoConnectionError, match=f"without '{field}'"):
            query(wire.client)
        assert len(wire.sent) == 2


def test_names_of_the_seed_and_of_the_other_sdks(wire):
    """The same calls."""
    client = wire.client
    client.channels(filter_by_prefix="presence-", info="user_count")
    client.list_channels(filter_by_prefix="presence-", info=["user_count"])
    client.channel("presence-room", info="user_count,subscription_count")
    client.get_channel("presence-room", info=("user_count", "subscription_count"))
    client.get_channel_users("presence-room")
    listing = ("/channels", {"filter_by_prefix": "presence-", "info": "user_count"})
    one = ("/channels/presence-room", {"info": "user_count,subscription_count"})
    assert [(sent.path, sent.query) for sent in wire.sent] == [
        listing, listing, one, one, ("/channels/presence-room/users", {}),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [".", ".."])
def test_p21_dot_segments_never_reach_another_endpoint(wire, name):
    """Legal names, but a URL library takes /channels/../history for /history: refused, not sent."""
    for call in (wire.client.channel_info, wire.client.users_info, wire.client.channel_history):
        with pytest.raises(ValidationError, match="channel: a dot segment, cannot be part of a path"):
            call(name)
    assert wire.sent == []


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda client: client.channels_info("x" * 201), "prefix_filter: 201 bytes, limit 200"),
        (lambda client: client.channels_info(5), "prefix_filter: a int, expected a str"),
        (lambda client: client.channels_info(attributes=5), "attributes: a int"),
        (lambda client: client.channel_info("x" * 201), "channel: 201 bytes, limit 200"),
        (lambda client: client.channel_info("a/b"), "channel: 3 characters, of which some are not allowed"),
        (lambda client: client.channel_info(""), "channel: empty"),
        (lambda client: client.channel_info("room", ["a b"]), "attributes: 3 characters"),
        (lambda client: client.users_info("presence-ü"), "channel: 10 characters"),
        (lambda client: client.users_info(None), "channel: a NoneType, expected a str"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(wire, call, complaint):
    """Field, size, limit; and no request."""
    with pytest.raises(ValidationError, match=complaint):
        call(wire.client)
    assert wire.sent == []


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequest), (404, NotFound), (501, ServerError)])
def test_p6_failures_raise(wire, status, kind):
    """The official SDK hands back a result that the caller must look at."""
    wire.answer = lambda _: (status, {"error": "Internal server error", "code": "internal_error", "status": status})
    with pytest.raises(kind, match="Internal server error") as caught:
        wire.client.channels_info()
    assert (caught.value.status, caught.value.code) == (status, "internal_error")
