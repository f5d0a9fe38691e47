"""``Sockudo``: the HTTP API of one app, under one name.

Puts the modules beside it together, a base class for each room of the API, and makes clients from
fields, a URL or the environment. Facts: docs/server.md, 1 to 4; docs/sdks.md, F1 to F5.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import requests

from ..config.environment import Reader, read_master_key, read_max_event_bytes, read_show_answers, read_timeout
from ..errors import ConfigurationError
from ..redaction.frame_locals import without_locals
from .api.annotations import Annotations
from .api.authentication import Authentication
from .api.channels import Channels
from .api.history import History
from .api.messages import Messages
from .api.presence_history import PresenceHistory
from .api.publishing import Publishing
from .api.revocations import Revocations
from .api.users import Users
from .api.webhook import Webhooks
from .http.calls import DEFAULT_RETRIES, DEFAULT_TIMEOUT
from .http.credentials import Credentials
from .http.retries import RetriesLike
from .http.transport import FilePath
from .wire.encryption import decode_master_key
from .wire.limits import MAX_BATCH_BYTES, MAX_EVENT_BYTES

__all__ = ["Sockudo"]


Init = TypeVar("Init", bound=Callable[..., None])


def _options_by_keyword(init: Init) -> Init:
    """Raise a ``TypeError`` with advice for more than three positional arguments, which ``pusher`` allows."""

    @wraps(init)
    def checked(self: object, *args: Any, **options: Any) -> None:
        if len(args) > 3:
            raise TypeError(
                f"Sockudo() takes app_id, key and secret by position, {len(args)} arguments were given; "
                "give the others by keyword: ssl=, host=, port=, timeout=, cluster=, ..."
            )
        init(self, *args, **options)

    return cast(Init, checked)


class Sockudo(
    Users, Publishing, Channels, History, PresenceHistory, Messages, Annotations, Revocations, Authentication, Webhooks
):
    """A client of one Sockudo app. Thread-safe, and safe after ``fork``.

    Where: ``app_id`` (any text without ``/``; Sockudo 5.2.0 answers 401 to one that a URL must percent-encode),
    ``key``, ``secret``: the app's. ``host``, ``port``: 127.0.0.1 and 6001 (443 with TLS); ``host`` may hold
    the port. ``use_tls`` (also ``ssl`` or ``secure``): https, off by default (in ``pusher`` it is on).
    ``cluster="eu"``: the host ``api-eu.sockudo.com``; it needs one of these. ``path_prefix``: where a proxy has
    Sockudo under a path, ``/ws``, which it strips.

    How: ``timeout``: seconds for a whole attempt, from the lookup of the host to the last byte, 5 by default.
    ``retries``: a :class:`Retries`, a number of attempts after the first, ``None`` for none; by default two
    more within 20 s, of what was certainly not sent or may be sent twice. ``verify``: path of the CA file
    instead of the system's; certificates are always verified. ``cert``: the client's own certificate with
    its key, one path or (certificate, key). ``session``: a ``requests.Session`` of the caller's, used as it
    is, also for several threads if it can; without one, each thread of each process has its own, with the
    proxies of the environment.

    What: ``max_event_bytes``: bytes of one event's ``data`` as sent, 10,240 by default. ``max_batch_events``
    (no limit but the server's) and ``max_batch_bytes`` (10 MiB) of one batch request.
    ``encryption_master_key_base64``: 32 bytes for ``private-encrypted-`` channels; the raw
    ``encryption_master_key`` of ``pusher`` is deprecated. ``json_encoder``, ``json_decoder``: subclasses of
    ``json``'s for ``data``, and for answers and ``validate_webhook``. ``backend`` of ``pusher`` is refused:
    ``session`` is its like.

    ``show_answers``: errors quote the text of any answer. By default they quote Sockudo's own error texts alone,
    because a server or proxy may repeat the request, with its payload and signature.

    Raises ``ConfigurationError`` for malformed or contradicting arguments. Calls raise
    ``ValidationError`` before anything is sent, ``SockudoHTTPError`` for an answer that is not
    success, ``SockudoConnectionError`` when there is none; the last two tell by ``.sent`` whether
    the event may have been delivered. Neither key nor secret is in any ``repr`` or message.
    """

    @without_locals
    @_options_by_keyword
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
        path_prefix: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        encryption_master_key_base64: str | bytes | None = None,
        encryption_master_key: str | bytes | None = None,
        session: requests.Session | None = None,
        verify: FilePath | bool = True,
        cert: FilePath | tuple[FilePath, FilePath] | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_batch_events: int | None = None,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        json_encoder: type[json.JSONEncoder] | None = None,
        json_decoder: type[json.JSONDecoder] | None = None,
        retries: RetriesLike = DEFAULT_RETRIES,
        show_answers: bool = False,
        backend: None = None,
    ) -> None:
        self._start(
            Credentials.from_parts(
                *(app_id, key, secret),
                host=host,
                port=port,
                use_tls=use_tls,
                ssl=ssl,
                secure=secure,
                cluster=cluster,
                path_prefix=path_prefix,
            ),
            timeout=timeout,
            encryption_master_key_base64=encryption_master_key_base64,
            encryption_master_key=encryption_master_key,
            session=session,
            verify=verify,
            cert=cert,
            max_event_bytes=max_event_bytes,
            max_batch_events=max_batch_events,
            max_batch_bytes=max_batch_bytes,
            json_encoder=json_encoder,
            json_decoder=json_decoder,
            retries=retries,
            show_answers=show_answers,
            backend=backend,
        )

    @classmethod
    @without_locals
    def from_url(cls, url: str, **options: Any) -> Sockudo:
        """A client from ``http(s)://key:secret@host:port/apps/app-id`` and the options of the constructor.

        Key, secret and app id are percent-decoded. Before ``/apps`` may stand a prefix that a proxy strips, as in
        ``https://key:secret@host/ws/apps/app-id``. ``host`` and ``port`` replace the URL's. A TLS option
        that contradicts the scheme raises ``ConfigurationError``, as does a malformed URL.
        """
        return cls.from_setting("url", url, **options)

    @classmethod
    @without_locals
    def from_env(cls, env: str = "SOCKUDO_URL", **options: Any) -> Sockudo:
        """A client from the URL in an environment variable.

        ``SOCKUDO_TIMEOUT``, ``SOCKUDO_MAX_EVENT_BYTES``, ``SOCKUDO_SHOW_ANSWERS`` and
        ``SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64`` are read too, whichever variable holds the URL; an option given here
        wins, and its variable is not read. The URL and the master key may be in files instead, which
        ``SOCKUDO_URL_FILE`` and so on name.
        Raises ``ConfigurationError`` naming the variable that is missing or malformed.
        """
        read = Reader(os.environ)
        url = read.find_secret(env)
        if url is None:
            raise ConfigurationError(f"{env}: not set, expected http(s)://key:secret@host:port[/prefix]/apps/app-id")
        return cls.from_setting(url.name, url.value, **{**_options_of(read, without=options), **options})

    @classmethod
    @without_locals
    def from_setting(cls, setting: str, url: str, **options: Any) -> Sockudo:
        """As :meth:`from_url`, for a URL from a setting; error messages name that setting."""
        for name in options:
            if name not in _OPTIONS:
                raise TypeError(f"Sockudo got an unexpected keyword argument {name!r}")
        where = {name: options[name] for name in _WHERE if name in options}
        rest = {name: value for name, value in options.items() if name not in _WHERE}
        client = cls.__new__(cls)
        client._start(Credentials.from_url(url, setting=setting, **where), **rest)
        return client

    def __repr__(self) -> str:
        where = self._credentials.base_url + self._credentials.path_prefix
        return f"Sockudo(app_id={self._credentials.app_id!r}, {where!r})"


def _options_of(read: Reader, *, without: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the environment holds, without those that the caller has given."""
    found: dict[str, Any] = {}
    if "timeout" not in without:
        found["timeout"] = read_timeout(read)
    if "max_event_bytes" not in without:
        found["max_event_bytes"] = read_max_event_bytes(read)
    if "show_answers" not in without:
        found["show_answers"] = read_show_answers(read)
    if not without.keys() & {"encryption_master_key", "encryption_master_key_base64"}:
        key = read_master_key(read)
        if key is not None:
            decode_master_key(key.value, field=key.name)
            found["encryption_master_key_base64"] = key.value
    return {name: value for name, value in found.items() if value is not None}


#: Options of ``from_url`` that locate the server; the others configure the client.
_WHERE = ("host", "port", "use_tls", "ssl", "secure", "cluster", "path_prefix")
#: All options of ``from_url``: the constructor's, without those that the URL contains.
_OPTIONS = frozenset(inspect.signature(Sockudo).parameters) - {"app_id", "key", "secret"}
