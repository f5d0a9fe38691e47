"""One HTTP attempt: a request, then an answer of any status, or a connection error that says whether it was sent.

Knows HTTP and nothing of Sockudo's API. Imports the error tree, ``deadline``, requests and urllib3.
No retries and no redirects: a publish sent twice is two publishes.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy

from ...errors import ConfigurationError, SockudoConnectionError
from ...redaction.frame_locals import without_locals
from .deadline import (
    DeadlineAdapter,
    HttpAttempt,
    UnusableAnswer,
    attempt_until,
    bound_connections,
    is_informational,
    tls_context,
)
from .json_memory import json_bytes
from .log_filter import hide_signatures
from .no_answer import NoAnswer, TimedOut

__all__ = ["MAX_ANSWER_BYTES", "MAX_ANSWER_MEMORY", "Bounds", "FilePath", "Response", "Transport"]

hide_signatures()

#: Bytes of an answer, unless the call expects more. Whatever JSON they are, 40 MiB of memory hold it.
MAX_ANSWER_BYTES = 1024 * 1024
#: Bytes of memory that reading a larger answer as JSON may take.
MAX_ANSWER_MEMORY = 48 * 1024 * 1024
#: Bytes of one read from the connection.
READ_BYTES = 65_536

# What urllib3 and requests raise; RequestException is an OSError.
_FAILURES = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException)
# Of these, the ones that arise before a byte of the request leaves.
_NOT_SENT = (
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.LocationParseError,
    requests.exceptions.ConnectTimeout,
    socket.gaierror,
    ConnectionRefusedError,
    ssl.SSLCertVerificationError,
)
# Of these, the ones that the next attempt meets again.
_PERMANENT = (ssl.SSLCertVerificationError, urllib3.exceptions.LocationParseError)

#: Where a file is, as requests takes it.
FilePath: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True)
class Response:
    """An answer, whatever its status. ``headers`` are looked up in any case of letters.

    ``is_shown``: errors and logs may quote its text (``SOCKUDO_SHOW_ANSWERS``).
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_shown: bool = False


@dataclass(frozen=True)
class Bounds:
    """The largest answer, in bytes, and its largest memory as JSON. ``advice``: the end of the error message."""

    size: int = MAX_ANSWER_BYTES
    memory: int = MAX_ANSWER_MEMORY
    advice: str = ""


DEFAULT_BOUNDS = Bounds()


