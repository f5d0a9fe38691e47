"""Which calls are made again when it is unknown whether the first attempt arrived, and which only when it did not."""

import pytest

from sockudo_publisher.client.http import calls
from sockudo_publisher.client.http.retries import Retries
from sockudo_publisher.errors import NotFound, RateLimited, ServerError
from tests.support.timing import replace_time
from tests.support.wire import least_answer

pytestmark = pytest.mark.unit

SOON = Retries(attempts=2, first_wait_s=0.001)
UNKNOWN = (500, {"error": "words", "code": "internal_error", "status": 500})

SAFE = {
    "channels": lambda c, r: c.channels_info("presence-", retries=r),
    "channels seed": lambda c, r: c.channels("presence-", retries=r),
    "channel": lambda c, r: c.channel_info("room", retries=r),
    "channel seed": lambda c, r: c.channel("room", retries=r),
    "users": lambda c, r: c.users_info("presence-room", retries=r),
    "users seed": lambda c, r: c.get_channel_users("presence-room", retries=r),
    "history": lambda c, r: c.channel_history("room", retries=r),
    "history items": lambda c, r: list(c.iter_channel_history("room", retries=r)),
    "history state": lambda c, r: c.history_state("room", retries=r),
    "presence": lambda c, r: c.channel_presence_history("presence-room", retries=r),
    "presence items": lambda c, r: list(c.iter_channel_presence_history("presence-room", retries=r)),
    "presence snapshot": lambda c, r: c.channel_presence_snapshot("presence-room", retries=r),
    "presence state": lambda c, r: c.presence_history_state("presence-room", retries=r),
    "message": lambda c, r: c.get_message("room", 7, retries=r),
    "versions": lambda c, r: c.get_message_versions("room", 7, retries=r),
    "annotations": lambda c, r: c.list_annotations("room", 7, retries=r),
    # These change something, and a second time nothing more.
    "terminate": lambda c, r: c.terminate_user_connections("user", retries=r),
    "reconnect": lambda c, r: c.force_reconnect_user("user", retries=r),
    "revoke": lambda c, r: c.revoke_tokens(jti="token", retries=r),
    "unannotate": lambda c, r: c.delete_annotation("room", 7, 8, retries=r),
    "update with op_id": lambda c, r: c.update_message("room", 7, data="x", op_id="1", retries=r),
    "delete with op_id": lambda c, r: c.delete_message("room", 7, op_id="1", retries=r),
    "to a user with an id": lambda c, r: c.send_to_user("user", "e", "x", message_id="1", retries=r),
    "append with op_id": lambda c, r: c.append_message("room", 7, "x", op_id="1", retries=r),
}
UNSAFE = {
    "update": lambda c, r: c.update_message("room", 7, data="x", retries=r),
    "delete": lambda c, r: c.delete_message("room", 7, retries=r),
    "append": lambda c, r: c.append_message("room", 7, "x", retries=r),
    "annotate": lambda c, r: c.publish_annotation("room", 7, "a:total.v1", retries=r),
    "history reset": lambda c, r: c.reset_history("room", "a test", retries=r),
    "history purge": lambda c, r: c.purge_history("room", "all", "a test", retries=r),
    "presence reset": lambda c, r: c.reset_presence_history("presence-room", "a test", retries=r),
    "update with unordered extras": lambda c, r: c.update_message(
        "room", 7, data="x", op_id="1", extras={"headers": {"a": 1, "b": 2}}, retries=r
    ),
    "to a user": lambda c, r: c.send_to_user("user", "e", "x", retries=r),
}


def answers(wire, *values):
    """One after the other, then success."""
    rest = list(values)
    wire.answer = lambda sent: rest.pop(0) if rest else least_answer(sent)


@pytest.mark.parametrize("call", SAFE.values(), ids=SAFE.keys())
def test_call_that_does_no_harm_twice_is_made_again(wire, call):
    """Whether the first arrived is unknown, and it does not matter; Go never repeats a query (docs/sdks.md, G4)."""
    answers(wire, UNKNOWN)
    call(wire.client, SOON)
    assert len(wire.sent) == 2
    first, second = wire.sent
    assert (first.method, first.path, first.query, first.body) == (
        second.method,
        second.path,
        second.query,
        second.body,
    )


@pytest.mark.parametrize("call", UNSAFE.values(), ids=UNSAFE.keys())
def test_p3_call_that_may_take_effect_twice_is_not_made_again(wire, call):
    """The official SDK repeats all: text may be appended several times, a reset delete what came since."""
    answers(wire, UNKNOWN)
    with pytest.raises(ServerError) as caught:
        call(wire.client, SOON)
    assert (len(wire.sent), caught.value.sent) == (1, True)


@pytest.mark.parametrize("call", UNSAFE.values(), ids=UNSAFE.keys())
def test_call_that_was_certainly_not_taken_is_made_again(wire, call, monkeypatch):
    """The rate limiter answers before anything is done."""
    waits = []
    replace_time(monkeypatch, calls, sleep=waits.append)
    answers(wire, (429, {"error": "Too many requests", "message": "slow down"}))
    call(wire.client, SOON)
    assert (len(wire.sent), len(waits)) == (2, 1)


@pytest.mark.parametrize("call", [*SAFE.values(), *UNSAFE.values()], ids=[*SAFE, *UNSAFE])
def test_no_retries_is_one_attempt(wire, call):
    """Each call takes its own ``retries``, over the client's."""
    answers(wire, (429, {"error": "Too many requests"}))
    with pytest.raises(RateLimited):
        call(wire.client, None)
    assert len(wire.sent) == 1


def test_permanent_answer_ends_it(wire):
    """What is not there will not be there in a moment."""
    answers(wire, (404, {"error": "words", "code": "not_found"}))
    with pytest.raises(NotFound):
        wire.client.get_message("room", 7, retries=SOON)
    assert len(wire.sent) == 1


def test_iterator_repeats_a_page_and_not_the_items_before_it(wire):
    """An iteration survives a page that failed once."""
    answers(wire, {"items": [1, 2], "next_cursor": "a"}, UNKNOWN, {"items": [3], "next_cursor": None})
    assert list(wire.client.iter_channel_history("room", retries=SOON)) == [1, 2, 3]
    assert [sent.query for sent in wire.sent] == [{}, {"cursor": "a"}, {"cursor": "a"}]
