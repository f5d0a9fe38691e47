"""What changes orders: each function is one transaction, and its events are part of it."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from sockudo_publisher import publish
from sockudo_publisher.contrib.django import add

from .models import Order, Product


class Refused(Exception):
    """The order cannot be placed or changed so; the text is for the user."""


@transaction.atomic
def place(customer: AbstractBaseUser, sku: str, quantity: int) -> Order:
    """Take the products from the stock. Raises :class:`Refused`: then neither the order nor an event exists."""
    # The row is locked until the commit, so orders of one product have an order, and so have their events.
    product = Product.objects.select_for_update().filter(sku=sku).first()
    if product is None or quantity < 1:
        raise Refused("There is no such product.")
    order = Order.objects.create(customer=customer, product=product, quantity=quantity)
    publish_order("created", order)
    change_stock(product, -quantity)
    return order


@transaction.atomic
def move(order_id: int, state: str) -> Order:
    """Pack, ship or cancel. Raises :class:`Refused`."""
    order = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None or state not in Order.NEXT.get(Order.State(order.state), ()):
        raise Refused("This order cannot be changed so.")
    order.state, order.version = state, order.version + 1
    order.save(update_fields=["state", "version"])
    publish_order("changed", order)
    if state == Order.State.CANCELLED:
        change_stock(Product.objects.select_for_update().get(pk=order.product_id), order.quantity)
    return order


def publish_order(event: str, order: Order) -> None:
    """To the desk and to the customer, as certain as the transaction: rows of the outbox, which the relay moves."""
    add("private-desk", event, order.as_event())
    add(f"private-order.{order.pk}", event, order.as_event())


def change_stock(product: Product, difference: int) -> None:
    """Raises :class:`Refused` if too little is left: what the transaction has done so far is undone, events too."""
    if product.stock + difference < 0:
        raise Refused(f"Only {product.stock} left of {product.name}.")
    product.stock += difference
    product.save(update_fields=["stock"])
    # After the commit, straight to Redis: the next level replaces one that is lost or still waits. robust: a Redis that
    # is away fails no order.
    level = {"sku": product.sku, "stock": product.stock}
    publish.delay_on_commit("private-stock", "level", level, collapse=product.sku, robust=True)
