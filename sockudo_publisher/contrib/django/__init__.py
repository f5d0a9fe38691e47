"""Everything for Django: put ``"sockudo_publisher.contrib.django"`` into ``INSTALLED_APPS`` and migrate.

- ``include("sockudo_publisher.contrib.django.urls")``: pusher-js' authorization endpoints and the webhooks' receiver;
- ``@channel(...)`` functions in each app's ``channels.py``: who may subscribe;
- ``sockudo_publisher.contrib.django.signals``: what webhooks report;
- the outbox (:func:`add`, ``manage.py sockudo_relay``), with its admin, and an admin for dead letters;
- ``manage.py sockudo``: the command line with the project's settings, and system checks.

Importing this module needs no Django; its functions do. Docs: docs/django.md.
"""

from __future__ import annotations

from ...outbox.django import add, parked, relay, release
from ..permissions import Member, channel

__all__ = ["Member", "add", "channel", "parked", "relay", "release"]
