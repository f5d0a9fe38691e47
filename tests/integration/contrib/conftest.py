"""One application, in each framework: bearer tokens, permissions of all kinds, a sign-in, webhooks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from sockudo_publisher import Sockudo, WebhookEvent
from sockudo_publisher.contrib.permissions import Member, Registry
from sockudo_publisher.contrib.webhooks import WebhookHandlers
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from tests.support.web_apps import serve_asgi, serve_wsgi

MASTER_KEY = base64.b64encode(b"01234567890123456789012345678901").decode()
TOKENS = {"Bearer token-of-ada": "ada", "Bearer token-of-bob": "bob"}


@dataclass
class World:
    """What the application knows, and what it heard."""

    #: Members of rooms; a user that is taken out loses the permission.
    rooms: set[tuple[str, str]] = field(default_factory=lambda: {("ada", "js"), ("bob", "js")})
    webhooks: list[WebhookEvent] = field(default_factory=list)
    failing: bool = False

    def permissions(self) -> Registry:
        registry = Registry()

        @registry.channel("private-{room}", "private-encrypted-{room}")
        def may_read(user: str, room: str) -> bool:
            return (user, room) in self.rooms

        @registry.channel("presence-{room}")
        async def may_enter(user: str, room: str) -> Member | bool:
            return (user, room) in self.rooms and Member(user, {"name": user.title()})

        @registry.channel("private-broken.{x}")
        def broken(user: str, x: str) -> bool:
            raise RuntimeError("database is away")

        return registry

    def handlers(self) -> WebhookHandlers:
        handlers = WebhookHandlers()

        @handlers.on("channel_occupied", "channel_vacated")
        def note(event: WebhookEvent) -> None:
            if self.failing:
                raise RuntimeError("not now")
            self.webhooks.append(event)

        @handlers.on("member_added")
        async def note_member(event: WebhookEvent) -> None:
            self.webhooks.append(event)

        return handlers


def user_data(user: str) -> dict[str, Any]:
    return {"id": user, "user_info": {"name": user.title()}}


def fastapi_app(world: World, client: Sockudo) -> Any:
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

    from sockudo_publisher.contrib.fastapi import router

    bearer = HTTPBearer(auto_error=False)

    def current_user(credentials: HTTPAuthorizationCredentials | None = Depends(bearer)) -> str:  # noqa: B008
        user = TOKENS.get(f"Bearer {credentials.credentials}") if credentials else None
        if user is None:
            raise HTTPException(401, "sign in first")
        return user

    # Here, because the annotation is a text in this module, which FastAPI reads with the module's names.
    current_user.__annotations__["credentials"] = HTTPAuthorizationCredentials | None
    app = FastAPI()
    made = router(world.permissions(), user=current_user, user_data=user_data, webhooks=world.handlers(), client=client)
    app.include_router(made, prefix="/pusher")
    return app


def starlette_app(world: World, client: Sockudo) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from sockudo_publisher.contrib.starlette import routes

    made = routes(
        world.permissions(),
        user=lambda request: TOKENS.get(request.headers.get("authorization", "")),
        user_data=user_data,
        webhooks=world.handlers(),
        client=client,
    )
    return Starlette(routes=[Mount("/pusher", routes=made)])


def flask_app(world: World, client: Sockudo) -> Any:
    from flask import Flask, request

    from sockudo_publisher.contrib.flask import blueprint

    app = Flask("shop")
    made = blueprint(
        world.permissions(),
        user=lambda: TOKENS.get(request.headers.get("Authorization", "")),
        user_data=user_data,
        webhooks=world.handlers(),
        client=client,
    )
    app.register_blueprint(made, url_prefix="/pusher")
    return app


FRAMEWORKS = {
    "fastapi": (fastapi_app, serve_asgi),
    "starlette": (starlette_app, serve_asgi),
    "flask": (flask_app, serve_wsgi),
}


@dataclass
class Running:
    """A framework's application, and the client that it signs with."""

    framework: str
    url: str
    world: World
    client: Sockudo


@pytest.fixture(params=list(FRAMEWORKS))
def framework(request: pytest.FixtureRequest) -> str:
    """The name of each."""
    name: str = request.param
    return name


@pytest.fixture
def running(framework: str, client: Sockudo) -> Iterator[Running]:
    """The application, served."""
    make, serve = FRAMEWORKS[framework]
    world = World()
    with serve(make(world, client)) as url:
        yield Running(framework, url, world, client)


@pytest.fixture
def client() -> Sockudo:
    """Of no server: nothing is sent by an auth endpoint."""
    return Sockudo("js", "js-key", "js-secret", encryption_master_key_base64=MASTER_KEY)


@pytest.fixture(scope="session")
def js_server(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """A real server whose app has sign-in."""
    app = SockudoApp("js", "js-key", "js-secret", policy={"features": {"enable_user_authentication": True}})
    with SockudoServer(tmp_path_factory.mktemp("js"), [app], program=sockudo.program) as own:
        yield own


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """What ends with the test."""
    with ExitStack() as stack:
        yield stack
