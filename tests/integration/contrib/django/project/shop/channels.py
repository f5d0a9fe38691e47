"""Who may subscribe; found by the package's autodiscovery."""

from __future__ import annotations

import asyncio

from django.contrib.auth.models import User

from sockudo_publisher.contrib.django import Member, channel


@channel("private-orders.{order_id}", "private-encrypted-orders.{order_id}")
def may_see_order(user: User, order_id: str) -> bool:
    """Reads the database, as permissions do."""
    return order_id == str(user.pk) and User.objects.filter(pk=user.pk).exists()


@channel("presence-room.{room}")
async def may_enter(user: User, room: str) -> Member | bool:
    await asyncio.sleep(0)
    if not await User.objects.filter(pk=user.pk).aexists():
        return False
    return room != "closed" and Member(user.pk, {"name": user.username})


@channel("private-raises")
def may_raise(user: User) -> bool:
    raise RuntimeError("the payload")
