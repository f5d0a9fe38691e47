"""``pusher:signin``: a connection says whose it is, with the app's signature. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .config import AppConfig
from .frames import signin_success
from .incoming import BAD_FRAME, FrameError, Incoming
from .request_auth import is_signed_user

__all__ = ["SignedIn", "read_signin"]

#: The code of a sign-in that is refused.
REFUSED = 4009


@dataclass(frozen=True)
class SignedIn:
    """A user, the users that this one watches (``None``: without a list), and the answer."""

    user_id: str
    watchlist: tuple[str, ...] | None
    answer: str


def read_signin(app: AppConfig, socket_id: str, frame: Incoming) -> SignedIn:
    """The user who signs in. Raises :class:`FrameError`, in the server's order and words."""
    data = frame.data
    if not isinstance(data, dict):
        raise FrameError(BAD_FRAME, "Invalid message format: Invalid signin data format")
    for name in ("user_data", "auth"):
        if not isinstance(data.get(name), str):
            raise _refused(f"Missing '{name}' field in signin data")
    user_data: str = data["user_data"]
    if not app.features.enable_user_authentication:
        raise _refused("User authentication is disabled for this app")
    try:
        user = json.loads(user_data)
    except (ValueError, RecursionError):
        raise _refused("Invalid user_data JSON: not JSON") from None
    user_id = user.get("id") if isinstance(user, dict) else None
    if not isinstance(user_id, str):
        raise _refused("Missing 'id' field in user_data")
    if not is_signed_user(app, socket_id, user_data, data["auth"]):
        raise _refused("Connection not authorized for signin.")
    watched = user.get("watchlist")
    names = tuple(one for one in watched if isinstance(one, str)) if isinstance(watched, list) else None
    return SignedIn(user_id, names, signin_success(user_data))


def _refused(text: str) -> FrameError:
    return FrameError(REFUSED, f"Authentication error: {text}")
