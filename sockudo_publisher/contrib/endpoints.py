"""The endpoints of one Sockudo app, for any framework: which permissions, whose client, which handlers.

A framework's package reads the request and finds the user; what is answered is decided below. Imports the wiring for
the app's client, which is made at the first request, so that no setting is read at import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..client.api.webhook import Headers
from ..client.sockudo import Sockudo
from ..client.wire.form import Form
from ..errors import ConfigurationError
from ..redaction import package_logger
from ..wiring.app import app_named
from .permissions import Answer, Registry, authorize, authorize_async, check, refuse_errors, sign_in, sign_in_async
from .permissions.ask import TIMEOUT_S
from .permissions.authorize import UserData
from .permissions.registry import PermissionFunction, registry_of
from .webhooks import WebhookHandler, WebhookHandlers, handlers_of, receive_webhook, receive_webhook_async

__all__ = ["MAX_DROPPED_BYTES", "Endpoints"]

logger = package_logger("sockudo_publisher.contrib")

#: Bytes of a body that is too large which are read and dropped before the answer.
MAX_DROPPED_BYTES = 32 * 1024 * 1024

#: No sign-in, or no webhooks, where the application gave no function for it.
_NOT_HERE = Answer(404, {"error": "not found"})


@dataclass
class Endpoints:
    """What the three endpoints need. Raises ``ConfigurationError`` for patterns that overlap (``check``).

    ``permissions``: a registry, decorated functions, or none for the default registry. ``user_data(user)``: what a
    sign-in signs; ``webhooks``: handlers. Without them, these endpoints do not exist. ``app``: a name of
    ``SOCKUDO_APPS``; ``client``: instead of the settings'. ``allow_anonymous``, ``timeout_s``: see ``authorize``.
    ``webhook_credentials``, ``webhook_max_age_s``: see :meth:`Sockudo.webhook`.
    """

    permissions: Sequence[Registry | PermissionFunction] = ()
    user_data: UserData | None = None
    webhooks: WebhookHandlers | WebhookHandler | None = None
    app: str | None = None
    client: Sockudo | None = field(default=None, repr=False)
    allow_anonymous: bool = False
    timeout_s: float = TIMEOUT_S
    webhook_credentials: Sequence[tuple[str, str]] = field(default=(), repr=False)
    webhook_max_age_s: float | None = None

    def __post_init__(self) -> None:
        self.registry = registry_of(*self.permissions)
        self._handlers = None if self.webhooks is None else handlers_of(self.webhooks)
        self._is_checked = False
        refuse_errors(check(self.registry))

    @property
    def has_sign_in(self) -> bool:
        """Whether users sign in here."""
        return self.user_data is not None

    @property
    def has_webhooks(self) -> bool:
        """Whether webhooks are received here."""
        return self._handlers is not None

    def resolve_client(self) -> Sockudo:
        """The client that signs. Raises ``ConfigurationError`` where the app is not configured."""
        client = self.client if self.client is not None else app_named(self.app).client
        if not self._is_checked:
            self._is_checked = True
            try:
                # Permissions that were imported after this object was made, and the master key.
                refuse_errors(check(self.registry, client))
            except ConfigurationError as error:
                logger.error("%s", error)  # noqa: TRY400 -- the text says all; what is denied is denied
        return client

    def authorize(self, form: Form, user: object) -> Answer:
        """May this user's socket subscribe?"""
        return authorize(
            *(self.registry, self.resolve_client(), form, user),
            allow_anonymous=self.allow_anonymous,
            timeout_s=self.timeout_s,
        )

    async def authorize_async(self, form: Form, user: object) -> Answer:
        """As :meth:`authorize`."""
        return await authorize_async(
            *(self.registry, self.resolve_client(), form, user),
            allow_anonymous=self.allow_anonymous,
            timeout_s=self.timeout_s,
        )

    def sign_in(self, form: Form, user: object) -> Answer:
        """Who is this socket?"""
        if self.user_data is None:
            return _NOT_HERE
        return sign_in(self.resolve_client(), form, user, self.user_data)

    async def sign_in_async(self, form: Form, user: object) -> Answer:
        """As :meth:`sign_in`."""
        if self.user_data is None:
            return _NOT_HERE
        return await sign_in_async(self.resolve_client(), form, user, self.user_data)

    def receive_webhook(self, headers: Headers, body: bytes) -> Answer:
        """Check a webhook, and call its handlers."""
        if self._handlers is None:
            return _NOT_HERE
        return receive_webhook(
            *(self.resolve_client(), self._handlers, headers, body),
            credentials=self.webhook_credentials,
            max_age_s=self.webhook_max_age_s,
        )

    async def receive_webhook_async(self, headers: Headers, body: bytes) -> Answer:
        """As :meth:`receive_webhook`."""
        if self._handlers is None:
            return _NOT_HERE
        return await receive_webhook_async(
            *(self.resolve_client(), self._handlers, headers, body),
            credentials=self.webhook_credentials,
            max_age_s=self.webhook_max_age_s,
        )
