"""One deadline for a whole HTTP attempt: lookup, connect, handshake, request, head and body.

``requests`` and urllib3 bound each read, not the attempt: a peer that drips a byte a second can
stretch five seconds to hours. Here every socket operation gets the attempt's remaining time as its timeout.
The attempt also records that the first byte of the request may have left: this decides between *not
sent* and *unknown*. Imports requests, urllib3 and the standard library; knows nothing of Sockudo.

urllib3 passes no per-request value to its connections, so the attempt is in a context variable: one per thread, and
one per greenlet, even if gevent was patched in late.

The size of an answer's head is bounded here too: ``http.client`` would accept 6 MB, and parse it into 70 MB in four
seconds (measured with a hundred lines of carriage returns).
"""

from __future__ import annotations

import http.client
import io
import os
import queue
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager

__all__ = [
    "MAX_HEAD_BYTES",
    "MAX_INFORMATIONAL",
    "DeadlineAdapter",
    "HttpAttempt",
    "UnusableAnswer",
    "attempt_until",
    "bound_connections",
    "is_informational",
    "is_socks",
    "tls_context",
]

#: Bytes of an answer's status line and headers, interim answers included: Sockudo's have 300, a proxy's a few thousand.
MAX_HEAD_BYTES = 65_536

#: The largest number of informational answers before the final one; a server sends one or two.
MAX_INFORMATIONAL = 32


class UnusableAnswer(http.client.HTTPException):
    """An answer that is not read to its end. The error's text contains nothing of the answer."""


class HttpAttempt:
    """One running request.

    ``sent`` is ``None`` if no connection records it, as with a caller's session or a replacement of our adapter. Our
    adapter sets ``False`` before it uses a connection; the connection sets ``True`` when the first byte may leave.
    """

    __slots__ = ("_head_left", "deadline", "sent")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.sent: bool | None = None
        self._head_left: int | None = MAX_HEAD_BYTES

    def count_head(self, size: int) -> None:
        """Count received bytes of the head. Raises :class:`UnusableAnswer` above the limit."""
        if self._head_left is not None:
            self._head_left -= size
            if self._head_left < 0:
                raise UnusableAnswer(f"an answer with more than {MAX_HEAD_BYTES} bytes of headers")

    def end_head(self) -> None:
        """Stop counting: the body follows, and its reader bounds it."""
        self._head_left = None

    def remaining(self) -> float:
        """The remaining seconds, always positive. Raises ``TimeoutError`` after the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


_attempt: ContextVar[HttpAttempt | None] = ContextVar("sockudo_publisher_attempt", default=None)


@contextmanager
def attempt_until(deadline: float) -> Iterator[HttpAttempt]:
    """Bound all operations of our connections inside this context by a ``time.monotonic()`` instant."""
    attempt = HttpAttempt(deadline)
    token = _attempt.set(attempt)
    try:
        yield attempt
    finally:
        _attempt.reset(token)


def _remaining() -> float | None:
    """The timeout of a socket operation that starts now; ``None`` (no bound) outside of an attempt."""
    attempt = _attempt.get()
    return None if attempt is None else attempt.remaining()


def _counted(received: int) -> int:
    """Count the bytes of one read as part of the head, and return their number."""
    attempt = _attempt.get()
    if attempt is not None:
        attempt.count_head(received)
    return received


class _DeadlineSocket(socket.socket):
    """A TCP socket whose reads and writes end with the attempt.

    ``sendall`` bounds all of its writes by the one timeout; each read is a call of its own.
    """

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining())
        return _counted(super().recv_into(*args, **kwargs))

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_remaining())
        super().sendall(*args, **kwargs)


class _DeadlineSSLSocket(ssl.SSLSocket):
    """The same over TLS, where ``sendall`` is a loop over ``send``."""

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_remaining())
        super().do_handshake(*args, **kwargs)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining())
        return _counted(super().recv_into(*args, **kwargs))

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining())
        return super().send(*args, **kwargs)


def tls_context(verify: str | os.PathLike[str] | bool) -> ssl.SSLContext:
    """A client context, made once: loading the CA bundle at each connection would cost 10 ms and more.

    ``verify``: a CA file or directory, or ``True`` for the bundle that requests uses.
    """
    bundle = DEFAULT_CA_BUNDLE_PATH if verify is True or not verify else verify
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(bundle)
    except IsADirectoryError:
        context.load_verify_locations(capath=bundle)
    context.sslsocket_class = _DeadlineSSLSocket
    return context


def is_socks(proxy: str | None) -> bool:
    """Whether the proxy is a SOCKS proxy: urllib3 reaches it by its own connections."""
    return proxy is not None and proxy.lower().startswith("socks")


def is_informational(status: int) -> bool:
    """Whether an answer is informational, before the final one (RFC 9110, 15.2): 1xx except 101.

    101 would be a final answer: we never ask for another protocol.
    """
    return 100 <= status < 200 and status != 101


class _FinalResponse(http.client.HTTPResponse):
    """A response that skips informational ones: ``http.client`` skips only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INFORMATIONAL + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == 101:
                raise http.client.HTTPException("101: another protocol, which was not asked for")
            if not is_informational(status):
                return version, status, reason
            http.client.parse_headers(self.fp)  # bounded: 100 lines of 64 kB
            _remaining()
        raise http.client.HTTPException(f"more than {MAX_INFORMATIONAL} informational answers")


