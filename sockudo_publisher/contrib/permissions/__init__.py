"""Who may subscribe to which channel: permission functions, for every framework.

.. code-block:: python

    from sockudo_publisher.contrib.permissions import Member, channel

    @channel("private-orders.{order_id}")
    def may_join(user, order_id) -> bool:
        return user.orders.filter(pk=order_id).exists()

    @channel("presence-room.{room}")
    async def may_enter(user, room) -> Member | bool:
        return Member(user.id, {"name": user.name}) if await is_guest(user, room) else False

Knows no framework: ``contrib.django``, ``contrib.fastapi`` and ``contrib.flask`` bring the request and the user,
and call ``authorize``. Imports the client, the settings for a check, and the ground.
"""

from __future__ import annotations

from .authorize import HEADERS, Answer, authorize, authorize_async, sign_in, sign_in_async
from .findings import Finding, apps_with_one_secret, check, refuse_errors
from .member import Member
from .pattern import ChannelKind, ChannelPattern
from .registry import Registry, channel, default_registry, registry_of

__all__ = [
    "HEADERS",
    "Answer",
    "ChannelKind",
    "ChannelPattern",
    "Finding",
    "Member",
    "Registry",
    "apps_with_one_secret",
    "authorize",
    "authorize_async",
    "channel",
    "check",
    "default_registry",
    "refuse_errors",
    "registry_of",
    "sign_in",
    "sign_in_async",
]
