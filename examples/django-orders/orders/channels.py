"""Who may subscribe. Found by sockudo_publisher.contrib.django, as in every app of INSTALLED_APPS."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser

from sockudo_publisher.contrib.django import Member, channel

from .models import Order


@channel("private-desk", "private-stock")
def may_see_the_desk(user: AbstractUser) -> bool:
    return user.has_perm("orders.work_desk")


@channel("presence-desk")
def may_enter_the_desk(user: AbstractUser) -> Member | bool:
    return Member(str(user.pk), {"name": user.get_username()}) if may_see_the_desk(user) else False


@channel("private-order.{order_id}")
def may_see_order(user: AbstractUser, order_id: str) -> bool:
    """Customers see their own orders, the desk sees all."""
    if not order_id.isdecimal():
        return False
    return may_see_the_desk(user) or Order.objects.filter(pk=order_id, customer=user.pk).exists()


def user_data(user: AbstractUser) -> dict[str, Any]:
    return {"id": str(user.pk), "user_info": {"name": user.get_username()}}