class _DeadlineMixin:
    """The differences of both connection classes from urllib3's."""

    response_class: Any = _FinalResponse
    _connecting = False

    def _new_conn(self: Any) -> socket.socket:
        try:
            return _connect(self._dns_host, self.port, self.source_address, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"failed: {error.strerror}") from error

    def connect(self: Any) -> None:
        self._connecting = True  # bytes to the proxy of a tunnel are not the request
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self: Any, data: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = _attempt.get()
        if attempt is not None and not self._connecting:
            attempt.sent = True
        super().send(data)  # type: ignore[misc]


class _DeadlineHTTPConnection(_DeadlineMixin, HTTPConnection):
    pass


class _DeadlineHTTPSConnection(_DeadlineMixin, HTTPSConnection):
    pass


class _DeadlinePoolMixin:
    """Returns our connections, or those that an HTTP recorder has put into urllib3.

    vcrpy and similar tools replace ``ConnectionCls`` of urllib3's own pools while a cassette is in use. Looked up at
    each request, the replacement is found here too. Such connections do not record what they sent.
    """

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        connection = super()._get_conn(*args, **kwargs)  # type: ignore[misc]
        attempt = _attempt.get()
        if attempt is not None and not isinstance(connection, _DeadlineMixin):
            attempt.sent = None
        return connection


class _DeadlineHTTPPool(_DeadlinePoolMixin, HTTPConnectionPool):
    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802
        now = HTTPConnectionPool.ConnectionCls
        return _DeadlineHTTPConnection if now is HTTPConnection else now


