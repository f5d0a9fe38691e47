"""An app with everything on, WebSocket clients that send what they like, the JSON of an error: for both servers."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sockudo_publisher.dev.embedded import SockudoApp
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.http_api import HttpAnswer

FEATURES = {"enable_client_messages": True, "enable_user_authentication": True, "enable_watchlist_events": True}
LIMITS = {
    "max_presence_members_per_channel": 3,
    "max_presence_member_size_in_kb": 1,
    "max_event_payload_in_kb": 2,
    "max_client_events_per_second": 4,
    "decay_seconds": 60,
}


def lively_app(hook: str) -> SockudoApp:
    """The app; `hook` gets its webhooks."""
    events = ["channel_occupied", "channel_vacated", "member_added", "member_removed", "client_event", "cache_miss"]
    webhook = {"url": hook, "event_types": [*events, "subscription_count"]}
    return SockudoApp(
        "lively", "lively-key", "lively-secret", LIMITS, {"features": FEATURES, "webhooks": [webhook]}
    )  # fmt: skip


class Hook:
    """An address for webhooks: keeps their events, answers the statuses that it is given."""

    def __init__(self) -> None:
        self.bodies: list[tuple[bytes, dict[str, str]]] = []
        self.statuses: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.bodies.append((body, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def about(self, channel: str) -> list[dict[str, Any]]:
        """The events about a channel, in the order of arrival; a repetition too."""
        events = [event for body, _ in self.bodies for event in json.loads(body)["events"]]
        return [event for event in events if event["channel"] == channel]

    def wait_until_quiet(self) -> None:
        """Until nothing has come for a second: what clients of earlier tests leave behind shares a body with ours."""
        while self._gets_more():
            pass

    def _gets_more(self) -> bool:
        count = len(self.bodies)
        return wait_for(lambda: len(self.bodies) > count, 1.0)

    def body_about(self, channel: str) -> tuple[bytes, dict[str, str]]:
        """The first body with an event about a channel, and its headers; those of other channels may come before."""
        for body, headers in self.bodies:
            if any(event["channel"] == channel for event in json.loads(body)["events"]):
                return body, headers
        raise AssertionError(f"no webhook about {channel}")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Client(Subscriber):
    """A subscriber that signs for the lively app, and gives what has come as it came."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._given = 1  # the greeting

    def signed(self, text: str) -> str:
        return f"lively-key:{hmac.digest(b'lively-secret', text.encode(), 'sha256').hex()}"

    def join(self, channel: str, member: Any = None, **fields: Any) -> list[dict[str, Any]]:
        """Subscribe, signed as the channel needs it; `member` is text or JSON."""
        data: dict[str, Any] = {"channel": channel}
        text = f"{self.socket_id}:{channel}"
        if member is not None:
            data["channel_data"] = member if isinstance(member, str) else json.dumps(member)
            text += f":{data['channel_data']}"
        if channel.startswith(("private-", "presence-")):
            data["auth"] = self.signed(text)
        return self.say({"event": "pusher:subscribe", "data": {**data, **fields}})

    def sign_in(self, user: Any) -> list[dict[str, Any]]:
        user_data = json.dumps(user)
        auth = self.signed(f"{self.socket_id}::user::{user_data}")
        return self.say({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}})

    def say(self, frame: Any) -> list[dict[str, Any]]:
        """Send a frame (text as it is), and return what has come up to the pong that follows."""
        self.send_text(frame if isinstance(frame, str) else json.dumps(frame))
        return self.news()

    def news(self) -> list[dict[str, Any]]:
        """What has come since the last look; of the server's own frames. Its data is decoded."""
        self.ping()
        frames = [frame for frame in self.protocol_frames[self._given :] if frame["event"] != "pusher:pong"]
        self._given = len(self.protocol_frames)
        return [decoded(frame) for frame in frames]

    def next(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what other connections cause."""
        self._wait(condition, what, 60.0)

    def wait_for_frame(self, event: str) -> dict[str, Any]:
        """The first frame of the server with this event."""
        found = lambda: [frame for frame in self.protocol_frames if frame["event"] == event]  # noqa: E731
        self.next(lambda: bool(found()), event)
        return decoded(found()[0])


def decoded(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame whose data, if it is the text of an object, is one."""
    data = frame.get("data")
    if isinstance(data, str) and data.startswith("{"):
        return {**frame, "data": json.loads(data)}
    return frame


def error(code: int, message: str) -> dict[str, Any]:
    return {"event": "pusher:error", "data": {"code": code, "message": message}}


def assert_refused(answer: HttpAnswer, status: int, code: str, error: str) -> None:
    """The JSON of an error, and nothing else in it."""
    assert (answer.status, answer.json) == (status, {"error": error, "code": code, "status": status})
    assert answer.media_type == "application/json"
    assert answer.headers["connection"] == "close"


def succeeded(channel: str, data: Any = None) -> dict[str, Any]:
    return {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": data or {}}
