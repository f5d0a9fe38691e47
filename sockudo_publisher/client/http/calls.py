"""Signed calls to one app: one attempt, or a whole call with retries that returns the answer.

The base class of :class:`~sockudo_publisher.client.sockudo.Sockudo`; the classes in ``client.api`` add the endpoints.
Combines credentials, signing and transport; knows no endpoint. Facts: docs/server.md, 1 and 2.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import FunctionType
from typing import TYPE_CHECKING, Any

import requests

from ...errors import CallError, ConfigurationError, ValidationError
from ...redaction.frame_locals import without_locals
from ..wire.encoding import Encoder
from ..wire.encryption import encode_master_key
from ..wire.json_text import JsonText
from ..wire.limits import MAX_EVENT_BYTES
from ..wire.paths import normal_path
from .answer import Field, Request, json_object
from .credentials import Credentials
from .retries import CLIENTS, MIN_ATTEMPT_S, CallRetries, Retries, RetriesLike, as_retries
from .transport import MAX_ANSWER_BYTES, MAX_ANSWER_MEMORY, Bounds, FilePath, Response, Transport

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEFAULT_RETRIES", "DEFAULT_TIMEOUT", "Calls"]

#: Seconds of one attempt; the seed SDK's.
DEFAULT_TIMEOUT = 5.0
#: Up to two further attempts within 20 s, if the request was not sent or may be repeated.
DEFAULT_RETRIES = Retries()
#: The largest timeout, in seconds.
MAX_TIMEOUT = 3600.0
#: Bytes of a query's answer: a page of a hundred events, each of 80 kB.
MAX_QUERY_ANSWER_BYTES = 8 * 1024 * 1024


class Calls:
    """The base class of all endpoints. Thread-safe, and safe after ``fork``.

    No error of a public method, here or in a subclass of this package, carries local variables: see ``frame_locals``.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__module__.startswith(_PACKAGE):
            return  # the application's methods stay as they are, coroutines among them
        made: dict[int, Any] = {}  # two names of one method stay one
        for name, method in list(vars(cls).items()):
            if isinstance(method, FunctionType) and not name.startswith("_"):
                setattr(cls, name, made.setdefault(id(method), without_locals(method)))

    def _start(
        self,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        encryption_master_key_base64: str | bytes | None = None,
        encryption_master_key: str | bytes | None = None,
        session: requests.Session | None = None,
        verify: FilePath | bool = True,
        cert: FilePath | tuple[FilePath, FilePath] | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        json_encoder: JsonText | type[json.JSONEncoder] | None = None,
        json_decoder: type[json.JSONDecoder] | None = None,
        retries: RetriesLike = DEFAULT_RETRIES,
        show_answers: bool = False,
        backend: None = None,
    ) -> None:
        if backend is not None:
            raise ConfigurationError("backend: not supported; give a requests.Session with its own adapter as session=")
        if encryption_master_key is not None:
            if encryption_master_key_base64 is not None:
                raise ConfigurationError("encryption_master_key: given together with encryption_master_key_base64")
            encryption_master_key_base64 = encode_master_key(encryption_master_key)
            _warn_caller("encryption_master_key is deprecated, give encryption_master_key_base64")
        for name, kind, base in (
            ("json_encoder", json_encoder, json.JSONEncoder),
            ("json_decoder", json_decoder, json.JSONDecoder),
        ):
            is_ours = isinstance(kind, JsonText)  # of the settings (wiring/app.py)
            if kind is not None and not is_ours and not (isinstance(kind, type) and issubclass(kind, base)):
                raise ConfigurationError(f"{name}: expected a subclass of json.{base.__name__}")
        _check_size("max_event_bytes", max_event_bytes)
        self._credentials = credentials
        self._retries = as_retries(retries)
        self._signer = credentials.signer()
        self._path = credentials.path
        self._prefix = credentials.path_prefix
        self._timeout = _seconds(timeout)
        if not isinstance(show_answers, bool):
            raise ConfigurationError("show_answers: expected True or False")
        self._transport = Transport(
            credentials.base_url, session=session, verify=verify, cert=cert, show_answers=show_answers
        )
        self._json_decoder = json_decoder
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

    @without_locals
    def call(
        self,
        method: str,
        suffix: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        retries: CallRetries = CLIENTS,
        expected: Field | None = None,
        request: Request = Request.ONE,
    ) -> dict[str, Any]:
        """Make a call as :meth:`send` and return the server's object, or ``{}`` for a success without one.

        ``expected``: a field of the answer and its type; a success without it is a ``SockudoConnectionError``, like one
        that is not JSON. ``request``: what a refusal of it proves; ``GET`` and ``HEAD`` are queries.

        ``repeatable``: a second request does no harm, so the call is repeated even if the result of an attempt is
        unknown; always true for ``GET`` and ``HEAD``. ``retries``: as of the constructor, for this call. Each
        attempt sends the same bytes under a fresh signature. Raises the ``CallError`` of the last attempt,
        whose ``sent`` covers all attempts.
        """
        policy = self._retries if retries is CLIENTS else as_retries(retries)
        if method in _QUERIES:
            repeatable, request = True, Request.QUERY
        started = time.monotonic()
        timeout: float | None = None
        attempt = 1
        maybe_sent = False
        while True:
            try:
                response = self.send(method, suffix, query=query, body=body, timeout=timeout, headers=headers)
                return json_object(response, decoder=self._json_decoder, expected=expected, request=request)
            except CallError as error:
                elapsed = time.monotonic() - started
                wait = policy.wait_s(error, repeatable=repeatable, attempt=attempt, elapsed_s=elapsed)
                error.cover_attempts(attempt, earlier_sent=maybe_sent)
                maybe_sent = error.sent
                if wait is None:
                    raise
            time.sleep(wait)
            attempt += 1
            timeout = min(self._timeout, max(MIN_ATTEMPT_S, started + policy.total_s - time.monotonic()))

    @without_locals
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
                raise ValidationError(f"body: not allowed with {method}")
        elif body is None:
            body = b""  # the server wants body_md5 with every POST
        # A prefix means a proxy that rewrites the path: sign the path as Sockudo receives it.
        path = self._path + (normal_path(suffix) if self._prefix else suffix)
        signed = self._signer.query(method, path, now=time.time(), body=body, parameters=query)
        return self._transport.request(
            method,
            self._prefix + path,
            query=signed,
            body=body,
            headers={**self._headers, **headers} if headers else self._headers,
            timeout=self._timeout if timeout is None else _seconds(timeout),
            bounds=_bounds(method, 0 if body is None else len(body)),
        )

    def close(self) -> None:
        """Close this thread's connections; the client stays usable. A ``session`` of the caller's is left alone."""
        self._transport.close()

    def __enter__(self) -> Self:
        """The client itself; :meth:`close` at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bounds(method: str, request_bytes: int) -> Bounds:
    """How large the answer may be: to a publish it has a line for each event of the request, whose ids it repeats."""
    if method in _QUERIES:
        return _QUERY_BOUNDS
    return Bounds(max(MAX_ANSWER_BYTES, 4 * request_bytes), max(MAX_ANSWER_MEMORY, 12 * request_bytes))


_QUERY_BOUNDS = Bounds(MAX_QUERY_ANSWER_BYTES, MAX_ANSWER_MEMORY, " (ask for less at a time, as with limit=)")

_PACKAGE = __name__.partition(".")[0] + "."
#: Methods whose requests change nothing.
_QUERIES = frozenset({"GET", "HEAD"})
#: The server refuses ``body_md5`` with these.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not math.isfinite(timeout):
        raise ConfigurationError("timeout: expected seconds")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ConfigurationError(f"timeout: {timeout:g} s, must be above 0 and at most {MAX_TIMEOUT:g}")
    return float(timeout)


def _check_size(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}: expected a number of bytes")


def _warn_caller(text: str) -> None:
    """Issue a DeprecationWarning at the caller's line outside of this package."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(text, DeprecationWarning, stacklevel=level)


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version("sockudo-publisher")
    except PackageNotFoundError:  # run from a checkout
        return "0"