class Transport:
    """Sends requests to one server. Thread-safe, and safe after ``fork``.

    Each thread of each process has a session of its own. Proxies and CA bundle of the environment
    (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``, …) are looked up once, here. ``verify``: the CA
    file or directory instead; certificates are always verified. ``cert``: the client's certificate with its
    key, one file or (certificate, key), not encrypted. Both as in requests, for https alone. With the
    caller's own ``session`` all of that is the session's business; the deadline then bounds the
    connect, and the answer from its first byte to its last; its hooks find the body read. A hook of the
    session that calls ``raise_for_status`` hides no answer; what else its hooks raise goes to the caller as
    it is. ``show_answers``: errors and logs may quote the text of answers.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: requests.Session | None = None,
        verify: FilePath | bool = True,
        cert: FilePath | tuple[FilePath, FilePath] | None = None,
        show_answers: bool = False,
    ) -> None:
        self.base_url = base_url
        self._own_session = session
        self._show_answers = show_answers
        self._local = threading.local()
        _check_session(session)
        _check_tls(base_url, session, verify, cert)
        if session is None:
            scheme = base_url.partition(":")[0]
            self._proxy = select_proxy(base_url, get_environ_proxies(base_url))
            self._proxies = {scheme: self._proxy} if self._proxy else {}
            self._tls = _tls_context(verify, cert) if scheme == "https" else None

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    @without_locals
    def request(
        self,
        method: str,
        url_path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> Response:
        """Make one attempt; return the answer of any status.

        ``url_path`` and ``query`` as they go over the wire. ``timeout``: seconds for the whole attempt,
        from the lookup of the host to the last byte of the answer. ``bounds``: how large the answer may be.
        Raises ``SockudoConnectionError``, whose ``sent`` is ``False`` only when no byte of the request can
        have left; an answer that is too large, or encoded although the request allows ``identity`` alone, is one.
        """
        url = f"{self.base_url}{url_path}?{query}" if query else self.base_url + url_path
        started = time.monotonic()
        with attempt_until(started + timeout) as attempt:
            try:
                return self._exchange(method, url, body, headers or {}, timeout, attempt, bounds)
            except _FAILURES as failure:
                error = self._error(failure, attempt, timeout, method)
        # Raised out here: the exceptions of requests carry the URL, and with it key and signature.
        raise error

    def close(self) -> None:
        """Close this thread's connections. The transport stays usable. A caller's session is left alone."""
        _, session = getattr(self._local, "session", (0, None))
        if session is not None:
            session.close()
            del self._local.session

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
        attempt: HttpAttempt,
        bounds: Bounds,
    ) -> Response:
        if self._own_session is None:
            session = self._session()
            prepared = _prepared(method, url, headers, body)
            settings: dict[str, Any] = {"proxies": self._proxies, "verify": True, "cert": None}
        else:
            session = self._own_session
            asked = {**headers, "Accept-Encoding": "identity"}
            prepared = session.prepare_request(requests.Request(method, url, headers=asked, data=body))
            prepared.url = url  # the signed URL: preparing changes dots and escapes
            # Before the session's own hooks, which would read a body of any size, decoded; and after them.
            prepared.hooks["response"].insert(0, partial(_read_before_hooks, attempt, bounds))
            prepared.hooks["response"].append(_forget_location)
            settings = dict(session.merge_environment_settings(url, {}, True, None, None))
            _bound_connections(session, prepared, settings)
        settings |= {"stream": True, "timeout": (timeout, timeout), "allow_redirects": False}
        try:
            response = session.send(prepared, **settings)
        except requests.exceptions.HTTPError as error:
            refusal = _refusal(error, url)
            if refusal is None:
                raise
            response = refusal
        try:
            _check_final(response, session)
            body_read = _read(response, attempt, bounds)
            answer = Response(response.status_code, response.headers, body_read, self._show_answers)
        except BaseException:
            if response.raw is not None:  # of an adapter that answers without a connection
                response.close()  # half read: the connection is of no more use
            raise
        return answer

    def _session(self) -> requests.Session:
        """The session of this thread; a new one in a child process, whose parent goes on using the old."""
        pid = os.getpid()
        owner, session = getattr(self._local, "session", (0, None))
        if session is None or owner != pid:
            session = _Session()
            session.trust_env = False  # environment and netrc were looked at once, or not at all
            session.mount(self.base_url, DeadlineAdapter(self.base_url, proxy=self._proxy, context=self._tls))
            self._local.session = (pid, session)
        return session

    def _error(self, failure: Exception, attempt: HttpAttempt, timeout: float, method: str) -> SockudoConnectionError:
        causes = _causes(failure)
        sent = attempt.sent
        if sent is None:  # other connections than ours do not record it
            sent = not any(isinstance(cause, _NOT_SENT) for cause in causes) or self._may_resend(method)
        where = "its result is unknown" if sent else "not sent"
        permanent = any(isinstance(cause, _PERMANENT) for cause in causes)
        kind = TimedOut if _timed_out(causes) else NoAnswer
        return kind(f"{self.base_url}: {_reason(causes, timeout)} ({where})", sent=sent, permanent=permanent)

    def _may_resend(self, method: str) -> bool:
        """Whether the caller's adapter may have sent the request before the failure that it reports."""
        if self._own_session is None:
            return False
        retries = getattr(self._own_session.get_adapter(self.base_url), "max_retries", None)
        if retries is None or not retries.total:
            return False
        allowed = retries.allowed_methods
        return not allowed or method in allowed


