"""Subscribers with a name: signed in as a user, or a member of a presence channel. Signed here, by hand."""

from __future__ import annotations

import hmac
import json

from sockudo_publisher.dev.embedded import SockudoApp
from sockudo_publisher.dev.subscriber import Subscriber


def sign_in(subscriber: Subscriber, app: SockudoApp, user_id: str) -> None:
    """`pusher:signin`, and wait for its success."""
    user_data = json.dumps({"id": user_id})
    auth = _auth(app, f"{subscriber.socket_id}::user::{user_data}")
    subscriber.send({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}})
    subscriber.ping()
    assert any(frame["event"] == "pusher:signin_success" for frame in subscriber.protocol_frames), subscriber.errors()


def join(subscriber: Subscriber, app: SockudoApp, channel: str, user_id: str) -> None:
    """Subscribe to a presence channel as a member, and wait for its success."""
    member = json.dumps({"user_id": user_id, "user_info": {"name": user_id}})
    auth = _auth(app, f"{subscriber.socket_id}:{channel}:{member}")
    subscriber.send({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth, "channel_data": member}})
    subscriber.ping()
    succeeded = "pusher_internal:subscription_succeeded"
    assert any(frame["event"] == succeeded and frame["channel"] == channel for frame in subscriber.protocol_frames), (
        subscriber.errors()
    )


def _auth(app: SockudoApp, text: str) -> str:
    return f"{app.key}:{hmac.digest(app.secret.encode(), text.encode(), 'sha256').hex()}"
