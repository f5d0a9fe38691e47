"""The outbox's table: the migration of ``sockudo_publisher.outbox.django``, which an existing project has applied."""

from importlib import import_module

__all__ = ["Migration"]

Migration = import_module("sockudo_publisher.outbox.django.migrations.0001_initial").Migration