def _check_session(session: object) -> None:
    """Refuse an object that is no session when the client is made: its first request may come much later."""
    if session is None:
        return
    kind = f"the class {session.__name__}" if isinstance(session, type) else f"a {type(session).__name__}"
    if isinstance(session, type) or not all(callable(getattr(session, name, None)) for name in _OF_A_SESSION):
        raise ConfigurationError(f"session: {kind}, expected a requests.Session or its like")


#: The methods of a session that are used; a subclass or replacement must have them too.
_OF_A_SESSION = ("prepare_request", "merge_environment_settings", "send", "get_adapter")


def _check_tls(
    base_url: str, session: requests.Session | None, verify: object, cert: FilePath | tuple[FilePath, FilePath] | None
) -> None:
    if verify is not True:
        if not isinstance(verify, str | os.PathLike):
            raise ConfigurationError("verify: cannot be switched off; expected the path of a CA file or directory")
        _check_tls_option("verify", base_url, session)
    if cert is not None:
        _check_tls_option("cert", base_url, session)


def _check_tls_option(name: str, base_url: str, session: requests.Session | None) -> None:
    if session is not None:
        raise ConfigurationError(f"{name}: given together with session, which has its own")
    if not base_url.startswith("https:"):
        raise ConfigurationError(f"{name}: given without TLS")


def _tls_context(verify: FilePath | bool, cert: FilePath | tuple[FilePath, FilePath] | None) -> ssl.SSLContext:
    """The context of all connections: who the server may be, and who we are."""
    source = "verify"
    if verify is True:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        source, verify = "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE", bundle or True
    try:
        context = tls_context(verify)
    except OSError:
        raise ConfigurationError(f"{source}: no readable CA bundle") from None
    if cert is not None:
        try:
            chain, key = (cert, None) if isinstance(cert, str | os.PathLike) else cert
            # Without a password of its own OpenSSL would ask for one at the terminal.
            context.load_cert_chain(chain, key, password=lambda: b"")
        except (OSError, TypeError, ValueError):
            raise ConfigurationError("cert: no readable certificate with its key, unencrypted") from None
    return context


class _Session(requests.Session):
    """A session that takes redirects for what they are here: an answer that is not success."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def _prepared(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.PreparedRequest:
    """A request ready to be sent, byte by byte as given: no quoting, no merging of settings."""
    prepared = requests.PreparedRequest()
    prepared.method = method
    prepared.url = url
    prepared.headers = CaseInsensitiveDict(headers)
    # A compressed answer cannot be bounded before it is decoded; they are a few hundred bytes.
    prepared.headers["Accept-Encoding"] = "identity"
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    prepared.body = body
    prepared._cookies = requests.cookies.RequestsCookieJar()  # type: ignore[attr-defined]  # send() reads it
    return prepared


def _forget_location(response: requests.Response, **_: object) -> None:
    """Make a redirect an answer like any other.

    ``Session.send(allow_redirects=False)`` follows none, but works out the next request: it reads the whole
    body for that, however long, and raises ``ValueError`` where the ``Location`` is no URL.
    """
    response.headers.pop("location", None)


def _refusal(error: requests.exceptions.HTTPError, url: str) -> requests.Response | None:
    """The answer to our request inside an exception of ``raise_for_status``, as a hook of the session may call it.

    ``None`` for another: a hook may make requests of its own, and their answers prove nothing about ours.
    """
    response = error.response
    if response is None or response.status_code < 400:
        return None
    return response if response.request is None or response.request.url == url else None


def _check_final(response: requests.Response, session: requests.Session) -> None:
    """Raise ``HTTPException`` for an informational answer, which connections of another library may give."""
    if 100 <= response.status_code < 200:
        session.close()  # the answer that may still come must not be taken for that to another request
        raise http.client.HTTPException(f"informational answer {response.status_code}, not the final one")


def _bound_connections(session: requests.Session, prepared: requests.PreparedRequest, settings: dict[str, Any]) -> None:
    """Let the connections that the caller's session will use keep to the attempt, where they are urllib3's."""
    adapter = session.get_adapter(url=str(prepared.url))
    if isinstance(adapter, HTTPAdapter) and hasattr(adapter, "poolmanager"):
        tls = {name: settings[name] for name in ("verify", "cert", "proxies")}
        pool: Any = adapter.get_connection_with_tls_context(prepared, **tls)
        bound_connections(pool)


def _read_before_hooks(attempt: HttpAttempt, bounds: Bounds, response: requests.Response, **_: object) -> None:
    """Read the body within its bounds, and leave it to the hooks of the caller's session as ``response.content``."""
    if is_informational(response.status_code):
        return
    response._content = _read(response, attempt, bounds)
    response._content_consumed = True  # type: ignore[attr-defined]


