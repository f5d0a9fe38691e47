"""A chat: rooms with a list of members, and an encrypted one that needs a password. See README.md."""

import os
import secrets
from collections import deque
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.middleware.sessions import SessionMiddleware

from sockudo_publisher.contrib.fastapi import Member, PublisherDep, channel, lifespan, router
from sockudo_publisher.contrib.pusher_js import pusher_js_options

HERE = Path(__file__).parent
#: Rooms, and whether their messages are encrypted end to end.
ROOMS = {"lobby": False, "kitchen": False, "vault": True}
PASSWORD = os.environ.get("CHAT_PASSWORD", "open sesame")
#: The last messages of each room, for those who come later. A real chat has a table.
recent: dict[str, deque[dict[str, Any]]] = {room: deque(maxlen=50) for room in ROOMS}


def current_user(request: Request) -> dict[str, Any] | None:
    """Who signed in, from the session's cookie."""
    return request.session.get("user")


def signed_in(user: Annotated[dict[str, Any] | None, Depends(current_user)]) -> dict[str, Any]:
    """The same, required."""
    if user is None:
        raise HTTPException(401, "sign in first")
    return user


User = Annotated[dict[str, Any], Depends(signed_in)]


@channel("presence-room.{room}", "private-encrypted-room.{room}")
async def may_enter(user: dict[str, Any], room: str) -> Member | bool:
    """Everyone may enter a room; the vault needs its password. The other members see the name."""
    if room not in ROOMS or (ROOMS[room] and not user["has_password"]):
        return False
    return Member(user["id"], {"name": user["name"]})


app = FastAPI(title="Chat", lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("CHAT_SECRET") or secrets.token_hex(32))
app.include_router(router(may_enter, user=current_user), prefix="/pusher")
app.mount("/vendor", StaticFiles(directory=HERE / "node_modules" / "pusher-js" / "dist" / "web"))


class SignIn(BaseModel):
    name: str = Field(min_length=1, max_length=30)


class Password(BaseModel):
    password: str = Field(max_length=100)


class Message(BaseModel):
    id: str = Field(pattern="^[0-9a-f-]{36}$", description="made by the page: posted twice, it appears once")
    text: str = Field(min_length=1, max_length=2000)


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(HERE / "page.html")


@app.post("/sign-in")
async def sign_in(body: SignIn, request: Request) -> dict[str, Any]:
    user = {"id": secrets.token_hex(8), "name": body.name, "has_password": False}
    request.session["user"] = user
    return user


@app.post("/password")
async def enter_password(body: Password, user: User, request: Request) -> dict[str, bool]:
    if not secrets.compare_digest(body.password.encode(), PASSWORD.encode()):
        raise HTTPException(403, "wrong password")
    request.session["user"] = {**user, "has_password": True}
    return {"ok": True}


@app.get("/config")
async def config() -> dict[str, Any]:
    """What the page needs to connect. The key is public, the secret is not."""
    return {"pusher": pusher_js_options(os.environ.get("CHAT_SOCKET_URL", "")), "rooms": ROOMS}


@app.get("/rooms/{room}/messages")
async def messages(room: str, user: User) -> list[dict[str, Any]]:
    if not await may_enter(user, room):
        raise HTTPException(403, "not yours")
    return list(recent[room])


@app.post("/rooms/{room}/messages", status_code=202)
async def post(room: str, message: Message, user: User, publisher: PublisherDep) -> dict[str, str]:
    """Stored when this answers; a worker delivers it, once and in order."""
    if not await may_enter(user, room):
        raise HTTPException(403, "not yours")
    event = {"id": message.id, "from": user["id"], "name": user["name"], "text": message.text}
    name = f"private-encrypted-room.{room}" if ROOMS[room] else f"presence-room.{room}"
    await publisher.adelay(name, "message", event, key=f"chat-{user['id']}-{message.id}")
    if all(one["id"] != message.id for one in recent[room]):
        recent[room].append(event)
    return {"id": message.id}
