"""``Sockudo``: the HTTP API of one app, one attempt a call.

Puts the modules beside it together: credentials and signing make the request, limits, encoding and
encryption its body, the transport sends it. Facts: sockudo-server, sections 1 to 4.
"""

from __future__ import annotations

import json
import math
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import requests

from ..errors import ConfigurationError, ValidationError
from .answer import json_object
from .credentials import Credentials
from .encoding import Encoder, batch_body
from .event import EventLike, as_event
from .limits import MAX_EVENT_BYTES, check_idempotency_key
from .transport import Response, Transport

__all__ = ["Sockudo"]

#: Seconds of one attempt; the seed SDK's.
DEFAULT_TIMEOUT = 5.0
#: Seconds that a timeout may be set to.
MAX_TIMEOUT = 3600.0


class Sockudo:
    """A client of one Sockudo app. Thread-safe, and safe after ``fork``.

    ``app_id``, ``key``, ``secret``: the app's. ``host``, ``port``: 127.0.0.1 and 6001 (443 with TLS);
    ``host`` may hold the port. ``use_tls`` (also ``ssl`` or ``secure``): https. ``cluster="eu"``: the
    host ``api-eu.sockudo.com``. ``timeout``: seconds for a whole attempt. ``session``: a
    ``requests.Session`` of the caller's, used as it is. ``max_event_bytes``: bytes of one event's
    ``data`` as sent. ``json_encoder``: a ``json.JSONEncoder`` subclass for ``data``.

    Raises ``ConfigurationError`` for malformed or contradicting arguments. Calls raise
    ``ValidationError`` before anything is sent, ``SockudoHTTPError`` for an answer that is not
    success, ``SockudoConnectionError`` when there is none; the last two tell by ``.sent`` whether
    the event may have been delivered. Neither key nor secret is in any ``repr`` or message.
    """

    def __init__(
        self,
        app_id: str | int,
        key: str,
        secret: str,
        *,
        host: str | None = None,
        port: int | None = None,
        use_tls: bool | None = None,
        ssl: bool | None = None,
        secure: bool | None = None,
        cluster: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        encryption_master_key_base64: str | None = None,
        session: requests.Session | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        json_encoder: type[json.JSONEncoder] | None = None,
    ) -> None:
        self._start(
            Credentials.from_parts(
                app_id, key, secret, host=host, port=port, use_tls=use_tls, ssl=ssl, secure=secure, cluster=cluster
            ),
            timeout=timeout,
            encryption_master_key_base64=encryption_master_key_base64,
            session=session,
            max_event_bytes=max_event_bytes,
            json_encoder=json_encoder,
        )

    def _start(
        self,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        encryption_master_key_base64: str | None = None,
        session: requests.Session | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        json_encoder: type[json.JSONEncoder] | None = None,
    ) -> None:
        self._credentials = credentials
        self._signer = credentials.signer()
        self._path = credentials.path
        self._timeout = _seconds(timeout)
        self._transport = Transport(credentials.base_url, session=session)
        self._headers = {
            "Content-Type": "application/json",  # without it the server answers 415
            "X-Pusher-Library": f"sockudo-publisher {_version()}",
        }
        if session is None:
            self._headers["User-Agent"] = f"sockudo-publisher/{_version()}"
        #: Makes payloads and items with this app's limits and master key.
        self.encoder = Encoder(
            max_event_bytes=max_event_bytes,
            encryption_master_key_base64=encryption_master_key_base64,
            json_encoder=json_encoder,
        )

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Sockudo:
        """A client from ``http(s)://key:secret@host:port/apps/app-id`` and the options of the constructor.

        Key, secret and app id are percent-decoded. ``host`` and ``port`` replace the URL's. A TLS option
        that contradicts the scheme raises ``ConfigurationError``, as does a malformed URL.
        """
        return cls.from_setting("url", url, **options)

    @classmethod
    def from_env(cls, env: str = "SOCKUDO_URL", **options: Any) -> Sockudo:
        """A client from the URL in an environment variable. Raises ``ConfigurationError`` naming the variable."""
        url = os.environ.get(env, "").strip()
        if not url:
            raise ConfigurationError(f"{env}: not set, expected http(s)://key:secret@host:port/apps/app-id")
        return cls.from_setting(env, url, **options)

    @classmethod
    def from_setting(cls, setting: str, url: str, **options: Any) -> Sockudo:
        """As :meth:`from_url`, for a URL that came from a setting, which complaints then name."""
        where = {name: options[name] for name in _WHERE if name in options}
        rest = {name: value for name, value in options.items() if name not in _WHERE}
        client = cls.__new__(cls)
        client._start(Credentials.from_url(url, setting=setting, **where), **rest)
        return client

    def __repr__(self) -> str:
        return f"Sockudo(app_id={self._credentials.app_id!r}, {self._credentials.base_url!r})"

    def trigger(
        self,
        channels: str | Sequence[str],
        event_name: str,
        data: Any,
        socket_id: str | None = None,
        *,
        info: str | Sequence[str] | None = None,
        idempotency_key: str | bool | None = None,
        message_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Publish one event now to 1 to 100 channels; duplicates are merged.

        ``data``: ``str`` and ``bytes`` as they are, else compact JSON. ``socket_id``: who shall not get
        it. ``info``: ``"user_count,subscription_count"`` or a sequence. ``idempotency_key``: 1 to 128
        characters, ``True`` makes one. ``message_id``: 1 to 128 bytes; the server publishes one id once
        per channel. An encrypted channel goes alone.

        Returns the server's ``{"channels": {…}}`` when ``info`` or ``message_id`` was given, else ``{}``.
        """
        key = _idempotency_key(idempotency_key)
        body = self.encoder.event(
            channels,
            event_name,
            self.encoder.payload(data),
            message_id=message_id,
            socket_id=socket_id,
            info=info,
            tags=tags,
            extras=extras,
            idempotency_key=key,
        )
        headers = None if key is None else {"X-Idempotency-Key": key}
        return json_object(self.send("POST", "/events", body=body, headers=headers))

    def trigger_batch(self, events: Iterable[EventLike], already_encoded: bool = False) -> dict[str, Any]:
        """Publish several events, each to its one channel, in one request and in order.

        ``events``: :class:`Event`, ``(channel, name, data)`` tuples or dicts. ``already_encoded``:
        every ``data`` is finished text (on an encrypted channel: an envelope) and goes as it is.
        All are checked before anything is sent; ``ValidationError.index`` names the bad one. The server
        publishes item by item: after an error, the items before the failing one are out.

        Returns the server's ``{"batch": [...]}`` in the order of the events when any asked for ``info``, else ``{}``.
        """
        items: list[bytes] = []
        for event in events:
            try:
                items.append(self._item(event, already_encoded))
            except ValidationError as error:
                raise ValidationError(f"event {len(items)}: {error}", index=len(items)) from None
        if not items:
            return {}
        return json_object(self.send("POST", "/batch_events", body=batch_body(items)))

    def send(
        self,
        method: str,
        suffix: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make one freshly signed attempt at ``/apps/{id}{suffix}``; return the answer of any status.

        ``suffix`` percent-encoded, with its leading ``/``. ``query`` decoded. ``body``: for POST and
        the like, and only for them. ``timeout``: seconds for the whole attempt, default the client's.
        Raises ``SockudoConnectionError``.
        """
        if method in _WITHOUT_BODY:
            if body is not None:
                raise ValidationError(f"body: none goes with {method}")
        elif body is None:
            body = b""  # the server wants body_md5 with every POST
        path = self._path + suffix
        signed = self._signer.query(method, path, now=time.time(), body=body, parameters=query)
        return self._transport.request(
            method,
            path,
            query=signed,
            body=body,
            headers={**self._headers, **headers} if headers else self._headers,
            timeout=self._timeout if timeout is None else _seconds(timeout),
        )

    def close(self) -> None:
        """Close this thread's connections; the client stays usable."""
        self._transport.close()

    def _item(self, value: EventLike, already_encoded: bool) -> bytes:
        event = as_event(value)
        if already_encoded and not isinstance(event.data, str | bytes):
            raise ValidationError(f"data: a {type(event.data).__name__}, expected finished text with already_encoded")
        return self.encoder.item(
            event.channel,
            event.name,
            self.encoder.payload(event.data),
            socket_id=event.socket_id,
            info=event.info,
            tags=event.tags,
            extras=event.extras,
            idempotency_key=_idempotency_key(event.idempotency_key),
            already_encrypted=already_encoded,
        )


#: Options of ``from_url`` that say where the server is; the rest are the client's.
_WHERE = ("host", "port", "use_tls", "ssl", "secure", "cluster")
#: The server refuses ``body_md5`` with these.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not math.isfinite(timeout):
        raise ConfigurationError("timeout: expected seconds")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ConfigurationError(f"timeout: {timeout:g} s, must be above 0 and at most {MAX_TIMEOUT:g}")
    return float(timeout)


def _idempotency_key(key: str | bool | None) -> str | None:
    if key is None or key is False:
        return None
    return uuid.uuid4().hex if key is True else check_idempotency_key(key)


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version("sockudo-publisher")
    except PackageNotFoundError:  # run from a checkout
        return "0"