def _read(response: requests.Response, attempt: HttpAttempt, bounds: Bounds) -> bytes:
    """The whole body as it came, within the attempt and the bounds."""
    status = response.status_code
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnusableAnswer(f"HTTP {status} with an encoded body, expected identity")
    raw = response.raw
    if raw is None or getattr(response, "_content_consumed", False):  # by a hook of the caller's session
        body = response.content
    else:
        if hasattr(raw, "decode_content"):  # urllib3's, whose default decodes
            raw.decode_content = False
        # read1 (urllib3 >= 2.2) returns the received bytes at once, so the deadline is checked between them.
        read = getattr(raw, "read1", raw.read)
        received = bytearray()  # a list of many small pieces would take more memory
        while len(received) <= bounds.size and (piece := read(READ_BYTES)):
            received += piece
            attempt.remaining()
        body = bytes(received) if len(received) <= bounds.size else received
    if len(body) > bounds.size:
        raise UnusableAnswer(f"HTTP {status} with a body of more than {bounds.size} bytes{bounds.advice}")
    if len(body) > MAX_ANSWER_BYTES and json_bytes(body) > bounds.memory:
        lack = f"takes more than {bounds.memory} bytes of memory to read"
        raise UnusableAnswer(f"HTTP {status} with a body of {len(body)} bytes that {lack}{bounds.advice}")
    return body


def _causes(failure: BaseException) -> list[BaseException]:
    """The failure and everything it wraps, outermost first; requests and urllib3 wrap in three ways.

    ``__context__`` is left out: it may lead to an exception that the caller was handling before.
    """
    found: list[BaseException] = []
    todo: list[Any] = [failure]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseException) and all(error is not known for known in found):
            found.append(error)
            todo += [*error.args, getattr(error, "reason", None), error.__cause__]
    return found


def _timed_out(causes: list[BaseException]) -> bool:
    timeouts = TimeoutError | urllib3.exceptions.TimeoutError | requests.exceptions.Timeout
    refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)  # a timeout to urllib3
    return not refused and any(isinstance(cause, timeouts) for cause in causes)


def _reason(causes: list[BaseException], timeout: float) -> str:
    """What happened, in words that hold no URL."""
    for cause in causes:
        if isinstance(cause, UnusableAnswer):
            return str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS certificate not accepted, {cause.verify_message}"
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return f"host not found, {cause.strerror}"
        if isinstance(cause, urllib3.exceptions.LocationParseError):
            return "not a host name"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed, {cause.reason or 'no reason given'}"
    for cause in causes:  # before the timeouts, which urllib3 counts a refused connection among
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            return cause.strerror
    if _timed_out(causes):
        return f"no complete answer within {timeout:g} s"
    for cause in causes:
        if type(cause) is http.client.HTTPException:
            return str(cause)
    return f"no usable answer ({type(causes[-1]).__name__})"
