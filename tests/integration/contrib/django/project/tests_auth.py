"""pusher-js' form posts: who may subscribe, who is signed in, what hostile requests are answered."""

# ruff: noqa: PT009 -- tests as a Django project writes them

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.test import AsyncClient, Client, TestCase, TransactionTestCase, override_settings
from rest_framework.authtoken.models import Token

SOCKET = "123.456"
FORM = "application/x-www-form-urlencoded"
MB_10 = 10 * 1024 * 1024


def signature(text: str, key: str = "key", secret: str = "secret") -> str:
    return f"{key}:{hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def form(channel: str, socket_id: str = SOCKET) -> str:
    return urlencode({"socket_id": socket_id, "channel_name": channel})


class WithUser(TestCase):
    """A session of one user; `ask` posts a form as pusher-js does."""

    base = "/sockudo/"

    def setUp(self) -> None:
        self.user = User.objects.create_user("ada", password="x")
        self.client.force_login(self.user)

    def ask(self, channel: str, path: str = "auth/", **options):
        return self.client.post(self.base + path, form(channel), content_type=FORM, **options)


class Subscriptions(WithUser):
    def test_permission_is_signed(self) -> None:
        channel = f"private-orders.{self.user.pk}"
        answer = self.ask(channel)
        self.assertEqual((answer.status_code, answer.json()), (200, {"auth": signature(f"{SOCKET}:{channel}")}))
        self.assertEqual(answer["Cache-Control"], "no-store")

    def test_presence_has_its_member(self) -> None:
        answer = self.ask("presence-room.lobby").json()
        self.assertEqual(json.loads(answer["channel_data"])["user_id"], str(self.user.pk))
        self.assertEqual(json.loads(answer["channel_data"])["user_info"], {"name": "ada"})
        self.assertEqual(answer["auth"], signature(f"{SOCKET}:presence-room.lobby:{answer['channel_data']}"))

    def test_secret_of_an_encrypted_channel_after_a_yes_alone(self) -> None:
        answer = self.ask(f"private-encrypted-orders.{self.user.pk}").json()
        self.assertEqual(len(base64.b64decode(answer["shared_secret"])), 32)
        refused = self.ask("private-encrypted-orders.0")
        self.assertEqual(refused.status_code, 403)
        self.assertNotIn("shared_secret", refused.content.decode())

    def test_no_is_403(self) -> None:
        for channel in ("private-orders.0", "presence-room.closed", "private-unknown", "private-orders.1.2"):
            with self.subTest(channel):
                answer = self.ask(channel)
                self.assertEqual((answer.status_code, answer.json()), (403, {"error": "not allowed"}))

    def test_permission_that_raises_denies(self) -> None:
        with self.assertLogs("sockudo_publisher.contrib.permissions", "ERROR") as logs:
            self.assertEqual(self.ask("private-raises").status_code, 403)
        self.assertIn("channel=private-raises", logs.output[0])
        self.assertIn(f"user={self.user.pk}", logs.output[0])

    def test_without_a_session_401(self) -> None:
        self.client.logout()
        self.assertEqual(self.ask("presence-room.lobby").status_code, 401)

    def test_other_app(self) -> None:
        answer = self.client.post("/eu/auth/", form("presence-room.a"), content_type=FORM).json()
        self.assertTrue(answer["auth"].startswith("eu-key:"))

    def test_several_channels_of_one_request(self) -> None:
        fields = {"socket_id": SOCKET, "channel_name[0]": "presence-room.a", "channel_name[1]": "private-orders.0"}
        answer = self.client.post(self.base + "auth/", urlencode(fields), content_type=FORM).json()
        self.assertEqual([answer[name]["status"] for name in ("presence-room.a", "private-orders.0")], [200, 403])

    def test_sign_in(self) -> None:
        answer = self.client.post(self.base + "user-auth/", f"socket_id={SOCKET}", content_type=FORM).json()
        self.assertEqual(json.loads(answer["user_data"]), {"id": str(self.user.pk)})
        self.assertEqual(answer["auth"], signature(f"{SOCKET}::user::{answer['user_data']}"))

    def test_own_data_of_a_sign_in(self) -> None:
        from django.conf import settings

        with override_settings(SOCKUDO={**settings.SOCKUDO, "USER_DATA": f"{__name__}.data_of"}):
            answer = self.client.post(self.base + "user-auth/", f"socket_id={SOCKET}", content_type=FORM).json()
        self.assertEqual(json.loads(answer["user_data"]), {"id": "ada", "user_info": {"name": "ada"}})


def data_of(user: User) -> dict[str, object]:
    return {"id": user.username, "user_info": {"name": user.username}}


class SubscriptionsOfAsyncUrls(Subscriptions):
    """The coroutine views, called by WSGI."""

    base = "/asgi/"


class UnderAsgi(TransactionTestCase):
    """The coroutine views in a loop; permissions read the database from it."""

    async def test_both_kinds_of_permission(self) -> None:
        user = await User.objects.acreate(username="ada")
        client = AsyncClient()
        await client.aforce_login(user) if hasattr(client, "aforce_login") else await _login(client, user)
        for base in ("/asgi/", "/sockudo/"):
            for channel in (f"private-orders.{user.pk}", "presence-room.lobby"):
                with self.subTest(base + channel):
                    answer = await client.post(base + "auth/", form(channel), content_type=FORM)
                    self.assertEqual(answer.status_code, 200)
            answer = await client.post(base + "auth/", form("private-orders.0"), content_type=FORM)
            self.assertEqual(answer.status_code, 403)
            answer = await client.post(base + "user-auth/", f"socket_id={SOCKET}", content_type=FORM)
            self.assertEqual(answer.status_code, 200)


