"""What an endpoint publishes with, as a dependency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from starlette.concurrency import run_in_threadpool

from ...client.sockudo import Sockudo
from ...publishing.async_bulk import apublish_many
from ...publishing.bulk import publish_many
from ...tasks.publish import publish
from ...wiring.app import app_named

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ...tasks.options import PublishOptions
    from ...tasks.result import PublishResult

__all__ = ["EventPublisher", "PublisherDep", "get_publisher"]


class EventPublisher:
    """The package's calls under one name, with the arguments and errors that they have everywhere.

    ``adelay``, ``aapply_async`` and ``apublish_many`` for ``async def`` endpoints; ``delay``, ``apply_async`` and
    ``publish_many``, which block, for others. ``client``: the HTTP client of ``SOCKUDO_URL``, whose calls block. In
    tests, ``published`` records what it publishes, or ``app.dependency_overrides[get_publisher]`` replaces it.
    """

    adelay = staticmethod(publish.adelay)
    delay = staticmethod(publish.delay)
    apply_async = staticmethod(publish.apply_async)
    apublish_many = staticmethod(apublish_many)
    publish_many = staticmethod(publish_many)

    @staticmethod
    async def aapply_async(
        args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[PublishOptions]
    ) -> PublishResult:
        """``apply_async`` in a thread of the server's pool: an event for later (``countdown=``, ``eta=``).

        The options, result and errors of ``publish.apply_async``. The loop goes on meanwhile. A call that is cancelled
        stores its event all the same; pass a ``key`` to repeat it safely. ``result.revoke()`` asks Redis and blocks:
        take the event back in a ``def`` endpoint, with ``operations.cancel``.
        """
        return await run_in_threadpool(partial(publish.apply_async, args, kwargs, **options))

    @property
    def client(self) -> Sockudo:
        """The HTTP client. Raises ``ConfigurationError``."""
        return app_named().client


def get_publisher() -> EventPublisher:
    """The dependency's function."""
    return EventPublisher()


PublisherDep = Annotated[EventPublisher, Depends(get_publisher)]
