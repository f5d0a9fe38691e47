"""For FastAPI: a router with the endpoints that browsers and Sockudo call, and a dependency to publish with.

.. code-block:: python

    from fastapi import FastAPI
    from sockudo_publisher.contrib.fastapi import PublisherDep, lifespan, router

    app = FastAPI(lifespan=lifespan)
    app.include_router(router(may_join, user=current_user, user_data=user_data), prefix="/pusher")

    @app.post("/orders/{order_id}/ship")
    async def ship(order_id: int, publisher: PublisherDep) -> None:
        await publisher.adelay(f"private-orders.{order_id}", "shipped", {"id": order_id})

For Starlette alone: ``contrib.starlette``. Needs the extra ``fastapi``.
"""

from __future__ import annotations

from ..permissions import Member, Registry, channel
from ..starlette import lifespan
from ..webhooks import WebhookHandlers
from .publisher import EventPublisher, PublisherDep, get_publisher
from .router import router

__all__ = [
    "EventPublisher",
    "Member",
    "PublisherDep",
    "Registry",
    "WebhookHandlers",
    "channel",
    "get_publisher",
    "lifespan",
    "router",
]
