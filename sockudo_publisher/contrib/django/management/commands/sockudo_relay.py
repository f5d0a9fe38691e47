"""``manage.py sockudo_relay``: the outbox's own."""

from .....outbox.django.management.commands.sockudo_relay import Command

__all__ = ["Command"]
