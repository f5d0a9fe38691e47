"""The examples of a day's size contain nothing that the package should bring."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.own_helpers import find_helpers, find_helpers_in

pytestmark = pytest.mark.unit

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
DAY_SIZED = ("django-orders", "fastapi-chat", "flask-bell")

#: What a project wrote for itself before the package had it.
PLANTED = {
    "auth view": [
        "def auth(request):\n    return JsonResponse(client.authenticate(request.POST['channel'], request.POST['id']))",
        "def auth(request):\n    return sign(request.POST['channel_name'], request.POST['socket_id'])",
        "from sockudo_publisher.contrib.permissions import authorize",
        "def user_auth(body):\n    return client.authenticate_user(body.socket, {'id': '1'})",
    ],
    "webhook receiver": [
        "def hook(request):\n    for event in client.webhook(request.headers, request.body).events: ...",
        "def hook(request):\n    if request.META['HTTP_X_PUSHER_SIGNATURE'] != expected: ...",
        "async def hook(request):\n    Sockudo.from_env().validate_webhook(key, request.headers['x-pusher-key'], body)",
    ],
    "signature code": ["import hmac", "from hashlib import sha256", "from nacl.secret import SecretBox"],
    "recorder": [
        "from unittest import mock",
        "import fakeredis",
        "def test():\n    publish.delay = lambda *args, **kwargs: sent.append(args)",
    ],
    "address of a page": ["key = unquote(urlsplit(os.environ['SOCKUDO_URL']).username or '')"],
    "admin class": [
        "from sockudo_publisher.outbox.django.models import OutboxRow",
        "class DeadLetterAdmin(admin.ModelAdmin): ...",
    ],
}


@pytest.mark.parametrize("name", DAY_SIZED)
def test_examples_bring_no_helper_of_their_own(name: str) -> None:
    """No auth view, recorder, admin of the package's tables, webhook receiver, signature or reader of the URL."""
    assert find_helpers_in(EXAMPLES / name) == []


@pytest.mark.parametrize(("kind", "source"), [(kind, one) for kind, found in PLANTED.items() for one in found])
def test_a_planted_helper_is_found(kind: str, source: str, tmp_path: Path) -> None:
    """In a copy of each example, as a file of its own."""
    assert {one.partition(": ")[2].partition(":")[0] for one in find_helpers(source)} == {kind}
    for name in DAY_SIZED:
        copy = shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("node_modules"))
        (copy / "helper.py").write_text(source)
        (found, *_) = find_helpers_in(copy)
        assert found.startswith("helper.py:")


def test_an_applications_own_code_is_no_helper() -> None:
    """Permissions, an admin of its own models, sign-ins of its users, and publishing."""
    source = """
import secrets
import unittest
from sockudo_publisher import publish
from sockudo_publisher.contrib.django import channel

@channel("private-orders.{pk}")
def may_see(user, pk): ...

class OrderAdmin(admin.ModelAdmin): ...

def sign_in(request):
    publish.delay("orders", "shipped", {"id": 1})
"""
    assert find_helpers(source) == []
