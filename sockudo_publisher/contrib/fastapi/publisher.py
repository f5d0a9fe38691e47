"""What an endpoint publishes with, as a dependency."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from ...client.sockudo import Sockudo
from ...publishing.async_bulk import apublish_many
from ...publishing.bulk import publish_many
from ...tasks.publish import publish
from ...wiring.app import app_named

__all__ = ["EventPublisher", "PublisherDep", "get_publisher"]


class EventPublisher:
    """The package's calls under one name, with the arguments and errors that they have everywhere.

    ``adelay`` and ``apublish_many`` for ``async def`` endpoints, ``delay`` and ``publish_many`` for others; ``client``:
    the HTTP client of ``SOCKUDO_URL``, whose calls block. In tests, ``published`` records what it publishes, or
    ``app.dependency_overrides[get_publisher]`` replaces it.
    """

    adelay = staticmethod(publish.adelay)
    delay = staticmethod(publish.delay)
    apublish_many = staticmethod(apublish_many)
    publish_many = staticmethod(publish_many)

    @property
    def client(self) -> Sockudo:
        """The HTTP client. Raises ``ConfigurationError``."""
        return app_named().client


def get_publisher() -> EventPublisher:
    """The dependency's function."""
    return EventPublisher()


PublisherDep = Annotated[EventPublisher, Depends(get_publisher)]
