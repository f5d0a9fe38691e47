"""laravel-echo, `sockudo-http-python` and `pusher-http-go`, unmodified, with the real server and the embedded one."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.embedded import DevServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.devserver.lively import Client, Hook
from tests.support.go_modules import go_program
from tests.support.parts import need_module
from tests.support.pusher_js import pusher_js_modules
from tests.support.stack import Server

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
#: Seconds for all that a program does, on a machine with a lot to do.
PROGRAM_S = 200.0
NewClient = Callable[[], Client]


def run(command: list[str], server: Server, name: str, **more: str) -> list[dict[str, Any]]:
    """What each step of a client's program gave."""
    app = server.apps[0]
    wish = {"port": server.port, "name": name, "id": app.id, "key": app.key, "secret": app.secret, **more}
    done = subprocess.run(
        [*command, json.dumps(wish)], capture_output=True, text=True, timeout=PROGRAM_S, check=False
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- laravel-echo -------------------------------------------------------------------------------------


def test_laravel_echo_sees_what_it_asks_for(lively: Server, name: str) -> None:
    """Each kind of channel, whispers, presence, `toOthers`, sign-in: with Laravel's own endpoints."""
    modules = pusher_js_modules()
    steps = run(["node", str(HERE / "node" / "echo.cjs")], lively, name, modules=str(modules))
    assert {step["what"]: step["value"] for step in steps} == {
        "connected": ["connected", True],
        "event of a class": {"id": 1},
        "event by its name": {"id": 2},
        "all events": ["Any", [3]],
        "private channel": "text",
        "whisper": {"name": "ada"},
        "refused channel": 403,
        "here": [{"name": "ada"}],
        "joining": {"name": "bob"},
        "here of both": ["ada", "bob"],
        "leaving": {"name": "bob"},
        "to others": ["last"],
        "sign-in": {"id": "ada"},
        "to the user": {"n": 4},
        "disconnected": "disconnected",
    }


# -- sockudo-http-python ------------------------------------------------------------------------------


@pytest.fixture
def sdk() -> Any:
    return need_module("sockudo_http")


@pytest.fixture
def official(sdk: Any, lively: Server) -> Iterator[Any]:
    """The official client of the lively app."""
    app, key = lively.apps[0], base64.b64encode(b"k" * 32).decode()
    options = sdk.SockudoOptions(host="127.0.0.1", port=lively.port, timeout=30.0)
    with sdk.Sockudo(app.id, app.key, app.secret, key, options=options) as client:
        yield client


def given(result: Any) -> Any:
    """The JSON of an answer that is a success."""
    assert result.ok, result
    return result.json()


def data_of(client: Client, count: int) -> list[str]:
    client.wait_for_count(count)
    return client.take(count)


def test_the_official_client_triggers(sdk: Any, official: Any, client: NewClient, name: str) -> None:
    """One channel, several, a batch, with what it asks to know; a repeat under its key is not delivered again."""
    one, two = client(), client()
    one.join(name)
    two.join(f"{name}-2")
    assert given(official.trigger(name, "e", {"n": 1})) == {"ok": True}
    given(official.trigger([name, f"{name}-2"], "e", "2"))
    info = sdk.TriggerOptions(info=["subscription_count"], socket_id=two.socket_id)
    answer = given(official.trigger(name, "e", "3", info))
    assert answer["channels"][name]["subscription_count"] == 1
    batch = [sdk.Event(name, "e", "4"), sdk.Event(None, "e", "5", channels=[name, f"{name}-2"])]
    given(official.trigger_batch(batch))
    for _ in range(2):
        given(official.trigger(name, "e", "6", sdk.TriggerOptions(idempotency_key=f"{name}-key")))
    assert data_of(one, 6) == ['{"n":1}', "2", "3", "4", "5", "6"]
    assert data_of(two, 2) == ["2", "5"]


def test_the_official_client_asks_for_channels(sdk: Any, official: Any, client: NewClient, name: str) -> None:
    """Channels by prefix, one channel, its users."""
    presence = f"presence-{name}"
    client().join(presence, {"user_id": "a"})
    asked = sdk.ChannelsParams(filter_by_prefix=presence, info=["user_count"])
    assert given(official.list_channels(asked)) == {"channels": {presence: {"user_count": 1}}}
    about = given(official.get_channel(presence, sdk.ChannelParams(info="user_count,subscription_count")))
    assert about == {"occupied": True, "user_count": 1, "subscription_count": 1}
    assert given(official.get_channel_users(presence)) == {"users": [{"id": "a"}]}
    refused = official.get_channel_users(name)
    assert (refused.status, refused.status_code) == (sdk.Status.CLIENT_ERROR, 400)


def test_the_official_client_reaches_users(official: Any, client: NewClient, name: str) -> None:
    """With the signatures that it makes for sign-in and for private, presence and encrypted channels."""
    sdk_user = {"id": name}
    connection = client()
    signed = json.loads(official.authenticate_user(connection.socket_id, sdk_user))
    (answer,) = connection.say({"event": "pusher:signin", "data": signed})
    assert answer["event"] == "pusher:signin_success"
    given(official.send_to_user(name, "e", "to you"))
    assert data_of(connection, 1) == ["to you"]
    for kind in ("private-", "private-encrypted-"):
        signed = json.loads(official.authenticate(connection.socket_id, f"{kind}{name}"))
        auth = {"channel": f"{kind}{name}", "auth": signed["auth"]}
        assert connection.say({"event": "pusher:subscribe", "data": auth})[0]["event"].endswith("succeeded")
    given(official.trigger(f"private-encrypted-{name}", "e", {"secret": 1}))
    assert set(json.loads(data_of(connection, 2)[1])) == {"nonce", "ciphertext"}


def test_the_official_client_reads_histories(sdk: Any, official: Any, client: NewClient, name: str) -> None:
    """Page by page, with their states; a purge and a reset with a reason."""
    for number in range(3):
        given(official.trigger(name, "e", str(number)))
    page = given(official.get_channel_history(name, sdk.HistoryParams(limit=2, direction="oldest_first")))
    assert [item["message"]["data"] for item in page["items"]] == ["0", "1"]
    cursor = sdk.HistoryParams(limit=2, direction="oldest_first", cursor=page["next_cursor"])
    rest = given(official.get_channel_history(name, cursor))
    assert [item["message"]["data"] for item in rest["items"]] == ["2"]
    assert given(official.get_channel_history_state(name))["channel"] == name
    assert official.reset_channel_history(name, "a test").ok
    assert given(official.get_channel_history(name))["items"] == []

    presence = f"presence-{name}"
    client().join(presence, {"user_id": "a"})
    events = given(official.get_channel_presence_history(presence))["items"]
    assert [(item["event"], item["user_id"]) for item in events] == [("member_added", "a")]


def test_the_official_client_reads_webhooks(sdk: Any, official: Any, client: NewClient, name: str, hook: Hook) -> None:
    """It finds the signature of the server right, and that of a changed body wrong."""
    hook.wait_until_quiet()
    client().join(name)
    assert wait_for(lambda: bool(hook.about(name)), 60.0)
    body, headers = hook.body_about(name)
    signed = headers["x-pusher-key"], headers["x-pusher-signature"]
    events = official.parse_webhook(*signed, body).events
    assert ("channel_occupied", name) in [(event.name, event.channel) for event in events]
    assert official.validate_webhook_signature(*signed, body + b" ") is sdk.Validity.INVALID


#: A value for each parameter of the calls below.
VALUES: dict[str, Any] = {
    "channel": "c", "message_serial": "1", "annotation_serial": "1", "mutation": {"data": "d"}, "data": "d",
    "device": {"id": "d"}, "device_id": "d", "device_identity_token": "t", "client_id": "c", "subscription": {},
    "provider": "p", "credential": {}, "request": {"type": "t", "notBeforeMs": 1}, "requests": [{}], "publish_id": "1",
    "event": {},
}  # fmt: skip
#: What the official client has beside the calls of the tests above.
ABSENT_CALLS = [
    "get_message", "get_message_versions", "update_message", "delete_message", "append_message", "publish_annotation",
    "list_annotations", "delete_annotation", "activate_device", "create_device_activation",
    "update_device_registration", "list_device_registrations", "get_device_registration",
    "delete_device_registration", "remove_device_registrations_by_client", "upsert_channel_push_subscription",
    "list_channel_push_subscriptions", "delete_channel_push_subscriptions",
    "list_channel_push_subscription_channels", "list_push_credentials", "put_push_credential", "publish_push",
    "publish_push_direct", "publish_push_batch", "schedule_push", "get_publish_status", "cancel_scheduled_push",
    "post_push_delivery_status",
]  # fmt: skip


def test_calls_that_are_not_here_are_answered_501(sdk: Any) -> None:
    """Each call of the official client that the embedded server does not have, with a sentence."""
    with DevServer() as server:
        options = sdk.SockudoOptions(port=server.port, max_retries=1, timeout=30.0)
        with sdk.Sockudo(server.app_id, server.key, server.secret, options=options) as official:
            for name in ABSENT_CALLS:
                call = getattr(official, name)
                needed = [one.name for one in signature(call).parameters.values() if one.default is one.empty]
                values = {one: sdk.PushSubscriptionParams() if one == "params" else VALUES[one] for one in needed}
                answer = call(**values)
                assert answer.status_code == 501, (name, answer)
                assert "use a real Sockudo for it" in answer.json()["error"]


# -- pusher-http-go -----------------------------------------------------------------------------------


@pytest.mark.long
def test_the_go_client_does_all_its_calls(lively: Server, client: NewClient, name: str, hook: Hook) -> None:
    """Pusher's: Sockudo's own Go module is in no registry."""
    program = go_program(HERE / "go")
    one = client()
    one.join(f"presence-{name}", {"user_id": "a"})
    one.join(name)
    assert wait_for(lambda: bool(hook.about(name)), 60.0)
    body, headers = hook.body_about(name)
    webhook = {"hook_key": headers["x-pusher-key"], "hook_signature": headers["x-pusher-signature"]}
    steps = run([str(program)], lively, name, socket_id=one.socket_id, hook_body=body.decode(), **webhook)
    told = {step["what"]: step["value"] for step in steps}
    assert told["batch"] == [1, None]
    assert told["channels"] == {f"presence-{name}": 1}
    assert told["channel"] == [True, 1]
    assert told["users"] == ["a"]
    assert "channel_occupied" in told["webhook"]
    assert data_of(one, 4) == ['{"n":1}', "2", "3", "4"]
    auth = {"channel": f"private-{name}", "auth": told["auth"]}
    assert one.say({"event": "pusher:subscribe", "data": auth})[0]["event"].endswith("succeeded")
