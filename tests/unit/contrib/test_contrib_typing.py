"""What a user's type checker says of an application with the packages for web frameworks: nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

#: Kept from run to run: the stubs of the libraries take most of the time.
MYPY_CACHE = Path(__file__).resolve().parents[3] / ".mypy_cache" / "programs"

#: Every public name, without a cast or an ignored line.
PROJECT = """
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from flask import Flask
from starlette.applications import Starlette

from sockudo_publisher import PublishResult, WebhookEvent
from sockudo_publisher.contrib.fastapi import Member, PublisherDep, Registry, WebhookHandlers, channel, lifespan, router
from sockudo_publisher.contrib.flask import FlaskSockudo, blueprint
from sockudo_publisher.contrib.permissions import Answer, authorize
from sockudo_publisher.contrib.starlette import routes
from sockudo_publisher import Sockudo


class User:
    id: int = 1


@channel("private-a.{x}")
def may_join(user: User, x: str) -> bool:
    return user.id == int(x)


registry = Registry()


@registry.channel("presence-a.{x}", "private-b.{x}")
async def may_enter(user: User, x: str) -> Member | bool:
    return Member(user.id, {"x": x})


handlers = WebhookHandlers()


@handlers.on("member_added")
async def note(event: WebhookEvent) -> None:
    user_id: str | None = event.user_id
    print(user_id)


def current_user() -> User:
    return User()


def user_data(user: User) -> dict[str, str]:
    return {"id": str(user.id)}


app = FastAPI(lifespan=lifespan)
app.include_router(router([may_join, registry], user=current_user, user_data=user_data, webhooks=handlers), prefix="/p")


@app.post("/ship")
async def ship(publisher: PublisherDep, user: Annotated[User, Depends(current_user)]) -> str:
    result: PublishResult = await publisher.adelay("a", "b", {"id": user.id}, key="k")
    return result.id


flask_app = Flask("x")
FlaskSockudo(may_join, user=current_user).init_app(flask_app)
flask_app.register_blueprint(blueprint(registry, webhooks=note), url_prefix="/p")
plain = Starlette(routes=routes(may_enter), lifespan=lifespan)


def view(client: Sockudo, body: bytes) -> tuple[int, dict[str, Any]]:
    answer: Answer = authorize(registry, client, body, User())
    still: bool = may_join(User(), "1")
    print(still)
    return answer.status, answer.body
"""
#: One mistake; a checker that finds none checks nothing.
MISTAKE = "\nblueprint(user=5)\n"


def check(tool: list[str], directory: Path, program: str) -> str:
    (directory / "shop.py").write_text(program)
    command = [sys.executable, "-m", *tool, "shop.py"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=280, check=False).stdout


def test_an_application_is_well_typed_for_mypy(tmp_path: Path) -> None:
    """Under --strict."""
    mypy = ["mypy", "--strict", "--cache-dir", str(MYPY_CACHE)]
    assert check(mypy, tmp_path, PROJECT).startswith("Success: ")
    assert "[arg-type]" in check(mypy, tmp_path, PROJECT + MISTAKE)


@pytest.mark.long
def test_an_application_is_well_typed_for_pyright(tmp_path: Path) -> None:
    """As strict as it can be."""
    pytest.importorskip("basedpyright")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "reportMissingTypeStubs": false}')
    pyright = ["basedpyright", "--pythonpath", sys.executable]
    printed = check(pyright, tmp_path, PROJECT)
    assert "0 errors" in printed, printed
    assert "1 error" in check(pyright, tmp_path, PROJECT + MISTAKE)
