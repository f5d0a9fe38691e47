"""A world per test, as the drain loop's tests have it."""

from __future__ import annotations

from tests.integration.delivery.conftest import world

__all__ = ["world"]