class _DeadlineHTTPSPool(_DeadlinePoolMixin, HTTPSConnectionPool):
    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802
        now = HTTPSConnectionPool.ConnectionCls
        return _DeadlineHTTPSConnection if now is HTTPSConnection else now


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter for one server, whose connections keep to the attempt's deadline.

    Never sends a request twice and never follows a redirect. ``proxy``: URL of the proxy to go
    through, or ``None``. Connections through a SOCKS proxy are urllib3's own: there each read is
    bounded, and not the attempt.
    """

    def __init__(self, base_url: str, *, proxy: str | None = None, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._notes = not is_socks(proxy)
        # One connection is in flight per session; Sockudo closes each, a proxy may keep one alive.
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pool = self._manager(proxy).connection_from_url(base_url)

    def _manager(self, proxy: str | None) -> PoolManager:
        tls: dict[str, Any] = {} if self._context is None else {"ssl_context": self._context}
        if proxy is None:
            self.poolmanager = PoolManager(num_pools=1, maxsize=1, block=False, **tls)
            manager: PoolManager = self.poolmanager
        else:
            manager = self.proxy_manager_for(proxy, **tls)
            if is_socks(proxy):
                return manager
        manager.pool_classes_by_scheme = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}
        return manager

    def close(self) -> None:
        """Close the connections now. urllib3 leaves it to the collector, and a failure's traceback may hold them."""
        super().close()
        self._pool.close()

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """The adapter's only pool. From now on its connections record whether they have sent a byte."""
        attempt = _attempt.get()
        if attempt is not None and self._notes:
            attempt.sent = False
        return self._pool

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing to do: the context holds the CA bundle already."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Build only the fields that are read later: no cookies, no guessed encoding."""
        attempt = _attempt.get()
        if attempt is not None:
            attempt.end_head()
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        return response


class _BoundedReader(io.RawIOBase):
    """Reads a caller's connection, each read within the attempt's remaining time."""

    def __init__(self, raw: Any, connection: Any) -> None:
        self._raw = raw
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        attempt = _attempt.get()
        if attempt is None:
            received: int | None = self._raw.readinto(buffer)
            return received
        self._connection.settimeout(attempt.remaining())
        received = self._raw.readinto(buffer)
        if received is not None:
            attempt.count_head(received)
        return received

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            super().close()


class _BoundedResponse(_FinalResponse):
    """An answer on a caller's connection; unchanged outside of an attempt."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if _attempt.get() is not None:
            self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))

    def begin(self) -> None:
        super().begin()
        attempt = _attempt.get()
        if attempt is not None:
            attempt.end_head()


def bound_connections(pool: HTTPConnectionPool) -> None:
    """Bound the connections of a caller's pool by our attempts: the time of every read, the size of every head.

    Affects only requests made in :func:`attempt_until`. Connections that a recorder (such as vcrpy) has put into the
    pool are bounded if they are urllib3's underneath.
    """
    if "_get_conn" not in vars(pool):
        # A weak reference: urllib3 closes the connections of a pool when the last reference to it goes.
        pool._get_conn = partial(_bounded_connection, weakref.ref(pool))  # type: ignore[method-assign]


def _bounded_connection(reference: weakref.ref[Any], *args: Any, **kwargs: Any) -> Any:
    pool: Any = reference()
    connection = type(pool)._get_conn(pool, *args, **kwargs)
    if _attempt.get() is not None and getattr(connection, "response_class", None) is http.client.HTTPResponse:
        connection.response_class = _BoundedResponse
    return connection


def _connect(
    host: str, port: int, source_address: tuple[str, int] | None, options: list[tuple[int, int, int | bytes]] | None
) -> socket.socket:
    """Connect to the first address that accepts; each gets its share of the remaining time."""
    attempt = _attempt.get()
    addresses = _addresses(host.strip("[]"), port)
    failure = OSError("no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = _DeadlineSocket(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            if source_address:
                connection.bind(source_address)
            left = None if attempt is None else attempt.remaining() / (len(addresses) - index)
            connection.settimeout(left)
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


def _addresses(host: str, port: int) -> list[Any]:
    """Resolve a name within the attempt. ``getaddrinfo`` has no timeout, so a thread calls it."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        pass  # a name
    answer: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except UnicodeError:
            answer.put(socket.gaierror(socket.EAI_NONAME, "not a host name"))
        except OSError as error:
            answer.put(error)

    try:
        # An abandoned lookup ends with the resolver's own timeout (5 s an attempt unless configured otherwise).
        threading.Thread(target=look_up, name="sockudo-lookup", daemon=True).start()
    except RuntimeError:
        look_up()  # no thread can start, as when the interpreter shuts down
    try:
        result = answer.get(timeout=_remaining())
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if isinstance(result, Exception):
        raise result
    return result
