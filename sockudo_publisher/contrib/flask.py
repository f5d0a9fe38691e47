"""For Flask: a blueprint with the endpoints that browsers and Sockudo call, and an extension that registers it.

.. code-block:: python

    from sockudo_publisher.contrib.flask import blueprint

    app.register_blueprint(blueprint(may_join, user=lambda: g.user, user_data=user_data), url_prefix="/pusher")

Needs the extra ``flask``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from flask import Blueprint, Flask, Response, g, jsonify, request

from ..client.sockudo import Sockudo
from ..client.wire.form import MAX_FORM_BYTES, Form
from ..config.settings import get_settings, use_project_settings
from .endpoints import MAX_DROPPED_BYTES, Endpoints
from .permissions import HEADERS, Answer, Member, Registry, channel
from .permissions.ask import TIMEOUT_S
from .permissions.authorize import UserData
from .permissions.registry import PermissionFunction
from .webhooks import MAX_WEBHOOK_BYTES, WebhookHandler, WebhookHandlers

__all__ = ["FlaskSockudo", "Member", "Registry", "WebhookHandlers", "blueprint", "channel"]

#: One permission function, a registry, or several of them; ``None``: the default registry.
Permissions: TypeAlias = Registry | PermissionFunction | Sequence[Registry | PermissionFunction] | None


#: Bytes of a body that is too large which are read at a time.
CHUNK_BYTES = 65_536


def user_of_g() -> Any:
    """``g.user``; ``None`` without it."""
    return g.get("user")


def blueprint(
    may_join: Permissions = None,
    *,
    user: Callable[[], Any] = user_of_g,
    user_data: UserData | None = None,
    webhooks: WebhookHandlers | WebhookHandler | None = None,
    app: str | None = None,
    client: Sockudo | None = None,
    allow_anonymous: bool = False,
    timeout_s: float = TIMEOUT_S,
    webhook_credentials: Sequence[tuple[str, str]] = (),
    webhook_max_age_s: float | None = None,
    name: str = "sockudo",
) -> Blueprint:
    """Routes ``/auth``, and ``/user-auth`` and ``/webhook`` where they have a function.

    ``may_join``: permission functions or registries; by default all that ``@channel`` decorates. ``user()``: the user
    of the request, by default ``g.user``; with Flask-Login ``lambda: current_user``. ``user_data(user)``: what a
    sign-in signs, a mapping with ``id``. ``webhooks``: handlers. ``timeout_s``: seconds for permission
    functions that are coroutine functions; others are not stopped. ``name``: of the blueprint, for a second one.
    Others: :class:`Endpoints`.

    Answers: a malformed form 400; no user 401; not allowed 403; a form above 64 KiB or a webhook above 4 MiB 413; a
    webhook with a wrong signature 401. Raises ``ConfigurationError`` for patterns that overlap.
    """
    if may_join is None:
        permissions: Sequence[Registry | PermissionFunction] = ()
    elif isinstance(may_join, Registry) or callable(may_join):
        permissions = (may_join,)
    else:
        permissions = tuple(may_join)
    endpoints = Endpoints(
        permissions=permissions,
        user_data=user_data,
        webhooks=webhooks,
        app=app,
        client=client,
        allow_anonymous=allow_anonymous,
        timeout_s=timeout_s,
        webhook_credentials=webhook_credentials,
        webhook_max_age_s=webhook_max_age_s,
    )
    made = Blueprint(name, __name__)

    @made.post("/auth")
    def auth() -> Response:
        form = _read_form()
        return _response(_too_large(MAX_FORM_BYTES) if form is None else endpoints.authorize(form, user()))

    if endpoints.has_sign_in:

        @made.post("/user-auth")
        def user_auth() -> Response:
            form = _read_form()
            return _response(_too_large(MAX_FORM_BYTES) if form is None else endpoints.sign_in(form, user()))

    if endpoints.has_webhooks:

        @made.post("/webhook")
        def webhook() -> Response:
            body = _read_body(MAX_WEBHOOK_BYTES)
            if body is None:
                return _response(_too_large(MAX_WEBHOOK_BYTES))
            return _response(endpoints.receive_webhook(request.headers, body))

    return made


class FlaskSockudo:
    """The same as an extension, for an application factory.

    .. code-block:: python

        sockudo = FlaskSockudo(may_join, user=current_user_or_none)

        def create_app():
            app = Flask(__name__)
            app.config["SOCKUDO"] = {"URL": ..., "REDIS_URL": ...}
            sockudo.init_app(app, url_prefix="/pusher")

    ``app.config["SOCKUDO"]``: settings, with the names of the variables without ``SOCKUDO_``. They count before the
    environment, and are the process': a second application with others replaces them.
    ``options`` as of :func:`blueprint`.
    """

    def __init__(self, may_join: Permissions = None, **options: Any) -> None:
        self._may_join = may_join
        self._options = options

    def init_app(self, app: Flask, *, url_prefix: str = "/pusher") -> None:
        """Register the blueprint; ``app.extensions["sockudo"]`` is this object afterwards.

        Raises ``ConfigurationError`` for a malformed or unknown setting.
        """
        settings = app.config.get("SOCKUDO")
        if settings is not None:
            use_project_settings(lambda: settings)
            get_settings()
        app.register_blueprint(blueprint(self._may_join, **self._options), url_prefix=url_prefix)
        app.extensions["sockudo"] = self


def _read_body(limit: int) -> bytes | None:
    """The body, or ``None`` if it is longer than ``limit`` bytes.

    The rest is read and dropped, up to 32 MiB: a client that is still sending sees a reset in place of the answer.
    """
    body: bytes = request.stream.read(limit + 1)
    if len(body) <= limit:
        return body
    dropped = len(body)
    while dropped < MAX_DROPPED_BYTES and (chunk := request.stream.read(CHUNK_BYTES)):
        dropped += len(chunk)
    return None


def _read_form() -> Form | None:
    body = _read_body(MAX_FORM_BYTES)
    # Another part of the application may have parsed the form, CSRF protection for example: the body is gone then.
    return request.form if body == b"" and request.form else body


def _too_large(limit: int) -> Answer:
    return Answer(413, {"error": f"body: limit {limit} bytes"})


def _response(answer: Answer) -> Response:
    response = jsonify(answer.body)
    response.status_code = answer.status
    response.headers.update(dict(HEADERS))
    return response