async def _login(client: AsyncClient, user: User) -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(client.force_login)(user)


class Csrf(WithUser):
    """With sessions, Django's token is needed, also where the project's middleware does not check it."""

    def setUp(self) -> None:
        super().setUp()
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(self.user)

    def check(self) -> None:
        for base in ("/sockudo/", "/asgi/"):
            for path in ("auth/", "user-auth/"):
                with self.subTest(base + path):
                    self.base = base
                    refused = self.ask("presence-room.lobby", path)
                    self.assertEqual(refused.status_code, 403)
                    self.assertIn("X-CSRFTOKEN", refused.json()["error"])
                    self.client.get("/")
                    token = self.client.cookies["csrftoken"].value
                    allowed = self.ask("presence-room.lobby", path, HTTP_X_CSRFTOKEN=token)
                    self.assertEqual(allowed.status_code, 200)
                    wrong = self.ask("presence-room.lobby", path, HTTP_X_CSRFTOKEN="x" * 32)
                    self.assertEqual(wrong.status_code, 403)
                    del self.client.cookies["csrftoken"]

    def test_token_in_the_header(self) -> None:
        self.check()

    def test_without_the_middleware(self) -> None:
        from django.conf import settings

        others = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
        with override_settings(MIDDLEWARE=others):
            self.check()


class Hostile(WithUser):
    """Whatever is posted, the answer is 4xx."""

    bodies = (
        b"",
        b"socket_id=123.456",
        b"channel_name=private-a",
        b"socket_id=x&channel_name=presence-room.a",
        b"socket_id=123.456&channel_name=public",
        b"socket_id=123.456&channel_name=" + b"presence-room." + b"a" * 300,
        b"socket_id=123.456&channel_name=presence-room.a&channel_name=presence-room.b",
        b"socket_id=123.456&socket_id=1.1&channel_name=presence-room.a",
        b"socket_id=123.456&channel_name=%ff%fe",
        b"socket_id=123.456&channel_name=%",
        b'socket_id=123.456&channel_name=:user::{"id":"1"}',
        b"\xff\xfe\x00",
        b"&" * 60_000,
        b"a" * 65_537,
        b"socket_id=123.456&channel_name=presence-room.a&x=" + b"x" * MB_10,
        b'{"socket_id": "123.456"}',
    )
    types = (
        FORM,
        "application/json",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        f"{FORM}; charset=nonsense",
        "\x00",
    )

    def test_forms_and_bodies(self) -> None:
        for base in ("/sockudo/", "/asgi/"):
            for path in ("auth/", "user-auth/"):
                for body in self.bodies[:-1] if path == "user-auth/" else self.bodies:
                    if path == "user-auth/" and b"socket_id=123.456" in body:
                        continue
                    answer = self.client.generic("POST", base + path, body, content_type=FORM)
                    self.assertIn(answer.status_code, (400, 403, 413), (path, body[:60]))
                    self.assertIn("error", answer.json())

    def test_content_types(self) -> None:
        for base in ("/sockudo/", "/asgi/"):
            for kind in self.types[1:]:
                for body in (form("presence-room.a").encode(), b"--x\r\n", b"x" * MB_10):
                    answer = self.client.generic("POST", base + "auth/", body, content_type=kind)
                    self.assertTrue(400 <= answer.status_code < 500 or kind.startswith(FORM), (kind, body[:20]))

    def test_body_of_10_mb_with_csrf_check(self) -> None:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        client.force_login(self.user)
        for path in ("/sockudo/auth/", "/asgi/user-auth/", "/sockudo/webhook/"):
            answer = client.generic("POST", path, b"x" * MB_10, content_type=FORM)
            self.assertEqual(answer.status_code, 413, path)

    def test_content_length(self) -> None:
        for length in ("-5", "x", "9" * 5000, "\u0665"):
            for path in ("/sockudo/auth/", "/asgi/auth/", "/sockudo/webhook/"):
                answer = self.client.generic("POST", path, b"a=b", content_type=FORM, CONTENT_LENGTH=length)
                self.assertEqual(answer.status_code, 400, (length[:5], path))

    def test_methods(self) -> None:
        for path in ("/sockudo/auth/", "/asgi/auth/", "/sockudo/user-auth/", "/asgi/user-auth/", "/sockudo/webhook/"):
            for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
                answer = self.client.generic(method, path)
                self.assertEqual((answer.status_code, answer["Allow"]), (405, "POST"), (path, method))

    def test_multipart_that_was_read_before(self) -> None:
        from django.test import RequestFactory

        from sockudo_publisher.contrib.django.views import auth_response

        request = RequestFactory().post("/", {"socket_id": SOCKET, "channel_name": "presence-room.a"})
        self.assertEqual(len(request.POST), 2)
        self.assertEqual(auth_response(request, self.user).status_code, 415)


class Tokens(WithUser):
    """Django REST framework: the recipe of docs/django.md."""

    def test_token_in_place_of_a_session(self) -> None:
        token = Token.objects.create(user=self.user)
        client = Client(enforce_csrf_checks=True)
        options = {"content_type": FORM, "HTTP_AUTHORIZATION": f"Token {token.key}"}
        allowed = client.post("/api/auth/", form("presence-room.a"), **options)
        self.assertEqual(allowed.status_code, 200)
        self.assertIn("auth", allowed.json())
        self.assertEqual(client.post("/api/auth/", form("private-orders.0"), **options).status_code, 403)
        self.assertEqual(client.post("/api/auth/", form("presence-room.a"), content_type=FORM).status_code, 401)

    def test_session_needs_the_csrf_token_there_too(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.user)
        self.assertEqual(client.post("/api/auth/", form("presence-room.a"), content_type=FORM).status_code, 403)
