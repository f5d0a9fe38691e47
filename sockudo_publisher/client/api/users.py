"""One user: send to all their connections, or close them.

A user is who signed in over ``pusher:signin`` (see ``authenticate_user``). A class over
:class:`Publishing`, as sending to a user is publishing to a channel of their own. Facts: docs/server.md,
1.6 and 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..http.retries import CLIENTS, CallRetries
from ..wire.extras import ExtrasLike
from ..wire.parameters import checked_user_id
from ..wire.paths import segment
from ..wire.user_channel import channel_of_user
from .answers import TriggerAnswer
from .publishing import Publishing

__all__ = ["Users"]


class Users(Publishing):
    """``send_to_user``, ``terminate_user_connections`` and ``force_reconnect_user``."""

    def send_to_user(
        self,
        user_id: str,
        event_name: str,
        data: Any,
        *,
        idempotency_key: str | bool | None = None,
        message_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: ExtrasLike | None = None,
        delta: bool | None = None,
        retries: CallRetries = CLIENTS,
    ) -> TriggerAnswer:
        """Publish one event to every connection of a signed-in user, if there is any.

        ``user_id``: 1 to 184 bytes of ``A-Z a-z 0-9 - _ = @ , . ; :``, because it becomes part of a
        channel name, which has 200. All else, the answer and the errors are :meth:`trigger`'s.
        """
        return self.trigger(
            channel_of_user(user_id),
            event_name,
            data,
            idempotency_key=idempotency_key,
            message_id=message_id,
            tags=tags,
            extras=extras,
            delta=delta,
            retries=retries,
        )

    def terminate_user_connections(self, user_id: str, *, retries: CallRetries = CLIENTS) -> dict[str, Any]:
        """Close every connection of a user, with code 4009; clients do not reconnect by themselves.

        ``user_id``: 1 to 200 bytes, any characters; not ``.`` or ``..``, which no path can hold. Returns
        ``{}``, even if the user has no connection. Repeated according to ``retries``, even if the result of an
        attempt is unknown: a repeat also closes the connections that the user has opened since. Raises
        ``ValidationError``.
        """
        return self._order(user_id, "terminate_connections", retries)

    def force_reconnect_user(self, user_id: str, *, retries: CallRetries = CLIENTS) -> dict[str, Any]:
        """Close every connection of a user, with code 4200; clients reconnect at once.

        As :meth:`terminate_user_connections` in all else: with a repeat, at worst a client reconnects
        twice. Sockudo from 5.0 on.
        """
        return self._order(user_id, "force_reconnect", retries)

    def _order(self, user_id: str, order: str, retries: CallRetries) -> dict[str, Any]:
        user = segment(checked_user_id(user_id), field="user_id")
        return self.call("POST", f"/users/{user}/{order}", body=b"{}", repeatable=True, retries=retries)
